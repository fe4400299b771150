//! The bill as trailing metadata: one number per figure, in exact decimals. Writes headers, never bodies.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_proto::metadata;

use super::{decimal, orca};
use crate::figure::{Bill, FIGURES, Figure, Unit};

/// The bound on everything that is added, counted as HTTP/2 counts header fields.
const MAX_BYTES: usize = 4096;
/// What HTTP/2 counts for a field in addition to its name and value (RFC 9113, section 6.5.2).
const FIELD_BYTES: usize = 32;
/// Capacity for the numbers of a call and of its session.
const NUMBERS_BYTES: usize = 512;

/// Which trailers are sent. The request id always is.
#[derive(Clone, Copy, Debug)]
pub struct TrailerChoice {
    /// The bill of the call.
    pub call: bool,
    /// The totals of its session.
    pub session: bool,
    /// The ORCA load report.
    pub orca: bool,
    /// W3C Server-Timing.
    pub server_timing: bool,
}

impl Default for TrailerChoice {
    fn default() -> TrailerChoice {
        TrailerChoice {
            call: true,
            session: true,
            orca: true,
            server_timing: true,
        }
    }
}

/// What the trailers of a call report.
#[derive(Clone, Copy, Debug)]
pub struct TrailerContent<'a> {
    /// The id of the call.
    pub request_id: &'a str,
    /// The bill of the call.
    pub bill: &'a Bill,
    /// The totals of its session after it.
    pub session: Option<&'a Bill>,
    /// Calls in flight divided by their limit.
    pub utilization: f64,
}

/// Adds the trailers of a call. If they are too large, Server-Timing is left out first, then the load report, the session
/// and the call; `tollgate-trailers-truncated` reports it.
pub fn write_trailers(headers: &mut HeaderMap, choice: TrailerChoice, content: &TrailerContent<'_>) {
    write_within(headers, choice, content, MAX_BYTES);
}

/// Adds the id of a call that has no bill.
pub fn write_request_id(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(TRAILERS.request_id.clone(), once(value));
    }
}

/// Marks a value that rarely occurs twice. HTTP/2 would keep it in the connection's table of fields, and evict fields that
/// occur in every call: most figures of most calls are zero, and take one byte while they are in the table. "Sensitive" is
/// what `http` calls a value that is kept out of it (RFC 7541, section 7.1.3).
fn once(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// Whether this call puts its figures into the table anyway, as one call in 64 does: the names, which are longer than the
/// values, then stay in the table for later calls.
fn leaves_names() -> bool {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    // multiples of the golden ratio are spread evenly
    let place = CALLS.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9);
    place < u32::MAX / 64
}

/// A figure with a trailer.
struct Trailer {
    figure: &'static Figure,
    call: HeaderName,
    session: HeaderName,
}

/// All trailers, with their header names parsed once.
struct Trailers {
    request_id: HeaderName,
    figures: Vec<Trailer>,
}

static TRAILERS: LazyLock<Trailers> = LazyLock::new(|| Trailers {
    request_id: HeaderName::from_static(metadata::REQUEST_ID),
    figures: FIGURES
        .iter()
        .filter_map(|figure| {
            let name = figure.trailer?;
            Some(Trailer {
                figure,
                call: HeaderName::from_static(name),
                session: session_name(name),
            })
        })
        .collect(),
});

type Fields = Vec<(HeaderName, HeaderValue)>;

/// Groups of trailers in descending priority. Each adds its fields if they are chosen.
const GROUPS: [fn(TrailerChoice, &TrailerContent<'_>, &mut BytesMut, &mut Fields); 4] =
    [call_figures, session_figures, orca_report, server_timing];

fn write_within(
    headers: &mut HeaderMap,
    choice: TrailerChoice,
    content: &TrailerContent<'_>,
    max_bytes: usize,
) {
    let figures = TRAILERS.figures.len();
    headers.reserve(2 * figures + 5);
    write_request_id(headers, content.request_id);
    let truncated = (
        HeaderName::from_static(metadata::TRUNCATED),
        HeaderValue::from_static("1"),
    );
    let request_id_bytes = metadata::REQUEST_ID.len() + content.request_id.len() + FIELD_BYTES;
    let mut left = max_bytes.saturating_sub(request_id_bytes + bytes_of(std::slice::from_ref(&truncated)));
    let mut numbers = BytesMut::with_capacity(NUMBERS_BYTES);
    let mut fields = Fields::with_capacity(figures + 1);
    for add_group in GROUPS {
        add_group(choice, content, &mut numbers, &mut fields);
        let Some(rest) = left.checked_sub(bytes_of(&fields)) else {
            headers.insert(truncated.0, truncated.1);
            return;
        };
        left = rest;
        for (name, value) in fields.drain(..) {
            headers.insert(name, value);
        }
    }
}

fn call_figures(
    choice: TrailerChoice,
    content: &TrailerContent<'_>,
    numbers: &mut BytesMut,
    fields: &mut Fields,
) {
    if !choice.call {
        return;
    }
    let leaves_names = leaves_names();
    for trailer in &TRAILERS.figures {
        // no two calls take the same number of microseconds
        let occurs_once = trailer.figure.unit == Unit::Microseconds && !leaves_names;
        let value = figure_value(trailer.figure, content.bill, occurs_once, numbers);
        fields.push((trailer.call.clone(), value));
    }
}

fn session_figures(
    choice: TrailerChoice,
    content: &TrailerContent<'_>,
    numbers: &mut BytesMut,
    fields: &mut Fields,
) {
    let Some(session) = content.session.filter(|_| choice.session) else {
        return;
    };
    let session = session.clone().clamped();
    // all totals grow from call to call
    let occurs_once = !leaves_names();
    for trailer in &TRAILERS.figures {
        let value = figure_value(trailer.figure, &session, occurs_once, numbers);
        fields.push((trailer.session.clone(), value));
    }
    decimal::write(numbers, Unit::Count, session.calls);
    let calls = HeaderName::from_static(metadata::SESSION_CALLS);
    fields.push((calls, once(take_value(numbers))));
}

fn figure_value(figure: &Figure, bill: &Bill, occurs_once: bool, numbers: &mut BytesMut) -> HeaderValue {
    let value = (figure.value)(bill);
    if value == 0 {
        return HeaderValue::from_static(decimal::zero(figure.unit));
    }
    decimal::write(numbers, figure.unit, value);
    let value = take_value(numbers);
    if occurs_once { once(value) } else { value }
}

fn orca_report(choice: TrailerChoice, content: &TrailerContent<'_>, _: &mut BytesMut, fields: &mut Fields) {
    if !choice.orca {
        return;
    }
    if let Ok(report) = HeaderValue::try_from(orca::load_report(content.bill, content.utilization)) {
        fields.push((HeaderName::from_static(metadata::ORCA), once(report)));
    }
}

fn server_timing(
    choice: TrailerChoice,
    content: &TrailerContent<'_>,
    numbers: &mut BytesMut,
    fields: &mut Fields,
) {
    if !choice.server_timing {
        return;
    }
    let bill = content.bill;
    let durations = [
        ("dynamodb;dur=", bill.dynamodb_us),
        (", kms;dur=", bill.kms_us),
        (", s3;dur=", bill.s3_us),
        (", gateway;dur=", bill.gateway_us),
        (", total;dur=", bill.wall_us),
    ];
    for (name, micros) in durations {
        numbers.extend_from_slice(name.as_bytes());
        decimal::write(numbers, Unit::Microseconds, micros);
    }
    let name = HeaderName::from_static(metadata::SERVER_TIMING);
    fields.push((name, once(take_value(numbers))));
}

/// Takes what was written into the buffer that all values share.
fn take_value(numbers: &mut BytesMut) -> HeaderValue {
    HeaderValue::from_maybe_shared(numbers.split().freeze())
        .expect("digits and plain text are a valid header value")
}

fn session_name(name: &str) -> HeaderName {
    let name = name.strip_prefix("tollgate-").unwrap_or(name);
    let name = format!("{}{name}", metadata::SESSION_PREFIX);
    HeaderName::try_from(name).expect("a header name with a prefix is a valid header name")
}

fn bytes_of(fields: &[(HeaderName, HeaderValue)]) -> usize {
    fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bill(figure: u64) -> Bill {
        Bill {
            dynamodb_us: figure,
            dynamodb_calls: figure,
            read_milliunits: figure,
            write_milliunits: figure,
            items: figure,
            kms_us: figure,
            kms_calls: figure,
            kms_cache_hits: figure,
            s3_us: figure,
            s3_calls: figure,
            uploaded_bytes: figure,
            downloaded_bytes: figure,
            retries: figure,
            calls: figure,
            wall_us: figure,
            gateway_us: figure,
            dynamodb_picodollars: figure,
            ..Bill::default()
        }
    }

    fn written(bill: &Bill, session: Option<&Bill>, choice: TrailerChoice, max_bytes: usize) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let content = TrailerContent {
            request_id: "call-1",
            bill,
            session,
            utilization: 0.5,
        };
        write_within(&mut headers, choice, &content, max_bytes);
        headers
    }

    fn size(headers: &HeaderMap) -> usize {
        headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES)
            .sum()
    }

    #[test]
    fn every_trailer_is_written() {
        let headers = written(&bill(1), Some(&bill(2)), TrailerChoice::default(), MAX_BYTES);
        for trailer in &TRAILERS.figures {
            assert!(headers.contains_key(&trailer.call), "{}", trailer.call);
            assert!(headers.contains_key(&trailer.session), "{}", trailer.session);
        }
        assert_eq!(headers[metadata::REQUEST_ID], "call-1");
        assert_eq!(headers[metadata::SESSION_CALLS], "2");
        assert_eq!(headers["tollgate-session-kms-calls"], "2");
        assert_eq!(headers["tollgate-session-duration-ms"], "0.002");
        assert_eq!(headers[metadata::KMS_CALLS], "1");
        assert_eq!(headers[metadata::COST_USD], "0.000000000001");
        let timing = "dynamodb;dur=0.001, kms;dur=0.001, s3;dur=0.001, gateway;dur=0.001, total;dur=0.001";
        assert_eq!(headers[metadata::SERVER_TIMING], timing);
        assert!(headers.contains_key(metadata::ORCA) && !headers.contains_key(metadata::TRUNCATED));
        assert_eq!(headers.len(), 2 * TRAILERS.figures.len() + 4);
    }

    #[test]
    fn write_capacity_includes_the_estimated_part() {
        let bill = Bill {
            write_milliunits: 1_000,
            estimated_write_milliunits: 2_500,
            ..Bill::default()
        };
        assert_eq!(
            written(&bill, None, TrailerChoice::default(), MAX_BYTES)[metadata::WCU],
            "3.5"
        );
    }

    #[test]
    fn only_chosen_trailers_are_written() {
        let nothing = TrailerChoice {
            call: false,
            session: false,
            orca: false,
            server_timing: false,
        };
        let headers = written(&bill(1), Some(&bill(2)), nothing, MAX_BYTES);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers[metadata::REQUEST_ID], "call-1");
        let timing = TrailerChoice {
            server_timing: true,
            ..nothing
        };
        assert_eq!(written(&bill(1), None, timing, MAX_BYTES).len(), 2);
    }

    #[test]
    fn groups_are_left_out_in_order_of_priority() {
        let largest = bill(i64::MAX.cast_unsigned());
        let whole = written(&largest, Some(&largest), TrailerChoice::default(), usize::MAX);
        let mut gone: Vec<&str> = Vec::new();
        for max_bytes in (100..size(&whole) + 200).rev() {
            let headers = written(&largest, Some(&largest), TrailerChoice::default(), max_bytes);
            assert!(size(&headers) <= max_bytes.max(200), "{max_bytes}");
            let marks = [
                metadata::SERVER_TIMING,
                metadata::ORCA,
                metadata::SESSION_CALLS,
                metadata::KMS_CALLS,
            ];
            let missing: Vec<&str> = marks
                .into_iter()
                .filter(|mark| !headers.contains_key(*mark))
                .collect();
            assert_eq!(headers.contains_key(metadata::TRUNCATED), !missing.is_empty());
            assert!(missing.starts_with(&gone), "a group must not come back");
            assert!(marks.starts_with(&missing), "groups must be left out in order");
            gone = missing;
        }
        assert_eq!(gone.len(), 4);
    }

    #[test]
    fn large_bills_fit() {
        let large = bill(u64::from(u32::MAX) * 1000);
        let headers = written(&large, Some(&large), TrailerChoice::default(), MAX_BYTES);
        assert!(
            !headers.contains_key(metadata::TRUNCATED),
            "{} bytes",
            size(&headers)
        );
    }
}
