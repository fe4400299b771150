//! What writes do with undeclared attributes: the option `unknown_attributes`.

/// What a write does with undeclared attributes. Reads always return them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownAttributes {
    /// Fail with INVALID_ARGUMENT.
    #[default]
    Reject,
    /// Store them unchanged.
    Keep,
    /// Leave them out.
    Drop,
}

impl UnknownAttributes {
    /// All of them, by their names in model files.
    pub(super) const CHOICES: &[(&str, UnknownAttributes)] = &[
        (UnknownAttributes::Reject.as_str(), UnknownAttributes::Reject),
        (UnknownAttributes::Keep.as_str(), UnknownAttributes::Keep),
        (UnknownAttributes::Drop.as_str(), UnknownAttributes::Drop),
    ];

    /// The name in model files.
    pub const fn as_str(self) -> &'static str {
        match self {
            UnknownAttributes::Reject => "reject",
            UnknownAttributes::Keep => "keep",
            UnknownAttributes::Drop => "drop",
        }
    }
}
