//! Exact sums of numbers, digit by digit.

use super::number::{InvalidNumber, Number};

/// The digits of a magnitude, the most significant first, and how many of them are behind the point.
struct Digits {
    digits: Vec<u8>,
    fraction: usize,
}

impl Number {
    /// The exact sum.
    ///
    /// # Errors
    ///
    /// `Precision` or `Range` if DynamoDB cannot hold it.
    pub fn plus(&self, other: &Number) -> Result<Number, InvalidNumber> {
        let (left_sign, left) = parts(self.as_str());
        let (right_sign, right) = parts(other.as_str());
        let fraction = left.fraction.max(right.fraction);
        let whole = left.whole().max(right.whole()) + 1;
        let (left, right) = (left.aligned(whole, fraction), right.aligned(whole, fraction));
        let (sign, digits) = match (left_sign == right_sign, left >= right) {
            (true, _) => (left_sign, added(&left, &right)),
            (false, true) => (left_sign, subtracted(&left, &right)),
            (false, false) => (right_sign, subtracted(&right, &left)),
        };
        let text: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
        let (whole, fraction) = text.split_at(whole);
        let point = if fraction.is_empty() { "" } else { "." };
        format!("{sign}{whole}{point}{fraction}").parse()
    }
}

/// The sign, `-` or nothing, and the magnitude of a canonical text.
fn parts(text: &str) -> (&'static str, Digits) {
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => ("-", magnitude),
        None => ("", text),
    };
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let digits = Digits {
        digits: whole
            .bytes()
            .chain(fraction.bytes())
            .map(|digit| digit - b'0')
            .collect(),
        fraction: fraction.len(),
    };
    (sign, digits)
}

impl Digits {
    fn whole(&self) -> usize {
        self.digits.len() - self.fraction
    }

    /// The digits with this many before and behind the point.
    fn aligned(&self, whole: usize, fraction: usize) -> Vec<u8> {
        let before = std::iter::repeat_n(0, whole - self.whole());
        let behind = std::iter::repeat_n(0, fraction - self.fraction);
        before.chain(self.digits.iter().copied()).chain(behind).collect()
    }
}

/// The sum of digits of one length, whose first ones leave room for a carry.
fn added(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut sum = vec![0; left.len()];
    let mut carry = 0;
    for place in (0..left.len()).rev() {
        let digit = left[place] + right[place] + carry;
        (sum[place], carry) = (digit % 10, digit / 10);
    }
    sum
}

/// The difference of digits of one length, of which the left ones are not less.
fn subtracted(left: &[u8], right: &[u8]) -> Vec<u8> {
    let mut difference = vec![0; left.len()];
    let mut borrow = 0;
    for place in (0..left.len()).rev() {
        let digit = 10 + left[place] - right[place] - borrow;
        (difference[place], borrow) = (digit % 10, u8::from(digit < 10));
    }
    difference
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        text.parse().unwrap()
    }

    #[test]
    fn sums_are_exact() {
        for (left, right, sum) in [
            ("0", "0", "0"),
            ("1", "2", "3"),
            ("9", "1", "10"),
            ("0.1", "0.2", "0.3"),
            ("-5", "5", "0"),
            ("1.5", "-2", "-0.5"),
            ("100", "-0.01", "99.99"),
            ("99999999999999999999999999999999999999", "1", "1e38"),
            ("1e125", "1e125", "2e125"),
        ] {
            assert_eq!(
                number(left).plus(&number(right)),
                Ok(number(sum)),
                "{left} + {right}"
            );
            assert_eq!(
                number(right).plus(&number(left)),
                Ok(number(sum)),
                "{right} + {left}"
            );
        }
        assert_eq!(number("1e38").plus(&number("0.1")), Err(InvalidNumber::Precision));
        assert_eq!(number("9e125").plus(&number("1e125")), Err(InvalidNumber::Range));
    }

    proptest! {
        #[test]
        fn sums_are_those_of_integers(left in any::<i64>(), right in any::<i64>(), point in 0_usize..12) {
            let scaled = |value: i128| number(&format!("{value}e-{point}"));
            let sum = scaled(i128::from(left)).plus(&scaled(i128::from(right)));
            prop_assert_eq!(sum, Ok(scaled(i128::from(left) + i128::from(right))));
        }
    }
}
