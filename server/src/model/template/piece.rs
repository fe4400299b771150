//! A piece of a template: literal text or a part.

use super::part::Part;

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text that is the same in all keys.
    Literal(String),
    /// The value of an attribute.
    Part(Part),
}
