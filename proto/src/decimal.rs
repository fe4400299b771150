//! Decimal numbers of any precision: how their text is read, compared and written. Never uses a float. What a store can
//! hold is checked by the caller.

use std::cmp::Ordering;

/// Bounds an exponent while it is read. Far outside any range that a caller accepts, so larger ones need no
/// distinction.
const MAX_EXPONENT: i64 = 1_000_000;

/// A decimal that borrows its digits from a text: `0.digits × 10^point`. Equal numbers have equal digits and points,
/// however they were written.
#[derive(Clone, Copy, Debug)]
pub struct Decimal<'a> {
    negative: bool,
    /// The digits before the point of the text, without leading zeros; without trailing ones if `fraction` is empty.
    whole: &'a str,
    /// The digits after it, without trailing zeros; without leading ones if `whole` is empty.
    fraction: &'a str,
    point: i64,
}

impl<'a> Decimal<'a> {
    /// Reads `[+-] digits [. digits] [e [+-] digits]`, with a digit on at least one side of the point. Returns `None`
    /// for any other text.
    pub fn parse(text: &'a str) -> Option<Decimal<'a>> {
        let (negative, unsigned) = split_sign(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        if whole.len() + fraction.len() == 0 || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        Some(Decimal::normal(negative, whole, fraction, exponent))
    }

    fn normal(negative: bool, whole: &'a str, fraction: &'a str, exponent: i64) -> Decimal<'a> {
        let mut whole = whole.trim_start_matches('0');
        let mut fraction = fraction.trim_end_matches('0');
        let mut point = exponent + whole.len() as i64;
        if whole.is_empty() {
            let significant = fraction.trim_start_matches('0');
            point -= (fraction.len() - significant.len()) as i64;
            fraction = significant;
        }
        if fraction.is_empty() {
            whole = whole.trim_end_matches('0');
        }
        let is_zero = whole.is_empty() && fraction.is_empty();
        Decimal {
            negative: negative && !is_zero,
            whole,
            fraction,
            point: if is_zero { 0 } else { point },
        }
    }

    /// Whether this is zero.
    pub fn is_zero(&self) -> bool {
        self.precision() == 0
    }

    /// Significant digits, not counting zeros at either end. Zero has none.
    pub fn precision(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }

    /// The power of ten of the first significant digit. Zero has none.
    pub fn magnitude(&self) -> Option<i64> {
        (!self.is_zero()).then_some(self.point - 1)
    }

    /// The power of ten of the last significant digit. Zero has none.
    pub fn scale(&self) -> Option<i64> {
        (!self.is_zero()).then(|| self.point - self.precision() as i64)
    }

    /// The number without an exponent, such as `-0.0012`. As long as its magnitude, so check that first.
    pub fn plain(&self) -> String {
        let zeros = |count: i64| "0".repeat(count.unsigned_abs() as usize);
        if self.is_zero() {
            return "0".to_owned();
        }
        let sign = self.sign_text();
        let digits = format!("{}{}", self.whole, self.fraction);
        let length = digits.len() as i64;
        match self.point {
            point if point <= 0 => format!("{sign}0.{}{digits}", zeros(point)),
            point if point >= length => format!("{sign}{digits}{}", zeros(point - length)),
            point => {
                let (whole, fraction) = digits.split_at(point as usize);
                format!("{sign}{whole}.{fraction}")
            }
        }
    }

    /// The number with an exponent, such as `1.2E125`.
    pub fn scientific(&self) -> String {
        if self.is_zero() {
            return "0".to_owned();
        }
        let digits = format!("{}{}", self.whole, self.fraction);
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        format!("{}{first}{dot}{rest}E{}", self.sign_text(), self.point - 1)
    }

    fn sign_text(&self) -> &'static str {
        if self.negative { "-" } else { "" }
    }

    /// -1, 0 or 1.
    fn sign(&self) -> i8 {
        match (self.is_zero(), self.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        }
    }

    fn compare_magnitudes(&self, other: &Decimal<'_>) -> Ordering {
        // neither ends in a zero, so of two numbers with the same first digits the longer one is larger
        self.point
            .cmp(&other.point)
            .then_with(|| self.digits().cmp(other.digits()))
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.bytes().chain(self.fraction.bytes())
    }
}

/// By value: `1.50` equals `15e-1`.
impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Decimal<'_>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Decimal<'_> {}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Decimal<'_>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Decimal<'_>) -> Ordering {
        self.sign().cmp(&other.sign()).then_with(|| {
            if self.negative {
                other.compare_magnitudes(self)
            } else {
                self.compare_magnitudes(other)
            }
        })
    }
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// An exponent, cut to [`MAX_EXPONENT`] in either direction.
fn parse_exponent(text: &str) -> Option<i64> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !is_digits(digits) {
        return None;
    }
    let exponent = digits
        .parse::<i64>()
        .map_or(MAX_EXPONENT, |exponent| exponent.min(MAX_EXPONENT));
    Some(if negative { -exponent } else { exponent })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Decimal<'_> {
        Decimal::parse(text).expect(text)
    }

    #[test]
    fn equal_numbers_are_equal_however_they_are_written() {
        for (left, right) in [
            ("0", "-0.000e7"),
            ("1.50", "15e-1"),
            ("100", "1E+2"),
            ("-0.0120", "-12e-3"),
            (".5", "5.e-1"),
            ("120.0", "00120"),
        ] {
            assert_eq!(decimal(left), decimal(right));
            assert_eq!(decimal(left).plain(), decimal(right).plain());
            assert_eq!(decimal(left).scientific(), decimal(right).scientific());
        }
    }

    #[test]
    fn writes_plain_and_scientific_text() {
        for (text, plain, scientific) in [
            ("0.0", "0", "0"),
            ("-12.50", "-12.5", "-1.25E1"),
            ("7e3", "7000", "7E3"),
            ("12e-4", "0.0012", "1.2E-3"),
        ] {
            assert_eq!(decimal(text).plain(), plain);
            assert_eq!(decimal(text).scientific(), scientific);
        }
    }

    #[test]
    fn measures_significant_digits() {
        let number = decimal("-0012.300e5");
        assert_eq!(
            (number.precision(), number.magnitude(), number.scale()),
            (3, Some(6), Some(4))
        );
        let zero = decimal("0.00");
        assert_eq!(
            (zero.precision(), zero.magnitude(), zero.scale()),
            (0, None, None)
        );
    }

    #[test]
    fn orders_by_value() {
        let sorted = [
            "-1e50", "-10", "-9.9", "-0.1", "0", "1e-130", "0.09", "0.1", "1.05", "1.5", "9", "10",
        ];
        for pair in sorted.windows(2) {
            assert!(decimal(pair[0]) < decimal(pair[1]), "{pair:?}");
        }
    }
}
