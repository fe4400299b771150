//! The accounts of callers. Their number is bounded: the least recently used one is closed, but never one that is in debt or
//! has calls in flight, or a caller with many names would be rid of its debts. If there is none to close, callers without
//! an account share one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use lru::LruCache;
use parking_lot::Mutex;

use super::account::Account;
use super::allowance::CallerLimits;

/// The most accounts, of a few hundred bytes each.
const MAX_ACCOUNTS: usize = 65_536;
/// How many accounts are looked at to find one to close. Those in use are looked at again only after all others.
const MAX_LOOKS: usize = 16;

/// The accounts of all callers.
#[derive(Debug)]
pub struct Accounts {
    limits: CallerLimits,
    max: usize,
    accounts: Mutex<LruCache<[u8; 32], Arc<Account>>>,
    /// Of callers that cannot have one to themselves.
    shared: Arc<Account>,
}

impl Accounts {
    /// No accounts yet; `None` if nothing is limited.
    pub fn new(limits: CallerLimits, now: Instant) -> Option<Accounts> {
        (!limits.is_empty()).then(|| Accounts::at_most(MAX_ACCOUNTS, limits, now))
    }

    fn at_most(max: usize, limits: CallerLimits, now: Instant) -> Accounts {
        Accounts {
            limits,
            max,
            accounts: Mutex::new(LruCache::unbounded()),
            shared: Arc::new(Account::new(now)),
        }
    }

    /// The account of a caller, by what identifies it; its limits follow its name and groups.
    pub fn open(&self, id: &[u8; 32], name: &str, groups: &BTreeSet<String>, now: Instant) -> Arc<Account> {
        let account = self.find(id, now);
        account.set_allowance(self.limits.of(name, groups), now);
        account
    }

    fn find(&self, id: &[u8; 32], now: Instant) -> Arc<Account> {
        let mut accounts = self.accounts.lock();
        if let Some(account) = accounts.get(id) {
            return Arc::clone(account);
        }
        if accounts.len() >= self.max && !close_one(&mut accounts, now) {
            return Arc::clone(&self.shared);
        }
        let account = Arc::new(Account::new(now));
        accounts.put(*id, Arc::clone(&account));
        account
    }
}

/// Closes the least recently used account that nobody uses and that is not in debt. `false` if none was found.
fn close_one(accounts: &mut LruCache<[u8; 32], Arc<Account>>, now: Instant) -> bool {
    for _ in 0..MAX_LOOKS {
        let Some((id, account)) = accounts.peek_lru() else {
            return false;
        };
        if Arc::strong_count(account) == 1 && account.debt(now).is_none() {
            accounts.pop_lru();
            return true;
        }
        let id = *id;
        accounts.promote(&id);
    }
    false
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::account::{Consumption, Exceeded};
    use super::super::allowance::Entry;
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn accounts(max: usize, per_caller: Entry, now: Instant) -> Accounts {
        let limits = CallerLimits {
            per_caller,
            ..CallerLimits::default()
        };
        Accounts::at_most(max, limits, now)
    }

    fn open(accounts: &Accounts, caller: u8, now: Instant) -> Arc<Account> {
        accounts.open(&[caller; 32], "x", &BTreeSet::new(), now)
    }

    fn reads(units: i64) -> Consumption {
        Consumption {
            read_milliunits: units * 1000,
            ..Consumption::default()
        }
    }

    fn delay(exceeded: &Exceeded) -> f64 {
        exceeded.delay.expect("a delay").as_secs_f64()
    }

    #[test]
    fn calls_beyond_the_rate_are_refused_until_it_admits_the_next_one() {
        let now = Instant::now();
        let entry = Entry {
            calls_per_second: Some(4.0),
            ..Entry::default()
        };
        let accounts = accounts(9, entry, now);
        let account = open(&accounts, 1, now);
        for _ in 0..4 {
            account.begin(None, now).unwrap();
        }
        let exceeded = account.begin(Some(SECOND), now).unwrap_err();
        assert_eq!(exceeded.setting, "limits.per_caller.calls_per_second");
        assert!((delay(&exceeded) - 0.25).abs() < 1e-6, "{exceeded:?}");
        let later = now + exceeded.delay.unwrap() + Duration::from_millis(1);
        account.begin(None, later).unwrap();
        account.begin(None, later).unwrap_err();
        open(&accounts, 2, now).begin(None, now).unwrap();
        for _ in 0..4 {
            account.begin(None, later + 100 * SECOND).unwrap();
        }
        account.begin(None, later + 100 * SECOND).unwrap_err();
    }

    #[test]
    fn a_rate_below_one_admits_single_calls() {
        let now = Instant::now();
        let entry = Entry {
            calls_per_second: Some(0.1),
            ..Entry::default()
        };
        let account = open(&accounts(9, entry, now), 1, now);
        account.begin(None, now).unwrap();
        assert!((delay(&account.begin(None, now).unwrap_err()) - 10.0).abs() < 1e-6);
        account.begin(None, now + 11 * SECOND).unwrap();
    }

    #[test]
    fn calls_in_flight_end_when_their_place_is_dropped() {
        let now = Instant::now();
        let entry = Entry {
            in_flight: Some(2.0),
            ..Entry::default()
        };
        let account = open(&accounts(9, entry, now), 1, now);
        let (first, _second) = (
            account.begin(None, now).unwrap(),
            account.begin(None, now).unwrap(),
        );
        let exceeded = account.begin(None, now).unwrap_err();
        assert_eq!(
            (exceeded.setting.as_str(), exceeded.value, exceeded.delay),
            ("limits.per_caller.in_flight", 2.0, None)
        );
        drop(first);
        account.begin(None, now).unwrap();
    }

    #[test]
    fn a_debt_is_repaid_and_what_is_taken_back_is_none() {
        let now = Instant::now();
        let entry = Entry {
            rcu_per_second: Some(10.0),
            cost_usd_per_hour: Some(3600.0),
            ..Entry::default()
        };
        let account = open(&accounts(9, entry, now), 1, now);
        account.charge(reads(10), now);
        assert_eq!(account.debt(now), None, "the bucket is empty, not in debt");
        account.charge(reads(30), now);
        assert!((account.debt(now).unwrap().as_secs_f64() - 3.0).abs() < 1e-6);
        let exceeded = account.begin(None, now).unwrap_err();
        assert_eq!(exceeded.setting, "limits.per_caller.rcu_per_second");
        assert!((delay(&exceeded) - 3.0).abs() < 1e-6);
        account.begin(Some(2 * SECOND), now).unwrap_err();
        account.begin(Some(4 * SECOND), now).unwrap();
        account.begin(None, now + 3 * SECOND + SECOND / 100).unwrap();
        account.charge(reads(-30), now);
        assert_eq!(account.debt(now), None);
        // a dollar per second, and a minute's worth at once
        let cost = |dollars: i64| Consumption {
            picodollars: dollars * 1_000_000_000_000,
            ..Consumption::default()
        };
        account.charge(cost(60), now);
        assert_eq!(account.debt(now), None);
        account.charge(cost(5), now);
        assert!((account.debt(now).unwrap().as_secs_f64() - 5.0).abs() < 1e-6);
        assert_eq!(
            account.begin(None, now).unwrap_err().setting,
            "limits.per_caller.cost_usd_per_hour"
        );
    }

    #[test]
    fn what_is_not_limited_is_not_charged_and_time_never_runs_backwards() {
        let now = Instant::now();
        let entry = Entry {
            wcu_per_second: Some(1.0),
            ..Entry::default()
        };
        let account = open(&accounts(9, entry, now), 1, now);
        account.charge(reads(1_000_000), now);
        assert_eq!(account.debt(now), None);
        let writes = Consumption {
            write_milliunits: 3000,
            ..Consumption::default()
        };
        account.charge(writes, now + 10 * SECOND);
        account.charge(writes, now);
        assert!((account.debt(now).unwrap().as_secs_f64() - 5.0).abs() < 1e-6);
    }

    #[test]
    fn an_account_in_debt_or_in_use_is_never_closed() {
        let now = Instant::now();
        let entry = Entry {
            rcu_per_second: Some(1.0),
            ..Entry::default()
        };
        let accounts = accounts(3, entry, now);
        open(&accounts, 1, now).charge(reads(11), now);
        let used = open(&accounts, 2, now);
        let place = used.begin(None, now).unwrap();
        drop(used);
        for caller in 10..200 {
            open(&accounts, caller, now).charge(reads(1), now);
            assert!(accounts.accounts.lock().len() <= 3);
        }
        assert!(open(&accounts, 1, now).debt(now).is_some(), "the debt remains");
        // all accounts are in use or in debt: the others share one
        open(&accounts, 3, now).charge(reads(11), now);
        let shared = open(&accounts, 4, now);
        assert!(Arc::ptr_eq(&shared, &open(&accounts, 5, now)));
        shared.charge(reads(5), now);
        assert!(open(&accounts, 6, now).begin(None, now).is_err());
        assert_eq!(accounts.accounts.lock().len(), 3);
        // once a debt is repaid, its account may be closed
        let later = now + 60 * SECOND;
        assert!(!Arc::ptr_eq(&open(&accounts, 7, later), &shared));
        drop(place);
    }
}
