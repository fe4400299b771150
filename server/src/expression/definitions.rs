//! What an expression's `#names` and `:values` stand for, and where its faults lie. Knows nothing of models.

use std::collections::BTreeMap;

use super::ast::{Name, ValueRef};
use super::lexer::{Token, TokenKind, is_placeholder};
use super::{Expression, MAX_TEXT_BYTES};
use crate::fault::{Fault, Path};
use crate::model::Value;

/// Names or values of one expression; a text has no room for more: each takes a mark, a letter and something between.
const MAX_PLACEHOLDERS: usize = MAX_TEXT_BYTES / 3;

/// Bytes of a `#name` or `:name`: DynamoDB's own limit.
const MAX_PLACEHOLDER_BYTES: usize = 255;

/// Bytes of an attribute name: DynamoDB's own limit.
const MAX_NAME_BYTES: usize = 65_535;

/// Levels of lists and maps in a value: DynamoDB's own limit.
const MAX_VALUE_DEPTH: usize = 32;

/// The definitions of one expression, at its field of the request.
#[derive(Clone, Copy)]
pub(super) struct Definitions<'a> {
    expression: &'a Expression,
    root: &'a str,
}

impl<'a> Definitions<'a> {
    pub(super) fn new(expression: &'a Expression, root: &'a str) -> Definitions<'a> {
        Definitions { expression, root }
    }

    /// The name that is meant; none where its placeholder is not defined.
    pub(super) fn name(&self, name: &Name<'a>) -> Option<&'a str> {
        if name.is_placeholder {
            self.expression.names.get(name.text).map(String::as_str)
        } else {
            Some(name.text)
        }
    }

    /// The value that is meant; none where its placeholder is not defined.
    pub(super) fn value(&self, value: &ValueRef<'a>) -> Option<&'a Value> {
        self.expression.values.get(value.name)
    }

    /// A fault of the whole text.
    pub(super) fn text_fault(&self, description: impl Into<String>) -> Fault {
        Fault::new(Path::Name(&Path::Root(self.root), "text"), description)
    }

    /// A fault at a column of the text.
    pub(super) fn fault_at(&self, column: usize, description: impl AsRef<str>) -> Fault {
        self.text_fault(format!("column {column}: {}", description.as_ref()))
    }

    /// A fault of one value.
    pub(super) fn value_fault(&self, placeholder: &str, description: impl Into<String>) -> Fault {
        self.member_fault("values", placeholder, description)
    }

    /// A fault of a name: where it is defined, else where it stands.
    pub(super) fn name_fault(&self, name: &Name<'a>, description: impl AsRef<str>) -> Fault {
        if name.is_placeholder {
            return self.member_fault("names", name.text, description.as_ref());
        }
        self.fault_at(name.column, description)
    }

    /// A fault of all values together.
    pub(super) fn values_fault(&self, description: impl Into<String>) -> Fault {
        Fault::new(Path::Name(&Path::Root(self.root), "values"), description)
    }

    /// What is wrong with the definitions themselves, and which are missing or of no use to these tokens.
    pub(super) fn check(&self, tokens: &[Token<'a>]) -> Vec<Fault> {
        let Expression { names, values, .. } = self.expression;
        let mut faults = Vec::new();
        for (members, count) in [("names", names.len()), ("values", values.len())] {
            if count > MAX_PLACEHOLDERS {
                let field = Path::Root(self.root);
                faults.push(Fault::new(
                    Path::Name(&field, members),
                    format!("has more than {MAX_PLACEHOLDERS} entries"),
                ));
            }
        }
        if !faults.is_empty() {
            return faults;
        }
        self.check_use(tokens, &mut faults);
        for (placeholder, name) in sorted(names) {
            self.check_placeholder("names", placeholder, '#', &mut faults);
            if name.is_empty() || name.len() > MAX_NAME_BYTES {
                let description = format!("a name has 1 to {MAX_NAME_BYTES} bytes");
                faults.push(self.member_fault("names", placeholder, description));
            }
        }
        for (placeholder, value) in sorted(values) {
            self.check_placeholder("values", placeholder, ':', &mut faults);
            if let Some(description) = refusal(value, MAX_VALUE_DEPTH) {
                faults.push(self.value_fault(placeholder, description));
            }
        }
        faults
    }

    /// Tells what is used but not defined, and what is defined but not used.
    fn check_use(&self, tokens: &[Token<'a>], faults: &mut Vec<Fault>) {
        let mut names = BTreeMap::new();
        let mut values = BTreeMap::new();
        let mut is_whole = true;
        for token in tokens {
            match token.kind {
                TokenKind::NameRef(name) => _ = names.entry(name).or_insert(token.column),
                TokenKind::ValueRef(value) => _ = values.entry(value).or_insert(token.column),
                TokenKind::Unknown => is_whole = false,
                _ => {}
            }
        }
        for (members, used, defined) in [
            (
                "names",
                names,
                sorted(&self.expression.names).into_keys().collect::<Vec<_>>(),
            ),
            (
                "values",
                values,
                sorted(&self.expression.values).into_keys().collect(),
            ),
        ] {
            for (placeholder, column) in &used {
                if defined.binary_search(placeholder).is_err() {
                    let description = format!("is not defined, but used at column {column} of the text");
                    faults.push(self.member_fault(members, placeholder, description));
                }
            }
            let unused = defined
                .iter()
                .filter(|placeholder| is_whole && !used.contains_key(*placeholder));
            faults.extend(
                unused.map(|placeholder| self.member_fault(members, placeholder, "is not used in the text")),
            );
        }
    }

    fn check_placeholder(
        &self,
        members: &'static str,
        placeholder: &str,
        mark: char,
        faults: &mut Vec<Fault>,
    ) {
        if placeholder.len() > MAX_PLACEHOLDER_BYTES {
            let description = format!("is longer than {MAX_PLACEHOLDER_BYTES} bytes");
            faults.push(self.member_fault(members, placeholder, description));
        } else if !is_placeholder(placeholder, mark) {
            let description = format!("is written as `{mark}`, then letters, digits and `_`");
            faults.push(self.member_fault(members, placeholder, description));
        }
    }

    /// A fault of one entry; a placeholder that is too long is not repeated.
    fn member_fault(
        &self,
        members: &'static str,
        placeholder: &str,
        description: impl Into<String>,
    ) -> Fault {
        let root = Path::Root(self.root);
        let members = Path::Name(&root, members);
        if placeholder.len() > MAX_PLACEHOLDER_BYTES {
            return Fault::new(members, format!("a placeholder {}", description.into()));
        }
        Fault::new(Path::Name(&members, placeholder), description)
    }
}

fn sorted<T>(members: &std::collections::HashMap<String, T>) -> BTreeMap<&str, &T> {
    members
        .iter()
        .map(|(placeholder, member)| (placeholder.as_str(), member))
        .collect()
}

/// Why a value cannot stand in an expression, if so. `depth` is how many levels of lists and maps are left.
fn refusal(value: &Value, depth: usize) -> Option<String> {
    let too_deep = || Some(format!("is nested deeper than {MAX_VALUE_DEPTH} levels"));
    match value {
        Value::Object(_) => Some("is an object, which no expression can compare".to_owned()),
        Value::L(_) | Value::M(_) if depth == 0 => too_deep(),
        Value::L(members) => members.iter().find_map(|member| refusal(member, depth - 1)),
        Value::M(fields) => fields.values().find_map(|field| refusal(field, depth - 1)),
        _ => None,
    }
}
