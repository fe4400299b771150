//! The actions that policies name: one per RPC, and those on fields.

use std::fmt;

/// The types of resources that an action applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AppliesTo {
    /// A model.
    Model,
    /// A field of a model.
    Field,
    /// The server.
    Server,
    /// A session.
    Session,
    /// A session, or the server.
    Totals,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident: $group:expr, $applies_to:ident;)*) => {
        /// An action. Ordered by group.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $action,)*
        }

        impl Action {
            /// All actions.
            pub const ALL: [Action; [$(stringify!($action)),*].len()] = [$(Action::$action),*];

            /// The id of the action in policies.
            pub const fn name(self) -> &'static str {
                match self { $(Action::$action => stringify!($action),)* }
            }

            /// The group that it belongs to.
            pub const fn group(self) -> Option<&'static str> {
                match self { $(Action::$action => $group,)* }
            }

            /// The resources that it applies to.
            pub(super) const fn applies_to(self) -> AppliesTo {
                match self { $(Action::$action => AppliesTo::$applies_to,)* }
            }
        }
    };
}

const READ: Option<&str> = Some("read");
const WRITE: Option<&str> = Some("write");
const METRICS: Option<&str> = Some("metrics");

actions! {
    /// Reads items by their keys.
    BatchGet: READ, Model;
    /// Reads the content of an object.
    Download: READ, Model;
    /// Reads an item.
    Get: READ, Model;
    /// Reads the schema of a model.
    GetModel: READ, Model;
    /// Lists the models.
    ListModels: READ, Server;
    /// Signs a URL to read an object.
    PresignGet: READ, Model;
    /// Reads items of one partition.
    Query: READ, Model;
    /// Reads a field.
    ReadField: READ, Field;
    /// Reads items of a whole table or index.
    Scan: READ, Model;
    /// Reads items as they are at one moment.
    TransactGet: READ, Model;
    /// Writes items, each for itself.
    BatchWrite: WRITE, Model;
    /// Removes an item.
    Delete: WRITE, Model;
    /// Signs a URL to upload an object.
    PresignPut: WRITE, Model;
    /// Drops the data keys that are kept beyond their calls.
    FlushKeys: WRITE, Server;
    /// Writes an item.
    Save: WRITE, Model;
    /// Removes objects that no item points to.
    Sweep: WRITE, Server;
    /// Writes items together, or none.
    TransactWrite: WRITE, Model;
    /// Changes attributes of an item.
    Update: WRITE, Model;
    /// Writes an item with contents that arrive in chunks.
    Upload: WRITE, Model;
    /// Sets or removes a field.
    WriteField: WRITE, Field;
    /// Returns the bill of a call.
    GetCallMetrics: METRICS, Session;
    /// Returns the totals of a session, a model or the server.
    GetTotalMetrics: METRICS, Totals;
    /// Sets totals to zero.
    ResetMetrics: METRICS, Totals;
    /// Reads items of all tenants.
    CrossTenant: None, Model;
}

impl Action {
    /// The groups of actions.
    pub const GROUPS: [&str; 3] = ["read", "write", "metrics"];

    /// The action with this id.
    pub fn from_name(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }

    /// Its position in [`Action::ALL`].
    pub(super) const fn position(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_the_list() {
        for (position, action) in Action::ALL.into_iter().enumerate() {
            assert_eq!(action.position(), position);
            assert_eq!(Action::from_name(action.name()), Some(action));
        }
        assert_eq!(Action::from_name("read"), None);
    }
}
