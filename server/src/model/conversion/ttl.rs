//! The expiry of an item, in whole seconds since 1970: from a number, from RFC 3339, or from a time span after now.

use std::time::SystemTime;

use super::datetime::Moment;
use crate::model::number::Number;
use crate::model::value::Value;

/// Greatest number of seconds; above it, a caller probably sent milliseconds.
const MAX_SECONDS: i64 = 100_000_000_000;

const EXPECTED: &str = "must be seconds since 1970, RFC 3339 such as 2026-01-31T12:00:00Z, or a time span such as +3600s, +90m, +12h or +30d";
const TOO_LARGE: &str = "must be seconds since 1970, at most 100000000000: milliseconds are not accepted";

/// The seconds of a caller's value, rounded down.
pub(super) fn seconds(value: &Value, now: SystemTime) -> Result<i64, &'static str> {
    let seconds = match value {
        Value::N(number) => whole(number)?,
        Value::S(text) => match text.strip_prefix('+') {
            Some(span) => after(span, now).ok_or(EXPECTED)?,
            None => Moment::from_rfc3339(text).map_err(|_| EXPECTED)?.unix_seconds(),
        },
        Value::B(_)
        | Value::Bool(_)
        | Value::Null
        | Value::L(_)
        | Value::M(_)
        | Value::SS(_)
        | Value::NS(_)
        | Value::BS(_)
        | Value::Object(_) => return Err(EXPECTED),
    };
    match seconds {
        0..=MAX_SECONDS => Ok(seconds),
        ..0 => Err("must not be before 1970"),
        _ => Err(TOO_LARGE),
    }
}

/// A number, rounded down.
fn whole(number: &Number) -> Result<i64, &'static str> {
    let text = number.as_str();
    if text.starts_with('-') {
        return Err("must not be before 1970");
    }
    let whole = text.split('.').next().unwrap_or(text);
    whole.parse().map_err(|_| TOO_LARGE)
}

/// The time that is a span such as `3600s` after now.
fn after(span: &str, now: SystemTime) -> Option<i64> {
    let (unit_at, unit) = span.char_indices().next_back()?;
    let digits = &span[..unit_at];
    let unit = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: i64 = all_digits.then(|| digits.parse().ok())??;
    let now = now.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    i64::try_from(now).ok()?.checked_add(count.checked_mul(unit)?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn of(value: &Value) -> Result<i64, &'static str> {
        seconds(value, SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_999))
    }

    fn text(text: &str) -> Result<i64, &'static str> {
        of(&Value::S(text.to_owned()))
    }

    fn number(text: &str) -> Result<i64, &'static str> {
        of(&Value::N(text.parse().unwrap()))
    }

    #[test]
    fn rounds_down() {
        assert_eq!(number("1700000000.999"), Ok(1_700_000_000));
        assert_eq!(number("0.5"), Ok(0));
        assert_eq!(text("1970-01-01T00:00:01.999Z"), Ok(1));
    }

    #[test]
    fn counts_spans_from_now() {
        assert_eq!(text("+0s"), Ok(1000));
        assert_eq!(text("+60s"), Ok(1060));
        assert_eq!(text("+2m"), Ok(1120));
        assert_eq!(text("+1h"), Ok(4600));
        assert_eq!(text("+1d"), Ok(87_400));
        for span in [
            "+",
            "+s",
            "+1",
            "+1w",
            "+-1s",
            "+1.5h",
            "++1s",
            "+ 1s",
            "+99999999999999999999s",
            "+1ß",
        ] {
            assert_eq!(text(span), Err(EXPECTED), "{span}");
        }
    }

    #[test]
    fn refuses_milliseconds() {
        assert_eq!(number("100000000000"), Ok(MAX_SECONDS));
        assert_eq!(number("100000000001"), Err(TOO_LARGE));
        assert_eq!(number("1e125"), Err(TOO_LARGE));
        assert_eq!(text("+9999999d"), Err(TOO_LARGE));
        assert_eq!(number("-1"), Err("must not be before 1970"));
        assert_eq!(text("1969-12-31T23:59:59Z"), Err("must not be before 1970"));
        assert_eq!(text("1700000000"), Err(EXPECTED));
        assert_eq!(of(&Value::Bool(true)), Err(EXPECTED));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in "\\+?.{0,20}") {
            let _ = of(&Value::S(text));
        }
    }
}
