//! Exact decimals that DynamoDB can hold: up to 38 significant digits, magnitude 1e-130 to 9.99…e125, or zero. Never a
//! float.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use tollgate_proto::Decimal;

/// Maximum number of significant digits, not counting zeros at either end.
const MAX_DIGITS: usize = 38;

/// Minimum power of ten of the first significant digit.
const MIN_EXPONENT: i64 = -130;

/// Maximum power of ten of the first significant digit.
const MAX_EXPONENT: i64 = 125;

/// Maximum length of a text that is parsed. The longest canonical text has 170 characters.
const MAX_TEXT_BYTES: usize = 512;

/// A number in its canonical text: plain digits without an exponent or redundant zeros (`1.50` is `1.5`, `1E2` is `100`,
/// `-0` is `0`), so that equal numbers are equal bytes in keys, tokens and associated data.
///
/// Limits: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number {
    text: String,
}

/// Why DynamoDB cannot hold a text as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumber {
    /// Not a decimal, or longer than any decimal needs.
    #[error("not a decimal number")]
    Syntax,
    /// More than 38 significant digits.
    #[error("more than 38 significant digits")]
    Precision,
    /// Outside DynamoDB's range.
    #[error("magnitude outside 1e-130 to 9.9999999999999999999999999999999999999e125")]
    Range,
}

impl Number {
    /// The canonical decimal text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The canonical decimal text.
    pub fn into_string(self) -> String {
        self.text
    }

    /// The number of a text that is its canonical one already, as whole numbers from a store usually are; any other text
    /// is returned as it is.
    ///
    /// # Errors
    ///
    /// The text, which may still be a number.
    pub fn from_canonical(text: String) -> Result<Number, String> {
        if is_canonical_integer(&text) {
            Ok(Number { text })
        } else {
            Err(text)
        }
    }

    /// The number with the other sign; zero has none.
    #[must_use]
    pub fn negated(&self) -> Number {
        let text = match self.text.strip_prefix('-') {
            Some(positive) => positive.to_owned(),
            None if self.text == "0" => self.text.clone(),
            None => format!("-{}", self.text),
        };
        Number { text }
    }

    fn decimal(&self) -> Decimal<'_> {
        Decimal::parse(&self.text).expect("the canonical text is a decimal")
    }
}

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

impl fmt::Debug for Number {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("N")
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Number {
        Number {
            text: number.to_string(),
        }
    }
}

impl FromStr for Number {
    type Err = InvalidNumber;

    fn from_str(text: &str) -> Result<Number, InvalidNumber> {
        if is_canonical_integer(text) {
            return Ok(Number {
                text: text.to_owned(),
            });
        }
        if text.len() > MAX_TEXT_BYTES {
            return Err(InvalidNumber::Syntax);
        }
        let decimal = Decimal::parse(text).ok_or(InvalidNumber::Syntax)?;
        check(&decimal)?;
        Ok(Number {
            text: decimal.plain(),
        })
    }
}

/// Whether a text is the canonical one of a whole number of up to [`MAX_DIGITS`] digits.
fn is_canonical_integer(text: &str) -> bool {
    match text.strip_prefix('-').unwrap_or(text).as_bytes() {
        [b'0'] => text.len() == 1,
        [b'1'..=b'9', rest @ ..] => rest.len() < MAX_DIGITS && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// Checks that DynamoDB can hold a decimal.
fn check(decimal: &Decimal<'_>) -> Result<(), InvalidNumber> {
    if decimal.precision() > MAX_DIGITS {
        return Err(InvalidNumber::Precision);
    }
    match decimal.magnitude() {
        Some(magnitude) if !(MIN_EXPONENT..=MAX_EXPONENT).contains(&magnitude) => Err(InvalidNumber::Range),
        Some(_) | None => Ok(()),
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
    fn equal_numbers_have_the_same_text() {
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

    proptest! {
        #[test]
        fn canonical_integers_are_what_they_parse_to(text in "-?[0-9]{1,41}") {
            let decimal = Decimal::parse(&text).expect("digits are a decimal");
            let parsed = check(&decimal).map(|()| decimal.plain());
            if is_canonical_integer(&text) {
                prop_assert_eq!(parsed.as_ref(), Ok(&text));
                prop_assert_eq!(Number::from_canonical(text.clone()).map(Number::into_string), Ok(text));
            } else {
                prop_assert_eq!(Number::from_canonical(text.clone()), Err(text));
            }
        }
    }

    #[test]
    fn refuses_texts_that_are_not_decimals() {
        for text in [
            "", "+", "-", ".", "e", "e5", "1e", "1e+", "--1", "+-1", "1.2.3", "1e5.0", " 1", "1 ", "1_000",
            "NaN", "Infinity", "0x10", "١", "1e5e5", "1,5",
        ] {
            assert_eq!(canonical_text(text), Err(InvalidNumber::Syntax), "{text:?}");
        }
        assert_eq!(canonical_text(&"0".repeat(513)), Err(InvalidNumber::Syntax));
    }

    #[test]
    fn precision_excludes_zeros_at_either_end() {
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
    fn refuses_numbers_outside_the_range() {
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
    fn debug_hides_the_digits() {
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
        fn any_text_is_accepted_or_refused(text in ".*") {
            let _ = text.parse::<Number>();
        }

        #[test]
        fn a_number_equals_its_text(text in decimal()) {
            if let Ok(number) = text.parse::<Number>() {
                prop_assert_eq!(
                    BigDecimal::from_str(number.as_str()).unwrap(),
                    BigDecimal::from_str(text.trim_start_matches('+')).unwrap()
                );
                prop_assert_eq!(number.as_str().parse::<Number>().unwrap().text, number.text);
            }
        }

        #[test]
        fn orders_by_value(left in decimal(), right in decimal()) {
            if let (Ok(left), Ok(right)) = (left.parse::<Number>(), right.parse::<Number>()) {
                let expected = BigDecimal::from_str(left.as_str()).unwrap()
                    .cmp(&BigDecimal::from_str(right.as_str()).unwrap());
                prop_assert_eq!(left.cmp(&right), expected);
                prop_assert_eq!(left == right, expected == Ordering::Equal);
            }
        }
    }
}
