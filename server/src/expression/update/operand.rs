//! The operands of SET: their types, and whether an attribute may have their value.

use std::collections::BTreeSet;

use super::super::ast::{Path, ValueRef};
use super::super::check::step_refusal;
use super::super::conversion::{converted, declared, stored_type};
use super::super::names::quoted;
use super::ast;
use super::changes::Operand;
use super::checker::{Checker, within_refusal};
use crate::model::{Attribute, AttributeType, Template, Value};

/// DynamoDB's name of a type; none if it is not known before the item is read.
type Type = Option<&'static str>;

impl<'a> Checker<'a> {
    /// Checks that an operand may be assigned to an attribute as a whole.
    pub(super) fn fits(&mut self, attribute: &Attribute, operand: &ast::Operand<'a>, kind: Type) {
        let name = quoted(&attribute.name);
        let expected = stored_type(attribute);
        let mut kind = kind;
        if let Some(value) = literal(operand) {
            let Some(given) = self.definitions.value(value) else {
                return;
            };
            if *given == Value::Null {
                let description = match self.model.index_key_problem(&attribute.name, given) {
                    _ if attribute.required => format!("is NULL, but {name} is required"),
                    Some(problem) => format!("{problem}; REMOVE {name} to take the item out of the index"),
                    None => return,
                };
                return self.push(self.definitions.value_fault(value.name, description));
            }
            let is_object = matches!(given, Value::Object(_));
            if is_object != (attribute.kind == AttributeType::Object) {
                let description = format!("must be {}: {name} is one", an(attribute.kind.as_str()));
                return self.push(self.definitions.value_fault(value.name, description));
            }
            let violations = attribute.checks.violations(given);
            let is_of_type = attribute.kind.accepts(given);
            for violation in violations.iter().filter(|_| is_of_type) {
                self.push(
                    self.definitions
                        .value_fault(value.name, format!("{violation}, for {name}")),
                );
            }
            if let (Value::Object(object), Some(offload)) = (given, &attribute.s3) {
                for (field, violation) in offload.violations(object) {
                    let description = format!("{violation}, its {field}");
                    self.push(self.definitions.value_fault(value.name, description));
                }
            }
            match converted(attribute, given, self.now) {
                Ok(_) if is_object => {}
                Ok(stored) => {
                    kind = Some(stored.type_name());
                    if kind == expected {
                        self.key_value(attribute, value, &stored);
                    }
                }
                Err(description) => {
                    let description = format!("{description}, for {name}");
                    return self.push(self.definitions.value_fault(value.name, description));
                }
            }
        }
        if let (Some(kind), Some(expected)) = (kind, expected)
            && kind != expected
            && kind != "NULL"
        {
            self.operand_fault(operand, format!("is {kind}, but {name} is {expected}"));
        }
    }

    /// Checks a stored value that is to be a key of an index, or a part of one.
    fn key_value(&mut self, attribute: &Attribute, value: &ValueRef<'a>, stored: &Value) {
        let name = attribute.name.as_str();
        let templates = self.model.rebuilt().map(|(_, template)| template);
        let parts = templates.flat_map(Template::parts);
        let problems = parts
            .filter(|part| part.attribute() == name)
            .filter_map(|part| part.text(stored).err());
        let problems: BTreeSet<String> = problems
            .chain(self.model.index_key_problem(name, stored))
            .collect();
        for problem in problems {
            let description = format!("{problem}, for {}", quoted(name));
            self.push(self.definitions.value_fault(value.name, description));
        }
    }

    /// The type of an operand, and what is wrong within it.
    pub(super) fn operand_type(&mut self, operand: &ast::Operand<'a>) -> Type {
        match operand {
            ast::Operand::Path(path) => self.read_type(path),
            ast::Operand::Value(value) => {
                let value = self.definitions.value(value)?;
                (!matches!(value, Value::Object(_))).then(|| value.type_name())
            }
            ast::Operand::IfNotExists(path, value) => {
                let stored = self.read_type(path);
                stored.or(self.operand_type(value))
            }
            ast::Operand::ListAppend(first, second) => {
                for operand in [&**first, &**second] {
                    self.takes_only(operand, "L", "list_append takes lists only");
                }
                Some("L")
            }
        }
    }

    /// Checks that an operand has the only type that a function or operator takes, also if it is the second of
    /// `if_not_exists`.
    pub(super) fn takes_only(&mut self, operand: &ast::Operand<'a>, expected: &str, rule: &str) {
        let kind = match operand {
            ast::Operand::IfNotExists(path, _) => self.read_type(path),
            ast::Operand::Path(_) | ast::Operand::Value(_) | ast::Operand::ListAppend(..) => {
                self.operand_type(operand)
            }
        };
        if let Some(kind) = kind.filter(|kind| *kind != expected) {
            self.operand_fault(operand, format!("is {kind}, but {rule}"));
        }
        if let ast::Operand::IfNotExists(_, value) = operand {
            self.takes_only(value, expected, rule);
        }
    }

    /// The type of a path that is read, which may be neither encrypted nor an object.
    pub(super) fn read_type(&mut self, path: &Path<'a>) -> Type {
        let name = self.definitions.name(&path.attribute)?;
        let attribute = self.attribute(path, name)?;
        if let Some(refusal) =
            within_refusal(attribute).or_else(|| step_refusal(attribute, path.steps.first()))
        {
            self.fault_at(path.attribute.column, refusal);
            return None;
        }
        declared(self.model, self.definitions, path).and_then(stored_type)
    }

    /// An operand, where values have the form that an attribute stores.
    pub(super) fn operand(&self, operand: ast::Operand<'a>, standard: Option<&Attribute>) -> Option<Operand> {
        Some(match operand {
            ast::Operand::Path(path) => Operand::Path(self.target(&path)?),
            ast::Operand::Value(value) => {
                let given = self.definitions.value(&value)?;
                Operand::Value(match standard {
                    // what cannot be converted has a fault
                    Some(attribute) => {
                        converted(attribute, given, self.now).unwrap_or_else(|_| given.clone())
                    }
                    None => given.clone(),
                })
            }
            ast::Operand::IfNotExists(path, value) => {
                Operand::IfNotExists(self.target(&path)?, Box::new(self.operand(*value, standard)?))
            }
            ast::Operand::ListAppend(first, second) => Operand::ListAppend(
                Box::new(self.operand(*first, standard)?),
                Box::new(self.operand(*second, standard)?),
            ),
        })
    }

    pub(super) fn operand_fault(&mut self, operand: &ast::Operand<'a>, description: String) {
        match operand {
            ast::Operand::Value(value) => self.push(self.definitions.value_fault(value.name, description)),
            ast::Operand::Path(path) | ast::Operand::IfNotExists(path, _) => {
                let label = self.label(path);
                self.fault_at(operand.column(), format!("{label} {description}"));
            }
            ast::Operand::ListAppend(..) => {
                self.fault_at(
                    operand.column(),
                    format!("the result of list_append {description}"),
                );
            }
        }
    }
}

/// The `:value` that is assigned, as such or if nothing is stored.
fn literal<'o, 'a>(operand: &'o ast::Operand<'a>) -> Option<&'o ValueRef<'a>> {
    match operand {
        ast::Operand::Value(value) => Some(value),
        ast::Operand::IfNotExists(_, value) => literal(value),
        ast::Operand::Path(_) | ast::Operand::ListAppend(..) => None,
    }
}

fn an(kind: &str) -> String {
    match kind.starts_with(['a', 'e', 'i', 'o', 'u']) {
        true => format!("an {kind}"),
        false => format!("a {kind}"),
    }
}
