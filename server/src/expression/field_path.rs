//! The paths in `fields`. They contain names, not placeholders. A segment that contains `.`, `[` or `"` must be quoted,
//! with `\"` and `\\` as escapes: `home."a.b"[0]`. Independent of models.

use crate::model::limits::{MAX_NAME_BYTES, MAX_PATH_ELEMENTS};
use std::borrow::Cow;

/// A document path: an attribute and the steps into its value.
#[derive(Debug)]
pub(super) struct FieldPath<'a> {
    pub(super) attribute: Cow<'a, str>,
    pub(super) steps: Vec<Part<'a>>,
}

/// A step of a path. Indexes sort before names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part<'a> {
    Index(u32),
    Name(Cow<'a, str>),
}

impl Part<'_> {
    /// The step, without its text's lifetime.
    pub(super) fn to_static(&self) -> Part<'static> {
        match self {
            Part::Index(index) => Part::Index(*index),
            Part::Name(name) => Part::Name(Cow::Owned(name.clone().into_owned())),
        }
    }
}

impl<'a> FieldPath<'a> {
    /// A whole attribute.
    pub(super) fn whole(attribute: &'a str) -> FieldPath<'a> {
        FieldPath {
            attribute: Cow::Borrowed(attribute),
            steps: Vec::new(),
        }
    }

    /// Parses a path. Errors contain the column, counted from 1, and what was expected.
    pub(super) fn read(text: &'a str) -> Result<FieldPath<'a>, String> {
        let mut reader = Reader { text, rest: text };
        let attribute = reader.name()?;
        let mut steps = Vec::new();
        while !reader.rest.is_empty() {
            if steps.len() + 1 >= MAX_PATH_ELEMENTS {
                return Err(reader.refusal(format!(
                    "a path can have at most {MAX_PATH_ELEMENTS} names and indexes"
                )));
            }
            if reader.accept('.') {
                steps.push(Part::Name(reader.name()?));
            } else if reader.accept('[') {
                steps.push(Part::Index(reader.index()?));
            } else {
                return Err(reader.expected("`.`, `[` or the end"));
            }
        }
        Ok(FieldPath { attribute, steps })
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn name(&mut self) -> Result<Cow<'a, str>, String> {
        let start = self.rest;
        let name = match self.accept('"') {
            true => self.quoted()?,
            false => {
                let (name, rest) = start.split_at(start.find(['.', '[', '"']).unwrap_or(start.len()));
                if name.is_empty() {
                    return Err(self.expected("a name"));
                }
                self.rest = rest;
                Cow::Borrowed(name)
            }
        };
        if self.rest.starts_with('"') {
            return Err(
                self.refusal("a name that contains `\"` must be quoted as a whole, with `\\\"` for each")
            );
        }
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            self.rest = start;
            return Err(self.refusal(format!("a name must have 1 to {MAX_NAME_BYTES} bytes")));
        }
        Ok(name)
    }

    /// Parses the rest of a quoted name after its opening quote.
    fn quoted(&mut self) -> Result<Cow<'a, str>, String> {
        let start = self.rest;
        let mut unescaped = String::new();
        loop {
            let Some(at) = self.rest.find(['"', '\\']) else {
                self.rest = "";
                return Err(self.expected("a closing `\"`"));
            };
            let (part, rest) = self.rest.split_at(at);
            if let Some(after) = rest.strip_prefix('"') {
                self.rest = after;
                return Ok(
                    match unescaped.is_empty() && part.len() + rest.len() == start.len() {
                        true => Cow::Borrowed(part),
                        false => Cow::Owned(unescaped + part),
                    },
                );
            }
            self.rest = &rest[1..];
            unescaped.push_str(part);
            match self.rest.chars().next() {
                Some(escaped @ ('"' | '\\')) => unescaped.push(escaped),
                _ => return Err(self.expected("`\"` or `\\` after a `\\` in quotes")),
            }
            self.rest = &self.rest[1..];
        }
    }

    /// Parses the rest of an index after its opening bracket. Like DynamoDB, refuses leading zeros.
    fn index(&mut self) -> Result<u32, String> {
        let end = self.rest.find(|letter: char| !letter.is_ascii_digit());
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if digits.is_empty() {
            return Err(self.expected("an index such as 0"));
        }
        let index = digits
            .parse()
            .ok()
            .filter(|_| digits == "0" || !digits.starts_with('0'));
        let Some(index) = index else {
            return Err(self.refusal("expected an index of at most ten digits, without leading zeros"));
        };
        self.rest = rest;
        if self.accept(']') {
            Ok(index)
        } else {
            Err(self.expected("`]`"))
        }
    }

    fn accept(&mut self, letter: char) -> bool {
        let after = self.rest.strip_prefix(letter);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn expected(&self, what: &str) -> String {
        let found = match self.rest.chars().next() {
            None => "the end".to_owned(),
            Some(letter @ ('.' | '[' | ']' | '"')) => format!("`{letter}`"),
            // not shown, because it may be part of a value
            Some(_) => "another character".to_owned(),
        };
        self.refusal(format!("expected {what}, found {found}"))
    }

    fn refusal(&self, description: impl std::fmt::Display) -> String {
        let before = &self.text[..self.text.len() - self.rest.len()];
        format!("column {}: {description}", before.chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fault;

    fn read(text: &str) -> Vec<String> {
        let path = FieldPath::read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let steps = path.steps.iter().map(|step| match step {
            Part::Index(index) => format!("[{index}]"),
            Part::Name(name) => name.clone().into_owned(),
        });
        std::iter::once(path.attribute.clone().into_owned())
            .chain(steps)
            .collect()
    }

    #[test]
    fn parses_plain_and_quoted_segments() {
        let cases: [(&str, &[&str]); 9] = [
            ("home", &["home"]),
            ("home.2024-05-01", &["home", "2024-05-01"]),
            ("home.a/b c.#d:e]", &["home", "a/b c", "#d:e]"]),
            ("and.straße[10][0].x", &["and", "straße", "[10]", "[0]", "x"]),
            (r#"home."a.b"[0]"#, &["home", "a.b", "[0]"]),
            (r#""a.b".c"#, &["a.b", "c"]),
            (r#"home."say \"hi\\\"""#, &["home", r#"say "hi\""#]),
            (r#"home."plain""#, &["home", "plain"]),
            (r"home.back\slash", &["home", r"back\slash"]),
        ];
        for (text, segments) in cases {
            assert_eq!(read(text), segments, "{text}");
        }
    }

    #[test]
    fn errors_say_what_was_expected() {
        let cases = [
            ("", "column 1: expected a name, found the end"),
            ("a..b", "column 3: expected a name, found `.`"),
            (".a", "column 1: expected a name, found `.`"),
            ("a.", "column 3: expected a name, found the end"),
            ("a[", "column 3: expected an index such as 0, found the end"),
            (
                "a[x]",
                "column 3: expected an index such as 0, found another character",
            ),
            ("a[0", "column 4: expected `]`, found the end"),
            (
                "a[01]",
                "column 3: expected an index of at most ten digits, without leading zeros",
            ),
            (
                "a[0]b",
                "column 5: expected `.`, `[` or the end, found another character",
            ),
            ("é.\"b", "column 5: expected a closing `\"`, found the end"),
            (
                r#"a."b\n""#,
                "column 6: expected `\"` or `\\` after a `\\` in quotes, found another character",
            ),
            (
                r#"a."b"c"#,
                "column 6: expected `.`, `[` or the end, found another character",
            ),
            (
                r#"a.b"c"#,
                "column 4: a name that contains `\"` must be quoted as a whole, with `\\\"` for each",
            ),
            (r#"a."""#, "column 3: a name must have 1 to 65535 bytes"),
        ];
        for (text, expected) in cases {
            assert_eq!(FieldPath::read(text).unwrap_err(), expected, "{text}");
        }
        let deep = |levels: usize| vec!["a"; levels].join(".");
        assert!(FieldPath::read(&deep(32)).is_ok());
        assert!(
            FieldPath::read(&deep(33))
                .unwrap_err()
                .ends_with("at most 32 names and indexes")
        );
    }

    proptest! {
        #[test]
        fn parses_the_paths_that_faults_print(names in proptest::collection::vec(".{1,8}", 1..5), index in 0..99_usize) {
            let root = fault::Path::Root("item");
            let first = fault::Path::Name(&root, &names[0]);
            let printed = match names.get(1) {
                Some(second) => fault::Path::Index(&fault::Path::Name(&first, second), index).to_string(),
                None => first.to_string(),
            };
            let segments = read(printed.strip_prefix("item.").expect("the root"));
            let mut expected: Vec<String> = names.iter().take(2).cloned().collect();
            expected.extend(names.get(1).map(|_| format!("[{index}]")));
            prop_assert_eq!(segments, expected);
        }

        #[test]
        fn no_text_panics(text in "[a\\.\\[\\]\"\\\\0é]{0,12}") {
            let _ = FieldPath::read(&text);
        }
    }
}
