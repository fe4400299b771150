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
}
