//! What a page contains of its items.

use aws_sdk_dynamodb::types::Select;

/// What a page contains of its items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selected {
    /// The attributes that the projection names, or those that the table or index has.
    #[default]
    Attributes,
    /// All attributes, also those that a local index must read from the table.
    AllAttributes,
    /// Only their number.
    Count,
}

impl Selected {
    pub(super) fn to_sdk(self) -> Option<Select> {
        match self {
            Selected::Attributes => None,
            Selected::AllAttributes => Some(Select::AllAttributes),
            Selected::Count => Some(Select::Count),
        }
    }
}
