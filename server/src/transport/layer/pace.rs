//! Waits while a caller is in debt, before more of its request is read.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::{Sleep, sleep};

use crate::call;
use crate::capacity::Account;

/// The pace of one request.
#[derive(Debug, Default)]
pub(super) struct Pace {
    account: Option<Arc<Account>>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    /// The pace of a caller with this account; without one, no request waits.
    pub(super) fn new(account: Option<&Arc<Account>>) -> Pace {
        Pace {
            account: account.cloned(),
            timer: None,
        }
    }

    /// Ready once the caller is not in debt.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(account) = &self.account else {
            return Poll::Ready(());
        };
        loop {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(context));
                self.timer = None;
            }
            match account.debt(call::now()) {
                None => return Poll::Ready(()),
                Some(wait) => self.timer = Some(Box::pin(sleep(wait))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;
    use crate::capacity::{Accounts, CallerEntry, CallerLimits, Consumption};

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_until_the_debt_of_its_caller_is_repaid() {
        let limits = CallerLimits {
            per_caller: CallerEntry {
                wcu_per_second: Some(2.0),
                ..CallerEntry::default()
            },
            ..CallerLimits::default()
        };
        let accounts = Accounts::new(limits, call::now()).expect("limits");
        let account = accounts.open(&[1; 32], "x", &BTreeSet::new(), call::now());
        let mut pace = Pace::new(Some(&account));
        let started = call::now();
        poll_fn(|context| pace.poll(context)).await;
        assert_eq!(call::now(), started, "without a debt nothing waits");
        let consumed = Consumption {
            write_milliunits: 8000,
            ..Consumption::default()
        };
        account.charge(consumed, call::now());
        poll_fn(|context| pace.poll(context)).await;
        let waited = call::now() - started;
        let repaid = Duration::from_secs(3)..Duration::from_millis(3010);
        assert!(repaid.contains(&waited), "{waited:?}");
        poll_fn(|context| Pace::default().poll(context)).await;
    }
}
