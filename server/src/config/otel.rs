//! OpenTelemetry's own variables. Never prints their values: they may be secret.

use std::collections::BTreeMap;
use std::fmt;

/// The variables whose names begin with `OTEL_`, as OpenTelemetry's specification has them; others read them too, so
/// none is a fault here. Their values may be secret and are never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OtelVariables(pub(super) BTreeMap<String, String>);

impl OtelVariables {
    /// A variable's value; one that is empty is not set, as OpenTelemetry has it.
    pub fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.trim();
        if value.is_empty() { None } else { Some(value) }
    }
}

impl fmt::Debug for OtelVariables {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.0.keys()).finish()
    }
}
