//! What calls cost, as messages.

use std::sync::Arc;

use tollgate_proto::v1;

use crate::billing::{FinishedCall, Totals};

/// The totals of a scope.
pub(crate) fn totals(totals: Totals) -> v1::GetTotalMetricsResponse {
    v1::GetTotalMetricsResponse {
        total: Some(totals.total.into()),
        by_model: totals
            .by_model
            .into_iter()
            .map(|(model, bill)| (model.to_string(), bill.into()))
            .collect(),
        by_operation: totals
            .by_operation
            .into_iter()
            .map(|(rpc, bill)| (rpc.name().to_owned(), bill.into()))
            .collect(),
        since: Some(totals.since.into()),
    }
}

/// The bill of one call.
pub(crate) fn finished_call(finished: FinishedCall) -> v1::GetCallMetricsResponse {
    let text = |name: &Option<Arc<str>>| name.as_deref().unwrap_or_default().to_owned();
    v1::GetCallMetricsResponse {
        request_id: finished.request_id.to_string(),
        rpc: finished.rpc.name().to_owned(),
        model: text(&finished.model),
        session: text(&finished.session),
        code: finished.code as i32 as u32,
        started: Some(finished.started_at.into()),
        duration_ms: finished.bill.wall_us as f64 / 1000.0,
        metrics: Some(finished.bill.into()),
    }
}
