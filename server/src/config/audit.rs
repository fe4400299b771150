//! The settings `audit.*`: the log of who did what.

use std::path::PathBuf;

use super::audit_log::OnAuditFailure;
use super::setting::{Setting, optional, setting};
use super::token_key::TokenKey;
use super::tree::Config;
use super::values::{boolean, choice, filled, name_of, show_text, token_key};

const ON_FAILURE: &[(&str, OnAuditFailure)] = &[
    ("refuse", OnAuditFailure::Refuse),
    ("continue", OnAuditFailure::Continue),
];

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
