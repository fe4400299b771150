//! Exact decimals: the text that DynamoDB and the wire have, never a float on the way. What DynamoDB cannot hold (more
//! than 38 digits, out of range) is told by the server, not here.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// The name by which this crate's serializer and deserializer know a [`Number`] from a string.
pub(super) const NAME: &str = "$tollgate::Number";

/// Longest number that is written without an exponent, in characters besides sign and point.
const PLAIN_DIGITS: i64 = 40;
/// Bounds an exponent, far outside of what DynamoDB holds.
const GREATEST_EXPONENT: i64 = 100_000;

/// A decimal number of any precision, in one text per value: `1.50` is `1.5`, `1e2` is `100`.
///
/// Use it as a field's type where `f64` or `i64` would round, or for another crate's decimals:
///
/// ```
/// # use tollgate_client::Number;
/// let price: Number = "19.99".parse()?;
/// assert_eq!(price.as_str(), "19.99");
/// assert_eq!(price, "1999E-2".parse()?);
/// assert_eq!(price.parse::<f64>(), Some(19.99));
/// # Ok::<(), tollgate_client::InvalidNumber>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number {
    text: String,
}

/// The text is not a decimal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a decimal number")]
pub struct InvalidNumber;

impl Number {
    /// The number's one text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The number as another type that reads decimal text (`i64`, `u128`, `f64`, another crate's decimal), where it
    /// fits that type. Floats round to the nearest.
    pub fn parse<T: FromStr>(&self) -> Option<T> {
        self.text.parse().ok()
    }
}

impl FromStr for Number {
    type Err = InvalidNumber;

    fn from_str(text: &str) -> Result<Number, InvalidNumber> {
        Parts::read(text)
            .map(|parts| Number { text: parts.write() })
            .ok_or(InvalidNumber)
    }
}

macro_rules! from_integers {
    ($($type:ty)*) => {$(
        impl From<$type> for Number {
            fn from(integer: $type) -> Number {
                Number { text: integer.to_string() }
            }
        }
    )*};
}
from_integers!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

macro_rules! from_floats {
    ($($type:ty)*) => {$(
        /// By the shortest text that reads back as the same float; infinities and NaN are no numbers.
        impl TryFrom<$type> for Number {
            type Error = InvalidNumber;

            fn try_from(float: $type) -> Result<Number, InvalidNumber> {
                format!("{float:e}").parse()
            }
        }
    )*};
}
from_floats!(f32 f64);

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        let parts = |number: &Number| Parts::read(&number.text).expect("a number's own text is a decimal");
        parts(self).cmp(&parts(other))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Number) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("N")
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(NAME, &self.text)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Number, D::Error> {
        deserializer.deserialize_newtype_struct(NAME, NumberVisitor)
    }
}

struct NumberVisitor;

impl<'de> Visitor<'de> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a number")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Number, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Number, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E>(self, integer: u64) -> Result<Number, E> {
        Ok(integer.into())
    }

    fn visit_i64<E>(self, integer: i64) -> Result<Number, E> {
        Ok(integer.into())
    }

    fn visit_u128<E>(self, integer: u128) -> Result<Number, E> {
        Ok(integer.into())
    }

    fn visit_i128<E>(self, integer: i128) -> Result<Number, E> {
        Ok(integer.into())
    }

    fn visit_f64<E: serde::de::Error>(self, float: f64) -> Result<Number, E> {
        Number::try_from(float).map_err(E::custom)
    }
}

/// A decimal taken apart: `digits × 10^exponent`, without zeros at either end of the digits; no digits is zero.
#[derive(PartialEq, Eq)]
struct Parts {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Parts {
    fn read(text: &str) -> Option<Parts> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let is_decimal = !all.is_empty() && all.bytes().all(|byte| byte.is_ascii_digit());
        if !is_decimal || !(-GREATEST_EXPONENT..=GREATEST_EXPONENT).contains(&exponent) {
            return None;
        }
        let exponent = exponent - i64::try_from(fraction.len()).ok()?;
        Some(Parts::normal(negative, &all, exponent))
    }

    fn normal(negative: bool, all: &str, exponent: i64) -> Parts {
        let digits = all.trim_start_matches('0').trim_end_matches('0');
        if digits.is_empty() {
            return Parts {
                negative: false,
                digits: String::new(),
                exponent: 0,
            };
        }
        let trailing = all.len() - all.trim_end_matches('0').len();
        Parts {
            negative,
            digits: digits.to_owned(),
            exponent: exponent + trailing as i64,
        }
    }

    /// How many digits stand before the point; negative where zeros follow it.
    fn point(&self) -> i64 {
        self.digits.len() as i64 + self.exponent
    }

    fn write(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        let (digits, point) = (&self.digits, self.point());
        if digits.is_empty() {
            return "0".to_owned();
        }
        if self.exponent >= 0 && point <= PLAIN_DIGITS {
            return format!("{sign}{digits}{}", "0".repeat(self.exponent as usize));
        }
        if point > 0 && self.exponent < 0 {
            let (whole, fraction) = digits.split_at(point as usize);
            return format!("{sign}{whole}.{fraction}");
        }
        if point <= 0 && self.exponent >= -PLAIN_DIGITS {
            return format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize));
        }
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        format!("{sign}{first}{dot}{rest}E{}", point - 1)
    }

    fn cmp(&self, other: &Parts) -> Ordering {
        let sign = |parts: &Parts| match (parts.digits.is_empty(), parts.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let magnitude = || {
            self.point()
                .cmp(&other.point())
                .then_with(|| self.digits.cmp(&other.digits))
        };
        sign(self).cmp(&sign(other)).then_with(|| match sign(self) {
            0 => Ordering::Equal,
            1 => magnitude(),
            _ => magnitude().reverse(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        text.parse().expect(text)
    }

    #[test]
    fn one_text_per_value() {
        for (text, canonical) in [
            ("0", "0"),
            ("-0.000", "0"),
            ("+007", "7"),
            ("1.50", "1.5"),
            ("1e2", "100"),
            ("1999E-2", "19.99"),
            (".5", "0.5"),
            ("5.", "5"),
            ("-0.00120", "-0.0012"),
            ("1E-130", "1E-130"),
            ("12e124", "1.2E125"),
            (
                "340282366920938463463374607431768211455",
                "340282366920938463463374607431768211455",
            ),
        ] {
            assert_eq!(number(text).as_str(), canonical);
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in [
            "",
            "-",
            ".",
            "1.2.3",
            "1e",
            "e1",
            "NaN",
            "inf",
            "0x10",
            "1 ",
            "١",
            "1e999999999999",
            "--1",
        ] {
            assert_eq!(text.parse::<Number>(), Err(InvalidNumber), "{text}");
        }
        assert!(Number::try_from(f64::NAN).is_err());
        assert!(Number::try_from(f32::INFINITY).is_err());
    }

    #[test]
    fn order_is_by_value() {
        let sorted = [
            "-1E50", "-10", "-2", "-0.1", "0", "1E-130", "0.09", "0.1", "1.5", "1.51", "2", "10", "1E125",
        ];
        let numbers: Vec<Number> = sorted.iter().map(|text| number(text)).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
    }

    proptest! {
        #[test]
        fn floats_survive(float in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO) {
            let read = Number::try_from(float).unwrap().parse::<f64>().unwrap();
            prop_assert_eq!(read, float);
        }

        #[test]
        fn integers_survive_and_order(left: i128, right: i128) {
            prop_assert_eq!(Number::from(left).parse::<i128>(), Some(left));
            prop_assert_eq!(left.to_string().parse::<Number>().unwrap(), Number::from(left));
            prop_assert_eq!(Number::from(left).cmp(&Number::from(right)), left.cmp(&right));
        }

        #[test]
        fn canonical_text_is_a_fixed_point(text in "[+-]?[0-9]{1,45}(\\.[0-9]{0,45})?([eE][+-]?[0-9]{1,3})?") {
            let once = number(&text);
            let twice = number(once.as_str());
            prop_assert_eq!(twice.as_str(), once.as_str());
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}") {
            let _ = text.parse::<Number>();
        }
    }
}
