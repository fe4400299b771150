//! OpenTelemetry's own variables. Never prints their values: they may be secret.

use std::collections::BTreeMap;
use std::fmt;

/// The variables whose names start with `OTEL_`, as defined by OpenTelemetry's specification. Other programs read them
/// too, so an unknown one is not a fault. Their values may be secret and are never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OtelVariables(pub(super) BTreeMap<String, String>);

impl OtelVariables {
    /// The value of a variable. An empty one is not set, as in OpenTelemetry's specification.
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
