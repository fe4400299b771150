//! The comparisons of a key condition: each compares one attribute with values.

use std::time::SystemTime;

use super::ast::{Comparator, Condition, Operand, Path};
use super::check::Checker;
use crate::model::{Attribute, Model, Value};

/// How a key condition compares an attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Between,
    BeginsWith,
}

/// A value that an attribute is compared with.
pub(super) struct TermValue<'a> {
    /// Its placeholder.
    pub(super) placeholder: &'a str,
    /// Its stored form.
    pub(super) value: Value,
}

/// A comparison of an attribute with values.
pub(super) struct Term<'a> {
    pub(super) name: &'a str,
    pub(super) column: usize,
    pub(super) test: Test,
    pub(super) values: Vec<TermValue<'a>>,
    /// Whether it has no faults so far.
    pub(super) is_valid: bool,
    pub(super) is_used: bool,
}

/// Interprets one part as a comparison of an attribute with values. Anything else is a fault.
pub(super) fn term<'a>(
    model: &'a Model,
    now: SystemTime,
    part: &Condition<'a>,
    checker: &mut Checker<'a>,
) -> Option<Term<'a>> {
    let comparison = match part {
        Condition::Compare(Operand::Path(path), comparator, Operand::Value(value)) => {
            test(*comparator).map(|test| (path, test, vec![value]))
        }
        Condition::Compare(Operand::Value(value), comparator, Operand::Path(path)) => {
            test(swapped(*comparator)).map(|test| (path, test, vec![value]))
        }
        Condition::Between(Operand::Path(path), Operand::Value(low), Operand::Value(high)) => {
            Some((path, Test::Between, vec![low, high]))
        }
        Condition::BeginsWith(Operand::Path(path), Operand::Value(prefix)) => {
            Some((path, Test::BeginsWith, vec![prefix]))
        }
        Condition::Compare(..)
        | Condition::Between(..)
        | Condition::In(..)
        | Condition::Exists(_)
        | Condition::NotExists(_)
        | Condition::HasType(..)
        | Condition::BeginsWith(..)
        | Condition::Contains(..)
        | Condition::Not(_)
        | Condition::And(_)
        | Condition::Or(_) => None,
    };
    let Some((path, test, values)) = comparison else {
        let description = "a key condition compares key attributes with :values using =, <, <=, >, >=, BETWEEN or \
                           begins_with, joined by AND";
        checker.fault_at(part.column(), description);
        return None;
    };
    let mut is_valid = checker.condition(part);
    let (name, column) = named(path, checker)?;
    // a prefix of a value need not be a value
    let attribute = model.attribute(name).filter(|_| test != Test::BeginsWith);
    let mut stored = Vec::new();
    for value in values {
        // an undefined value is a fault already, and one that cannot be decoded is a fault of its field
        let Some(of_caller) = checker.definitions().value(value) else {
            is_valid = false;
            continue;
        };
        match stored_form(attribute.filter(|_| is_valid), of_caller, now) {
            Ok(form) => stored.push(TermValue {
                placeholder: value.name,
                value: form,
            }),
            Err(problem) => {
                is_valid = false;
                checker.push(checker.definitions().value_fault(value.name, problem));
            }
        }
    }
    Some(Term {
        name,
        column,
        test,
        values: stored,
        is_valid,
        is_used: false,
    })
}

fn named<'a>(path: &Path<'a>, checker: &Checker<'a>) -> Option<(&'a str, usize)> {
    let name = checker.definitions().name(&path.attribute)?;
    Some((name, path.attribute.column))
}

fn test(comparator: Comparator) -> Option<Test> {
    Some(match comparator {
        Comparator::Equal => Test::Equal,
        Comparator::Less => Test::Less,
        Comparator::LessOrEqual => Test::LessOrEqual,
        Comparator::Greater => Test::Greater,
        Comparator::GreaterOrEqual => Test::GreaterOrEqual,
        Comparator::NotEqual => return None,
    })
}

/// The comparator with its operands swapped.
fn swapped(comparator: Comparator) -> Comparator {
    match comparator {
        Comparator::Less => Comparator::Greater,
        Comparator::LessOrEqual => Comparator::GreaterOrEqual,
        Comparator::Greater => Comparator::Less,
        Comparator::GreaterOrEqual => Comparator::LessOrEqual,
        same @ (Comparator::Equal | Comparator::NotEqual) => same,
    }
}

/// The stored form of a value. That of an undeclared attribute is the value itself.
fn stored_form(attribute: Option<&Attribute>, value: &Value, now: SystemTime) -> Result<Value, String> {
    match attribute {
        Some(attribute) => attribute.to_stored(value.clone(), now),
        None => Ok(value.clone()),
    }
}

impl Term<'_> {
    /// Its only value, if it is a valid comparison with =.
    pub(super) fn equal_value(&self) -> Option<&Value> {
        match self.test {
            Test::Equal if self.is_valid => self.values.first().map(|value| &value.value),
            Test::Equal
            | Test::Less
            | Test::LessOrEqual
            | Test::Greater
            | Test::GreaterOrEqual
            | Test::Between
            | Test::BeginsWith => None,
        }
    }
}
