//! What all calls cost since the start, by model and operation: never reset, for instruments that may only grow.

use std::sync::Arc;

use super::Bill;
use crate::telemetry::Line;

/// The sums, and what was told of them.
#[derive(Debug, Default)]
pub(super) struct Ever {
    cells: Vec<Cell>,
}

#[derive(Debug)]
struct Cell {
    line: Line,
    /// An attempt that never left may be taken back after it was told: the figure stands until it is reached again.
    told: Bill,
}

impl Ever {
    pub(super) fn add(&mut self, model: &Arc<str>, operation: &'static str, bill: &Bill) {
        let mut cells = self.cells.iter_mut().map(|cell| &mut cell.line);
        match cells.find(|line| line.operation == operation && line.model == *model) {
            Some(line) => line.bill += bill,
            None => self.cells.push(Cell {
                line: Line {
                    model: Arc::clone(model),
                    operation,
                    bill: bill.clone(),
                },
                told: Bill::default(),
            }),
        }
    }

    /// All sums; no figure is ever less than it was before.
    pub(super) fn tell(&mut self) -> Vec<Line> {
        let told = self.cells.iter_mut().map(|cell| {
            cell.told.raise_to(&cell.line.bill.clone().clamped());
            Line {
                bill: cell.told.clone(),
                ..cell.line.clone()
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
        let told: Vec<_> = ever.tell().iter().map(|line| line.bill.kms_calls).collect();
        assert_eq!(told, [4, 2, 2]);
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
