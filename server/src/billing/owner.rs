//! Whose calls and sessions these are: what belongs to one caller does not exist for others.

use std::sync::Arc;

use crate::caller::Caller;

/// The owner of calls and sessions.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner([u8; 32]);

impl Owner {
    /// All callers together, as long as they are not authenticated.
    pub const EVERYONE: Owner = Owner([0; 32]);
    /// Callers whose credential was refused: nothing is kept for them.
    pub const NOBODY: Owner = Owner([0xff; 32]);

    /// The owner of a caller's calls; `None` if callers are not authenticated.
    pub fn of(caller: Option<&Caller>) -> Owner {
        caller.map_or(Owner::EVERYONE, |caller| Owner(*caller.id()))
    }
}

/// The name of a session or a request. Two owners may use the same one without meeting.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Owned {
    pub(super) owner: Owner,
    pub(super) name: Arc<str>,
}

impl Owned {
    pub(super) fn new(owner: Owner, name: &str) -> Owned {
        Owned {
            owner,
            name: Arc::from(name),
        }
    }
}

impl std::fmt::Debug for Owner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Owner")
    }
}
