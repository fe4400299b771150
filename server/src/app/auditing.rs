//! Opens the audit log, and has changes of what decides about calls written to it.

use super::error::Error;
use crate::audit::{Audit, AuditKey, OnFailure, Outlet, Settings};
use crate::config::{Config, OnAuditFailure};
use crate::identity::Authenticator;
use crate::policy::Policies;
use crate::telemetry::{AuditLines, Telemetry};
use crate::tls::Certificates;

/// What is missing for `audit.otlp`.
const NOT_EXPORTED: &str = match cfg!(feature = "telemetry") {
    true => {
        "requires an OTLP endpoint for log records, which is not set or cannot be used; set OTEL_EXPORTER_OTLP_ENDPOINT or \
         OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"
    }
    false => "is not supported by this build, which has no telemetry; set audit.file",
};

/// Lines as log records on their way to a collector.
struct Exported(AuditLines);

impl Outlet for Exported {
    fn has_room(&self) -> bool {
        self.0.has_room()
    }

    fn put(&self, seq: u64, line: String) {
        self.0.put(seq, line);
    }
}

fn outlet(telemetry: &Telemetry) -> Result<Box<dyn Outlet>, Error> {
    let lines = telemetry.audit_lines().ok_or(Error::AuditOtlp(NOT_EXPORTED))?;
    Ok(Box::new(Exported(lines)))
}

/// The log of the settings; `None`: calls are not audited. Changes of policies, tokens, keys and certificates are written
/// to it.
pub(super) fn open(
    config: &Config,
    telemetry: &Telemetry,
    (policies, authenticator, tls): (&Policies, Option<&Authenticator>, Option<&Certificates>),
) -> Result<Option<Audit>, Error> {
    let settings = &config.audit;
    let outlet = match settings.otlp {
        true => Some(outlet(telemetry)?),
        false => None,
    };
    let Some(key) = settings.key.as_ref() else {
        return Ok(None);
    };
    let log = Audit::open(Settings {
        file: settings.file.clone(),
        outlet,
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
