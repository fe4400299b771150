//! `MetricsService`: what calls cost, in total and one by one.

use std::sync::Arc;

use tollgate_proto::v1::metrics_service_server::MetricsService;
use tollgate_proto::{Reason, v1};
use tonic::{Request, Response, Status};

use super::authorized::{authorize, caller, unknown_model};
use super::{encode, status};
use crate::billing::{Accounting, Owner, Scope};
use crate::caller::Caller;
use crate::fault::Fault;
use crate::operation::Gateway;
use crate::policy::{Action, Resource};

/// Returns what calls cost.
pub struct Metrics {
    accounting: Arc<Accounting>,
    gateway: Arc<Gateway>,
}

impl Metrics {
    /// The service over the accounting, for the models being served.
    pub fn new(accounting: Arc<Accounting>, gateway: Arc<Gateway>) -> Metrics {
        Metrics { accounting, gateway }
    }

    /// The totals that a request names, if its caller may do this with them.
    fn scope(
        &self,
        caller: Option<&Caller>,
        action: Action,
        session: String,
        model: String,
    ) -> Result<Scope, Status> {
        let resource = match session.as_str() {
            "" => Resource::Server,
            session => Resource::Session(session),
        };
        authorize(&self.gateway, caller, action, &resource)?;
        if !model.is_empty() && self.gateway.models.get(&model).is_none() {
            return Err(unknown_model(&self.gateway, &model));
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
    Owner::of(caller(request))
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
        let v1::GetTotalMetricsRequest { session, model } = request.get_ref().clone();
        let scope = self.scope(caller(&request), Action::GetTotalMetrics, session, model)?;
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
        let v1::ResetMetricsRequest { session, model } = request.get_ref().clone();
        let scope = self.scope(caller(&request), Action::ResetMetrics, session, model)?;
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
        let request_id = request.get_ref().request_id.clone();
        if request_id.is_empty() {
            let fault = Fault::new("request_id", "is required");
            return Err(status::invalid(Reason::InvalidField, fault));
        }
        let finished = self.accounting.finished(owner, &request_id);
        // a bill of no session is one of the session without a name
        let session = finished.as_ref().and_then(|finished| finished.session.as_deref());
        let resource = Resource::Session(session.unwrap_or_default());
        authorize(&self.gateway, caller(&request), Action::GetCallMetrics, &resource)?;
        let Some(finished) = finished else {
            return Err(status::unknown_resource(
                Reason::UnknownRequest,
                "request",
                &request_id,
            ));
        };
        Ok(Response::new(encode::finished_call(finished)))
    }
}
