//! One book: the bills of a scope, added up by model and RPC. By model, by operation and in total are the same
//! sum: what is added or cleared is so in a cell and in the total at once. Knows nothing of locks.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::Bill;
use super::books::Totals;
use super::cells::Cells;
use crate::figure::Rpc;

/// The bills of the server.
#[derive(Debug)]
pub(super) struct Book {
    since: SystemTime,
    total: Bill,
    cells: Cells<Cell>,
}

#[derive(Debug)]
struct Cell {
    since: SystemTime,
    bill: Bill,
}

impl Book {
    pub(super) fn new(since: SystemTime) -> Book {
        Book {
            since,
            total: Bill::default(),
            cells: Cells::default(),
        }
    }

    /// Adds to the cell of a model and an RPC; `at` is when what is added came in.
    pub(super) fn add(&mut self, model: &Arc<str>, rpc: Rpc, at: SystemTime, bill: &Bill) {
        let since = at.max(self.since);
        let cell = self.cells.of(model, rpc, || Cell {
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
        let mut cells = self.cells.of_model(model);
        let cell = cells.find(|(_, known, _)| *known == rpc);
        cell.map(|(_, _, cell)| &cell.bill)
    }

    /// The totals of all models, or of one.
    pub(super) fn totals(&self, model: Option<&str>) -> Totals {
        match model {
            Some(model) => sum(rows(self.cells.of_model(model)), self.since, true),
            None => sum(rows(self.cells.all()), self.since, false),
        }
    }

    /// Zeroes all models, or one, and answers what was there.
    pub(super) fn reset(&mut self, model: Option<&str>, now: SystemTime) -> Bill {
        let Some(model) = model else {
            return std::mem::replace(self, Book::new(now)).total;
        };
        let mut cleared = Bill::default();
        for cell in self.cells.of_model_mut(model) {
            cleared += &std::mem::take(&mut cell.bill);
            cell.since = now;
        }
        self.total -= &cleared;
        cleared
    }
}

fn rows<'a>(
    cells: impl Iterator<Item = (&'a Arc<str>, Rpc, &'a Cell)>,
) -> impl Iterator<Item = (&'a Arc<str>, Rpc, SystemTime, &'a Bill)> {
    cells.map(|(model, rpc, cell)| (model, rpc, cell.since, &cell.bill))
}

/// Adds cells up. `from_first`: what is summed is counted since its first call, not since `opened`.
pub(super) fn sum<'a, B: Borrow<Bill>>(
    cells: impl Iterator<Item = (&'a Arc<str>, Rpc, SystemTime, B)>,
    opened: SystemTime,
    from_first: bool,
) -> Totals {
    let mut total = Bill::default();
    let mut by_model: BTreeMap<Arc<str>, Bill> = BTreeMap::new();
    let mut by_operation: BTreeMap<Rpc, Bill> = BTreeMap::new();
    let mut first = None;
    for (model, rpc, since, bill) in cells {
        total += bill.borrow();
        *by_model.entry(Arc::clone(model)).or_default() += bill.borrow();
        *by_operation.entry(rpc).or_default() += bill.borrow();
        first = Some(first.map_or(since, |first: SystemTime| first.min(since)));
    }
    Totals {
        total,
        by_model,
        by_operation,
        since: first.filter(|_| from_first).unwrap_or(opened),
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

    fn book() -> Book {
        let mut book = Book::new(START);
        let bill = |kms_calls| Bill {
            calls: 1,
            kms_calls,
            ..Bill::default()
        };
        for (model, rpc, kms_calls) in [("User", Rpc::Save, 1), ("User", Rpc::Get, 2), ("_", Rpc::Get, 4)] {
            book.add(&model.into(), rpc, at(kms_calls), &bill(kms_calls));
            book.add(&model.into(), rpc, at(9), &bill(kms_calls));
        }
        book
    }

    #[test]
    fn every_view_is_the_same_sum() {
        let totals = book().totals(None);
        assert_eq!(*book().total(), totals.total);
        assert_eq!((totals.total.calls, totals.total.kms_calls), (6, 14));
        let sum = |bills: Vec<&Bill>| bills.iter().map(|bill| bill.kms_calls).sum::<u64>();
        assert_eq!(sum(totals.by_model.values().collect()), 14);
        assert_eq!(sum(totals.by_operation.values().collect()), 14);
        assert_eq!(totals.by_model["User"].kms_calls, 6);
        assert_eq!(totals.by_operation[&Rpc::Get].kms_calls, 12);
    }

    #[test]
    fn a_model_is_a_scope_of_its_own() {
        let mut book = book();
        assert_eq!(book.totals(Some("User")).total.kms_calls, 6);
        assert_eq!(book.totals(Some("User")).since, at(1));
        assert_eq!(book.totals(Some("Nobody")).total, Bill::default());
        assert_eq!(book.reset(Some("User"), at(20)).kms_calls, 6);
        assert_eq!(book.totals(Some("User")).since, at(20));
        assert_eq!(book.totals(Some("User")).total, Bill::default());
        assert_eq!(book.totals(None).total.kms_calls, 8);
        assert_eq!(*book.total(), book.totals(None).total);
        assert_eq!(book.totals(None).since, START);
    }

    #[test]
    fn a_reset_clears_and_counts_anew() {
        let mut book = book();
        assert_eq!(book.reset(None, at(30)).kms_calls, 14);
        assert_eq!(book.totals(None).since, at(30));
        book.add(
            &"User".into(),
            Rpc::Save,
            at(29),
            &Bill {
                kms_calls: 5,
                ..Bill::default()
            },
        );
        assert_eq!(
            book.totals(Some("User")).since,
            at(30),
            "nothing is counted from before the reset"
        );
        assert_eq!(book.reset(None, at(31)).kms_calls, 5);
    }
}
