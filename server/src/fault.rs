//! What is wrong with something that came from outside, and where. Knows nothing else.

use std::fmt;

/// One fault: `field` is its path from the request's field down (`item.address.lines[2]`), `description` says what
/// would be right. Neither holds a value of the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The path of the field.
    pub field: String,
    /// What is wrong, in lower case, no full stop.
    pub description: String,
}

impl Fault {
    /// A fault at a field.
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Fault {
        Fault { field: field.into(), description: description.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.description)
    }
}
