//! Fields of `OperationMetrics` as numbers, for readers that show all of them.

/// The value of a field of `OperationMetrics`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricValue {
    /// A count.
    Count(u64),
    /// An amount: milliseconds, capacity units or dollars.
    Amount(f64),
}

impl From<u64> for MetricValue {
    fn from(count: u64) -> MetricValue {
        MetricValue::Count(count)
    }
}

impl From<f64> for MetricValue {
    fn from(amount: f64) -> MetricValue {
        MetricValue::Amount(amount)
    }
}

/// Converts a figure to its field of `OperationMetrics`, by the name of its unit.
macro_rules! metric_value {
    (Count, $value:expr) => {
        $value
    };
    (Bytes, $value:expr) => {
        $value
    };
    (Microseconds, $value:expr) => {
        $crate::figure::unit::thousandths($value)
    };
    (Milliunits, $value:expr) => {
        $crate::figure::unit::thousandths($value)
    };
}

pub(super) use metric_value;
