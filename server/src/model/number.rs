//! Exact decimals as DynamoDB has them: up to 38 significant digits, magnitude 1e-130 to 9.99…e125, or zero. No
//! float is ever on the way, and no arithmetic on what a caller sent before its length is known to be small.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Significant digits that a number may have, zeros at either end not counted.
const MAX_DIGITS: usize = 38;

/// Least power of ten of the first significant digit.
const MIN_EXPONENT: i64 = -130;

/// Greatest power of ten of the first significant digit.
const MAX_EXPONENT: i64 = 125;

/// Longest text that is looked at; the longest canonical one has 170 characters.
const MAX_TEXT_BYTES: usize = 512;

/// A number in its one canonical text: plain digits, no exponent, no zeros that say nothing (`1.50` is `1.5`, `1E2`
/// is `100`, `-0` is `0`), so that equal numbers are equal bytes in keys, tokens and associated data.
///
/// Limits: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number {
    text: String,
}

/// Why a text is not a number that DynamoDB can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumber {
    /// Not a decimal, or a text that is longer than any decimal needs.
    #[error("not a decimal number")]
    Syntax,
    /// More than 38 significant digits.
    #[error("more than 38 significant digits")]
    Precision,
    /// Outside of DynamoDB's range.
    #[error("magnitude outside 1e-130 to 9.9999999999999999999999999999999999999e125")]
    Range,
}

/// A decimal that was read but not yet judged: `digits` × 10^`exponent`.
struct Decimal<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl Number {
    /// The canonical decimal text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is below zero.
    fn is_negative(&self) -> bool {
        self.text.starts_with('-')
    }

    /// Digits before and after the point, without the sign.
    fn parts(&self) -> (&str, &str) {
        let digits = self.text.strip_prefix('-').unwrap_or(&self.text);
        digits.split_once('.').unwrap_or((digits, ""))
    }
}

impl Ord for Number {
    /// By value. In canonical text the longer whole part is the greater one, and digits compare as they stand.
    fn cmp(&self, other: &Number) -> Ordering {
        match (self.is_negative(), other.is_negative()) {
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
            (false, false) => compare_magnitudes(self, other),
            (true, true) => compare_magnitudes(other, self),
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("N")
    }
}

impl FromStr for Number {
    type Err = InvalidNumber;

    fn from_str(text: &str) -> Result<Number, InvalidNumber> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(InvalidNumber::Syntax);
        }
        canonical(&split(text)?).map(|text| Number { text })
    }
}

fn compare_magnitudes(left: &Number, right: &Number) -> Ordering {
    let (left_whole, left_fraction) = left.parts();
    let (right_whole, right_fraction) = right.parts();
    left_whole
        .len()
        .cmp(&right_whole.len())
        .then_with(|| left_whole.cmp(right_whole))
        .then_with(|| left_fraction.cmp(right_fraction))
}

/// Sign, digits and exponent of `[+-] digits [. digits] [e [+-] digits]`, with a digit on one side of the point.
fn split(text: &str) -> Result<Decimal<'_>, InvalidNumber> {
    let (negative, unsigned) = sign(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
        return Err(InvalidNumber::Syntax);
    }
    Ok(Decimal {
        negative,
        whole,
        fraction,
        exponent,
    })
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn all_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An exponent; one too large for the type stays far out of range, which is all that matters of it.
fn read_exponent(text: &str) -> Result<i64, InvalidNumber> {
    const FAR: i64 = 1_000_000;
    let (negative, digits) = sign(text);
    if digits.is_empty() || !all_digits(digits) {
        return Err(InvalidNumber::Syntax);
    }
    let magnitude = digits.parse::<i64>().map_or(FAR, |exponent| exponent.min(FAR));
    Ok(if negative { -magnitude } else { magnitude })
}

fn canonical(decimal: &Decimal<'_>) -> Result<String, InvalidNumber> {
    let all = format!("{}{}", decimal.whole, decimal.fraction);
    let from_first = all.trim_start_matches('0');
    let digits = from_first.trim_end_matches('0');
    if digits.is_empty() {
        return Ok("0".to_owned());
    }
    if digits.len() > MAX_DIGITS {
        return Err(InvalidNumber::Precision);
    }
    let leading_zeros = (all.len() - from_first.len()) as i64;
    let before_point = decimal.whole.len() as i64 + decimal.exponent - leading_zeros;
    if !(MIN_EXPONENT..=MAX_EXPONENT).contains(&(before_point - 1)) {
        return Err(InvalidNumber::Range);
    }
    Ok(plain(decimal.negative, digits, before_point))
}

/// Plain text of 0.`digits` × 10^`before_point`; `before_point` is in DynamoDB's range by now.
fn plain(negative: bool, digits: &str, before_point: i64) -> String {
    let sign = if negative { "-" } else { "" };
    let zeros = |count: usize| "0".repeat(count);
    match usize::try_from(before_point) {
        Ok(0) => format!("{sign}0.{digits}"),
        Ok(whole) if whole >= digits.len() => format!("{sign}{digits}{}", zeros(whole - digits.len())),
        Ok(whole) => format!("{sign}{}.{}", &digits[..whole], &digits[whole..]),
        Err(_) => format!("{sign}0.{}{digits}", zeros(before_point.unsigned_abs() as usize)),
    }
}

#[cfg(test)]
mod tests {
    use bigdecimal::BigDecimal;
    use proptest::prelude::*;

    use super::*;

    fn canonical_text(text: &str) -> Result<String, InvalidNumber> {
        text.parse::<Number>().map(|number| number.text)
    }

    #[test]
    fn equal_numbers_have_one_text() {
        let cases = [
            ("0", "0"),
            ("-0", "0"),
            ("0.000", "0"),
            ("0e999999999999999999999", "0"),
            ("+7", "7"),
            ("007", "7"),
            ("1.50", "1.5"),
            ("1E+2", "100"),
            ("1e2", "100"),
            ("150E-1", "15"),
            ("-12.345e1", "-123.45"),
            ("0.00120", "0.0012"),
            (".5", "0.5"),
            ("5.", "5"),
            ("12e-4", "0.0012"),
        ];
        for (text, expected) in cases {
            assert_eq!(canonical_text(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_decimals_are_refused() {
        for text in [
            "", "+", "-", ".", "e", "e5", "1e", "1e+", "--1", "+-1", "1.2.3", "1e5.0", " 1", "1 ", "1_000",
            "NaN", "Infinity", "0x10", "١", "1e5e5", "1,5",
        ] {
            assert_eq!(canonical_text(text), Err(InvalidNumber::Syntax), "{text:?}");
        }
        assert_eq!(canonical_text(&"0".repeat(513)), Err(InvalidNumber::Syntax));
    }

    #[test]
    fn precision_is_counted_without_outer_zeros() {
        let nines = "9".repeat(38);
        assert_eq!(canonical_text(&nines), Ok(nines.clone()));
        assert_eq!(
            canonical_text(&format!("000{nines}000")),
            Ok(format!("{nines}000"))
        );
        assert_eq!(
            canonical_text(&format!("0.000{nines}000")),
            Ok(format!("0.000{nines}"))
        );
        assert_eq!(
            canonical_text(&format!("{nines}9")),
            Err(InvalidNumber::Precision)
        );
        assert_eq!(
            canonical_text(&format!("{nines}.1")),
            Err(InvalidNumber::Precision)
        );
    }

    #[test]
    fn the_range_is_dynamodbs() {
        let greatest = format!("{}e88", "9".repeat(38));
        assert_eq!(
            canonical_text(&greatest),
            Ok(format!("{}{}", "9".repeat(38), "0".repeat(88)))
        );
        assert_eq!(canonical_text("1e126"), Err(InvalidNumber::Range));
        assert_eq!(canonical_text("-1e126"), Err(InvalidNumber::Range));
        assert_eq!(canonical_text("1e-130"), Ok(format!("0.{}1", "0".repeat(129))));
        assert_eq!(canonical_text("9.9e-131"), Err(InvalidNumber::Range));
        assert_eq!(
            canonical_text("1e99999999999999999999999999"),
            Err(InvalidNumber::Range)
        );
        assert_eq!(
            canonical_text("1e-99999999999999999999999999"),
            Err(InvalidNumber::Range)
        );
        assert_eq!(canonical_text("0.0001e129"), Ok(format!("1{}", "0".repeat(125))));
    }

    #[test]
    fn debug_tells_no_digit() {
        assert_eq!(format!("{:?}", "123456789".parse::<Number>().unwrap()), "N");
    }

    prop_compose! {
        fn decimal()(
            negative: bool, plus: bool, whole in "[0-9]{0,25}", fraction in "[0-9]{1,20}", exponent in -140i32..130,
        ) -> String {
            let sign = if negative { "-" } else if plus { "+" } else { "" };
            format!("{sign}{whole}.{fraction}e{exponent}")
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".*") {
            let _ = text.parse::<Number>();
        }

        #[test]
        fn a_number_is_the_decimal_that_was_sent(text in decimal()) {
            if let Ok(number) = text.parse::<Number>() {
                prop_assert_eq!(
                    BigDecimal::from_str(number.as_str()).unwrap(),
                    BigDecimal::from_str(text.trim_start_matches('+')).unwrap()
                );
                prop_assert_eq!(number.as_str().parse::<Number>().unwrap().text, number.text);
            }
        }

        #[test]
        fn order_is_that_of_the_values(left in decimal(), right in decimal()) {
            if let (Ok(left), Ok(right)) = (left.parse::<Number>(), right.parse::<Number>()) {
                let expected = BigDecimal::from_str(left.as_str()).unwrap()
                    .cmp(&BigDecimal::from_str(right.as_str()).unwrap());
                prop_assert_eq!(left.cmp(&right), expected);
                prop_assert_eq!(left == right, expected == Ordering::Equal);
            }
        }
    }
}
