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
