//! Totals of sessions, models and the server, bills of finished calls, and the served models.

use std::collections::HashMap;
use std::time::SystemTime;

use tollgate_proto::v1;

use crate::retry::Effect;
use crate::{Client, Error, Session};

pub use tollgate_proto::v1::{Attribute, GetCallMetricsResponse as FinishedCall, Model, OperationMetrics};

/// The scope of totals: a session, a model, both, or (by default) the whole server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The name of a session.
    pub session: Option<String>,
    /// The name of a model.
    pub model: Option<String>,
}

/// The cost of all calls in a scope. Each of the two maps adds up to exactly `total`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// The sum over all calls.
    pub total: OperationMetrics,
    /// By model name; `_` for calls that named no served model.
    pub by_model: HashMap<String, OperationMetrics>,
    /// By RPC name.
    pub by_operation: HashMap<String, OperationMetrics>,
    /// When counting started.
    pub since: Option<SystemTime>,
}

impl Client {
    /// The totals of a scope.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_SESSION` if the session was never used, `UNKNOWN_MODEL` if the model is not served.
    pub async fn totals(&self, scope: Scope) -> Result<Totals, Error> {
        let request = v1::GetTotalMetricsRequest {
            session: scope.session.unwrap_or_default(),
            model: scope.model.unwrap_or_default(),
        };
        let send = |request| {
            let mut service = self.totals_service();
            async move { service.get_total_metrics(request).await }
        };
        let response = self.unary(Effect::Read, request, send).await?.value;
        Ok(Totals {
            total: response.total.unwrap_or_default(),
            by_model: response.by_model,
            by_operation: response.by_operation,
            since: response.since.and_then(|since| SystemTime::try_from(since).ok()),
        })
    }

    /// Resets a scope and returns its previous totals. This is atomic: no call is lost or counted twice.
    ///
    /// # Errors
    ///
    /// Like [`Client::totals`].
    pub async fn reset_totals(&self, scope: Scope) -> Result<OperationMetrics, Error> {
        let request = v1::ResetMetricsRequest {
            session: scope.session.unwrap_or_default(),
            model: scope.model.unwrap_or_default(),
        };
        let send = |request| {
            let mut service = self.totals_service();
            async move { service.reset_metrics(request).await }
        };
        Ok(self
            .unary(Effect::Write, request, send)
            .await?
            .value
            .cleared
            .unwrap_or_default())
    }

    /// The bill of a finished call, by its request id. Also available for calls whose client received no trailers.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_REQUEST` if no such call finished, or if its bill is no longer kept.
    pub async fn call_metrics(&self, request_id: impl Into<String>) -> Result<FinishedCall, Error> {
        let request = v1::GetCallMetricsRequest {
            request_id: request_id.into(),
        };
        let send = |request| {
            let mut service = self.totals_service();
            async move { service.get_call_metrics(request).await }
        };
        Ok(self.unary(Effect::Read, request, send).await?.value)
    }

    /// The served models, by name.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached.
    pub async fn models(&self) -> Result<Vec<Model>, Error> {
        let send = |request| {
            let mut service = self.schema();
            async move { service.list_models(request).await }
        };
        Ok(self
            .unary(Effect::Read, v1::ListModelsRequest {}, send)
            .await?
            .value
            .models)
    }

    /// One model with its attributes.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_MODEL` if it is not served.
    pub async fn model(&self, name: impl Into<String>) -> Result<Model, Error> {
        let request = v1::GetModelRequest { name: name.into() };
        let send = |request| {
            let mut service = self.schema();
            async move { service.get_model(request).await }
        };
        Ok(self
            .unary(Effect::Read, request, send)
            .await?
            .value
            .model
            .unwrap_or_default())
    }
}

impl Session {
    /// The cost of the session's calls so far.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_SESSION` if it was never used.
    pub async fn total(&self) -> Result<OperationMetrics, Error> {
        Ok(self.totals(self.scope()).await?.total)
    }

    /// Resets the session's totals and returns the previous ones.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_SESSION` if it was never used.
    pub async fn reset(&self) -> Result<OperationMetrics, Error> {
        self.reset_totals(self.scope()).await
    }

    /// The scope of this session.
    pub fn scope(&self) -> Scope {
        Scope {
            session: Some(self.name().to_owned()),
            model: None,
        }
    }
}
