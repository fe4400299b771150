//! A decision with the policies that made it, for people. Nothing is kept.

use super::compile::Compiled;
use super::decide::{Asked, Decider, Resource};

/// A decision and the policies that made it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// Whether the action may be done.
    pub is_allowed: bool,
    /// The names of the policies that decided; none if no policy applies.
    pub policies: Vec<String>,
    /// The names of the policies that could not be evaluated, each of which denies.
    pub failed: Vec<String>,
}

impl Compiled {
    /// Decides about one action and one resource.
    pub fn explain(&self, asked: Asked<'_>, resource: &Resource<'_>) -> Explained {
        let Some(caller) = asked.caller else {
            return Explained::default();
        };
        let decider = Decider::new(self, caller, asked.context, &[asked.action], resource);
        let Ok(decider) = decider else {
            return Explained::default();
        };
        let decided = decider.decide(asked.action, resource);
        Explained {
            is_allowed: decided.is_allowed,
            policies: decided.policies,
            failed: decided.failed,
        }
    }
}
