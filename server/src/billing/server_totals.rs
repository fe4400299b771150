//! The totals of the server, by model and RPC. By model, by RPC and in total are the same sum: additions and resets change
//! a cell and the total together. The caller holds the lock.

use std::sync::Arc;
use std::time::SystemTime;

use super::cells::Cells;
use super::totals::{Row, Totals};
use crate::figure::{Bill, Rpc};

/// The sums over all calls of the server.
#[derive(Debug)]
pub(super) struct ServerTotals {
    since: SystemTime,
    total: Bill,
    cells: Cells<Cell>,
}

#[derive(Debug)]
struct Cell {
    since: SystemTime,
    bill: Bill,
}

impl ServerTotals {
    pub(super) fn new(since: SystemTime) -> ServerTotals {
        ServerTotals {
            since,
            total: Bill::default(),
            cells: Cells::default(),
        }
    }

    /// Adds to the cell of a model and an RPC; `at` is when the call came in.
    pub(super) fn add(&mut self, model: &Arc<str>, rpc: Rpc, at: SystemTime, bill: &Bill) {
        let since = at.max(self.since);
        let cell = self.cells.entry(model, rpc, || Cell {
            since,
            bill: Bill::default(),
        });
        cell.bill += bill;
        self.total += bill;
    }

    /// The sum over all cells.
    #[cfg(test)]
    pub(super) fn total(&self) -> &Bill {
        &self.total
    }

    /// The bills of all models, or of one, by operation.
    #[cfg(feature = "telemetry")]
    pub(super) fn bills(&self, model: Option<&str>) -> impl Iterator<Item = (&Arc<str>, Rpc, &Bill)> {
        let all = self.cells.all();
        let wanted = all.filter(move |(name, _, _)| model.is_none_or(|model| ***name == *model));
        wanted.map(|(model, rpc, cell)| (model, rpc, &cell.bill))
    }

    /// The bill of a model and an RPC, if there was one.
    #[cfg(feature = "telemetry")]
    pub(super) fn bill(&self, model: &str, rpc: Rpc) -> Option<&Bill> {
        let mut cells = self.cells.in_model(model);
        let cell = cells.find(|(_, known, _)| *known == rpc);
        cell.map(|(_, _, cell)| &cell.bill)
    }

    /// The totals of all models, or of one.
    pub(super) fn totals(&self, model: Option<&str>) -> Totals {
        match model {
            Some(model) => Totals::sum(self.cells.in_model(model).map(row), self.since, true),
            None => Totals::sum(self.cells.all().map(row), self.since, false),
        }
    }

    /// Zeroes all models, or one, and returns what it cleared.
    pub(super) fn reset(&mut self, model: Option<&str>, now: SystemTime) -> Bill {
        let Some(model) = model else {
            return std::mem::replace(self, ServerTotals::new(now)).total;
        };
        let mut cleared = Bill::default();
        for cell in self.cells.in_model_mut(model) {
            cleared += &std::mem::take(&mut cell.bill);
            cell.since = now;
        }
        self.total -= &cleared;
        cleared
    }
}

fn row<'a>((model, rpc, cell): (&'a Arc<str>, Rpc, &'a Cell)) -> Row<'a, &'a Bill> {
    Row {
        model,
        rpc,
        since: cell.since,
        bill: &cell.bill,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;

    fn at(seconds: u64) -> SystemTime {
        START + Duration::from_secs(seconds)
    }

    fn example() -> ServerTotals {
        let mut totals = ServerTotals::new(START);
        let bill = |kms_calls| Bill {
            calls: 1,
            kms_calls,
            ..Bill::default()
        };
        for (model, rpc, kms_calls) in [("User", Rpc::Save, 1), ("User", Rpc::Get, 2), ("_", Rpc::Get, 4)] {
            totals.add(&model.into(), rpc, at(kms_calls), &bill(kms_calls));
            totals.add(&model.into(), rpc, at(9), &bill(kms_calls));
        }
        totals
    }

    #[test]
    fn all_views_have_the_same_sum() {
        let totals = example().totals(None);
        assert_eq!(*example().total(), totals.total);
        assert_eq!((totals.total.calls, totals.total.kms_calls), (6, 14));
        let sum = |bills: Vec<&Bill>| bills.iter().map(|bill| bill.kms_calls).sum::<u64>();
        assert_eq!(sum(totals.by_model.values().collect()), 14);
        assert_eq!(sum(totals.by_operation.values().collect()), 14);
        assert_eq!(totals.by_model["User"].kms_calls, 6);
        assert_eq!(totals.by_operation[&Rpc::Get].kms_calls, 12);
    }

    #[test]
    fn a_model_is_a_separate_scope() {
        let mut server = example();
        assert_eq!(server.totals(Some("User")).total.kms_calls, 6);
        assert_eq!(server.totals(Some("User")).since, at(1));
        assert_eq!(server.totals(Some("Nobody")).total, Bill::default());
        assert_eq!(server.reset(Some("User"), at(20)).kms_calls, 6);
        assert_eq!(server.totals(Some("User")).since, at(20));
        assert_eq!(server.totals(Some("User")).total, Bill::default());
        assert_eq!(server.totals(None).total.kms_calls, 8);
        assert_eq!(*server.total(), server.totals(None).total);
        assert_eq!(server.totals(None).since, START);
    }

    #[test]
    fn a_reset_clears_and_starts_over() {
        let mut server = example();
        assert_eq!(server.reset(None, at(30)).kms_calls, 14);
        assert_eq!(server.totals(None).since, at(30));
        server.add(
            &"User".into(),
            Rpc::Save,
            at(29),
            &Bill {
                kms_calls: 5,
                ..Bill::default()
            },
        );
        assert_eq!(
            server.totals(Some("User")).since,
            at(30),
            "since must not precede the reset"
        );
        assert_eq!(server.reset(None, at(31)).kms_calls, 5);
    }
}
