//! How much a caller may use, by the settings: an entry with its name first, else the smallest one of its groups, else the
//! one of all callers; each limit by itself.

use std::collections::{BTreeMap, BTreeSet};

/// A limit of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallerLimit {
    /// Calls in flight.
    InFlight,
    /// Calls per second.
    Calls,
    /// Read capacity units per second.
    Reads,
    /// Write capacity units per second.
    Writes,
    /// US dollars per hour.
    Cost,
}

/// Limits of the settings; `None`: this entry has no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Entry {
    /// Calls in flight.
    pub in_flight: Option<f64>,
    /// Calls per second.
    pub calls_per_second: Option<f64>,
    /// Read capacity units per second.
    pub rcu_per_second: Option<f64>,
    /// Write capacity units per second.
    pub wcu_per_second: Option<f64>,
    /// US dollars per hour.
    pub cost_usd_per_hour: Option<f64>,
}

/// The limits of all callers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallerLimits {
    /// Of every caller.
    pub per_caller: Entry,
    /// Of callers and groups, by name.
    pub callers: BTreeMap<String, Entry>,
}

/// The limits of one caller.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowance([Option<Bound>; CallerLimit::ALL.len()]);

/// A limit and the setting that it is from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bound {
    /// In the unit of the setting.
    pub(super) value: f64,
    /// Whether it is from `limits.callers`, not from `limits.per_caller`.
    of_callers: bool,
}

impl CallerLimit {
    pub(super) const ALL: [CallerLimit; 5] = [
        CallerLimit::InFlight,
        CallerLimit::Calls,
        CallerLimit::Reads,
        CallerLimit::Writes,
        CallerLimit::Cost,
    ];

    /// Its key in the settings.
    pub(super) const fn key(self) -> &'static str {
        match self {
            CallerLimit::InFlight => "in_flight",
            CallerLimit::Calls => "calls_per_second",
            CallerLimit::Reads => "rcu_per_second",
            CallerLimit::Writes => "wcu_per_second",
            CallerLimit::Cost => "cost_usd_per_hour",
        }
    }

    const fn of(self, entry: &Entry) -> Option<f64> {
        match self {
            CallerLimit::InFlight => entry.in_flight,
            CallerLimit::Calls => entry.calls_per_second,
            CallerLimit::Reads => entry.rcu_per_second,
            CallerLimit::Writes => entry.wcu_per_second,
            CallerLimit::Cost => entry.cost_usd_per_hour,
        }
    }
}

impl CallerLimits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        let entries = self.callers.values().chain([&self.per_caller]);
        entries.into_iter().all(|entry| *entry == Entry::default())
    }

    /// The limits of a caller.
    pub(super) fn of(&self, name: &str, groups: &BTreeSet<String>) -> Allowance {
        Allowance(CallerLimit::ALL.map(|limit| self.bound(limit, name, groups)))
    }

    fn bound(&self, limit: CallerLimit, name: &str, groups: &BTreeSet<String>) -> Option<Bound> {
        let of = |name: &str| self.callers.get(name).and_then(|entry| limit.of(entry));
        let of_groups = || groups.iter().filter_map(|group| of(group)).min_by(f64::total_cmp);
        let of_callers = of(name).or_else(of_groups).map(|value| Bound {
            value,
            of_callers: true,
        });
        of_callers.or_else(|| {
            limit.of(&self.per_caller).map(|value| Bound {
                value,
                of_callers: false,
            })
        })
    }
}

impl Allowance {
    pub(super) fn get(&self, limit: CallerLimit) -> Option<Bound> {
        self.0[limit as usize]
    }
}

impl Bound {
    /// The path of the setting.
    pub(super) fn setting(self, limit: CallerLimit) -> String {
        let section = match self.of_callers {
            true => "callers",
            false => "per_caller",
        };
        format!("limits.{section}.{}", limit.key())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_own_entry_is_before_the_smallest_group_and_that_before_all_callers() {
        let limits = CallerLimits {
            per_caller: Entry {
                in_flight: Some(1.0),
                calls_per_second: Some(2.0),
                ..Entry::default()
            },
            callers: BTreeMap::from([
                (
                    "own".to_owned(),
                    Entry {
                        calls_per_second: Some(100.0),
                        ..Entry::default()
                    },
                ),
                (
                    "large".to_owned(),
                    Entry {
                        calls_per_second: Some(50.0),
                        rcu_per_second: Some(7.0),
                        ..Entry::default()
                    },
                ),
                (
                    "small".to_owned(),
                    Entry {
                        calls_per_second: Some(9.0),
                        ..Entry::default()
                    },
                ),
            ]),
        };
        let groups = |names: &[&str]| -> BTreeSet<String> { names.iter().map(ToString::to_string).collect() };
        let of = |name: &str, names: &[&str], limit: CallerLimit| {
            limits
                .of(name, &groups(names))
                .get(limit)
                .map(|bound| (bound.value, bound.setting(limit)))
        };
        let calls = CallerLimit::Calls;
        let expected = |value: f64, setting: &str| Some((value, setting.to_owned()));
        let (callers, all) = (
            "limits.callers.calls_per_second",
            "limits.per_caller.calls_per_second",
        );
        assert_eq!(of("own", &["small"], calls), expected(100.0, callers));
        assert_eq!(of("x", &["large", "small"], calls), expected(9.0, callers));
        assert_eq!(of("x", &["large"], calls), expected(50.0, callers));
        assert_eq!(of("x", &["other"], calls), expected(2.0, all));
        // each limit by itself: what an entry leaves out, another one may have
        assert_eq!(
            of("own", &["large"], CallerLimit::Reads),
            expected(7.0, "limits.callers.rcu_per_second")
        );
        assert_eq!(
            of("own", &["large"], CallerLimit::InFlight),
            expected(1.0, "limits.per_caller.in_flight")
        );
        assert_eq!(of("own", &["large"], CallerLimit::Cost), None);
        assert!(!limits.is_empty());
        assert!(CallerLimits::default().is_empty());
    }
}
