//! Paths of fields, as callers write them: `home.lines[2]`. A segment that is empty or contains `.`, `[` or `"` is
//! quoted, with `\"` and `\\` as escapes: `home."a.b"[0]`. Other segments are not quoted.

use std::fmt::{self, Write as _};

/// A path that is not formatted until a fault prints it.
#[derive(Clone, Copy)]
pub enum Path<'a> {
    /// A field of the request.
    Root(&'a str),
    /// A named part of its parent.
    Name(&'a Path<'a>, &'a str),
    /// A numbered part of its parent.
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root(name) => formatter.write_str(name),
            Path::Name(parent, name) if is_plain(name) => write!(formatter, "{parent}.{name}"),
            Path::Name(parent, name) => {
                write!(formatter, "{parent}.\"")?;
                for letter in name.chars() {
                    if matches!(letter, '"' | '\\') {
                        formatter.write_char('\\')?;
                    }
                    formatter.write_char(letter)?;
                }
                formatter.write_char('"')
            }
            Path::Index(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains(['.', '[', '"'])
}

/// Whether `inner` is the place `outer` or inside it.
pub(super) fn is_within(inner: &str, outer: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// The position of a path in its request.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position(usize, Vec<Part>);

/// A part of a path. Members of an expression come first, in the order of the contract.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Member(usize),
    Index(u64),
    Name(String),
}

const EXPRESSION_MEMBERS: [&str; 3] = ["text", "values", "names"];

impl Position {
    /// The position of a path in a request with these fields.
    pub(super) fn new(path: &str, fields: &[&str]) -> Position {
        let (root, mut rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
        let rank = fields.iter().position(|field| *field == root);
        let mut parts = Vec::new();
        while let Some((part, after)) = split_first(rest) {
            parts.push(part);
            rest = after;
        }
        if let [Part::Name(first), ..] = parts.as_slice()
            && !matches!(root, "item" | "key")
            && let Some(member) = EXPRESSION_MEMBERS.iter().position(|member| member == first)
        {
            parts[0] = Part::Member(member);
        }
        Position(rank.unwrap_or(fields.len()), parts)
    }
}

/// Splits off the first part of a path.
fn split_first(path: &str) -> Option<(Part, &str)> {
    if let Some(index) = path.strip_prefix('[') {
        let (digits, rest) = index.split_once(']').unwrap_or((index, ""));
        return Some((Part::Index(digits.parse().unwrap_or(u64::MAX)), rest));
    }
    let name = path.strip_prefix('.')?;
    let end = match name.strip_prefix('"') {
        Some(quoted) => 1 + quoted_length(quoted),
        None => name.find(['.', '[']).unwrap_or(name.len()),
    };
    let (name, rest) = name.split_at(end);
    Some((Part::Name(unquoted(name)), rest))
}

fn unquoted(name: &str) -> String {
    let Some(quoted) = name.strip_prefix('"') else {
        return name.to_owned();
    };
    let mut letters = quoted.strip_suffix('"').unwrap_or(quoted).chars();
    let mut unquoted = String::new();
    while let Some(letter) = letters.next() {
        unquoted.extend(if letter == '\\' {
            letters.next()
        } else {
            Some(letter)
        });
    }
    unquoted
}

/// Bytes of a quoted name after its opening quote, including the closing one.
fn quoted_length(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, letter) in text.char_indices() {
        match letter {
            '"' if !is_escaped => return at + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_paths_as_callers_write_them() {
        let root = Path::Root("item");
        let address = Path::Name(&root, "address");
        let lines = Path::Name(&address, "lines");
        assert_eq!(Path::Index(&lines, 2).to_string(), "item.address.lines[2]");
        for (name, printed) in [
            ("2024-05-01", "item.2024-05-01"),
            ("a/b c]", "item.a/b c]"),
            (":x", "item.:x"),
            ("é\\", "item.é\\"),
            ("a.b", r#"item."a.b""#),
            ("a[0]", r#"item."a[0]""#),
            (r#"say "hi\""#, r#"item."say \"hi\\\"""#),
            ("", r#"item."""#),
        ] {
            assert_eq!(Path::Name(&root, name).to_string(), printed);
        }
    }

    #[test]
    fn a_quoted_name_is_one_part_of_a_position() {
        let position = |path| Position::new(path, &["item"]);
        assert!(position(r#"item."a.b"[2]"#) < position(r#"item."a.b"[10]"#));
        assert!(position(r#"item."x\".y"[2]"#) < position(r#"item."x\".y"[2].a"#));
        assert!(position("item.b") < position("key"));
        assert!(position("item.a") < position(r#"item."a.b""#));
        assert!(position(r#"item."a.b""#) < position("item.aa"));
    }

    #[test]
    fn a_place_is_within_itself_and_its_parents() {
        assert!(
            is_within("item.a", "item.a")
                && is_within("item.a[1]", "item.a")
                && is_within("item.a.b", "item")
        );
        assert!(!is_within("item.ab", "item.a") && !is_within("item", "item.a"));
    }
}
