//! Renders a checked tree as DynamoDB's text, with generated placeholders for all names and values. Checks only the size of
//! the result.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::ast::{Condition, Operand, Path, Step, ValueRef};
use super::conversion::{converted, standard};
use super::definitions::Definitions;
use super::names::stored_name;
use super::placeholders::Placeholders;
use crate::fault::Faults;
use crate::model::limits::{MAX_EXPRESSION_BYTES, MAX_SUBSTITUTED_BYTES};
use crate::model::{Attribute, AttributeType, Model, Value};

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
    /// The stored forms of each value in the request, with their generated placeholders.
    values: HashMap<&'a str, Vec<(Value, String)>>,
    text: String,
}

impl<'r, 'a> Renderer<'r, 'a> {
    fn condition(&mut self, condition: &Condition<'a>) {
        match condition {
            Condition::Compare(left, comparator, right) => {
                let standard = self.standard(&[left, right]);
                self.operand_as(left, standard);
                self.text.push_str(comparator.as_str());
                self.operand_as(right, standard);
            }
            Condition::Between(subject, low, high) => {
                let standard = self.standard(&[subject, low, high]);
                self.operand_as(subject, standard);
                self.text.push_str(" BETWEEN ");
                self.operand_as(low, standard);
                self.text.push_str(" AND ");
                self.operand_as(high, standard);
            }
            Condition::In(subject, operands) => {
                let all: Vec<_> = std::iter::once(subject).chain(operands).collect();
                let standard = self.standard(&all);
                self.operand_as(subject, standard);
                self.text.push_str(" IN (");
                self.separated(",", operands, |renderer, operand| {
                    renderer.operand_as(operand, standard);
                });
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
            Condition::Contains(container, member) => self.contains(container, member),
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

    /// A number set may be stored as a list of texts: `contains` asks for both.
    fn contains(&mut self, container: &Operand<'a>, member: &Operand<'a>) {
        let attribute = self.standard(&[container]);
        let members = attribute.and_then(|attribute| attribute.items.as_deref());
        let is_number_set = attribute.is_some_and(|attribute| attribute.kind == AttributeType::NumberSet);
        let given = match member {
            Operand::Value(value) if is_number_set => self.definitions.value(value),
            Operand::Value(_) | Operand::Path(_) | Operand::Size(_) => None,
        };
        let text = match given {
            Some(Value::N(number)) => Some(Value::S(number.as_str().to_owned())),
            Some(_) | None => None,
        };
        let Some(text) = text else {
            return self.function("contains", |renderer| {
                renderer.operand(container);
                renderer.text.push(',');
                renderer.operand_as(member, members);
            });
        };
        self.function("", |renderer| {
            renderer.function("contains", |renderer| {
                renderer.separated(",", [container, member], Renderer::operand);
            });
            renderer.text.push_str(" OR ");
            renderer.function("contains", |renderer| {
                renderer.operand(container);
                renderer.text.push(',');
                let placeholder = renderer.out.value(text);
                renderer.text.push_str(&placeholder);
            });
        });
    }

    fn standard(&self, operands: &[&Operand<'a>]) -> Option<&'r Attribute> {
        standard(self.model, self.definitions, operands)
    }

    fn operand(&mut self, operand: &Operand<'a>) {
        self.operand_as(operand, None);
    }

    /// An operand, where values have the form that an attribute stores.
    fn operand_as(&mut self, operand: &Operand<'a>, standard: Option<&Attribute>) {
        match operand {
            Operand::Path(path) => self.path(path),
            Operand::Value(value) => self.value_as(value, standard),
            Operand::Size(path) => self.function("size", |renderer| renderer.path(path)),
        }
    }

    fn value(&mut self, value: &ValueRef<'a>) {
        self.value_as(value, None);
    }

    fn value_as(&mut self, value: &ValueRef<'a>, standard: Option<&Attribute>) {
        let given = self.definitions.value(value).expect(DEFINED);
        let stored = match standard {
            // checked before
            Some(attribute) => converted(attribute, given, self.out.now()).unwrap_or_else(|_| given.clone()),
            None => given.clone(),
        };
        let known = self.values.entry(value.name).or_default();
        let placeholder = match known.iter().find(|(other, _)| *other == stored) {
            Some((_, placeholder)) => placeholder.clone(),
            None => {
                let placeholder = self.out.value(stored.clone());
                known.push((stored, placeholder.clone()));
                placeholder
            }
        };
        self.text.push_str(&placeholder);
    }

    fn path(&mut self, path: &Path<'a>) {
        let name = self.definitions.name(&path.attribute).expect(DEFINED);
        let mut attribute = self.model.attribute(name);
        self.text.push_str(&self.out.name(stored_name(self.model, name)));
        for step in &path.steps {
            match step {
                Step::Index(index) => {
                    attribute = attribute.and_then(|list| list.items.as_deref());
                    write!(self.text, "[{index}]").expect("writing to a string never fails");
                }
                Step::Name(name) => {
                    let name = self.definitions.name(name).expect(DEFINED);
                    attribute = attribute.and_then(|map| map.attribute(name));
                    let stored_name = attribute.map_or(name, |field| field.stored_name.as_str());
                    self.text.push('.');
                    self.text.push_str(&self.out.name(stored_name));
                }
            }
        }
    }
}
