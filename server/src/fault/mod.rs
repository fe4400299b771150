//! What is wrong with external input, and where. Bounds the number of faults and the length of their texts. Imports no
//! other room.

mod near;
mod path;

pub use near::did_you_mean;
pub use path::Path;

use std::fmt::{self, Write as _};

use self::path::Position;

/// Maximum bytes of a path or description. Longer texts are truncated.
const MAX_TEXT_BYTES: usize = 512;

/// One fault. `field` is a path that starts at a field of the request (`item.address.lines[2]`); `description` says what
/// is wrong or what would be right. Neither contains a value from the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The path of the field.
    pub field: String,
    /// What is wrong, in lower case, without a full stop.
    pub description: String,
}

/// The faults of a request: the first ones, and the number of further ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    found: Vec<Fault>,
    more: usize,
}

impl Fault {
    /// A fault at a field.
    pub fn new(field: impl fmt::Display, description: impl fmt::Display) -> Fault {
        Fault {
            field: truncated(field),
            description: truncated(description),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.description)
    }
}

impl Faults {
    /// Maximum number of faults that are kept. Further ones are only counted.
    pub const MAX: usize = 100;

    /// An empty list.
    pub const fn new() -> Faults {
        Faults {
            found: Vec::new(),
            more: 0,
        }
    }

    /// Adds a fault. One that is only counted is not formatted.
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

    /// Whether some faults were only counted.
    pub fn has_more(&self) -> bool {
        self.more > 0
    }

    /// Whether further faults are only counted.
    pub fn is_full(&self) -> bool {
        self.found.len() >= Faults::MAX
    }

    /// The number of faults, including those that were only counted.
    pub fn count(&self) -> usize {
        self.found.len() + self.more
    }

    /// Sorts the faults in the order of the request: fields in the order of `fields`, names by their bytes, members by
    /// index. Faults at the same place keep their order.
    #[must_use]
    pub fn sorted(mut self, fields: &[&str]) -> Faults {
        self.found
            .sort_by_cached_key(|fault| Position::new(&fault.field, fields));
        self
    }

    /// The same faults in a part of a larger request: their paths start with `{prefix}.`.
    #[must_use]
    pub fn under(mut self, prefix: &str) -> Faults {
        for fault in &mut self.found {
            fault.field = truncated(format_args!("{prefix}.{}", fault.field));
        }
        self
    }

    /// Fails if there are any faults.
    ///
    /// # Errors
    ///
    /// All faults.
    pub fn into_result(self) -> Result<(), Faults> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    /// Removes the faults at a place where `known` has a fault, or at a parent of such a place.
    pub(crate) fn without_known(mut self, known: &Faults) -> Faults {
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

/// The faults that are kept.
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

/// The entries of a map, sorted by name, so that faults have a stable order.
pub fn by_name<V>(map: &std::collections::HashMap<String, V>) -> Vec<(&String, &V)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(name, _)| *name);
    entries
}

/// Formats a value, truncated to [`MAX_TEXT_BYTES`].
fn truncated(text: impl fmt::Display) -> String {
    let mut writer = Truncating {
        text: String::new(),
        is_full: false,
    };
    // the writer fails only to stop formatting
    let _ = write!(writer, "{text}");
    writer.text
}

struct Truncating {
    text: String,
    is_full: bool,
}

impl fmt::Write for Truncating {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.is_full {
            return Err(fmt::Error);
        }
        let left_bytes = MAX_TEXT_BYTES - self.text.len();
        if part.len() <= left_bytes {
            self.text.push_str(part);
            return Ok(());
        }
        self.text.push_str(&part[..part.floor_char_boundary(left_bytes)]);
        self.text.push('…');
        self.is_full = true;
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_counts_faults_beyond_the_maximum() {
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
    fn truncates_long_texts() {
        let fault = Fault::new("ä".repeat(100_000), "x".repeat(100_000));
        assert!(fault.field.len() <= MAX_TEXT_BYTES + 3 && fault.field.ends_with("ä…"));
        assert!(fault.description.len() <= MAX_TEXT_BYTES + 3);
        assert_eq!(
            Fault::new("x".repeat(MAX_TEXT_BYTES), "").field.len(),
            MAX_TEXT_BYTES
        );
    }

    #[test]
    fn sorts_faults_in_the_order_of_the_request() {
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
    fn a_fault_hides_those_at_its_place_and_at_its_parents() {
        let known = Faults::from(Fault::new("item.name_full", "is wrong"));
        let hidden = |field: &str| {
            let faults = Faults::from(Fault::new(field, "is required"));
            faults.without_known(&known).is_empty()
        };
        assert!(hidden("item.name_full") && hidden("item"));
        assert!(!hidden("item.name") && !hidden("item.name_full.a") && !hidden("item.name_full2"));
    }
}
