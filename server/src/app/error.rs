//! Why the gateway cannot start, or stopped.

use crate::audit;
use crate::aws;
#[cfg(feature = "embedded")]
use crate::embedded;
use crate::identity;
use crate::model::ModelFault;
use crate::policy;
use crate::serve;
use crate::tls;
use crate::yaml::Fault;

/// Why the gateway cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The model files are invalid.
    #[error("the models have {} errors", .0.len())]
    Models(Vec<ModelFault>),
    /// The policies are invalid.
    #[error("the policies have {} errors", .0.len())]
    Policies(Vec<policy::Fault>),
    /// Policies decide about callers, and there are none.
    #[error(
        "policies requires auth, which is not set: without it no caller has an identity that policies could permit anything"
    )]
    PoliciesWithoutAuth,
    /// The audit log cannot be opened.
    #[error("{0}")]
    Audit(#[from] audit::Error),
    /// Audit lines cannot be exported.
    #[error("audit.otlp: {0}")]
    AuditOtlp(&'static str),
    /// The price book is invalid.
    #[error("the price book has {} errors", .0.len())]
    Prices(Vec<Fault>),
    /// The embedded engines cannot be opened.
    #[cfg(feature = "embedded")]
    #[error("{0}")]
    Embedded(#[from] embedded::Error),
    /// This build has no embedded engines.
    #[error("this build has no embedded engines; use --backend aws")]
    NoEngines,
    /// A table, bucket or key that the models need cannot be created.
    #[error("{0}")]
    Provision(#[from] aws::ProvisionError),
    /// The AWS settings are incomplete or contradict each other.
    #[error("{0}")]
    Aws(#[from] aws::SetupError),
    /// The listener cannot be opened.
    #[error("{0}")]
    Serve(#[from] serve::Error),
    /// The certificates or keys of the listener cannot be used.
    #[error("{0}")]
    Tls(#[from] tls::Error),
    /// The files that identify callers cannot be used.
    #[error("{0}")]
    Identity(#[from] identity::SetupError),
    /// A model remembers request ids, for which all replicas need the same key.
    #[error(
        "the model {model} has `idempotency`: set token_key, the same on all replicas, so that they recognise the \
         request ids of each other"
    )]
    NoTokenKey {
        /// The model.
        model: String,
    },
    /// The items of a model belong to tenants, but callers have no identity.
    #[error("the model {model} has `tenant`: set `auth`, so that callers have tenants")]
    NoAuth {
        /// The model.
        model: String,
    },
    /// The settings of the sweeper contradict those of calls.
    #[error("{0}")]
    Sweep(String),
    /// The system random source failed.
    #[error("the system random source failed")]
    Random,
}

impl Error {
    /// Whether the settings themselves are invalid, not what they refer to.
    pub fn is_invalid_setting(&self) -> bool {
        matches!(
            self,
            Error::Serve(serve::Error::Insecure { .. })
                | Error::Tls(_)
                | Error::Identity(_)
                | Error::NoTokenKey { .. }
                | Error::NoAuth { .. }
                | Error::PoliciesWithoutAuth
                | Error::AuditOtlp(_)
                | Error::Sweep(_)
        )
    }
}
