//! What all calls cost since the process started, by model and RPC: for instruments, which may only grow. It is the sum of
//! the server's totals and what resets cleared from them, so that it costs a call nothing.

use std::sync::Arc;

use super::cells::Cells;
use super::server_totals::ServerTotals;
use crate::figure::{Bill, ModelBill};

/// What resets cleared, and what was reported before.
#[derive(Debug, Default)]
pub(super) struct ProcessTotals {
    cells: Cells<Cell>,
}

#[derive(Debug, Default)]
struct Cell {
    cleared: Bill,
    /// A counted attempt that turned out not to be sent is taken back, perhaps after it was reported. Then the reported
    /// figure stays until the sum reaches it again.
    reported: Bill,
}

impl ProcessTotals {
    /// Saves the server's totals of all models, or of one, before a reset clears them.
    pub(super) fn keep(&mut self, server: &ServerTotals, model: Option<&str>) {
        for (model, rpc, bill) in server.bills(model) {
            self.cells.entry(model, rpc, Cell::default).cleared += bill;
        }
    }

    /// All sums. No figure is ever less than it was before.
    pub(super) fn report(&mut self, server: &ServerTotals) -> Vec<ModelBill> {
        for (model, rpc, _) in server.bills(None) {
            self.cells.entry(model, rpc, Cell::default);
        }
        let reported = self.cells.all_mut().map(|(model, rpc, cell)| {
            let mut sum = cell.cleared.clone();
            if let Some(bill) = server.bill(model, rpc) {
                sum += bill;
            }
            cell.reported.raise_to(&sum.clamped());
            ModelBill {
                model: Arc::clone(model),
                rpc,
                bill: cell.reported.clone(),
            }
        });
        reported.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::figure::Rpc;

    /// The server's totals, and what is reported of them.
    struct Server {
        totals: ServerTotals,
        process: ProcessTotals,
    }

    impl Server {
        fn new() -> Server {
            Server {
                totals: ServerTotals::new(SystemTime::UNIX_EPOCH),
                process: ProcessTotals::default(),
            }
        }

        fn add(&mut self, model: &str, rpc: Rpc, kms_calls: u64) {
            let bill = Bill {
                kms_calls,
                ..Bill::default()
            };
            let at = SystemTime::UNIX_EPOCH;
            self.totals.add(&model.into(), rpc, at, &bill);
        }

        fn reset(&mut self, model: Option<&str>) {
            self.process.keep(&self.totals, model);
            self.totals.reset(model, SystemTime::UNIX_EPOCH);
        }

        /// The reported KMS calls, sorted.
        fn reported(&mut self) -> Vec<u64> {
            let bills = self.process.report(&self.totals);
            let mut reported: Vec<_> = bills.iter().map(|model| model.bill.kms_calls).collect();
            reported.sort_unstable();
            reported
        }
    }

    const TAKEN_BACK: u64 = 1_u64.wrapping_neg();

    #[test]
    fn sums_are_by_model_and_rpc() {
        let mut server = Server::new();
        for (model, rpc) in [
            ("User", Rpc::Get),
            ("User", Rpc::Save),
            ("User", Rpc::Get),
            ("_", Rpc::Get),
        ] {
            server.add(model, rpc, 2);
        }
        assert_eq!(server.reported(), [2, 2, 4]);
    }

    #[test]
    fn resets_do_not_change_them() {
        let mut server = Server::new();
        server.add("User", Rpc::Get, 1);
        server.add("Document", Rpc::Get, 4);
        server.reset(Some("User"));
        server.add("User", Rpc::Get, 2);
        assert_eq!(server.reported(), [3, 4]);
        server.reset(None);
        assert_eq!(server.reported(), [3, 4]);
        server.add("Document", Rpc::Get, 1);
        server.reset(Some("Nobody"));
        assert_eq!(server.reported(), [3, 5]);
    }

    #[test]
    fn reported_figures_never_decrease() {
        let mut server = Server::new();
        let mut report_after = |change| {
            server.add("User", Rpc::Get, change);
            server.reported()
        };
        assert_eq!(report_after(3), [3]);
        assert_eq!(report_after(TAKEN_BACK), [3]);
        assert_eq!(report_after(1), [3], "the three that were reported before");
        assert_eq!(report_after(1), [4]);
        let mut below = Server::new();
        below.add("User", Rpc::Get, TAKEN_BACK);
        assert_eq!(below.reported(), [0]);
    }
}
