//! Cells by model and RPC: at most one per served model and RPC. Finding one takes the same time however many models there
//! are.

use std::collections::HashMap;
use std::sync::Arc;

use crate::figure::Rpc;

/// Cells by model and RPC.
#[derive(Debug)]
pub(super) struct Cells<T>(HashMap<Arc<str>, Vec<(Rpc, T)>>);

impl<T> Default for Cells<T> {
    fn default() -> Cells<T> {
        Cells(HashMap::new())
    }
}

impl<T> Cells<T> {
    /// The cell of a model and an RPC, created if missing.
    pub(super) fn entry(&mut self, model: &Arc<str>, rpc: Rpc, new: impl FnOnce() -> T) -> &mut T {
        if !self.0.contains_key(model) {
            self.0.insert(Arc::clone(model), Vec::new());
        }
        let cells = self.0.get_mut(model).expect("it was inserted if it was missing");
        // a handful: one for each RPC that called the model
        let place = cells.iter().position(|(known, _)| *known == rpc);
        let place = place.unwrap_or_else(|| {
            cells.push((rpc, new()));
            cells.len() - 1
        });
        &mut cells[place].1
    }

    /// All cells.
    pub(super) fn all(&self) -> impl Iterator<Item = (&Arc<str>, Rpc, &T)> {
        self.0.iter().flat_map(|(model, cells)| each(model, cells))
    }

    /// Like `all`, but mutable.
    #[cfg(feature = "telemetry")]
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = (&Arc<str>, Rpc, &mut T)> {
        self.0.iter_mut().flat_map(|(model, cells)| {
            let cells = cells.iter_mut();
            cells.map(move |(rpc, cell)| (model, *rpc, cell))
        })
    }

    /// The cells of one model.
    pub(super) fn in_model(&self, model: &str) -> impl Iterator<Item = (&Arc<str>, Rpc, &T)> {
        let cells = self.0.get_key_value(model);
        cells.into_iter().flat_map(|(model, cells)| each(model, cells))
    }

    /// Like `in_model`, but mutable.
    pub(super) fn in_model_mut(&mut self, model: &str) -> impl Iterator<Item = &mut T> {
        let cells = self.0.get_mut(model).into_iter().flatten();
        cells.map(|(_, cell)| cell)
    }
}

fn each<'a, T>(
    model: &'a Arc<str>,
    cells: &'a [(Rpc, T)],
) -> impl Iterator<Item = (&'a Arc<str>, Rpc, &'a T)> {
    cells.iter().map(move |(rpc, cell)| (model, *rpc, cell))
}
