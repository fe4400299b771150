//! An action that is not permitted, as callers see it: never the text of a policy.

use std::fmt;
use std::sync::Arc;

use cedar_policy::EntityUid;

use super::action::Action;

/// The namespace of all entities.
const NAMESPACE: &str = "Tollgate::";
/// Characters of a resource that an error shows.
const MAX_SHOWN_CHARACTERS: usize = 200;

/// An action that is not permitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The action.
    pub action: Action,
    /// The resource, as policies name it, without the namespace.
    pub resource: String,
    /// The names of the policies that denied it, for the audit log; none: nothing permitted it.
    pub policies: Arc<[String]>,
}

impl Denied {
    pub(super) fn new(action: Action, resource: &EntityUid) -> Denied {
        let text = resource.to_string();
        let shown = text.strip_prefix(NAMESPACE).unwrap_or(&text);
        Denied {
            action,
            resource: match shown.char_indices().nth(MAX_SHOWN_CHARACTERS) {
                Some((end, _)) => format!("{}…", &shown[..end]),
                None => shown.to_owned(),
            },
            policies: Arc::default(),
        }
    }

    /// The same, by these policies.
    pub(super) fn by(self, policies: Arc<[String]>) -> Denied {
        Denied { policies, ..self }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "the caller is not authorized to perform {} on {}",
            self.action, self.resource
        )
    }
}

impl std::error::Error for Denied {}
