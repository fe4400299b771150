//! The bill as trailing metadata: one number each, in exact decimals, under the names of `tollgate_proto::metadata`.
//! Knows headers, nothing of bodies.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::{BufMut as _, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use tollgate_proto::metadata;

use super::orca;
use crate::figure::Bill;

/// All that is added stays under this, counted as HTTP/2 counts header fields.
const MAX_BYTES: usize = 4096;
/// What HTTP/2 counts for a field beside its name and value (RFC 9113, section 6.5.2).
const FIELD_BYTES: usize = 32;
/// Room for the numbers of a call and of its session.
const NUMBERS_BYTES: usize = 512;
/// Of the greatest count.
const MOST_DIGITS: usize = 20;

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

/// What the trailers of a call tell.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The id of the call.
    pub request_id: &'a str,
    /// The bill of the call.
    pub bill: &'a Bill,
    /// The totals of its session after it.
    pub session: Option<&'a Bill>,
    /// Calls in flight over the limit.
    pub utilization: f64,
}

/// Adds the trailers of a call. Where they would be too large, Server-Timing goes first, then the load report, the
/// session and the call; `tollgate-trailers-truncated` says so.
pub fn write_trailers(headers: &mut HeaderMap, choice: TrailerChoice, answer: &Answer<'_>) {
    write_within(headers, choice, answer, MAX_BYTES);
}

/// Adds the id of a call that has no bill.
pub fn write_request_id(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(NAMES.request_id.clone(), once(value));
    }
}

/// A figure of the bill in the unit of its trailer.
#[derive(Clone, Copy)]
enum Figure {
    Count(u64),
    Milliseconds(u64),
    Units(u64),
    Dollars(u64),
}

type Line = (&'static str, fn(&Bill) -> Figure);

const LINES: [Line; 15] = [
    (metadata::DYNAMODB_CALLS, |bill| {
        Figure::Count(bill.dynamodb_calls)
    }),
    (metadata::DYNAMODB_DURATION_MS, |bill| {
        Figure::Milliseconds(bill.dynamodb_us)
    }),
    (metadata::RCU, |bill| Figure::Units(bill.read_milliunits)),
    (metadata::WCU, |bill| Figure::Units(bill.all_write_milliunits())),
    (metadata::ITEMS, |bill| Figure::Count(bill.items)),
    (metadata::KMS_CALLS, |bill| Figure::Count(bill.kms_calls)),
    (metadata::KMS_DURATION_MS, |bill| {
        Figure::Milliseconds(bill.kms_us)
    }),
    (metadata::KMS_CACHE_HITS, |bill| {
        Figure::Count(bill.kms_cache_hits)
    }),
    (metadata::S3_CALLS, |bill| Figure::Count(bill.s3_calls)),
    (metadata::S3_DURATION_MS, |bill| Figure::Milliseconds(bill.s3_us)),
    (metadata::S3_BYTES_UPLOADED, |bill| {
        Figure::Count(bill.uploaded_bytes)
    }),
    (metadata::S3_BYTES_DOWNLOADED, |bill| {
        Figure::Count(bill.downloaded_bytes)
    }),
    (metadata::RETRIES, |bill| Figure::Count(bill.retries)),
    (metadata::DURATION_MS, |bill| Figure::Milliseconds(bill.wall_us)),
    (metadata::COST_USD, |bill| Figure::Dollars(bill.picodollars())),
];

/// A value that hardly ever comes twice. HTTP/2 would keep it in the connection's table of fields, and for it drop some
/// that come with every call: most figures of most calls are zero, and take a byte while they are in there. "Sensitive" is
/// what `http` calls a value that is kept out (RFC 7541, section 7.1.3).
fn once(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// Whether this call puts its figures into the table all the same, one call in 64, here and there: their names, which are
/// longer than they are, stay in it for the calls after.
fn leaves_names() -> bool {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    // the golden ratio's multiples are spread evenly, in step with nothing
    let place = CALLS.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9E37_79B9);
    place < u32::MAX / 64
}

/// Header names, made once.
struct Names {
    request_id: HeaderName,
    call: [HeaderName; LINES.len()],
    session: [HeaderName; LINES.len()],
}

static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
    request_id: HeaderName::from_static(metadata::REQUEST_ID),
    call: LINES.map(|(name, _)| HeaderName::from_static(name)),
    session: LINES.map(|(name, _)| session_name(name)),
});

type Fields = Vec<(HeaderName, HeaderValue)>;

/// What is to be sent, the most wanted first: each adds its fields, where they are chosen.
const GROUPS: [fn(TrailerChoice, &Answer<'_>, &mut BytesMut, &mut Fields); 4] =
    [call_figures, session_figures, orca_report, server_timing];

fn write_within(headers: &mut HeaderMap, choice: TrailerChoice, answer: &Answer<'_>, max_bytes: usize) {
    headers.reserve(2 * LINES.len() + 5);
    write_request_id(headers, answer.request_id);
    let truncated = (
        HeaderName::from_static(metadata::TRUNCATED),
        HeaderValue::from_static("1"),
    );
    let request_id_bytes = metadata::REQUEST_ID.len() + answer.request_id.len() + FIELD_BYTES;
    let mut left = max_bytes.saturating_sub(request_id_bytes + bytes_of(std::slice::from_ref(&truncated)));
    let mut numbers = BytesMut::with_capacity(NUMBERS_BYTES);
    let mut fields = Fields::with_capacity(LINES.len() + 1);
    for add_group in GROUPS {
        add_group(choice, answer, &mut numbers, &mut fields);
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

fn call_figures(choice: TrailerChoice, answer: &Answer<'_>, numbers: &mut BytesMut, fields: &mut Fields) {
    if choice.call {
        let leaves_names = leaves_names();
        let comes_once = |figure: Figure| figure.is_time() && !leaves_names;
        add_figures(&NAMES.call, answer.bill, comes_once, numbers, fields);
    }
}

fn session_figures(choice: TrailerChoice, answer: &Answer<'_>, numbers: &mut BytesMut, fields: &mut Fields) {
    let Some(session) = answer.session.filter(|_| choice.session) else {
        return;
    };
    let session = session.clone().clamped();
    // all of its totals grow from call to call
    let leaves_names = leaves_names();
    add_figures(&NAMES.session, &session, |_| !leaves_names, numbers, fields);
    let calls = Figure::Count(session.calls).value(numbers);
    fields.push((HeaderName::from_static(metadata::SESSION_CALLS), once(calls)));
}

fn add_figures(
    names: &[HeaderName; LINES.len()],
    bill: &Bill,
    comes_once: impl Fn(Figure) -> bool,
    numbers: &mut BytesMut,
    fields: &mut Fields,
) {
    for (name, (_, figure)) in names.iter().zip(&LINES) {
        let figure = figure(bill);
        let value = match figure.zero() {
            Some(zero) => HeaderValue::from_static(zero),
            None if comes_once(figure) => once(figure.value(numbers)),
            None => figure.value(numbers),
        };
        fields.push((name.clone(), value));
    }
}

fn orca_report(choice: TrailerChoice, answer: &Answer<'_>, _: &mut BytesMut, fields: &mut Fields) {
    if !choice.orca {
        return;
    }
    if let Ok(report) = HeaderValue::try_from(orca::load_report(answer.bill, answer.utilization)) {
        fields.push((HeaderName::from_static(metadata::ORCA), once(report)));
    }
}

fn server_timing(choice: TrailerChoice, answer: &Answer<'_>, numbers: &mut BytesMut, fields: &mut Fields) {
    if !choice.server_timing {
        return;
    }
    let bill = answer.bill;
    let durations = [
        ("dynamodb;dur=", bill.dynamodb_us),
        (", kms;dur=", bill.kms_us),
        (", s3;dur=", bill.s3_us),
        (", gateway;dur=", bill.gateway_us),
        (", total;dur=", bill.wall_us),
    ];
    for (name, micros) in durations {
        numbers.extend_from_slice(name.as_bytes());
        Figure::Milliseconds(micros).write(numbers);
    }
    fields.push((
        HeaderName::from_static(metadata::SERVER_TIMING),
        once(taken(numbers)),
    ));
}

/// What was written into the buffer that all values share.
fn taken(numbers: &mut BytesMut) -> HeaderValue {
    HeaderValue::from_maybe_shared(numbers.split().freeze())
        .expect("digits and plain text are a header's value")
}

fn session_name(name: &str) -> HeaderName {
    let name = name.strip_prefix("tollgate-").unwrap_or(name);
    let name = format!("{}{name}", metadata::SESSION_PREFIX);
    HeaderName::try_from(name).expect("a header's name with a prefix is one")
}

fn bytes_of(fields: &[(HeaderName, HeaderValue)]) -> usize {
    fields
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES)
        .sum()
}

impl Figure {
    /// Whether it is a duration: no two calls take the same microseconds.
    fn is_time(self) -> bool {
        matches!(self, Figure::Milliseconds(_))
    }

    /// What most figures of most calls are, without the buffer.
    fn zero(self) -> Option<&'static str> {
        match self {
            Figure::Count(0) | Figure::Units(0) | Figure::Dollars(0) => Some("0"),
            Figure::Milliseconds(0) => Some("0.000"),
            _ => None,
        }
    }

    /// As a header's value, by way of the buffer.
    fn value(self, numbers: &mut BytesMut) -> HeaderValue {
        self.write(numbers);
        taken(numbers)
    }

    /// Milliseconds always have three decimals; the others as many as they need.
    fn write(self, text: &mut BytesMut) {
        match self {
            Figure::Count(count) => write_digits(text, count, 1),
            Figure::Milliseconds(micros) => {
                write_digits(text, micros / 1000, 1);
                text.put_u8(b'.');
                write_digits(text, micros % 1000, 3);
            }
            Figure::Units(thousandths) => write_decimal(text, thousandths, 1000, 3),
            Figure::Dollars(picodollars) => write_decimal(text, picodollars, 1_000_000_000_000, 12),
        }
    }
}

fn write_decimal(text: &mut BytesMut, value: u64, one: u64, decimals: usize) {
    write_digits(text, value / one, 1);
    if value.is_multiple_of(one) {
        return;
    }
    text.put_u8(b'.');
    write_digits(text, value % one, decimals);
    let zeros = text.iter().rev().take_while(|byte| **byte == b'0').count();
    text.truncate(text.len() - zeros);
}

/// At least so many digits. Formatting machinery would cost a call more than all of its figures do.
fn write_digits(text: &mut BytesMut, mut value: u64, least: usize) {
    let mut digits = [b'0'; MOST_DIGITS];
    let mut first = MOST_DIGITS;
    while value > 0 {
        first -= 1;
        digits[first] += (value % 10) as u8;
        value /= 10;
    }
    text.extend_from_slice(&digits[first.min(MOST_DIGITS - least)..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(figure: Figure) -> String {
        let mut text = BytesMut::new();
        figure.write(&mut text);
        String::from_utf8(text.to_vec()).unwrap()
    }

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
        let answer = Answer {
            request_id: "call-1",
            bill,
            session,
            utilization: 0.5,
        };
        write_within(&mut headers, choice, &answer, max_bytes);
        headers
    }

    fn size(headers: &HeaderMap) -> usize {
        headers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + FIELD_BYTES)
            .sum()
    }

    #[test]
    fn figures_are_exact_decimals() {
        assert_eq!(text(Figure::Count(u64::MAX)), "18446744073709551615");
        assert_eq!(
            [0, 7, 1_234, 60_000_000].map(Figure::Milliseconds).map(text),
            ["0.000", "0.007", "1.234", "60000.000"]
        );
        assert_eq!(
            [0, 500, 1_000, 10_500, 10_000].map(Figure::Units).map(text),
            ["0", "0.5", "1", "10.5", "10"]
        );
        let dollars = [0, 1, 62_500, 3_062_500, 1_000_000_000_000, 100_000_000_000_010].map(Figure::Dollars);
        assert_eq!(
            dollars.map(text),
            [
                "0",
                "0.000000000001",
                "0.0000000625",
                "0.0000030625",
                "1",
                "100.00000000001"
            ]
        );
    }

    #[test]
    fn every_name_of_the_contract_is_there() {
        let headers = written(&bill(1), Some(&bill(2)), TrailerChoice::default(), MAX_BYTES);
        for (name, _) in LINES {
            assert!(headers.contains_key(name), "{name}");
            assert!(headers.contains_key(session_name(name)), "{name} of the session");
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
        assert_eq!(headers.len(), 2 * LINES.len() + 4);
    }

    #[test]
    fn estimated_capacity_is_write_capacity() {
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
    fn the_settings_choose() {
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
    fn what_is_too_large_goes_in_order() {
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
            assert!(missing.starts_with(&gone), "what went does not come back");
            assert!(marks.starts_with(&missing), "the order is fixed");
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
