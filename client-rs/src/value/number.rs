//! Exact decimals, never floats. The server, not the client, checks whether DynamoDB can hold them (at most 38 digits,
//! and its range).

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};
use tollgate_proto::Decimal;

/// The name by which this crate's serializer and deserializer tell a [`Number`] from a string.
pub(super) const NAME: &str = "$tollgate::Number";

/// Maximum number of characters, except sign and point, of a number written without an exponent.
const PLAIN_DIGITS: i64 = 40;
/// Maximum exponent, far outside DynamoDB's range.
const MAX_EXPONENT: i64 = 100_000;

/// A decimal number of any precision, in its canonical text: `1.50` is `1.5`, `1e2` is `100`.
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
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Parses the number as another type that reads decimal text (`i64`, `u128`, `f64`, another crate's decimal);
    /// `None` if it does not fit. Floats round to the nearest.
    pub fn parse<T: FromStr>(&self) -> Option<T> {
        self.text.parse().ok()
    }

    fn decimal(&self) -> Decimal<'_> {
        Decimal::parse(&self.text).expect("the canonical text is a decimal")
    }
}

impl FromStr for Number {
    type Err = InvalidNumber;

    fn from_str(text: &str) -> Result<Number, InvalidNumber> {
        let decimal = Decimal::parse(text).ok_or(InvalidNumber)?;
        match decimal.magnitude() {
            Some(magnitude) if !(-MAX_EXPONENT..=MAX_EXPONENT).contains(&magnitude) => Err(InvalidNumber),
            Some(_) | None => Ok(Number {
                text: canonical(&decimal),
            }),
        }
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
        /// Uses the shortest text that parses to the same float. Fails for infinities and NaN.
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
        self.decimal().cmp(&other.decimal())
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

/// The canonical text: without an exponent if that is short enough.
fn canonical(decimal: &Decimal<'_>) -> String {
    let (Some(magnitude), Some(scale)) = (decimal.magnitude(), decimal.scale()) else {
        return decimal.plain();
    };
    let is_short = match (magnitude >= 0, scale >= 0) {
        (true, true) => magnitude < PLAIN_DIGITS,
        (true, false) => true,
        (false, _) => scale >= -PLAIN_DIGITS,
    };
    if is_short {
        decimal.plain()
    } else {
        decimal.scientific()
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
    fn equal_numbers_have_the_same_text() {
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
    fn refuses_texts_that_are_not_numbers() {
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
    fn orders_by_value() {
        let sorted = [
            "-1E50", "-10", "-2", "-0.1", "0", "1E-130", "0.09", "0.1", "1.5", "1.51", "2", "10", "1E125",
        ];
        let numbers: Vec<Number> = sorted.iter().map(|text| number(text)).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]));
    }

    proptest! {
        #[test]
        fn floats_round_trip(float in prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO) {
            let read = Number::try_from(float).unwrap().parse::<f64>().unwrap();
            prop_assert_eq!(read, float);
        }

        #[test]
        fn integers_round_trip_and_keep_their_order(left: i128, right: i128) {
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
        fn any_text_is_accepted_or_refused(text in "\\PC{0,40}") {
            let _ = text.parse::<Number>();
        }
    }
}
