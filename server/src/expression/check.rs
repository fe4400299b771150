//! Checks a condition against the model: which attributes it may use, and whether the types agree. Reports all faults at
//! once. Uses only the model and the expression.

use std::time::SystemTime;

use super::ast::{Condition, Name, Operand, Path, Step, ValueRef};
use super::conversion::{converted, declared, member_type, standard, stored_type};
use super::definitions::Definitions;
use super::names::{quoted, undeclared, undeclared_field};
use crate::fault::{Fault, Faults};
use crate::model::limits::MAX_IN_OPERANDS;
use crate::model::{Attribute, AttributeType, Model, Value};

/// The types that `attribute_type` can test for.
const TYPE_NAMES: [&str; 10] = ["S", "SS", "N", "NS", "B", "BS", "BOOL", "NULL", "L", "M"];

/// What conditions can use of an attribute whose stored value is not the caller's.
const ONLY_PRESENCE: &str = "only attribute_exists and attribute_not_exists can use it, as a whole";

/// DynamoDB's name of a type. `None` if the type is unknown until the item is read.
type Type = Option<&'static str>;

/// What an expression uses of a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Presence,
    Value,
}

/// Collects the faults of one expression.
pub(super) struct Checker<'a> {
    model: &'a Model,
    definitions: Definitions<'a>,
    /// When the request arrived.
    now: SystemTime,
    refused_keys: Vec<&'a str>,
    faults: Faults,
}

impl<'a> Checker<'a> {
    /// `faults` are those that are already known.
    pub(super) fn new(
        model: &'a Model,
        definitions: Definitions<'a>,
        now: SystemTime,
        faults: Faults,
    ) -> Checker<'a> {
        Checker {
            model,
            definitions,
            now,
            refused_keys: Vec::new(),
            faults,
        }
    }

    /// From now on, these key attributes are faults.
    pub(super) fn refuse_keys(&mut self, names: Vec<&'a str>) {
        self.refused_keys = names;
    }

    pub(super) fn definitions(&self) -> Definitions<'a> {
        self.definitions
    }

    pub(super) fn push(&mut self, fault: Fault) {
        if !self.faults.contains(&fault) {
            self.faults.extend(fault);
        }
    }

    pub(super) fn fault_at(&mut self, column: usize, description: impl AsRef<str>) {
        self.push(self.definitions.fault_at(column, description));
    }

    /// The definitions, if there are no faults.
    pub(super) fn finish(self) -> Result<Definitions<'a>, Faults> {
        self.faults.into_result().map(|()| self.definitions)
    }

    /// Checks a condition and its parts. Returns whether it has no faults.
    pub(super) fn condition(&mut self, condition: &Condition<'a>) -> bool {
        let known = self.faults.count();
        match condition {
            Condition::Compare(left, comparator, right) => {
                self.compare(comparator.as_str(), comparator.is_ordering(), &[left, right]);
            }
            Condition::Between(subject, low, high) => self.between(subject, low, high),
            Condition::In(subject, operands) => self.listed(subject, operands),
            Condition::Exists(path) | Condition::NotExists(path) => _ = self.path(path, Use::Presence),
            Condition::HasType(path, type_name) => {
                self.path(path, Use::Value);
                self.type_name(type_name);
            }
            Condition::BeginsWith(subject, prefix) => self.begins_with(subject, prefix),
            Condition::Contains(container, item) => self.contains(container, item),
            Condition::Not(inner) => _ = self.condition(inner),
            Condition::And(parts) | Condition::Or(parts) => {
                for part in parts {
                    self.condition(part);
                }
            }
        }
        self.faults.count() == known
    }

    fn compare(&mut self, operator: &str, is_ordering: bool, operands: &[&Operand<'a>]) {
        self.distinct(operator, operands);
        let standard = standard(self.model, self.definitions, operands);
        let mut types = Vec::with_capacity(operands.len());
        for operand in operands {
            let mut kind = self.operand_as(operand, standard);
            if is_ordering
                && let Some(other) = kind
                && !matches!(other, "S" | "N" | "B")
            {
                let description = format!("is {other}, but {operator} supports only S, N and B");
                self.operand_fault(operand, description);
                kind = None;
            }
            types.push(kind);
        }
        self.agree(operands, &types);
    }

    /// Checks that all types equal that of the first attribute, or of the first value if there is no attribute. NULL matches
    /// any type.
    fn agree(&mut self, operands: &[&Operand<'a>], types: &[Type]) {
        let known = operands.iter().copied().zip(types.iter().copied());
        let typed: Vec<_> = known
            .filter_map(|(operand, kind)| Some((operand, kind.filter(|kind| *kind != "NULL")?)))
            .collect();
        let of_attribute = typed
            .iter()
            .find(|(operand, _)| !matches!(operand, Operand::Value(_)));
        let Some((standard, expected)) = of_attribute.or(typed.first()) else {
            return;
        };
        for (operand, kind) in typed.iter().filter(|(_, kind)| kind != expected) {
            self.operand_fault(
                operand,
                format!("is {kind}, but {} is {expected}", self.label(standard)),
            );
        }
    }

    fn between(&mut self, subject: &Operand<'a>, low: &Operand<'a>, high: &Operand<'a>) {
        self.compare("BETWEEN", true, &[subject, low, high]);
        let (Operand::Value(low), Operand::Value(high)) = (low, high) else {
            return;
        };
        let standard = standard(self.model, self.definitions, &[subject]);
        let (Some(least), Some(greatest)) = (self.stored(low, standard), self.stored(high, standard)) else {
            return;
        };
        let is_ordered = match (&least, &greatest) {
            (Value::S(least), Value::S(greatest)) => least <= greatest,
            (Value::N(least), Value::N(greatest)) => least <= greatest,
            (Value::B(least), Value::B(greatest)) => least <= greatest,
            _ => true,
        };
        if !is_ordered {
            let description = format!("is less than {}, the lower bound of BETWEEN", quoted(low.name));
            self.push(self.definitions.value_fault(high.name, description));
        }
    }

    fn listed(&mut self, subject: &Operand<'a>, operands: &[Operand<'a>]) {
        if operands.len() > MAX_IN_OPERANDS {
            self.fault_at(
                subject.column(),
                format!("IN supports at most {MAX_IN_OPERANDS} operands"),
            );
        }
        let all: Vec<_> = std::iter::once(subject).chain(operands).collect();
        self.compare("IN", false, &all);
    }

    fn begins_with(&mut self, subject: &Operand<'a>, prefix: &Operand<'a>) {
        let operands = [subject, prefix];
        self.distinct("begins_with", &operands);
        let types = operands.map(|operand| {
            let kind = self.operand(operand)?;
            if matches!(kind, "S" | "B") {
                return Some(kind);
            }
            self.operand_fault(
                operand,
                format!("is {kind}, but begins_with supports only S and B"),
            );
            None
        });
        self.agree(&operands, &types);
    }

    fn contains(&mut self, container: &Operand<'a>, item: &Operand<'a>) {
        self.distinct("contains", &[container, item]);
        let list = standard(self.model, self.definitions, &[container]);
        let members = list.and_then(|list| list.items.as_deref());
        let (outer, inner) = (self.operand(container), self.operand_as(item, members));
        let member = list.and_then(|list| member_type(list.kind));
        let expected = match (member, outer) {
            (Some(member), _) => member,
            (None, Some("S")) => "S",
            (None, Some("B")) => "B",
            (None, Some("L") | None) => return,
            (None, Some(other)) => {
                return self.operand_fault(
                    container,
                    format!("is {other}, but contains supports only S, B, L and sets"),
                );
            }
        };
        if let Some(kind) = inner.filter(|kind| *kind != expected) {
            let description = format!("is {kind}, but {} contains {expected}", self.label(container));
            self.operand_fault(item, description);
        }
    }

    fn type_name(&mut self, value: &ValueRef<'a>) {
        let is_known = match self.definitions.value(value) {
            Some(Value::S(name)) => TYPE_NAMES.contains(&name.as_str()),
            Some(_) => false,
            None => true,
        };
        if !is_known {
            let description = format!(
                "must be a string that names a type: one of {}",
                TYPE_NAMES.join(", ")
            );
            self.push(self.definitions.value_fault(value.name, description));
        }
    }

    /// Checks DynamoDB's rule that the first operand must not be compared with itself.
    fn distinct(&mut self, operator: &str, operands: &[&Operand<'a>]) {
        let Some((first, others)) = operands.split_first() else {
            return;
        };
        if let Some(same) = others.iter().find(|other| self.are_same(first, other)) {
            self.fault_at(
                same.column(),
                format!("{operator} compares an operand with itself"),
            );
        }
    }

    fn are_same(&self, one: &Operand<'a>, other: &Operand<'a>) -> bool {
        match (one, other) {
            (Operand::Value(one), Operand::Value(other)) => one.name == other.name,
            (Operand::Path(one), Operand::Path(other)) | (Operand::Size(one), Operand::Size(other)) => {
                self.are_same_path(one, other)
            }
            _ => false,
        }
    }

    fn are_same_path(&self, one: &Path<'a>, other: &Path<'a>) -> bool {
        let is_same_step = |(one, other): (&Step<'a>, &Step<'a>)| match (one, other) {
            (Step::Index(one), Step::Index(other)) => one == other,
            (Step::Name(one), Step::Name(other)) => self.are_same_name(one, other),
            _ => false,
        };
        self.are_same_name(&one.attribute, &other.attribute)
            && one.steps.len() == other.steps.len()
            && one.steps.iter().zip(&other.steps).all(is_same_step)
    }

    fn are_same_name(&self, one: &Name<'a>, other: &Name<'a>) -> bool {
        let name = self.definitions.name(one);
        name.is_some() && name == self.definitions.name(other)
    }

    /// The value in the form that an attribute stores; none if it is not defined or has no such form.
    fn stored(&self, value: &ValueRef<'a>, standard: Option<&Attribute>) -> Option<Value> {
        let value = self.definitions.value(value)?;
        match standard {
            Some(attribute) => converted(attribute, value, self.now).ok(),
            None => Some(value.clone()),
        }
    }

    fn operand(&mut self, operand: &Operand<'a>) -> Type {
        self.operand_as(operand, None)
    }

    /// The type of an operand, where values have the form that an attribute stores.
    fn operand_as(&mut self, operand: &Operand<'a>, standard: Option<&Attribute>) -> Type {
        match operand {
            Operand::Path(path) => self.path(path, Use::Value),
            Operand::Value(reference) => {
                let value = self.definitions.value(reference)?;
                if matches!(value, Value::Object(_)) {
                    return None;
                }
                let Some(attribute) = standard.filter(|_| *value != Value::Null) else {
                    return Some(value.type_name());
                };
                match converted(attribute, value, self.now) {
                    Ok(value) => Some(value.type_name()),
                    Err(description) => {
                        let name = quoted(&attribute.name);
                        let fault = self
                            .definitions
                            .value_fault(reference.name, format!("{description}, for {name}"));
                        self.push(fault);
                        None
                    }
                }
            }
            Operand::Size(path) => {
                if let Some(kind) = self.path(path, Use::Value)
                    && matches!(kind, "N" | "BOOL")
                {
                    let description = format!("{} is {kind}, which has no size", self.path_label(path));
                    self.fault_at(path.attribute.column, description);
                }
                Some("N")
            }
        }
    }

    /// Checks that a condition may use this path. Returns its type, if the model declares it.
    fn path(&mut self, path: &Path<'a>, used: Use) -> Type {
        let name = self.definitions.name(&path.attribute)?;
        let Some(attribute) = self.model.attribute(name) else {
            if self.model.sealed_by_others.iter().any(|sealed| sealed == name) {
                self.fault_at(path.attribute.column, encrypted_refusal(name));
                return None;
            }
            if let Some(description) = undeclared(self.model, name) {
                self.push(self.definitions.name_fault(&path.attribute, description));
            }
            return None;
        };
        if let Some(refusal) = self.refusal(attribute, path, used) {
            self.fault_at(path.attribute.column, refusal);
            return None;
        }
        declared(self.model, self.definitions, path).and_then(stored_type)
    }

    fn refusal(&self, attribute: &Attribute, path: &Path<'a>, used: Use) -> Option<String> {
        let name = quoted(&attribute.name);
        let is_presence = used == Use::Presence && path.steps.is_empty();
        if attribute.encrypted.is_some() && !is_presence {
            return Some(encrypted_refusal(&attribute.name));
        }
        if attribute.compressed.is_some() && !is_presence {
            return Some(format!("{name} is compressed: {ONLY_PRESENCE}"));
        }
        if attribute.offloads_values() && !is_presence {
            return Some(format!("{name} is in S3 above a size: {ONLY_PRESENCE}"));
        }
        if attribute.kind == AttributeType::Object && (used == Use::Value || !path.steps.is_empty()) {
            return Some(format!("{name} is an object: {ONLY_PRESENCE}"));
        }
        if self.refused_keys.contains(&attribute.name.as_str()) {
            return Some(format!(
                "{name} is a key attribute: use it in the key condition, not in a filter"
            ));
        }
        step_refusal(attribute, path.steps.first())
            .or_else(|| undeclared_field(self.model, attribute, self.definitions.steps(path)))
    }

    /// Reports a fault of an operand, at its value or at its column in the text.
    fn operand_fault(&mut self, operand: &Operand<'a>, description: String) {
        match operand {
            Operand::Value(value) => self.push(self.definitions.value_fault(value.name, description)),
            Operand::Path(_) | Operand::Size(_) => {
                let description = format!("{} {description}", self.label(operand));
                self.fault_at(operand.column(), description);
            }
        }
    }

    fn label(&self, operand: &Operand<'a>) -> String {
        match operand {
            Operand::Path(path) => self.path_label(path),
            Operand::Value(value) => quoted(value.name),
            Operand::Size(path) => format!("the size of {}", self.path_label(path)),
        }
    }

    fn path_label(&self, path: &Path<'a>) -> String {
        quoted(
            self.definitions
                .name(&path.attribute)
                .unwrap_or(path.attribute.text),
        )
    }
}

fn encrypted_refusal(name: &str) -> String {
    format!("{} is encrypted: {ONLY_PRESENCE}", quoted(name))
}

/// Why the first step into an attribute is invalid, if it is.
pub(super) fn step_refusal(attribute: &Attribute, step: Option<&Step<'_>>) -> Option<String> {
    let (name, kind) = (quoted(&attribute.name), attribute.kind.as_str());
    match (step?, attribute.kind) {
        (Step::Name(_), AttributeType::Map) | (Step::Index(_), AttributeType::List) => None,
        (Step::Name(_), AttributeType::List) => {
            Some(format!("{name} is a list: use [index] for its members"))
        }
        (Step::Index(_), AttributeType::Map) => Some(format!("{name} is a map: use .name for its fields")),
        (Step::Name(_) | Step::Index(_), _) => Some(format!("{name} is a {kind}: it has no members")),
    }
}
