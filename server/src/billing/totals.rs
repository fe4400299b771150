//! Totals of a scope, as MetricsService returns them. By model, by RPC and in total are the same sum.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::figure::{Bill, Rpc};

/// The scope to report or to reset; both empty: the whole server.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// A session's name.
    pub session: Option<String>,
    /// A model's name.
    pub model: Option<String>,
}

/// Totals of a scope; each of the two maps sums to `total` exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// The sum over all calls.
    pub total: Bill,
    /// By model name; [`NO_MODEL`](crate::figure::NO_MODEL) for calls that named no served model.
    pub by_model: BTreeMap<Arc<str>, Bill>,
    /// By RPC.
    pub by_operation: BTreeMap<Rpc, Bill>,
    /// Since when the scope is being counted: its first call, its last reset, or the server's start.
    pub since: SystemTime,
}

/// The sum of one model and RPC, and since when it is counted.
#[derive(Debug)]
pub(super) struct Row<'a, B> {
    pub(super) model: &'a Arc<str>,
    pub(super) rpc: Rpc,
    pub(super) since: SystemTime,
    pub(super) bill: B,
}

impl Totals {
    /// Sums rows up. With `from_first`, the totals count since the first row's time instead of `opened`.
    pub(super) fn sum<'a, B: Borrow<Bill>>(
        rows: impl Iterator<Item = Row<'a, B>>,
        opened: SystemTime,
        from_first: bool,
    ) -> Totals {
        let mut totals = Totals {
            total: Bill::default(),
            by_model: BTreeMap::new(),
            by_operation: BTreeMap::new(),
            since: opened,
        };
        let mut first: Option<SystemTime> = None;
        for row in rows {
            let bill = row.bill.borrow();
            totals.total += bill;
            *totals.by_model.entry(Arc::clone(row.model)).or_default() += bill;
            *totals.by_operation.entry(row.rpc).or_default() += bill;
            first = Some(first.map_or(row.since, |first| first.min(row.since)));
        }
        if let Some(first) = first.filter(|_| from_first) {
            totals.since = first;
        }
        totals
    }
}
