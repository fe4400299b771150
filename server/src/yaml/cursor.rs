//! Typed access to a place in a document. If a node is not of the requested type, the fault is reported with its line and
//! path and the result is `None`, so that the caller can go on and report further faults.

use std::collections::HashSet;

use super::report::Report;
use super::tree::{Content, Entry, Node};
use crate::fault::did_you_mean;

/// A node, its line, and the path that leads to it.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    node: &'a Node,
    line: usize,
    path: String,
}

/// The keys that a map may have.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    /// The keys that are read.
    pub known: &'static [&'static str],
    /// The keys of a later version, which are refused with a separate message.
    pub later: &'static [&'static str],
}

/// A map whose keys were checked.
#[derive(Debug)]
pub struct Fields<'a> {
    at: Cursor<'a>,
    known: Vec<(&'a str, Cursor<'a>)>,
}

/// The content of a node, for callers that accept several types.
#[derive(Debug)]
pub enum View<'a> {
    /// `null`, `~` or an empty value.
    Nothing,
    /// `true` or `false`.
    Boolean(bool),
    /// The exact text of a decimal number without quotes.
    Number(&'a str),
    /// Text.
    Text(&'a str),
    /// A list.
    List(Vec<Cursor<'a>>),
    /// A map.
    Map(Vec<(&'a str, Cursor<'a>)>),
}

impl<'a> Cursor<'a> {
    /// The root of a document.
    pub fn document(node: &'a Node) -> Cursor<'a> {
        Cursor {
            node,
            line: node.line,
            path: String::new(),
        }
    }

    /// The line where the node starts. The value of a map entry has the line of its key.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The path from the root of the document.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the node is null or empty.
    pub fn is_nothing(&self) -> bool {
        matches!(&self.node.content, Content::Plain(text) if is_null(text))
    }

    /// The content; `None` if it was already refused. Reports duplicate keys of a map.
    pub fn view(&self, report: &mut Report) -> Option<View<'a>> {
        Some(match &self.node.content {
            Content::Plain(text) => plain_view(text),
            Content::Text(text) => View::Text(text),
            Content::List(items) => {
                View::List(items.iter().enumerate().map(|entry| self.item(entry)).collect())
            }
            Content::Map(entries) => View::Map(self.unique(entries, report)),
            Content::Refused => return None,
        })
    }

    /// Reads a map that may have these keys and no others.
    pub fn fields(&self, keys: &Keys, report: &mut Report) -> Option<Fields<'a>> {
        let mut known = Vec::new();
        for (key, cursor) in self.entries(report)? {
            if keys.known.contains(&key) {
                known.push((key, cursor));
            } else if keys.later.contains(&key) {
                report.add(&cursor, "is not supported by this version");
            } else {
                report.add(
                    &cursor,
                    format!("unknown key{}", did_you_mean(key, keys.known.iter().copied())),
                );
            }
        }
        Some(Fields {
            at: self.clone(),
            known,
        })
    }

    /// Reads a map with any keys.
    pub fn entries(&self, report: &mut Report) -> Option<Vec<(&'a str, Cursor<'a>)>> {
        match self.view(report)? {
            View::Map(entries) => Some(entries),
            other => self.expected("a map", &other, report),
        }
    }

    /// Reads a list.
    pub fn items(&self, report: &mut Report) -> Option<Vec<Cursor<'a>>> {
        match self.view(report)? {
            View::List(items) => Some(items),
            other => self.expected("a list", &other, report),
        }
    }

    /// Reads text.
    pub fn text(&self, report: &mut Report) -> Option<&'a str> {
        match self.view(report)? {
            View::Text(text) => Some(text),
            other => self.expected("text", &other, report),
        }
    }

    /// Reads `true` or `false`.
    pub fn boolean(&self, report: &mut Report) -> Option<bool> {
        match self.view(report)? {
            View::Boolean(boolean) => Some(boolean),
            other => self.expected("true or false", &other, report),
        }
    }

    /// Reads the exact text of a decimal number.
    pub fn number(&self, report: &mut Report) -> Option<&'a str> {
        match self.view(report)? {
            View::Number(text) => Some(text),
            other => self.expected("a number", &other, report),
        }
    }

    /// Reads a non-negative whole number.
    pub fn whole(&self, report: &mut Report) -> Option<u64> {
        let text = self.number(report)?;
        let whole = text.parse().ok();
        if whole.is_none() {
            report.add(self, "expected a non-negative whole number");
        }
        whole
    }

    /// Reads one of several words.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)], report: &mut Report) -> Option<T> {
        let text = self.text(report)?;
        let chosen = choices
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, value)| *value);
        if chosen.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            report.add(self, format!("must be one of {}", names.join(", ")));
        }
        chosen
    }

    /// Reports that the node has the wrong type. Always returns `None`.
    pub fn expected<T>(&self, what: &str, found: &View<'_>, report: &mut Report) -> Option<T> {
        let hint = match (what, found) {
            ("text", View::Boolean(_) | View::Number(_)) => " (put it in quotes)",
            _ => "",
        };
        report.add(self, format!("expected {what}, found {}{hint}", found.name()));
        None
    }

    fn item(&self, (index, node): (usize, &'a Node)) -> Cursor<'a> {
        Cursor {
            node,
            line: node.line,
            path: format!("{}[{index}]", self.path),
        }
    }

    fn unique(&self, entries: &'a [Entry], report: &mut Report) -> Vec<(&'a str, Cursor<'a>)> {
        let mut seen = HashSet::new();
        let mut unique = Vec::with_capacity(entries.len());
        for entry in entries {
            let cursor = Cursor {
                node: &entry.value,
                line: entry.line,
                path: join(&self.path, &entry.key),
            };
            if seen.insert(entry.key.as_str()) {
                unique.push((entry.key.as_str(), cursor));
            } else {
                report.add(&cursor, "is a duplicate");
            }
        }
        unique
    }
}

impl Report {
    /// Adds a fault at a node.
    pub fn add(&mut self, at: &Cursor<'_>, text: impl Into<String>) {
        self.add_at(at.line(), at.path(), text);
    }
}

impl<'a> Fields<'a> {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Cursor<'a>> {
        self.known
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, cursor)| cursor)
    }

    /// The value of a required key.
    pub fn require(&self, key: &str, report: &mut Report) -> Option<&Cursor<'a>> {
        let found = self.get(key);
        if found.is_none() {
            report.add_at(self.at.line, join(&self.at.path, key), "is required");
        }
        found
    }

    /// The map itself.
    pub fn at(&self) -> &Cursor<'a> {
        &self.at
    }
}

impl View<'_> {
    fn name(&self) -> &'static str {
        match self {
            View::Nothing => "nothing",
            View::Boolean(_) => "a boolean",
            View::Number(_) => "a number",
            View::Text(_) => "text",
            View::List(_) => "a list",
            View::Map(_) => "a map",
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// Resolves a scalar as in YAML's core schema, except that hexadecimal and infinite numbers are text.
fn plain_view(text: &str) -> View<'_> {
    match text {
        _ if is_null(text) => View::Nothing,
        "true" | "True" | "TRUE" => View::Boolean(true),
        "false" | "False" | "FALSE" => View::Boolean(false),
        _ if is_decimal(text) => View::Number(text),
        _ => View::Text(text),
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

/// `[-+]? ( digits [. digits?] | . digits ) ( [eE] [-+]? digits )?`
fn is_decimal(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.strip_prefix(['-', '+']).unwrap_or(exponent)),
        None => (unsigned, "0"),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    whole.len() + fraction.len() > 0
        && digits(whole)
        && digits(fraction)
        && !exponent.is_empty()
        && digits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::documents;

    const KEYS: Keys = Keys {
        known: &["name", "count", "share", "on", "kind"],
        later: &["alias"],
    };

    fn read(source: &str, read: impl Fn(&Fields<'_>, &mut Report)) -> Vec<String> {
        let mut report = Report::new("f.yaml");
        let nodes = documents(source.as_bytes(), &mut report);
        if let Some(fields) = Cursor::document(&nodes[0]).fields(&KEYS, &mut report) {
            read(&fields, &mut report);
        }
        report.into_faults().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn reads_values_of_every_type() {
        let source = "name: '5'\ncount: 7\nshare: -0.10e+3\non: true\nkind: b\n";
        let faults = read(source, |fields, report| {
            assert_eq!(fields.get("name").unwrap().text(report), Some("5"));
            assert_eq!(fields.get("count").unwrap().whole(report), Some(7));
            assert_eq!(fields.get("share").unwrap().number(report), Some("-0.10e+3"));
            assert_eq!(fields.get("on").unwrap().boolean(report), Some(true));
            assert_eq!(
                fields.get("kind").unwrap().choice(&[("a", 1), ("b", 2)], report),
                Some(2)
            );
        });
        assert!(faults.is_empty(), "{faults:?}");
    }

    #[test]
    fn reports_every_fault_with_its_line_and_path() {
        let source = "nmae: x\nalias: y\ncount: -1\ncount: 2\nshare: a\non: yes\nkind: c\n";
        let faults = read(source, |fields, report| {
            assert!(fields.require("name", report).is_none());
            fields.get("count").unwrap().whole(report);
            fields.get("share").unwrap().number(report);
            fields.get("on").unwrap().boolean(report);
            fields.get("kind").unwrap().choice(&[("a", 1), ("b", 2)], report);
        });
        assert_eq!(
            faults,
            [
                "f.yaml:1: nmae: unknown key (did you mean `name`?)",
                "f.yaml:1: name: is required",
                "f.yaml:2: alias: is not supported by this version",
                "f.yaml:3: count: expected a non-negative whole number",
                "f.yaml:4: count: is a duplicate",
                "f.yaml:5: share: expected a number, found text",
                "f.yaml:6: on: expected true or false, found text",
                "f.yaml:7: kind: must be one of a, b",
            ]
        );
    }

    #[test]
    fn names_the_expected_and_the_actual_type() {
        let cases = [
            (
                "name: 5",
                "f.yaml:1: name: expected text, found a number (put it in quotes)",
            ),
            (
                "name: true",
                "f.yaml:1: name: expected text, found a boolean (put it in quotes)",
            ),
            ("name:", "f.yaml:1: name: expected text, found nothing"),
            ("name: [a]", "f.yaml:1: name: expected text, found a list"),
            ("name: {a: 1}", "f.yaml:1: name: expected text, found a map"),
        ];
        for (source, expected) in cases {
            let faults = read(source, |fields, report| {
                fields.get("name").unwrap().text(report);
            });
            assert_eq!(faults, [expected]);
        }
        assert_eq!(read("- a", |_, _| ()), ["f.yaml:1: expected a map, found a list"]);
    }

    #[test]
    fn distinguishes_decimals_from_text() {
        for text in ["0", "-1", "+1", "1.", ".5", "1.5e10", "1E-5", "00"] {
            assert!(is_decimal(text), "{text}");
        }
        for text in [
            "", "-", ".", "e5", "1e", "1e+", "0x1f", ".inf", "1_000", "1.2.3", "a",
        ] {
            assert!(!is_decimal(text), "{text}");
        }
    }
}
