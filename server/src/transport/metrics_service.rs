//! `MetricsService`: what calls cost, in total and one by one.

use std::sync::Arc;

use tollgate_proto::v1::metrics_service_server::MetricsService;
use tollgate_proto::{Reason, v1};
use tonic::{Request, Response, Status};

use super::{encode, status};
use crate::billing::{Accounting, Owner, Scope};
use crate::caller::Caller;
use crate::fault::Fault;
use crate::model::Served;

/// Returns what calls cost.
pub struct Metrics {
    accounting: Arc<Accounting>,
    models: Served,
}

impl Metrics {
    /// The service over the accounting, for the models being served.
    pub fn new(accounting: Arc<Accounting>, models: Served) -> Metrics {
        Metrics { accounting, models }
    }

    fn scope(&self, session: String, model: String) -> Result<Scope, Status> {
        if !model.is_empty() && self.models.get(&model).is_none() {
            return Err(status::unknown_model(&model, &self.models.all().near(&model)));
        }
        let given = |name: String| (!name.is_empty()).then_some(name);
        Ok(Scope {
            session: given(session),
            model: given(model),
        })
    }
}

/// Whose sessions and bills a request may see: those of its caller.
fn owner<T>(request: &Request<T>) -> Owner {
    let caller: Option<&Arc<Caller>> = request.extensions().get();
    Owner::of(caller.map(AsRef::as_ref))
}

fn unknown_session(scope: &Scope) -> Status {
    status::unknown_resource(
        Reason::UnknownSession,
        "session",
        scope.session.as_deref().unwrap_or_default(),
    )
}

#[tonic::async_trait]
impl MetricsService for Metrics {
    async fn get_total_metrics(
        &self,
        request: Request<v1::GetTotalMetricsRequest>,
    ) -> Result<Response<v1::GetTotalMetricsResponse>, Status> {
        let owner = owner(&request);
        let v1::GetTotalMetricsRequest { session, model } = request.into_inner();
        let scope = self.scope(session, model)?;
        let totals = self
            .accounting
            .totals(owner, &scope)
            .ok_or_else(|| unknown_session(&scope))?;
        Ok(Response::new(encode::totals(totals)))
    }

    async fn reset_metrics(
        &self,
        request: Request<v1::ResetMetricsRequest>,
    ) -> Result<Response<v1::ResetMetricsResponse>, Status> {
        let owner = owner(&request);
        let v1::ResetMetricsRequest { session, model } = request.into_inner();
        let scope = self.scope(session, model)?;
        let cleared = self
            .accounting
            .reset(owner, &scope)
            .ok_or_else(|| unknown_session(&scope))?;
        Ok(Response::new(v1::ResetMetricsResponse {
            cleared: Some(cleared.into()),
        }))
    }

    async fn get_call_metrics(
        &self,
        request: Request<v1::GetCallMetricsRequest>,
    ) -> Result<Response<v1::GetCallMetricsResponse>, Status> {
        let owner = owner(&request);
        let request_id = request.into_inner().request_id;
        if request_id.is_empty() {
            let fault = Fault::new("request_id", "is required");
            return Err(status::invalid(Reason::InvalidField, fault));
        }
        let Some(finished) = self.accounting.finished(owner, &request_id) else {
            return Err(status::unknown_resource(
                Reason::UnknownRequest,
                "request",
                &request_id,
            ));
        };
        Ok(Response::new(encode::finished_call(finished)))
    }
}
