//! The request metadata that the layer reads: names and the deadline.

use std::time::{Duration, Instant};

use http::{HeaderMap, Request};
use tollgate_proto::metadata;

use crate::billing::is_valid_name;
use crate::call::now;
use crate::fault::Fault;

const TIMEOUT: &str = "grpc-timeout";
/// gRPC's own bound on the digits of a timeout.
const MAX_TIMEOUT_DIGITS: usize = 8;
/// The server applies a caller's deadline this much earlier, so that this layer responds, with details and the bill,
/// before tonic's timeout outside of it, and so that the response arrives before the caller gives up.
const AHEAD_OF_CALLER: Duration = Duration::from_millis(3);
/// But earlier by at most this part of a short timeout: a tenth.
const AHEAD_PART: u32 = 10;
/// A head is counted twice: HTTP/2 slices its values out of a buffer, and keeps the whole buffer for them.
const HEAD_COPIES: usize = 2;

/// The metadata of one request.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) request_id: Option<&'a str>,
    pub(super) session: Option<&'a str>,
    pub(super) deadline: Instant,
    /// The names that are invalid; they are treated as absent.
    pub(super) faults: Vec<Fault>,
}

/// The bounds of a call's deadline.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// Applies if the caller set none.
    pub(super) default: Duration,
    /// Longer timeouts are reduced to this.
    pub(super) max: Duration,
}

impl<'a> Head<'a> {
    /// Reads the metadata of a request that just arrived.
    pub(super) fn read(headers: &'a HeaderMap, deadlines: Deadlines) -> Head<'a> {
        let mut faults = Vec::new();
        Head {
            request_id: name(headers, metadata::REQUEST_ID, &mut faults),
            session: name(headers, metadata::SESSION, &mut faults),
            deadline: deadline(headers, deadlines),
            faults,
        }
    }
}

/// Bytes that the head of a request uses while its call is open. The caller chooses how many, up to the limit of HTTP/2.
pub(super) fn head_bytes<B>(request: &Request<B>) -> usize {
    let headers = request.headers().iter();
    let bytes: usize = headers
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    HEAD_COPIES * (bytes + request.uri().path().len())
}

/// The deadline of a call that just arrived.
pub(super) fn deadline(headers: &HeaderMap, deadlines: Deadlines) -> Instant {
    now() + requested(headers).unwrap_or(deadlines.default).min(deadlines.max)
}

/// Like [`deadline`], but without a default: for calls that may take any time.
pub(super) fn deadline_if_set(headers: &HeaderMap, most: Duration) -> Option<Instant> {
    Some(now() + requested(headers)?.min(most))
}

fn requested(headers: &HeaderMap) -> Option<Duration> {
    timeout(headers).map(|timeout| timeout - AHEAD_OF_CALLER.min(timeout / AHEAD_PART))
}

/// The id of a call that is not billed: the caller's if it is valid, else a new one.
pub(super) fn request_id(headers: &HeaderMap) -> String {
    let given = name(headers, metadata::REQUEST_ID, &mut Vec::new());
    given.map_or_else(|| ulid::Ulid::generate().to_string(), str::to_owned)
}

fn name<'a>(headers: &'a HeaderMap, key: &'static str, faults: &mut Vec<Fault>) -> Option<&'a str> {
    let value = headers.get(key)?;
    // it would be unclear which of the two is billed
    if headers.get_all(key).iter().any(|other| other != value) {
        faults.push(Fault::new(key, "has several values; send only one"));
        return None;
    }
    let text = value.to_str().ok().filter(|text| is_valid_name(text));
    if text.is_none() {
        faults.push(Fault::new(key, "must be 1 to 128 characters of A-Za-z0-9._:-"));
    }
    text
}

/// Parses the timeout format of gRPC over HTTP/2. An invalid timeout is ignored, as tonic does.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > MAX_TIMEOUT_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let count: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(count * 3600)),
        "M" => Some(Duration::from_secs(count * 60)),
        "S" => Some(Duration::from_secs(count)),
        "m" => Some(Duration::from_millis(count)),
        "u" => Some(Duration::from_micros(count)),
        "n" => Some(Duration::from_nanos(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINES: Deadlines = Deadlines {
        default: Duration::from_secs(30),
        max: Duration::from_secs(300),
    };

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()))
            .collect()
    }

    fn until(headers: &HeaderMap) -> Duration {
        Head::read(headers, DEADLINES).deadline - Instant::now()
    }

    #[test]
    fn parses_grpc_timeouts() {
        let read = |text: &str| timeout(&headers(&[(TIMEOUT, text)]));
        assert_eq!(read("2S"), Some(Duration::from_secs(2)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        for invalid in ["", "S", "5", "5s", "+5S", "-5S", "123456789S", "1.5S"] {
            assert_eq!(read(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn applies_the_callers_deadline_early() {
        let second = Duration::from_secs(1);
        let left = until(&headers(&[(TIMEOUT, "1S")]));
        assert!(left <= second - AHEAD_OF_CALLER && left > second / 2, "{left:?}");
        assert!(until(&headers(&[(TIMEOUT, "1000u")])) <= Duration::from_micros(900));
    }

    #[test]
    fn reduces_longer_timeouts() {
        for timeout in ["99999999H", "301S", "6M"] {
            let left = until(&headers(&[(TIMEOUT, timeout)]));
            assert!(left <= DEADLINES.max && left > DEADLINES.max - Duration::from_secs(2));
        }
        let (short, default) = (Duration::from_secs(5), Duration::from_secs(30));
        let reduced = Deadlines { default, max: short };
        assert!(deadline(&headers(&[]), reduced) <= Instant::now() + short);
        assert_eq!(deadline_if_set(&headers(&[]), short), None);
        let requested = deadline_if_set(&headers(&[(TIMEOUT, "1H")]), short);
        assert!(requested.unwrap() <= Instant::now() + short);
    }

    #[test]
    fn applies_the_default_deadline_if_the_caller_set_none() {
        let left = until(&headers(&[]));
        assert!(
            left <= Duration::from_secs(30) && left > Duration::from_secs(29),
            "{left:?}"
        );
        let longer = until(&headers(&[(TIMEOUT, "60S")]));
        assert!(longer > Duration::from_secs(59), "the caller may request more");
    }

    #[test]
    fn reports_all_invalid_names_together() {
        let headers = headers(&[(metadata::SESSION, "a b"), (metadata::REQUEST_ID, "")]);
        let head = Head::read(&headers, DEADLINES);
        assert_eq!((head.session, head.request_id), (None, None));
        let fields: Vec<&str> = head.faults.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(fields, ["tollgate-request-id", "tollgate-session"]);
        assert_eq!(request_id(&headers).len(), 26);
    }

    #[test]
    fn refuses_two_different_values_of_a_name() {
        let mut headers = headers(&[(metadata::SESSION, "a"), (metadata::REQUEST_ID, "r")]);
        headers.append(metadata::SESSION, "a".parse().unwrap());
        let head = Head::read(&headers, DEADLINES);
        assert_eq!((head.session, head.faults.len()), (Some("a"), 0));
        headers.append(metadata::SESSION, "b".parse().unwrap());
        headers.append(metadata::REQUEST_ID, "s".parse().unwrap());
        let head = Head::read(&headers, DEADLINES);
        assert_eq!((head.session, head.request_id), (None, None));
        assert!(
            head.faults
                .iter()
                .all(|fault| format!("{fault:?}").contains("several values"))
        );
        assert_eq!(head.faults.len(), 2);
    }
}
