//! Bills as whole numbers, so that sums can be compared exactly: durations in microseconds, capacity in thousandths of
//! a unit, cost in picodollars.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub};

use tollgate_proto::v1::OperationMetrics;

use crate::gateway::Bill;

const PER_UNIT: f64 = 1e3;
const PER_DOLLAR: f64 = 1e12;

/// A bill, or the sum over many, by the figure's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures(BTreeMap<&'static str, i64>);

impl Figures {
    /// Every field of the message.
    pub fn from_metrics(metrics: &OperationMetrics) -> Figures {
        let m = metrics;
        let cost = m.cost.unwrap_or_default();
        let whole = [
            ("operation_count", m.operation_count),
            ("get_count", m.get_count),
            ("put_count", m.put_count),
            ("update_count", m.update_count),
            ("delete_count", m.delete_count),
            ("query_count", m.query_count),
            ("scan_count", m.scan_count),
            ("batch_get_count", m.batch_get_count),
            ("batch_write_count", m.batch_write_count),
            ("transact_get_count", m.transact_get_count),
            ("transact_write_count", m.transact_write_count),
            ("items_count", m.items_count),
            ("scanned_count", m.scanned_count),
            ("failed_items_count", m.failed_items_count),
            ("kms_calls", m.kms_calls),
            ("kms_cache_hits", m.kms_cache_hits),
            ("s3_calls", m.s3_calls),
            ("s3_bytes_uploaded", m.s3_bytes_uploaded),
            ("s3_bytes_downloaded", m.s3_bytes_downloaded),
            ("retries", m.retries),
            ("throttled_count", m.throttled_count),
            ("call_count", m.call_count),
            ("failed_call_count", m.failed_call_count),
            ("cancelled_call_count", m.cancelled_call_count),
        ];
        let parts = [
            ("total_duration_ms", m.total_duration_ms, PER_UNIT),
            ("total_rcu", m.total_rcu, PER_UNIT),
            ("total_wcu", m.total_wcu, PER_UNIT),
            ("estimated_wcu", m.estimated_wcu, PER_UNIT),
            ("kms_duration_ms", m.kms_duration_ms, PER_UNIT),
            ("s3_duration_ms", m.s3_duration_ms, PER_UNIT),
            ("backoff_ms", m.backoff_ms, PER_UNIT),
            ("gateway_duration_ms", m.gateway_duration_ms, PER_UNIT),
            ("cost.dynamodb", cost.dynamodb, PER_DOLLAR),
            ("cost.kms", cost.kms, PER_DOLLAR),
            ("cost.s3", cost.s3, PER_DOLLAR),
            ("cost.total", cost.total, PER_DOLLAR),
        ];
        let whole = whole
            .into_iter()
            .map(|(name, count)| (name, i64::try_from(count).expect("a count")));
        let parts = parts
            .into_iter()
            .map(|(name, value, scale)| (name, (value * scale).round() as i64));
        Figures(whole.chain(parts).collect())
    }

    /// The figures of the trailers, by the names of the message; `prefix` is `tollgate-` or `tollgate-session-`.
    pub fn of_trailers(bill: &Bill, prefix: &str) -> Figures {
        let figure = |name: &str, decimals: u32| exact(bill.text(&format!("{prefix}{name}")), decimals);
        Figures(BTreeMap::from([
            ("operation_count", figure("dynamodb-calls", 0)),
            ("total_duration_ms", figure("dynamodb-duration-ms", 3)),
            ("total_rcu", figure("rcu", 3)),
            ("all_wcu", figure("wcu", 3)),
            ("items_count", figure("items", 0)),
            ("kms_calls", figure("kms-calls", 0)),
            ("kms_duration_ms", figure("kms-duration-ms", 3)),
            ("kms_cache_hits", figure("kms-cache-hits", 0)),
            ("s3_calls", figure("s3-calls", 0)),
            ("s3_duration_ms", figure("s3-duration-ms", 3)),
            ("s3_bytes_uploaded", figure("s3-bytes-uploaded", 0)),
            ("s3_bytes_downloaded", figure("s3-bytes-downloaded", 0)),
            ("retries", figure("retries", 0)),
            ("cost.total", figure("cost-usd", 12)),
        ]))
    }

    /// The part of a message's figures that trailers report.
    pub fn as_trailers(&self) -> Figures {
        let durations = [
            "total_rcu",
            "total_duration_ms",
            "kms_duration_ms",
            "s3_duration_ms",
            "cost.total",
        ];
        let counts = [
            "operation_count",
            "items_count",
            "kms_calls",
            "kms_cache_hits",
            "s3_calls",
            "retries",
        ];
        let bytes = ["s3_bytes_uploaded", "s3_bytes_downloaded"];
        let names = durations.into_iter().chain(counts).chain(bytes);
        let mut figures: BTreeMap<_, _> = names.map(|name| (name, self.get(name))).collect();
        figures.insert("all_wcu", self.get("total_wcu") + self.get("estimated_wcu"));
        Figures(figures)
    }

    /// One figure; 0 if it is missing.
    pub fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    /// The sum over many.
    pub fn sum<'a>(all: impl IntoIterator<Item = &'a Figures>) -> Figures {
        let mut sum = Figures::default();
        for figures in all {
            sum += figures;
        }
        sum
    }

    /// The figures that differ, for a test's message.
    pub fn differences(&self, other: &Figures) -> Vec<String> {
        let names: std::collections::BTreeSet<_> = self.0.keys().chain(other.0.keys()).collect();
        let differing = names.into_iter().filter(|name| self.get(name) != other.get(name));
        differing
            .map(|name| format!("{name}: {} and {}", self.get(name), other.get(name)))
            .collect()
    }
}

impl AddAssign<&Figures> for Figures {
    fn add_assign(&mut self, other: &Figures) {
        for (name, value) in &other.0 {
            *self.0.entry(name).or_default() += value;
        }
    }
}

impl Sub for &Figures {
    type Output = Figures;

    fn sub(self, other: &Figures) -> Figures {
        let mut difference = self.clone();
        for (name, value) in &other.0 {
            *difference.0.entry(name).or_default() -= value;
        }
        difference
    }
}

/// A decimal number as an integer in units of its last decimal.
fn exact(text: &str, decimals: u32) -> i64 {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    assert!(
        part.len() <= decimals as usize,
        "{text:?} has more than {decimals} decimals"
    );
    let padded = format!("{whole}{part:0<width$}", width = decimals as usize);
    padded
        .parse()
        .unwrap_or_else(|_| panic!("{text:?} is no figure of a bill"))
}
