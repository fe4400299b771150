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
    pub fn new(field: impl fmt::Display, description: impl Into<String>) -> Fault {
        Fault {
            field: field.to_string(),
            description: description.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.description)
    }
}

/// A path that costs nothing until a fault prints it: `item.address.lines[2]`; names that are not plain are quoted,
/// `item["a.b"]`.
#[derive(Clone, Copy)]
pub enum Path<'a> {
    /// The request's field.
    Root(&'a str),
    /// A named part of a parent.
    Name(&'a Path<'a>, &'a str),
    /// A numbered part of a parent.
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root(name) => formatter.write_str(name),
            Path::Name(parent, name) if is_plain(name) => write!(formatter, "{parent}.{name}"),
            Path::Name(parent, name) => write!(formatter, "{parent}[{name:?}]"),
            Path::Index(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_print_as_callers_write_them() {
        let root = Path::Root("item");
        let address = Path::Name(&root, "address");
        let lines = Path::Name(&address, "lines");
        assert_eq!(Path::Index(&lines, 2).to_string(), "item.address.lines[2]");
        assert_eq!(Path::Name(&root, "a.b").to_string(), r#"item["a.b"]"#);
        assert_eq!(Path::Name(&root, "").to_string(), r#"item[""]"#);
    }
}
