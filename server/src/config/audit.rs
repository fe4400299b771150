//! The settings `audit.*`: the log of who did what.

use std::path::PathBuf;

use super::setting::{Setting, optional, setting};
use super::token_key::TokenKey;
use super::tree::Config;
use super::values::{boolean, choice, filled, name_of, show_text, token_key};

const ON_FAILURE: &[(&str, OnAuditFailure)] = &[
    ("refuse", OnAuditFailure::Refuse),
    ("continue", OnAuditFailure::Continue),
];

/// The audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The file of the log. `None`: calls are not audited.
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
            requires("audit.key", self.key.is_some(), "audit.file", has_log),
            requires("audit.chain", self.chain, "audit.file", has_file),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

pub(super) const FILE: Setting = optional(
    "audit.file",
    |config, raw| {
        config.audit.file = Some(PathBuf::from(filled(raw)?));
        Ok(())
    },
    |config| config.audit.file.as_ref().map(|path| show_text(path.display())),
);

pub(super) const OTLP: Setting = setting(
    "audit.otlp",
    |config, raw| {
        config.audit.otlp = boolean(raw)?;
        Ok(())
    },
    |config| config.audit.otlp.to_string(),
);

pub(super) const KEY: Setting = optional("audit.key", read_key, |config| {
    config.audit.key.as_ref().map(|key| show_text(format!("{key:?}")))
});

pub(super) const CHAIN: Setting = setting(
    "audit.chain",
    |config, raw| {
        config.audit.chain = boolean(raw)?;
        Ok(())
    },
    |config| config.audit.chain.to_string(),
);

pub(super) const ON_FAILURE_SETTING: Setting = setting(
    "audit.on_failure",
    |config, raw| {
        config.audit.on_failure = choice(raw.text()?, ON_FAILURE)?;
        Ok(())
    },
    |config| name_of(config.audit.on_failure, ON_FAILURE).to_owned(),
);

fn read_key(config: &mut Config, raw: &super::values::Raw) -> Result<(), String> {
    config.audit.key = Some(token_key(raw)?);
    Ok(())
}

/// Parses a key as the settings have it.
///
/// # Errors
///
/// What is expected.
pub fn parse_key(text: &str) -> Result<TokenKey, String> {
    token_key(&super::values::Raw::Text(text.to_owned()))
}
