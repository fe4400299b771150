//! Reads a caller's trace from its headers (W3C Trace Context, level 1). Strict: malformed headers begin a new trace, as the
//! standard requires, and are never repaired. OpenTelemetry's own propagator accepts ids of wrong lengths.
//! <https://www.w3.org/TR/trace-context-1/>

use std::str::FromStr as _;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
/// `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits; later versions may append to it after another `-`.
const LENGTH: usize = 55;
/// The reserved, invalid version.
const INVALID_VERSION: u8 = 0xff;

/// The span in which a call was made; `None` if the header is missing or malformed.
pub(super) fn read(headers: &HeaderMap) -> Option<SpanContext> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else {
        return None;
    };
    let (trace_id, span_id, flags) = ids(parent.as_bytes())?;
    Some(SpanContext::new(trace_id, span_id, flags, true, state(headers)))
}

fn ids(parent: &[u8]) -> Option<(TraceId, SpanId, TraceFlags)> {
    let (known, rest) = parent.split_at_checked(LENGTH)?;
    let (version, trace_id) = (number(&known[..2])?, number(&known[3..35])?);
    let (span_id, flags) = (number(&known[36..52])?, number(&known[53..])?);
    let version = u8::try_from(version)
        .ok()
        .filter(|version| *version != INVALID_VERSION)?;
    let is_parted = [2, 35, 52].iter().all(|place| known[*place] == b'-');
    let is_whole = rest.is_empty() || version > 0 && rest[0] == b'-';
    if !is_parted || !is_whole || trace_id == 0 || span_id == 0 {
        return None;
    }
    // other flags are unknown and not propagated
    let flags = TraceFlags::new(u8::try_from(flags).ok()?) & TraceFlags::SAMPLED;
    let span_id = SpanId::from(u64::try_from(span_id).ok()?);
    Some((TraceId::from(trace_id), span_id, flags))
}

/// Parses at most 32 hexadecimal digits; only `0-9a-f` are allowed.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// The vendors' part of the trace; several headers are one list. A malformed list is ignored, and the trace is kept.
fn state(headers: &HeaderMap) -> TraceState {
    let values: Result<Vec<&str>, _> = headers
        .get_all(TRACESTATE)
        .iter()
        .map(HeaderValue::to_str)
        .collect();
    match values.as_deref() {
        Ok([]) | Err(_) => TraceState::default(),
        Ok(values) => TraceState::from_str(&values.join(",")).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const TRACE_ID: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
    const SPAN_ID: u64 = 0x00f0_67aa_0ba9_02b7;

    fn read_all(pairs: &[(HeaderName, &[u8])]) -> Option<SpanContext> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, HeaderValue::from_bytes(value).unwrap());
        }
        read(&headers)
    }

    fn parent(text: &str) -> Option<SpanContext> {
        read_all(&[(TRACEPARENT, text.as_bytes())])
    }

    fn trace_state(values: &[&str]) -> String {
        let mut pairs = vec![(TRACEPARENT, GOOD.as_bytes())];
        pairs.extend(values.iter().map(|value| (TRACESTATE, value.as_bytes())));
        read_all(&pairs).unwrap().trace_state().header()
    }

    #[test]
    fn a_trace_is_continued() {
        let good = parent(GOOD).unwrap();
        assert_eq!(
            (good.trace_id(), good.span_id()),
            (TraceId::from(TRACE_ID), SpanId::from(SPAN_ID))
        );
        assert!(good.is_sampled() && good.is_remote());
        let flags = |digits: &str| parent(&format!("{}{digits}", &GOOD[..53])).map(|span| span.trace_flags());
        assert_eq!(flags("00"), Some(TraceFlags::default()));
        assert_eq!(
            flags("03"),
            Some(TraceFlags::SAMPLED),
            "other flags must be dropped"
        );
        assert_eq!(flags("fe"), Some(TraceFlags::default()));
    }

    #[test]
    fn later_versions_may_append_fields() {
        for version in ["01", "42", "fe"] {
            let known = format!("{version}{}", &GOOD[2..]);
            for more in ["", "-", "-more", "-more-of it"] {
                let span = parent(&format!("{known}{more}"));
                assert_eq!(span.unwrap().trace_id(), TraceId::from(TRACE_ID), "{known}{more}");
            }
            assert_eq!(parent(&format!("{known}0")), None);
            assert_eq!(parent(&format!("{known}.more")), None);
        }
    }

    #[test]
    fn malformed_headers_are_not_continued() {
        let wrong = [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47360-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-+0f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1",
            "+0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-001",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ];
        for text in wrong {
            assert_eq!(parent(text), None, "{text}");
        }
        let twice = [(TRACEPARENT, GOOD.as_bytes()), (TRACEPARENT, GOOD.as_bytes())];
        assert_eq!(read_all(&twice), None, "ambiguous");
        assert_eq!(read_all(&[(TRACESTATE, b"a=1")]), None);
    }

    #[test]
    fn several_states_are_one_list_in_their_order() {
        assert_eq!(trace_state(&[]), "");
        assert_eq!(trace_state(&["a=1"]), "a=1");
        assert_eq!(trace_state(&["b=2,a=1", "c=3", "", "d=4"]), "b=2,a=1,c=3,d=4");
        assert_eq!(trace_state(&["b=2 , a=1", "\tc=3"]), "b=2,a=1,c=3");
        assert_eq!(
            trace_state(&["a=1", "nonsense"]),
            "",
            "a malformed state must not end the trace"
        );
    }

    /// The standard's grammar as an expression.
    fn is_well_formed(text: &[u8]) -> bool {
        let form =
            regex::bytes::Regex::new("(?-u)^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$");
        let Some(parts) = form.unwrap().captures(text) else {
            return false;
        };
        let is_zero = |part: usize| parts[part].iter().all(|digit| *digit == b'0');
        let is_version = &parts[1] != b"ff" && (&parts[1] != b"00" || parts.get(4).is_none());
        is_version && !is_zero(2) && !is_zero(3)
    }

    /// A valid header with bytes changed, inserted or removed.
    fn damaged() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            prop::sample::select(b"0123456789abcdefABCDEFg+-_ f0".as_slice()),
            0x20_u8..0x7f
        ];
        let change = (0..3_u8, 0..=LENGTH, byte);
        prop::collection::vec(change, 0..4).prop_map(|changes| {
            let mut text = GOOD.as_bytes().to_vec();
            for (kind, place, byte) in changes {
                match kind {
                    0 if place < text.len() => text[place] = byte,
                    1 if place < text.len() => drop(text.remove(place)),
                    _ => text.insert(place.min(text.len()), byte),
                }
            }
            text
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn only_well_formed_headers_are_continued(text in damaged()) {
            let span = read_all(&[(TRACEPARENT, &text)]);
            prop_assert_eq!(span.is_some(), is_well_formed(&text));
            if let Some(span) = span {
                let ids = format!("{}-{}", span.trace_id(), span.span_id());
                prop_assert_eq!(ids.as_bytes(), &text[3..52], "the ids must be those of the header");
            }
        }

        #[test]
        fn arbitrary_bytes_are_read(text in prop::collection::vec(0x20_u8..=0xff, 0..80)) {
            let text: Vec<u8> = text.into_iter().filter(|byte| *byte != 0x7f).collect();
            prop_assert_eq!(read_all(&[(TRACEPARENT, &text)]).is_some(), is_well_formed(&text));
        }
    }
}
