//! What all calls cost since the start, by model and operation: for instruments that may only grow. That is what the
//! server's book holds, and what resets took out of it: a call costs nothing here.

use std::sync::Arc;

use super::Bill;
use super::book::Book;
use super::cells::Cells;
use crate::telemetry::Line;

/// What was cleared, and what was told of the sums.
#[derive(Debug, Default)]
pub(super) struct Ever {
    cells: Cells<Cell>,
}

#[derive(Debug, Default)]
struct Cell {
    cleared: Bill,
    /// An attempt that never left may be taken back after it was told: the figure stands until it is reached again.
    told: Bill,
}

impl Ever {
    /// Keeps what the server's book holds of all models, or of one, before a reset clears it.
    pub(super) fn keep(&mut self, server: &Book, model: Option<&str>) {
        for (model, rpc, bill) in server.bills(model) {
            self.cells.of(model, rpc, Cell::default).cleared += bill;
        }
    }

    /// All sums; no figure is ever less than it was before.
    pub(super) fn tell(&mut self, server: &Book) -> Vec<Line> {
        for (model, rpc, _) in server.bills(None) {
            self.cells.of(model, rpc, Cell::default);
        }
        let told = self.cells.all_mut().map(|(model, rpc, cell)| {
            let mut sum = cell.cleared.clone();
            if let Some(bill) = server.bill(model, rpc) {
                sum += bill;
            }
            cell.told.raise_to(&sum.clamped());
            Line {
                model: Arc::clone(model),
                rpc,
                bill: cell.told.clone(),
            }
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::figure::Rpc;

    /// A server's book, and what is told of it.
    struct Server {
        book: Book,
        ever: Ever,
    }

    impl Server {
        fn new() -> Server {
            Server {
                book: Book::new(SystemTime::UNIX_EPOCH),
                ever: Ever::default(),
            }
        }

        fn add(&mut self, model: &str, rpc: Rpc, kms_calls: u64) {
            let bill = Bill {
                kms_calls,
                ..Bill::default()
            };
            let at = SystemTime::UNIX_EPOCH;
            self.book.add(&model.into(), rpc, at, &bill);
        }

        fn reset(&mut self, model: Option<&str>) {
            self.ever.keep(&self.book, model);
            self.book.reset(model, SystemTime::UNIX_EPOCH);
        }

        /// The KMS calls that are told, from the least to the most.
        fn told(&mut self) -> Vec<u64> {
            let lines = self.ever.tell(&self.book);
            let mut told: Vec<_> = lines.iter().map(|line| line.bill.kms_calls).collect();
            told.sort_unstable();
            told
        }
    }

    const TAKEN_BACK: u64 = 1_u64.wrapping_neg();

    #[test]
    fn sums_are_by_model_and_operation() {
        let mut server = Server::new();
        for (model, rpc) in [
            ("User", Rpc::Get),
            ("User", Rpc::Save),
            ("User", Rpc::Get),
            ("_", Rpc::Get),
        ] {
            server.add(model, rpc, 2);
        }
        assert_eq!(server.told(), [2, 2, 4]);
    }

    #[test]
    fn resets_do_not_touch_them() {
        let mut server = Server::new();
        server.add("User", Rpc::Get, 1);
        server.add("Document", Rpc::Get, 4);
        server.reset(Some("User"));
        server.add("User", Rpc::Get, 2);
        assert_eq!(server.told(), [3, 4]);
        server.reset(None);
        assert_eq!(server.told(), [3, 4]);
        server.add("Document", Rpc::Get, 1);
        server.reset(Some("Nobody"));
        assert_eq!(server.told(), [3, 5]);
    }

    #[test]
    fn what_was_told_is_never_less_afterwards() {
        let mut server = Server::new();
        let mut told = |change| {
            server.add("User", Rpc::Get, change);
            server.told()
        };
        assert_eq!(told(3), [3]);
        assert_eq!(told(TAKEN_BACK), [3]);
        assert_eq!(told(1), [3], "the same three");
        assert_eq!(told(1), [4]);
        let mut below = Server::new();
        below.add("User", Rpc::Get, TAKEN_BACK);
        assert_eq!(below.told(), [0]);
    }
}
