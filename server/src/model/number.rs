//! Exact decimals as DynamoDB has them: up to 38 significant digits, magnitude 1e-130 to 9.99…e125, or zero.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use bigdecimal::BigDecimal;

/// A number in its one canonical text (`1.50` is `1.5`, `1e2` is `100`), so that equal numbers are equal bytes in
/// keys, tokens and associated data.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Number {
    text: String,
}

/// Why a text is not a number that DynamoDB can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNumber {
    /// Not a decimal.
    #[error("not a decimal number")]
    Syntax,
    /// More than 38 significant digits.
    #[error("more than 38 significant digits")]
    Precision,
    /// Outside of DynamoDB's range.
    #[error("magnitude outside 1e-130 to 9.9999999999999999999999999999999999999e125")]
    Range,
}

impl Number {
    /// The canonical decimal text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Number) -> Ordering {
        let decimal = |number: &Number| BigDecimal::from_str(&number.text).expect("canonical text is a decimal");
        decimal(self).cmp(&decimal(other))
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

    fn from_str(_text: &str) -> Result<Number, InvalidNumber> {
        Err(InvalidNumber::Syntax)
    }
}
