//! Writes expressions as text with placeholders: every value has one, and so has every name that is not a plain word.

use std::collections::{HashMap, HashSet};

use tollgate_proto::v1;

use super::condition::Node;
use super::message;
use super::operand::OperandKind;
use super::path::{Attr, Step};
use crate::{Item, Value, ValueError};

/// Operators and functions of one expression, DynamoDB's limit.
pub(super) const MAX_OPERATORS: usize = 300;
/// Operands of one IN, DynamoDB's limit.
pub(super) const MAX_IN_OPERANDS: usize = 100;
/// Bytes of an expression's text, DynamoDB's limit.
pub(super) const MAX_TEXT_BYTES: usize = 4096;
/// Letters of an attribute's name in a placeholder.
const MAX_HINT_LETTERS: usize = 24;

/// Words that have a meaning in expressions. As names they have placeholders.
const KEYWORDS: [&str; 17] = [
    "add",
    "and",
    "attribute_exists",
    "attribute_not_exists",
    "attribute_type",
    "begins_with",
    "between",
    "contains",
    "delete",
    "if_not_exists",
    "in",
    "list_append",
    "not",
    "or",
    "remove",
    "set",
    "size",
];

/// An expression that is being written.
pub(super) struct Renderer {
    pub(super) text: String,
    values: Item,
    names: HashMap<String, String>,
    by_name: HashMap<String, String>,
    /// The placeholders in use, with their marks.
    taken: HashSet<String>,
    /// Whether placeholders are short, instead of named after their attributes.
    is_short: bool,
    fault: Option<ValueError>,
}

impl Renderer {
    /// Writes an expression, with short placeholders if it would be too long with others. `values` and `names` are those of
    /// placeholders in texts.
    pub(super) fn render(
        values: Item,
        names: HashMap<String, String>,
        write: impl Fn(&mut Renderer),
    ) -> Result<v1::Expression, ValueError> {
        let mut renderer = Renderer::new(values.clone(), names.clone(), false);
        write(&mut renderer);
        if renderer.text.len() > MAX_TEXT_BYTES {
            renderer = Renderer::new(values, names, true);
            write(&mut renderer);
        }
        if renderer.text.len() > MAX_TEXT_BYTES {
            renderer.refuse(format!("is longer than {MAX_TEXT_BYTES} bytes as text"));
        }
        match renderer.fault {
            Some(fault) => Err(fault),
            None => Ok(message(renderer.text, renderer.values, renderer.names)),
        }
    }

    fn new(values: Item, names: HashMap<String, String>, is_short: bool) -> Renderer {
        Renderer {
            text: String::new(),
            taken: values.keys().chain(names.keys()).cloned().collect(),
            values,
            names,
            by_name: HashMap::new(),
            is_short,
            fault: None,
        }
    }

    /// Records why the expression is invalid. The first fault counts.
    pub(super) fn refuse(&mut self, fault: impl Into<String>) {
        self.fault.get_or_insert(ValueError::new(fault));
    }

    /// Writes a condition.
    pub(super) fn condition(&mut self, node: &Node) {
        match node {
            Node::Empty => {}
            Node::Text(text) => self.text.push_str(text),
            Node::Compare(left, operator, right) => {
                let hint = hint(&[left, right]);
                self.operand(left, hint);
                self.text.push_str(&format!(" {operator} "));
                self.operand(right, hint);
            }
            Node::Between(subject, least, greatest) => {
                let hint = hint(&[subject]);
                self.operand(subject, hint);
                self.text.push_str(" BETWEEN ");
                self.operand(least, hint);
                self.text.push_str(" AND ");
                self.operand(greatest, hint);
            }
            Node::In(subject, operands) => {
                let hint = hint(&[subject]);
                self.operand(subject, hint);
                self.text.push_str(" IN (");
                self.listed(operands, hint);
                self.text.push(')');
            }
            Node::Presence(name, path) => {
                self.text.push_str(&format!("{name}("));
                self.path(path);
                self.text.push(')');
            }
            Node::Function(name, subject, operand) => {
                let hint = hint(&[subject]);
                self.text.push_str(&format!("{name}("));
                self.operand(subject, hint);
                self.text.push_str(", ");
                self.operand(operand, hint);
                self.text.push(')');
            }
            Node::Not(inner) => {
                self.text.push_str("NOT ");
                let is_joined = matches!(**inner, Node::And(_) | Node::Or(_) | Node::Text(_));
                self.part(inner, is_joined);
            }
            Node::And(parts) => self.joined(parts, " AND "),
            Node::Or(parts) => self.joined(parts, " OR "),
        }
    }

    fn joined(&mut self, parts: &[Node], operator: &str) {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.text.push_str(operator);
            }
            // AND binds stronger than OR
            let has_or = match part {
                Node::Or(_) => true,
                Node::Text(text) => words(text).any(|word| word.eq_ignore_ascii_case("or")),
                _ => false,
            };
            self.part(part, has_or && operator == " AND ");
        }
    }

    fn part(&mut self, node: &Node, in_parentheses: bool) {
        if in_parentheses {
            self.text.push('(');
        }
        self.condition(node);
        if in_parentheses {
            self.text.push(')');
        }
    }

    fn listed(&mut self, operands: &[OperandKind], hint: &str) {
        for (index, operand) in operands.iter().enumerate() {
            if index > 0 {
                self.text.push_str(", ");
            }
            self.operand(operand, hint);
        }
    }

    fn operand(&mut self, operand: &OperandKind, hint: &str) {
        match operand {
            OperandKind::Attr(path) => self.path(path),
            OperandKind::Size(path) => {
                self.text.push_str("size(");
                self.path(path);
                self.text.push(')');
            }
            OperandKind::Value(value) => self.value(value, hint),
        }
    }

    /// Writes a path.
    pub(super) fn path(&mut self, path: &Attr) {
        if let Some(fault) = path.fault() {
            self.refuse(fault);
        }
        for (index, step) in path.steps().iter().enumerate() {
            match step {
                Step::Index(number) => self.text.push_str(&format!("[{number}]")),
                Step::Name(name) => {
                    if index > 0 {
                        self.text.push('.');
                    }
                    let name = self.name(name);
                    self.text.push_str(&name);
                }
            }
        }
    }

    /// A name as the text contains it.
    fn name(&mut self, name: &str) -> String {
        if is_plain(name) {
            return name.to_owned();
        }
        if let Some(placeholder) = self.by_name.get(name) {
            return placeholder.clone();
        }
        let placeholder = self.placeholder('#', name);
        self.names.insert(placeholder.clone(), name.to_owned());
        self.by_name.insert(name.to_owned(), placeholder.clone());
        placeholder
    }

    /// Writes the placeholder of a value, named after an attribute.
    pub(super) fn value(&mut self, value: &Result<Value, ValueError>, hint: &str) {
        let placeholder = self.placeholder(':', hint);
        self.text.push_str(&placeholder);
        match value {
            Ok(value) => {
                self.values.insert(placeholder, value.clone());
            }
            Err(error) => {
                let fault = error.clone().in_field(&placeholder).in_field("values");
                self.fault.get_or_insert(fault);
            }
        }
    }

    /// A new placeholder.
    fn placeholder(&mut self, mark: char, hint: &str) -> String {
        let letters = hint.chars().take(MAX_HINT_LETTERS);
        let plain: String = letters
            .map(|letter| {
                if letter.is_ascii_alphanumeric() {
                    letter
                } else {
                    '_'
                }
            })
            .collect();
        let stem = match self.is_short || plain.is_empty() {
            true => format!("{mark}v"),
            false => format!("{mark}{plain}"),
        };
        let mut placeholder = stem.clone();
        // short ones are counted from the number of those in use, so that the search is short too
        let mut number = if self.is_short { self.taken.len() } else { 1 };
        while self.is_short && placeholder == stem || self.taken.contains(&placeholder) {
            number += 1;
            let separator = if self.is_short { "" } else { "_" };
            placeholder = format!("{stem}{separator}{number}");
        }
        self.taken.insert(placeholder.clone());
        placeholder
    }
}

/// The attribute that values are named after.
fn hint<'a>(operands: &[&'a OperandKind]) -> &'a str {
    let attribute = operands.iter().find_map(|operand| operand.attribute());
    attribute.map(Attr::last_name).unwrap_or_default()
}

/// Whether a name can be written without a placeholder.
fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    let begins = bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    begins
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !KEYWORDS.contains(&name.to_ascii_lowercase().as_str())
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '_' | ':' | '#'))
}
