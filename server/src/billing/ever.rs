//! What all calls cost since the start, by model and operation: never reset, for instruments that may only grow.

use std::sync::Arc;

use super::Bill;
use super::cells::Cells;
use crate::telemetry::Line;

/// The sums, and what was told of them.
#[derive(Debug, Default)]
pub(super) struct Ever {
    cells: Cells<Cell>,
}

#[derive(Debug, Default)]
struct Cell {
    bill: Bill,
    /// An attempt that never left may be taken back after it was told: the figure stands until it is reached again.
    told: Bill,
}

impl Ever {
    pub(super) fn add(&mut self, model: &Arc<str>, operation: &'static str, bill: &Bill) {
        self.cells.of(model, operation, Cell::default).bill += bill;
    }

    /// All sums; no figure is ever less than it was before.
    pub(super) fn tell(&mut self) -> Vec<Line> {
        let told = self.cells.all_mut().map(|(model, operation, cell)| {
            cell.told.raise_to(&cell.bill.clone().clamped());
            Line {
                model: Arc::clone(model),
                operation,
                bill: cell.told.clone(),
            }
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(kms_calls: u64) -> Bill {
        Bill {
            kms_calls,
            ..Bill::default()
        }
    }

    #[test]
    fn sums_are_by_model_and_operation() {
        let mut ever = Ever::default();
        for (model, operation) in [("User", "Get"), ("User", "Save"), ("User", "Get"), ("_", "Get")] {
            ever.add(&model.into(), operation, &calls(2));
        }
        let mut told: Vec<_> = ever.tell().iter().map(|line| line.bill.kms_calls).collect();
        told.sort_unstable();
        assert_eq!(told, [2, 2, 4]);
    }

    #[test]
    fn what_was_told_is_never_less_afterwards() {
        let mut ever = Ever::default();
        let mut told = |change: &Bill| {
            ever.add(&"User".into(), "Get", change);
            ever.tell()[0].bill.kms_calls
        };
        assert_eq!(told(&calls(3)), 3);
        assert_eq!(told(&calls(1_u64.wrapping_neg())), 3);
        assert_eq!(told(&calls(1)), 3, "the same three");
        assert_eq!(told(&calls(1)), 4);
        let mut below = Ever::default();
        below.add(&"User".into(), "Get", &calls(1_u64.wrapping_neg()));
        assert_eq!(below.tell()[0].bill.kms_calls, 0);
    }
}
