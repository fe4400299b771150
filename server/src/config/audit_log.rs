//! What the settings say of the audit log, and which of them contradict each other.

use std::path::PathBuf;

use super::token_key::TokenKey;

/// The audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The file of the log. `None`: there is none; without `otlp` calls are not audited.
    pub file: Option<PathBuf>,
    /// Whether lines are exported over OTLP.
    pub otlp: bool,
    /// The key of its HMACs.
    pub key: Option<TokenKey>,
    /// Whether its lines are chained.
    pub chain: bool,
    /// What happens to calls if a line cannot be written.
    pub on_failure: OnAuditFailure,
}

/// What happens to calls if a line of the audit log cannot be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAuditFailure {
    /// They are refused before they start.
    #[default]
    Refuse,
    /// They go on.
    Continue,
}

/// What makes an audit log.
const LOG: &str = "audit.file or audit.otlp";

impl Audit {
    /// The settings that contradict each other.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let (has_file, has_log) = (self.file.is_some(), self.file.is_some() || self.otlp);
        let requires = |path, is_set: bool, required: &str, has_required: bool| {
            (is_set && !has_required).then(|| (path, format!("requires {required}, which is not set")))
        };
        [
            requires("audit.file", has_file, "audit.key", self.key.is_some()),
            requires("audit.otlp", self.otlp, "audit.key", self.key.is_some()),
            requires("audit.key", self.key.is_some(), LOG, has_log),
            requires("audit.chain", self.chain, LOG, has_log),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
