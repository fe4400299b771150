//! Renders a checked tree as DynamoDB's text, with generated placeholders for all names and values. Checks only the size of
//! the result.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::ast::{Condition, Operand, Path, Step, ValueRef};
use super::definitions::Definitions;
use super::names::stored_name;
use super::placeholders::Placeholders;
use crate::fault::Faults;
use crate::model::Model;
use crate::model::limits::{MAX_EXPRESSION_BYTES, MAX_SUBSTITUTED_BYTES};

const DEFINED: &str = "an expression with an undefined placeholder is not rendered";

/// Renders a condition that has no faults. Only its size can still be wrong.
pub(super) fn condition(
    model: &Model,
    condition: &Condition<'_>,
    definitions: Definitions<'_>,
    out: &mut Placeholders,
) -> Result<String, Faults> {
    let mut renderer = Renderer {
        model,
        definitions,
        out,
        values: HashMap::new(),
        text: String::new(),
    };
    renderer.condition(condition);
    let text = renderer.text;
    if text.len() > MAX_EXPRESSION_BYTES {
        let description =
            format!("is longer than {MAX_EXPRESSION_BYTES} bytes once every name has a placeholder");
        return Err(definitions.text_fault(description).into());
    }
    if out.substituted_bytes() > MAX_SUBSTITUTED_BYTES {
        let description = format!("names and values have more than {MAX_SUBSTITUTED_BYTES} bytes in total");
        return Err(definitions.values_fault(description).into());
    }
    Ok(text)
}

struct Renderer<'r, 'a> {
    model: &'r Model,
    definitions: Definitions<'a>,
    out: &'r mut Placeholders,
    /// The generated placeholders, by those in the request.
    values: HashMap<&'a str, String>,
    text: String,
}

impl<'a> Renderer<'_, 'a> {
    fn condition(&mut self, condition: &Condition<'a>) {
        match condition {
            Condition::Compare(left, comparator, right) => {
                self.operand(left);
                self.text.push_str(comparator.as_str());
                self.operand(right);
            }
            Condition::Between(subject, low, high) => {
                self.operand(subject);
                self.text.push_str(" BETWEEN ");
                self.operand(low);
                self.text.push_str(" AND ");
                self.operand(high);
            }
            Condition::In(subject, operands) => {
                self.operand(subject);
                self.text.push_str(" IN (");
                self.separated(",", operands, Renderer::operand);
                self.text.push(')');
            }
            Condition::Exists(path) => self.function("attribute_exists", |renderer| renderer.path(path)),
            Condition::NotExists(path) => {
                self.function("attribute_not_exists", |renderer| renderer.path(path));
            }
            Condition::HasType(path, type_name) => self.function("attribute_type", |renderer| {
                renderer.path(path);
                renderer.text.push(',');
                renderer.value(type_name);
            }),
            Condition::BeginsWith(first, second) => {
                self.function("begins_with", |renderer| {
                    renderer.separated(",", [first, second], Renderer::operand);
                });
            }
            Condition::Contains(first, second) => {
                self.function("contains", |renderer| {
                    renderer.separated(",", [first, second], Renderer::operand);
                });
            }
            Condition::Not(inner) => {
                self.text.push_str("NOT ");
                self.part(inner, matches!(**inner, Condition::And(_) | Condition::Or(_)));
            }
            Condition::And(parts) => self.separated(" AND ", parts, |renderer, part| {
                renderer.part(part, matches!(part, Condition::Or(_)));
            }),
            Condition::Or(parts) => self.separated(" OR ", parts, Renderer::condition),
        }
    }

    fn part(&mut self, part: &Condition<'a>, in_parentheses: bool) {
        if in_parentheses {
            self.function("", |renderer| renderer.condition(part));
        } else {
            self.condition(part);
        }
    }

    fn function(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.text.push_str(name);
        self.text.push('(');
        inside(self);
        self.text.push(')');
    }

    fn separated<'p, T: 'p>(
        &mut self,
        separator: &str,
        parts: impl IntoIterator<Item = &'p T>,
        render: impl Fn(&mut Self, &'p T),
    ) {
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                self.text.push_str(separator);
            }
            render(self, part);
        }
    }

    fn operand(&mut self, operand: &Operand<'a>) {
        match operand {
            Operand::Path(path) => self.path(path),
            Operand::Value(value) => self.value(value),
            Operand::Size(path) => self.function("size", |renderer| renderer.path(path)),
        }
    }

    fn value(&mut self, value: &ValueRef<'a>) {
        let placeholder = self.values.entry(value.name).or_insert_with(|| {
            self.out
                .value(self.definitions.value(value).expect(DEFINED).clone())
        });
        self.text.push_str(placeholder);
    }

    fn path(&mut self, path: &Path<'a>) {
        let attribute = self.definitions.name(&path.attribute).expect(DEFINED);
        self.text
            .push_str(&self.out.name(stored_name(self.model, attribute)));
        for step in &path.steps {
            match step {
                Step::Index(index) => {
                    write!(self.text, "[{index}]").expect("writing to a string never fails");
                }
                Step::Name(name) => {
                    self.text.push('.');
                    self.text
                        .push_str(&self.out.name(self.definitions.name(name).expect(DEFINED)));
                }
            }
        }
    }
}
