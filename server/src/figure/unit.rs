//! Conversions between what is measured and what is counted. Counts are integers, so that sums are exact.

use std::time::Duration;

/// A duration in whole microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Capacity units in thousandths; DynamoDB reports multiples of a half.
pub fn milliunits(units: f64) -> u64 {
    (units.max(0.0) * 1000.0).round() as u64 // a float-to-integer cast saturates
}

/// Thousandths as a double: milliseconds from microseconds, units from thousandths of a unit.
pub fn thousandths(value: u64) -> f64 {
    value as f64 / 1000.0
}

/// Microseconds as a double, in seconds.
pub fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// Picodollars as a double, in dollars.
pub fn dollars(picodollars: u64) -> f64 {
    picodollars as f64 / 1e12
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_is_thousandths() {
        assert_eq!(
            [0.5, 1.0, 2.5, -1.0, f64::NAN].map(milliunits),
            [500, 1000, 2500, 0, 0]
        );
    }

    #[test]
    fn durations_are_whole_microseconds() {
        assert_eq!(micros(Duration::from_nanos(1_999)), 1);
    }
}
