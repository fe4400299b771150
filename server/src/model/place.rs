//! Where an attribute is declared, which decides the options that it can have.

use super::limits::{MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES};

/// Where an attribute is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the model, as a key of the table.
    Key(KeyRole),
    /// In the model.
    Model,
    /// In a map.
    Field,
    /// As the members of a list.
    Member,
}

/// Which key an attribute is.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyRole {
    Partition,
    Sort,
}

impl Place {
    /// The key, if the attribute is one of the table's.
    pub(super) fn key(self) -> Option<KeyRole> {
        match self {
            Place::Key(role) => Some(role),
            Place::Model | Place::Field | Place::Member => None,
        }
    }

    /// Whether it is inside a map or list.
    pub(super) fn is_nested(self) -> bool {
        matches!(self, Place::Field | Place::Member)
    }
}

impl KeyRole {
    pub(super) fn name(self) -> &'static str {
        match self {
            KeyRole::Partition => "the partition key",
            KeyRole::Sort => "the sort key",
        }
    }

    /// Maximum bytes of the key's value.
    pub(super) fn max_bytes(self) -> usize {
        match self {
            KeyRole::Partition => MAX_PARTITION_KEY_BYTES,
            KeyRole::Sort => MAX_SORT_KEY_BYTES,
        }
    }
}
