//! The account of one session: what a [`Book`](super::book::Book) is for the server, in few bytes, since there are many.
//! It has a cell per model and RPC that the session called, so that its size does not go by the number of models.
//! Knows nothing of locks.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Bill;
use super::book::sum;
use super::books::Totals;
use super::packed::Packed;
use crate::figure::Rpc;

/// Up to this many cells there is no room beyond those in use.
const EXACT_CELLS: usize = 32;

/// The bills of a session.
#[derive(Debug)]
pub(super) struct Account {
    since: Micros,
    total: Packed,
    /// In the order of model and RPC.
    cells: Vec<Cell>,
}

#[derive(Debug)]
struct Cell {
    model: Arc<str>,
    since: Micros,
    bill: Packed,
    rpc: Rpc,
}

impl Account {
    pub(super) fn new(since: SystemTime) -> Account {
        Account {
            since: Micros::of(since),
            total: Packed::default(),
            cells: Vec::new(),
        }
    }

    /// Adds to the cell of a model and an RPC; `at` is when what is added came in.
    pub(super) fn add(&mut self, model: &Arc<str>, rpc: Rpc, at: SystemTime, bill: &Bill) {
        let wanted = (&**model, rpc);
        let place = self
            .cells
            .binary_search_by(|cell| (&*cell.model, cell.rpc).cmp(&wanted));
        let place = place.unwrap_or_else(|place| {
            if self.cells.len() < EXACT_CELLS {
                self.cells.reserve_exact(1);
            }
            let cell = Cell {
                model: Arc::clone(model),
                since: Micros::of(at).max(self.since),
                bill: Packed::default(),
                rpc,
            };
            self.cells.insert(place, cell);
            place
        });
        self.cells[place].bill.add(bill);
        self.total.add(bill);
    }

    /// The sum over all cells.
    pub(super) fn total(&self) -> Bill {
        self.total.bill()
    }

    /// The totals of all models, or of one.
    pub(super) fn totals(&self, model: Option<&str>) -> Totals {
        let wanted = self
            .cells
            .iter()
            .filter(|cell| model.is_none_or(|model| *cell.model == *model));
        let rows = wanted.map(|cell| (&cell.model, cell.rpc, cell.since.time(), cell.bill.bill()));
        sum(rows, self.since.time(), model.is_some())
    }

    /// Zeroes all models, or one, and returns what was there.
    pub(super) fn reset(&mut self, model: Option<&str>, now: SystemTime) -> Bill {
        let Some(model) = model else {
            return std::mem::replace(self, Account::new(now)).total();
        };
        let mut cleared = Bill::default();
        for cell in self.cells.iter_mut().filter(|cell| *cell.model == *model) {
            cleared += &std::mem::take(&mut cell.bill).bill();
            cell.since = Micros::of(now);
        }
        self.total.take_away(&cleared);
        cleared
    }
}

/// A time in microseconds since 1970: half of what a `SystemTime` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Micros(u64);

impl Micros {
    fn of(time: SystemTime) -> Micros {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn time(self) -> SystemTime {
        UNIX_EPOCH
            .checked_add(Duration::from_micros(self.0))
            .unwrap_or(UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::super::book::Book;
    use super::*;

    const RPCS: [Rpc; 4] = [Rpc::Save, Rpc::Get, Rpc::Scan, Rpc::Unknown];

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn an_account_says_what_a_book_says() {
        let (mut account, mut book) = (Account::new(at(1)), Book::new(at(1)));
        let models: Vec<Arc<str>> = (0..40).map(|number| format!("M{number}").into()).collect();
        for number in 0..500_u64 {
            let model = &models[number as usize * 7 % models.len()];
            let rpc = RPCS[number as usize % 4];
            let bill = Bill {
                calls: 1,
                kms_us: number * 997,
                ..Bill::default()
            };
            account.add(model, rpc, at(number), &bill);
            book.add(model, rpc, at(number), &bill);
            if number % 97 == 0 {
                assert_eq!(
                    account.reset(Some("M7"), at(number)),
                    book.reset(Some("M7"), at(number))
                );
            }
        }
        for model in [None, Some("M7"), Some("M8"), Some("M"), Some("Nobody")] {
            assert_eq!(account.totals(model), book.totals(model), "{model:?}");
        }
        assert_eq!(account.total(), *book.total());
        assert_eq!(account.reset(None, at(9_999)), book.reset(None, at(9_999)));
        assert_eq!(account.totals(None), book.totals(None));
    }
}
