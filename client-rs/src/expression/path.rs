//! Paths to attributes and into their values. Knows nothing of models.

/// Maximum number of names and indexes of a path: DynamoDB nests values no deeper.
const MAX_ELEMENTS: usize = 32;
/// Maximum number of bytes of a name.
const MAX_NAME_BYTES: usize = 65_535;

/// An attribute, or a place in its value, as [`attr`] returns it: the start of conditions and of what updates assign.
#[derive(Clone, Debug)]
pub struct Attr {
    steps: Vec<Step>,
    fault: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Name(String),
    Index(u32),
}

/// An attribute by its name, or a place in its value: `attr("address.city")`, `attr("lines[0]")`. The syntax is that of
/// [`GetOptions::fields`](crate::GetOptions::fields): a name with `.`, `[` or `"` is quoted. [`Attr::named`] and
/// [`Attr::field`] accept any name as it is.
pub fn attr(path: impl AsRef<str>) -> Attr {
    let path = path.as_ref();
    match (Reader { rest: path }).steps() {
        Ok(steps) => Attr { steps, fault: None },
        Err(fault) => Attr {
            steps: Vec::new(),
            fault: Some(format!("{path:?} is not a path: {fault}")),
        },
    }
}

impl Attr {
    /// An attribute by its name, which may contain any characters.
    pub fn named(name: impl Into<String>) -> Attr {
        let nothing = Attr {
            steps: Vec::new(),
            fault: None,
        };
        nothing.field(name)
    }

    /// A field of the map at this place. Its name may contain any characters.
    #[must_use]
    pub fn field(mut self, name: impl Into<String>) -> Attr {
        let name = name.into();
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            let fault = format!("a name must have 1 to {MAX_NAME_BYTES} bytes");
            self.fault.get_or_insert(fault);
        }
        self.push(Step::Name(name));
        self
    }

    /// A member of the list at this place.
    #[must_use]
    pub fn index(mut self, index: u32) -> Attr {
        self.push(Step::Index(index));
        self
    }

    fn push(&mut self, step: Step) {
        if self.steps.len() >= MAX_ELEMENTS {
            let fault = format!("a path can have at most {MAX_ELEMENTS} names and indexes");
            self.fault.get_or_insert(fault);
        } else {
            self.steps.push(step);
        }
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// The last name, for placeholders.
    pub(super) fn last_name(&self) -> &str {
        let names = self.steps.iter().rev();
        let mut names = names.filter_map(|step| match step {
            Step::Name(name) => Some(name.as_str()),
            Step::Index(_) => None,
        });
        names.next().unwrap_or_default()
    }

    /// Whether one update cannot change both: one leads to a part of the other, to the same place, or needs another kind
    /// of value on the way.
    pub(super) fn conflicts(&self, other: &Attr) -> bool {
        let mut pairs = self.steps.iter().zip(&other.steps);
        let difference = pairs.find(|(one, other)| one != other);
        difference.is_none_or(|(one, other)| std::mem::discriminant(one) != std::mem::discriminant(other))
    }
}

impl From<&str> for Attr {
    fn from(path: &str) -> Attr {
        attr(path)
    }
}

impl From<String> for Attr {
    fn from(path: String) -> Attr {
        attr(path)
    }
}

/// Parses a path.
struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn steps(mut self) -> Result<Vec<Step>, String> {
        let mut steps = vec![Step::Name(self.name()?)];
        while !self.rest.is_empty() {
            if steps.len() >= MAX_ELEMENTS {
                return Err(format!("it can have at most {MAX_ELEMENTS} names and indexes"));
            }
            steps.push(if self.accept('.') {
                Step::Name(self.name()?)
            } else if self.accept('[') {
                Step::Index(self.index()?)
            } else {
                return Err("expected `.`, `[` or the end after a member".to_owned());
            });
        }
        Ok(steps)
    }

    fn name(&mut self) -> Result<String, String> {
        let name = if self.accept('"') {
            self.quoted()?
        } else {
            let end = self.rest.find(['.', '[', '"']).unwrap_or(self.rest.len());
            let (name, rest) = self.rest.split_at(end);
            self.rest = rest;
            name.to_owned()
        };
        if self.rest.starts_with('"') {
            return Err("a name that contains `\"` must be quoted as a whole".to_owned());
        }
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(format!("a name must have 1 to {MAX_NAME_BYTES} bytes"));
        }
        Ok(name)
    }

    /// The rest of a quoted name, in which `\` precedes `"` and `\`.
    fn quoted(&mut self) -> Result<String, String> {
        let mut name = String::new();
        let mut letters = self.rest.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(name);
                }
                '\\' => match letters.next() {
                    Some((_, escaped @ ('"' | '\\'))) => name.push(escaped),
                    _ => return Err("expected `\"` or `\\` after a `\\` in quotes".to_owned()),
                },
                plain => name.push(plain),
            }
        }
        Err("expected a closing `\"`".to_owned())
    }

    /// The rest of an index. Like DynamoDB, refuses leading zeros.
    fn index(&mut self) -> Result<u32, String> {
        let expected = "expected an index such as [0], without leading zeros";
        let (digits, rest) = self.rest.split_once(']').ok_or(expected)?;
        let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        if !is_number || (digits.starts_with('0') && digits != "0") {
            return Err(expected.to_owned());
        }
        self.rest = rest;
        digits.parse().map_err(|_| expected.to_owned())
    }

    fn accept(&mut self, letter: char) -> bool {
        let after = self.rest.strip_prefix(letter);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(path: &str) -> Result<String, String> {
        let steps = (Reader { rest: path }).steps()?;
        let parts = steps.iter().map(|step| match step {
            Step::Name(name) => name.clone(),
            Step::Index(index) => format!("[{index}]"),
        });
        Ok(parts.collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn parses_names_indexes_and_quotes() {
        let cases = [
            ("home", "home"),
            ("home.2024-05-01", "home|2024-05-01"),
            ("straße[10][0].x", "straße|[10]|[0]|x"),
            (r#"home."a.b"[0]"#, "home|a.b|[0]"),
            (r#""say \"hi\\\"""#, r#"say "hi\""#),
        ];
        for (path, expected) in cases {
            assert_eq!(shown(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn refuses_what_is_not_a_path() {
        for path in [
            "",
            ".a",
            "a.",
            "a..b",
            "a[",
            "a[]",
            "a[x]",
            "a[01]",
            "a[-1]",
            "a[4294967296]",
            "a[0]b",
            "a\"b",
            "\"a",
            r#""a\n""#,
            r#"a."b"c"#,
            r#""""#,
        ] {
            assert!(shown(path).is_err(), "{path}");
            assert!(attr(path).fault().is_some());
        }
        let deep = |levels: usize| vec!["a"; levels].join(".");
        assert!(shown(&deep(32)).is_ok() && shown(&deep(33)).is_err());
        assert!(attr(deep(32)).index(0).fault().is_some());
        assert!(Attr::named("").fault().is_some());
    }

    #[test]
    fn paths_that_one_update_cannot_change_are_recognized() {
        assert!(attr("a.b").conflicts(&attr("a")));
        assert!(attr("a[1]").conflicts(&attr("a[1]")));
        assert!(attr("a[1]").conflicts(&attr("a.b")));
        assert!(!attr("a[1]").conflicts(&attr("a[2].c")));
        assert!(!attr("a").conflicts(&Attr::named("a.b")));
    }

    proptest! {
        #[test]
        fn no_text_panics(path in "[a\\.\\[\\]\"\\\\0é]{0,12}") {
            let _ = attr(path);
        }
    }
}
