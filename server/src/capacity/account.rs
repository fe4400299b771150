//! What a caller has used of its limits: a token bucket for each. Consumption is charged when it is known, so a bucket may
//! be in debt, which the rate repays. A bucket is kept as what was used and not yet repaid: zero is a full bucket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::allowance::{Allowance, Bound, CallerLimit};

/// The limits that are rates, each with a bucket.
const RATES: [CallerLimit; 4] = [
    CallerLimit::Calls,
    CallerLimit::Reads,
    CallerLimit::Writes,
    CallerLimit::Cost,
];
const SECONDS_PER_HOUR: f64 = 3600.0;
/// The seconds whose rate a bucket of calls or capacity holds.
const BURST_SECONDS: f64 = 1.0;
/// The seconds whose rate the bucket of the cost holds.
const COST_BURST_SECONDS: f64 = 60.0;
/// What adding up fractions may lose.
const TOLERANCE: f64 = 1e-9;
const MILLI: f64 = 1e-3;
const PICO: f64 = 1e-12;
/// The longest time in which a debt is repaid, as it is reported.
const MAX_DELAY_SECONDS: f64 = 365.0 * 24.0 * SECONDS_PER_HOUR;

/// What a call consumed, or less than nothing if it is taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consumption {
    /// Thousandths of read capacity units.
    pub read_milliunits: i64,
    /// Thousandths of write capacity units.
    pub write_milliunits: i64,
    /// Millionths of a millionth of a US dollar.
    pub picodollars: i64,
}

/// A limit that keeps a call from being admitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Exceeded {
    /// The path of the setting.
    pub setting: String,
    /// Its value.
    pub value: f64,
    /// When the call would be admitted, if that is known.
    pub delay: Option<Duration>,
}

/// The account of a caller.
#[derive(Debug)]
pub struct Account(Mutex<State>);

#[derive(Debug)]
struct State {
    /// The limits by the caller's latest credential.
    allowance: Allowance,
    in_flight: usize,
    /// What was used and not repaid at the time `at`, by limit: calls, units, units, dollars.
    used: [f64; CallerLimit::ALL.len()],
    at: Instant,
}

/// One call in flight on its caller's account, until it is dropped.
#[derive(Debug)]
pub struct Place(Arc<Account>);

impl Account {
    pub(super) fn new(now: Instant) -> Account {
        Account(Mutex::new(State {
            allowance: Allowance::default(),
            in_flight: 0,
            used: [0.0; CallerLimit::ALL.len()],
            at: now,
        }))
    }

    pub(super) fn set_allowance(&self, allowance: Allowance, now: Instant) {
        let mut state = self.0.lock();
        state.repay(now);
        state.allowance = allowance;
    }

    /// Admits a call, which a debt refuses unless the call can wait for `patience` until it is repaid.
    ///
    /// # Errors
    ///
    /// The limit that is exceeded for the longest time.
    pub fn begin(self: &Arc<Account>, patience: Option<Duration>, now: Instant) -> Result<Place, Exceeded> {
        let mut state = self.0.lock();
        state.repay(now);
        if let Some(bound) = state.allowance.get(CallerLimit::InFlight)
            && state.in_flight as f64 >= bound.value
        {
            return Err(exceeded(CallerLimit::InFlight, bound, None));
        }
        let longest = RATES
            .into_iter()
            .filter_map(|limit| {
                let (next, patience) = match limit {
                    CallerLimit::Calls => (1.0, None),
                    CallerLimit::InFlight | CallerLimit::Reads | CallerLimit::Writes | CallerLimit::Cost => {
                        (0.0, patience)
                    }
                };
                let (bound, delay) = state.delay(limit, next)?;
                patience
                    .is_none_or(|patience| delay > patience)
                    .then_some((limit, bound, delay))
            })
            .max_by_key(|(_, _, delay)| *delay);
        if let Some((limit, bound, delay)) = longest {
            return Err(exceeded(limit, bound, Some(delay)));
        }
        state.in_flight += 1;
        state.add(CallerLimit::Calls, 1.0);
        Ok(Place(Arc::clone(self)))
    }

    /// Charges what a call consumed.
    pub fn charge(&self, consumption: Consumption, now: Instant) {
        if consumption == Consumption::default() {
            return;
        }
        let mut state = self.0.lock();
        state.repay(now);
        state.add(CallerLimit::Reads, consumption.read_milliunits as f64 * MILLI);
        state.add(CallerLimit::Writes, consumption.write_milliunits as f64 * MILLI);
        state.add(CallerLimit::Cost, consumption.picodollars as f64 * PICO);
    }

    /// How long until all debts are repaid; `None` without debts.
    pub fn debt(&self, now: Instant) -> Option<Duration> {
        let mut state = self.0.lock();
        state.repay(now);
        let rates = RATES.into_iter();
        rates
            .filter_map(|limit| state.delay(limit, 0.0))
            .map(|(_, delay)| delay)
            .max()
    }
}

impl State {
    /// Takes off what was repaid since the last time.
    fn repay(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        for limit in RATES {
            let used = &mut self.used[limit as usize];
            *used = match self.allowance.get(limit) {
                Some(bound) => (*used - rate(limit, bound) * seconds).max(0.0),
                None => 0.0,
            };
        }
    }

    fn add(&mut self, limit: CallerLimit, amount: f64) {
        if self.allowance.get(limit).is_some() {
            let used = &mut self.used[limit as usize];
            *used = (*used + amount).max(0.0);
        }
    }

    /// How long until the bucket of a limit has `next`; `None` if it has.
    fn delay(&self, limit: CallerLimit, next: f64) -> Option<(Bound, Duration)> {
        let bound = self.allowance.get(limit)?;
        let missing = self.used[limit as usize] + next - burst(limit, bound);
        (missing > TOLERANCE * burst(limit, bound)).then(|| {
            let seconds = (missing / rate(limit, bound)).min(MAX_DELAY_SECONDS);
            (bound, Duration::from_secs_f64(seconds))
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.lock().in_flight -= 1;
    }
}

/// What is repaid per second.
fn rate(limit: CallerLimit, bound: Bound) -> f64 {
    match limit {
        CallerLimit::Cost => bound.value / SECONDS_PER_HOUR,
        CallerLimit::InFlight | CallerLimit::Calls | CallerLimit::Reads | CallerLimit::Writes => bound.value,
    }
}

/// What a full bucket holds.
fn burst(limit: CallerLimit, bound: Bound) -> f64 {
    match limit {
        CallerLimit::Cost => rate(limit, bound) * COST_BURST_SECONDS,
        CallerLimit::Calls => (rate(limit, bound) * BURST_SECONDS).max(1.0),
        CallerLimit::InFlight | CallerLimit::Reads | CallerLimit::Writes => {
            rate(limit, bound) * BURST_SECONDS
        }
    }
}

fn exceeded(limit: CallerLimit, bound: Bound, delay: Option<Duration>) -> Exceeded {
    Exceeded {
        setting: bound.setting(limit),
        value: bound.value,
        delay,
    }
}
