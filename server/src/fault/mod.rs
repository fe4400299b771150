//! What is wrong with something that came from outside, and where. Everything here is bounded, however long the names
//! and however many the faults of a request. Knows nothing else.

mod near;
mod path;

pub use near::did_you_mean;
pub use path::Path;

use std::fmt::{self, Write as _};

use self::path::Position;

/// Bytes of a path or description; what is longer is cut.
const MAX_TEXT_BYTES: usize = 512;

/// One fault: `field` is its path from the request's field down (`item.address.lines[2]`), `description` says what
/// would be right. Neither holds a value of the caller's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The path of the field.
    pub field: String,
    /// What is wrong, in lower case, no full stop.
    pub description: String,
}

/// The faults of a request: the first ones, and how many more there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    found: Vec<Fault>,
    more: usize,
}

impl Fault {
    /// A fault at a field.
    pub fn new(field: impl fmt::Display, description: impl fmt::Display) -> Fault {
        Fault {
            field: cut(field),
            description: cut(description),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.description)
    }
}

impl Faults {
    /// Faults that are kept; the others are only counted.
    pub const MAX: usize = 100;

    /// None yet.
    pub const fn new() -> Faults {
        Faults {
            found: Vec::new(),
            more: 0,
        }
    }

    /// Adds a fault; nothing is formatted for one that is only counted.
    pub fn push(&mut self, field: impl fmt::Display, description: impl fmt::Display) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.found.push(Fault::new(field, description));
        }
    }

    /// Adds faults.
    pub fn extend(&mut self, faults: impl Into<Faults>) {
        let faults: Faults = faults.into();
        self.more += faults.more;
        for fault in faults.found {
            self.add(fault);
        }
    }

    /// Whether some were only counted.
    pub fn has_more(&self) -> bool {
        self.more > 0
    }

    /// Whether further faults are only counted.
    pub fn is_full(&self) -> bool {
        self.found.len() >= Faults::MAX
    }

    /// How many there are, those that were only counted too.
    pub fn count(&self) -> usize {
        self.found.len() + self.more
    }

    /// Puts them in the order of the request: its fields in the order of `fields`, names by their bytes, members by
    /// their index. Faults of one place stay in the order in which they were found.
    #[must_use]
    pub fn sorted(mut self, fields: &[&str]) -> Faults {
        self.found
            .sort_by_cached_key(|fault| Position::of(&fault.field, fields));
        self
    }

    /// Nothing, or all faults.
    ///
    /// # Errors
    ///
    /// These, if there are any.
    pub fn into_result(self) -> Result<(), Faults> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Without those that concern a place, or what holds it, at which `known` has a fault.
    pub(crate) fn without_those_of(mut self, known: &Faults) -> Faults {
        let hides = |fault: &Fault| {
            known
                .iter()
                .any(|other| path::is_within(&other.field, &fault.field))
        };
        self.found.retain(|fault| !hides(fault));
        self
    }

    fn add(&mut self, fault: Fault) {
        if self.is_full() {
            self.more += 1;
        } else {
            self.found.push(fault);
        }
    }
}

/// Those that are kept.
impl std::ops::Deref for Faults {
    type Target = [Fault];

    fn deref(&self) -> &[Fault] {
        &self.found
    }
}

impl From<Vec<Fault>> for Faults {
    fn from(all: Vec<Fault>) -> Faults {
        let mut faults = Faults::new();
        for fault in all {
            faults.add(fault);
        }
        faults
    }
}

impl From<&[Fault]> for Faults {
    fn from(all: &[Fault]) -> Faults {
        Faults::from(all.to_vec())
    }
}

impl From<&Vec<Fault>> for Faults {
    fn from(all: &Vec<Fault>) -> Faults {
        Faults::from(all.as_slice())
    }
}

impl<const N: usize> From<&[Fault; N]> for Faults {
    fn from(all: &[Fault; N]) -> Faults {
        Faults::from(all.as_slice())
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Faults {
        Faults {
            found: vec![fault],
            more: 0,
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.found.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{fault}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(formatter, "; and {more} more"),
        }
    }
}

/// A map's entries in the order of their names: maps have none of their own, and faults need one.
pub fn by_name<V>(map: &std::collections::HashMap<String, V>) -> Vec<(&String, &V)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(name, _)| *name);
    entries
}

/// The text of something, cut to its bound while it is being written.
fn cut(text: impl fmt::Display) -> String {
    let mut writer = Cut {
        text: String::new(),
        is_cut: false,
    };
    // an error only says that the rest is of no use
    let _ = write!(writer, "{text}");
    writer.text
}

struct Cut {
    text: String,
    is_cut: bool,
}

impl fmt::Write for Cut {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.is_cut {
            return Err(fmt::Error);
        }
        let left_bytes = MAX_TEXT_BYTES - self.text.len();
        if part.len() <= left_bytes {
            self.text.push_str(part);
            return Ok(());
        }
        self.text.push_str(&part[..part.floor_char_boundary(left_bytes)]);
        self.text.push('…');
        self.is_cut = true;
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_beyond_the_bound_are_only_counted() {
        let mut faults = Faults::new();
        for index in 0..Faults::MAX + 7 {
            faults.push(Path::Index(&Path::Root("fields"), index), "is wrong");
        }
        let more: Vec<Fault> = faults.iter().take(2).cloned().collect();
        faults.extend(more);
        assert_eq!((faults.iter().count(), faults.count()), (100, 109));
        assert!(faults.to_string().ends_with("fields[99]: is wrong; and 9 more"));
    }

    #[test]
    fn long_texts_are_cut() {
        let fault = Fault::new("ä".repeat(100_000), "x".repeat(100_000));
        assert!(fault.field.len() <= MAX_TEXT_BYTES + 3 && fault.field.ends_with("ä…"));
        assert!(fault.description.len() <= MAX_TEXT_BYTES + 3);
        assert_eq!(
            Fault::new("x".repeat(MAX_TEXT_BYTES), "").field.len(),
            MAX_TEXT_BYTES
        );
    }

    #[test]
    fn faults_come_in_the_order_of_the_request() {
        let fields = [
            "condition.values.:b",
            "item.list[10]",
            "other",
            "item.list[2]",
            "condition.text",
            "item",
            "item.a.b",
        ];
        let faults: Vec<_> = fields
            .into_iter()
            .map(|field| Fault::new(field, "is wrong"))
            .collect();
        let sorted = Faults::from(faults).sorted(&["item", "condition"]);
        let sorted: Vec<_> = sorted.iter().map(|fault| fault.field.as_str()).collect();
        assert_eq!(
            sorted,
            [
                "item",
                "item.a.b",
                "item.list[2]",
                "item.list[10]",
                "condition.text",
                "condition.values.:b",
                "other"
            ]
        );
    }

    #[test]
    fn a_fault_hides_those_of_what_holds_its_place() {
        let known = Faults::from(Fault::new("item.name_full", "is wrong"));
        let hidden = |field: &str| {
            let faults = Faults::from(Fault::new(field, "is required"));
            faults.without_those_of(&known).is_empty()
        };
        assert!(hidden("item.name_full") && hidden("item"));
        assert!(!hidden("item.name") && !hidden("item.name_full.a") && !hidden("item.name_full2"));
    }
}
