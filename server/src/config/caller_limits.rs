//! The settings `limits.per_caller` and `limits.callers`: what each caller may use.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::setting::{Setting, structured};
use super::structured::{parse, show};
use super::tree::{CallerLimits, Config};
use crate::caller::is_name;

const IN_FLIGHT: RangeInclusive<u64> = 1..=1_000_000;
/// The largest rate and cost.
const MAX_RATE: f64 = 1e9;
const KEYS: [&str; 5] = [
    "in_flight",
    "calls_per_second",
    "rcu_per_second",
    "wcu_per_second",
    "cost_usd_per_hour",
];

pub(super) const PER_CALLER: Setting = structured(
    "limits.per_caller",
    |config, raw| {
        config.limits.per_caller = read(&parse(raw)?)?;
        Ok(())
    },
    |config| show(&config.limits.per_caller),
);

pub(super) const CALLERS: Setting = structured(
    "limits.callers",
    |config, raw| {
        config.limits.callers = read_all(&parse(raw)?)?;
        Ok(())
    },
    |config| show(&config.limits.callers),
);

/// The settings of this file that are set although callers have no identity.
pub(super) fn without_callers(config: &Config) -> Vec<&'static str> {
    let limits = &config.limits;
    let is_set = [
        ("limits.per_caller", limits.per_caller != CallerLimits::default()),
        ("limits.callers", !limits.callers.is_empty()),
    ];
    let is_set = is_set.into_iter().filter(|(_, is_set)| *is_set);
    match config.auth.is_configured() {
        true => Vec::new(),
        false => is_set.map(|(path, _)| path).collect(),
    }
}

fn read_all(callers: &Map<String, Value>) -> Result<BTreeMap<String, CallerLimits>, String> {
    let entry = |(name, limits): (&String, &Value)| {
        if !is_name(name) {
            return Err(format!(
                "[{name:?}]: must be a name of 1 to 512 bytes without control characters"
            ));
        }
        let Value::Object(limits) = limits else {
            return Err(format!("[{name:?}]: must be a map of {}", KEYS.join(", ")));
        };
        match read(limits) {
            Ok(limits) => Ok((name.clone(), limits)),
            Err(text) => Err(format!("[{name:?}].{text}")),
        }
    };
    callers.iter().map(entry).collect()
}

fn read(limits: &Map<String, Value>) -> Result<CallerLimits, String> {
    let mut read = CallerLimits::default();
    for (key, value) in limits {
        match key.as_str() {
            "in_flight" => read.in_flight = Some(count(key, value)?),
            "calls_per_second" => read.calls_per_second = Some(rate(key, value)?),
            "rcu_per_second" => read.rcu_per_second = Some(rate(key, value)?),
            "wcu_per_second" => read.wcu_per_second = Some(rate(key, value)?),
            "cost_usd_per_hour" => read.cost_usd_per_hour = Some(rate(key, value)?),
            _ => {
                return Err(format!(
                    "{key}: no such limit; the limits are {}",
                    KEYS.join(", ")
                ));
            }
        }
    }
    Ok(read)
}

fn count(key: &str, value: &Value) -> Result<u32, String> {
    let count = value.as_u64().filter(|count| IN_FLIGHT.contains(count));
    let count = count.and_then(|count| u32::try_from(count).ok());
    count.ok_or_else(|| format!("{key}: must be a whole number from 1 to 1000000"))
}

fn rate(key: &str, value: &Value) -> Result<f64, String> {
    let rate = value.as_f64().filter(|rate| *rate > 0.0 && *rate <= MAX_RATE);
    rate.ok_or_else(|| format!("{key}: must be a number above 0, at most 1000000000"))
}
