//! Opens the audit log, and has changes of what decides about calls written to it.

use super::error::Error;
use crate::audit::{Audit, AuditKey, OnFailure, Settings};
use crate::config::{Config, OnAuditFailure};
use crate::identity::Authenticator;
use crate::policy::Policies;
use crate::tls::Certificates;

/// The log of the settings; `None`: calls are not audited. Changes of policies, tokens, keys and certificates are written
/// to it.
pub(super) fn open(
    config: &Config,
    policies: &Policies,
    authenticator: Option<&Authenticator>,
    tls: Option<&Certificates>,
) -> Result<Option<Audit>, Error> {
    let settings = &config.audit;
    if settings.otlp {
        return Err(Error::AuditOtlp);
    }
    let Some((file, key)) = settings.file.clone().zip(settings.key.as_ref()) else {
        return Ok(None);
    };
    let log = Audit::open(Settings {
        file,
        key: AuditKey::new(key.bytes()),
        chain: settings.chain,
        on_failure: match settings.on_failure {
            OnAuditFailure::Refuse => OnFailure::Refuse,
            OnAuditFailure::Continue => OnFailure::Continue,
        },
    })?;
    observe(&log, policies, authenticator, tls);
    Ok(Some(log))
}

fn observe(
    audit: &Audit,
    policies: &Policies,
    authenticator: Option<&Authenticator>,
    tls: Option<&Certificates>,
) {
    let writes = |what: &'static str| {
        let audit = audit.clone();
        move || audit.changed(what)
    };
    policies.on_change().set(writes("ReloadPolicies"));
    if let Some(authenticator) = authenticator {
        authenticator.on_change().set(writes("ReloadCredentials"));
    }
    if let Some(tls) = tls {
        tls.on_change().set(writes("ReloadCertificates"));
    }
}
