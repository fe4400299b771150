//! Figures as exact decimals in text. Formatting machinery would take longer than counting all figures of a call.

use bytes::{BufMut as _, BytesMut};

use crate::figure::Unit;

/// The most digits of a figure.
const MAX_DIGITS: usize = 20;

/// The text of a figure that is zero, as most figures of most calls are.
pub(super) fn zero(unit: Unit) -> &'static str {
    match unit {
        Unit::Count | Unit::Bytes | Unit::Milliunits | Unit::Picodollars => "0",
        Unit::Microseconds => "0.000",
    }
}

/// Writes a figure: durations in milliseconds with three decimals, capacity in units and cost in dollars with as many
/// decimals as they need.
pub(super) fn write(text: &mut BytesMut, unit: Unit, figure: u64) {
    match unit {
        Unit::Count | Unit::Bytes => write_digits(text, figure, 1),
        Unit::Microseconds => {
            write_digits(text, figure / 1000, 1);
            text.put_u8(b'.');
            write_digits(text, figure % 1000, 3);
        }
        Unit::Milliunits => write_decimal(text, figure, 1000, 3),
        Unit::Picodollars => write_decimal(text, figure, 1_000_000_000_000, 12),
    }
}

fn write_decimal(text: &mut BytesMut, value: u64, one: u64, decimals: usize) {
    write_digits(text, value / one, 1);
    if value.is_multiple_of(one) {
        return;
    }
    text.put_u8(b'.');
    write_digits(text, value % one, decimals);
    let zeros = text.iter().rev().take_while(|byte| **byte == b'0').count();
    text.truncate(text.len() - zeros);
}

/// Writes at least `min_digits` digits.
fn write_digits(text: &mut BytesMut, mut value: u64, min_digits: usize) {
    let mut digits = [b'0'; MAX_DIGITS];
    let mut first = MAX_DIGITS;
    while value > 0 {
        first -= 1;
        digits[first] += (value % 10) as u8;
        value /= 10;
    }
    text.extend_from_slice(&digits[first.min(MAX_DIGITS - min_digits)..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(unit: Unit, figure: u64) -> String {
        let mut text = BytesMut::new();
        write(&mut text, unit, figure);
        String::from_utf8(text.to_vec()).unwrap()
    }

    #[test]
    fn figures_are_exact_decimals() {
        assert_eq!(text(Unit::Count, u64::MAX), "18446744073709551615");
        assert_eq!(
            [0, 7, 1_234, 60_000_000].map(|figure| text(Unit::Microseconds, figure)),
            ["0.000", "0.007", "1.234", "60000.000"]
        );
        assert_eq!(
            [0, 500, 1_000, 10_500, 10_000].map(|figure| text(Unit::Milliunits, figure)),
            ["0", "0.5", "1", "10.5", "10"]
        );
        let dollars = [0, 1, 62_500, 3_062_500, 1_000_000_000_000, 100_000_000_000_010];
        assert_eq!(
            dollars.map(|figure| text(Unit::Picodollars, figure)),
            [
                "0",
                "0.000000000001",
                "0.0000000625",
                "0.0000030625",
                "1",
                "100.00000000001"
            ]
        );
    }

    #[test]
    fn zero_is_written_alike() {
        for unit in [
            Unit::Count,
            Unit::Bytes,
            Unit::Microseconds,
            Unit::Milliunits,
            Unit::Picodollars,
        ] {
            assert_eq!(text(unit, 0), zero(unit));
        }
    }
}
