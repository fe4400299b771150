//! The setting `kms.cache`: `off`, `on`, or a map of its bounds.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::tree::{Config, KmsCache};
use super::values::{Raw, count, duration, show_duration, show_size, size};

const MAX_AGE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);
const MAX_USES: RangeInclusive<usize> = 1..=1_000_000_000;
const MAX_BYTES: RangeInclusive<usize> = 1..=1 << 40;
const MAX_ENTRIES: RangeInclusive<usize> = 1..=1_000_000;

/// The setting.
pub(super) const PATH: &str = "kms.cache";

/// The keys of the map, each of which has a variable too.
pub(super) const KEYS: [&str; 4] = ["max_age", "max_uses", "max_bytes", "max_entries"];

impl Default for KmsCache {
    fn default() -> KmsCache {
        KmsCache {
            max_age: Duration::from_secs(5 * 60),
            max_uses: 1000,
            max_bytes: 100 * 1024 * 1024,
            max_entries: 10_000,
        }
    }
}

/// Reads the setting. A bound that is not given stays as it is.
pub(super) fn read(config: &mut Config, raw: &Raw) -> Result<(), String> {
    match raw {
        Raw::Map(bounds) => {
            let mut cache = config.kms.cache.clone().unwrap_or_default();
            for (key, value) in bounds {
                let raw = Raw::Text(value.clone());
                read_bound(&mut cache, key, &raw).map_err(|text| format!("{key}: {text}"))?;
            }
            config.kms.cache = Some(cache);
        }
        text => {
            config.kms.cache = match text.text()? {
                "off" => None,
                "on" => Some(KmsCache::default()),
                _ => return Err(format!("must be off, on, or a map of {}", KEYS.join(", "))),
            };
        }
    }
    Ok(())
}

fn read_bound(cache: &mut KmsCache, key: &str, raw: &Raw) -> Result<(), String> {
    match key {
        "max_age" => cache.max_age = duration(raw, &MAX_AGE)?,
        "max_uses" => cache.max_uses = count(raw, &MAX_USES)?,
        "max_bytes" => cache.max_bytes = size(raw, &MAX_BYTES)?,
        "max_entries" => cache.max_entries = count(raw, &MAX_ENTRIES)?,
        _ => return Err(format!("no such key; the keys are {}", KEYS.join(", "))),
    }
    Ok(())
}

/// Shows the setting as YAML.
pub(super) fn show(config: &Config) -> String {
    match &config.kms.cache {
        None => "off".to_owned(),
        Some(cache) => format!(
            "{{ max_age: {}, max_uses: {}, max_bytes: {}, max_entries: {} }}",
            show_duration(cache.max_age),
            cache.max_uses,
            show_size(cache.max_bytes),
            cache.max_entries
        ),
    }
}
