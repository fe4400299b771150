//! The totals of one session: like [`ServerTotals`](super::server_totals::ServerTotals), but in few bytes, since there are
//! many sessions. Has a cell for each model and RPC that the session called, so its size does not depend on the number of
//! models. The caller holds the lock.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::packed_bill::PackedBill;
use super::totals::{Row, Totals};
use crate::figure::{Bill, Rpc};

/// Up to this many cells are allocated one by one.
const EXACT_CELLS: usize = 32;

/// The sums over the calls of a session.
#[derive(Debug)]
pub(super) struct SessionTotals {
    since: Micros,
    total: PackedBill,
    /// Sorted by model and RPC.
    cells: Vec<Cell>,
}

#[derive(Debug)]
struct Cell {
    model: Arc<str>,
    since: Micros,
    bill: PackedBill,
    rpc: Rpc,
}

impl SessionTotals {
    pub(super) fn new(since: SystemTime) -> SessionTotals {
        SessionTotals {
            since: Micros::from_time(since),
            total: PackedBill::default(),
            cells: Vec::new(),
        }
    }

    /// Adds to the cell of a model and an RPC; `at` is when the call came in.
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
                since: Micros::from_time(at).max(self.since),
                bill: PackedBill::default(),
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
        let rows = wanted.map(|cell| Row {
            model: &cell.model,
            rpc: cell.rpc,
            since: cell.since.to_time(),
            bill: cell.bill.bill(),
        });
        Totals::sum(rows, self.since.to_time(), model.is_some())
    }

    /// Zeroes all models, or one, and returns what it cleared.
    pub(super) fn reset(&mut self, model: Option<&str>, now: SystemTime) -> Bill {
        let Some(model) = model else {
            return std::mem::replace(self, SessionTotals::new(now)).total();
        };
        let mut cleared = Bill::default();
        for cell in self.cells.iter_mut().filter(|cell| *cell.model == *model) {
            cleared += &std::mem::take(&mut cell.bill).bill();
            cell.since = Micros::from_time(now);
        }
        self.total.subtract(&cleared);
        cleared
    }
}

/// A time in microseconds since 1970: half the size of a `SystemTime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Micros(u64);

impl Micros {
    fn from_time(time: SystemTime) -> Micros {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    fn to_time(self) -> SystemTime {
        UNIX_EPOCH
            .checked_add(Duration::from_micros(self.0))
            .unwrap_or(UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::super::server_totals::ServerTotals;
    use super::*;

    const RPCS: [Rpc; 4] = [Rpc::Save, Rpc::Get, Rpc::Scan, Rpc::Unknown];

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn session_totals_equal_server_totals() {
        let (mut session, mut server) = (SessionTotals::new(at(1)), ServerTotals::new(at(1)));
        let models: Vec<Arc<str>> = (0..40).map(|number| format!("M{number}").into()).collect();
        for number in 0..500_u64 {
            let model = &models[number as usize * 7 % models.len()];
            let rpc = RPCS[number as usize % 4];
            let bill = Bill {
                calls: 1,
                kms_us: number * 997,
                ..Bill::default()
            };
            session.add(model, rpc, at(number), &bill);
            server.add(model, rpc, at(number), &bill);
            if number % 97 == 0 {
                assert_eq!(
                    session.reset(Some("M7"), at(number)),
                    server.reset(Some("M7"), at(number))
                );
            }
        }
        for model in [None, Some("M7"), Some("M8"), Some("M"), Some("Nobody")] {
            assert_eq!(session.totals(model), server.totals(model), "{model:?}");
        }
        assert_eq!(session.total(), *server.total());
        assert_eq!(session.reset(None, at(9_999)), server.reset(None, at(9_999)));
        assert_eq!(session.totals(None), server.totals(None));
    }
}
