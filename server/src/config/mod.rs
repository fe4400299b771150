//! All settings: defaults, then a file, then the environment, then flags. Read once; all faults are reported together,
//! each with its origin. The only room that reads the environment. Never prints a secret.

mod audit;
mod audit_log;
mod auth;
mod auth_faults;
mod auth_settings;
mod caller_limits;
mod default;
mod environment;
mod fault;
mod flags;
mod kms_cache;
mod layers;
mod load;
mod machine;
mod otel;
mod setting;
mod settings;
mod structured;
#[cfg(test)]
mod tests;
mod token_key;
mod tree;
mod values;

pub use audit::parse_key as parse_audit_key;
pub use audit_log::{Audit, OnAuditFailure};
pub use auth::{Auth, ClaimType, JwtAlgorithm, JwtIssuer, Membership, PublicService, TokenFile};
pub use environment::{empty_variables, environment};
pub use fault::ConfigFault;
pub use flags::Flags;
pub use otel::OtelVariables;
pub use token_key::TokenKey;
pub use tree::{
    Aws, Backend, CallerLimits, ClientCertificates, Config, Embedded, Kms, KmsCache, Limits, Log, LogFormat,
    LogLevel, Metrics, S3, Sessions, Synchronous, Telemetry, Tls, Trailer,
};
