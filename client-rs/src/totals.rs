//! Totals of sessions, models and the server, bills of finished calls, and the models being served.

use std::collections::HashMap;
use std::time::SystemTime;

use tollgate_proto::v1;

use crate::retry::Effect;
use crate::{Client, Error, Session};

pub use tollgate_proto::v1::{Attribute, GetCallMetricsResponse as FinishedCall, Model, OperationMetrics};

/// Whose totals: a session's, a model's, both, or, as by default, the whole server's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// A session's name.
    pub session: Option<String>,
    /// A model's name.
    pub model: Option<String>,
}

/// What the calls of a scope cost; each of the two maps sums to `total` exactly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    /// The sum over all calls.
    pub total: OperationMetrics,
    /// By model name; `_` for calls that named no served model.
    pub by_model: HashMap<String, OperationMetrics>,
    /// By RPC name.
    pub by_operation: HashMap<String, OperationMetrics>,
    /// Since when the scope is being counted.
    pub since: Option<SystemTime>,
}

impl Client {
    /// The totals of a scope.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_SESSION` where nobody used the session, `UNKNOWN_MODEL` where the model is not served.
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

    /// Zeroes a scope and answers what it held; no call is lost or counted twice between the two.
    ///
    /// # Errors
    ///
    /// As [`Client::totals`].
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

    /// The bill of a finished call by its request id, also of one that got no trailers.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_REQUEST` where no such call finished, or its bill was forgotten.
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

    /// The models being served, by name.
    ///
    /// # Errors
    ///
    /// What the connection says.
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
    /// `UNKNOWN_MODEL` where it is not served.
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
    /// What the session's calls cost so far.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_SESSION` where nobody used it.
    pub async fn total(&self) -> Result<OperationMetrics, Error> {
        Ok(self.totals(self.scope()).await?.total)
    }

    /// Zeroes the session's totals and answers what they were.
    ///
    /// # Errors
    ///
    /// `UNKNOWN_SESSION` where nobody used it.
    pub async fn reset(&self) -> Result<OperationMetrics, Error> {
        self.reset_totals(self.scope()).await
    }

    /// This session, as a scope.
    pub fn scope(&self) -> Scope {
        Scope {
            session: Some(self.name().to_owned()),
            model: None,
        }
    }
}
