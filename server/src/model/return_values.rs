//! What a write returns of the item.

/// What a write returns of the item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnValues {
    /// Nothing.
    #[default]
    None,
    /// The item before the write.
    AllOld,
    /// The item after the write.
    AllNew,
    /// The updated attributes before the write.
    UpdatedOld,
    /// The updated attributes after the write.
    UpdatedNew,
}

impl ReturnValues {
    /// Whether it is about the item before the update.
    pub const fn is_old(self) -> bool {
        match self {
            ReturnValues::AllOld | ReturnValues::UpdatedOld => true,
            ReturnValues::None | ReturnValues::AllNew | ReturnValues::UpdatedNew => false,
        }
    }

    /// Whether it is about the item after the update.
    pub const fn is_new(self) -> bool {
        match self {
            ReturnValues::AllNew | ReturnValues::UpdatedNew => true,
            ReturnValues::None | ReturnValues::AllOld | ReturnValues::UpdatedOld => false,
        }
    }
}
