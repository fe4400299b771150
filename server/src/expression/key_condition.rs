//! Key conditions: each partition key equals one value, and the sort keys are compared in order, all but the last with =.
//! Other attributes are refused.

use super::ast::{Comparator, Condition, Operand, Path, ValueRef};
use super::check::Checker;
use super::condition::parsed;
use super::input::Expression;
use super::key_names::key_names;
use super::key_range::KeyRange;
use super::names::quoted;
use super::placeholders::Placeholders;
use crate::fault::Faults;
use crate::model::limits::{MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES, MAX_SUBSTITUTED_BYTES};
use crate::model::{Index, Model, Value};

/// How a key condition compares an attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Test {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Between,
    BeginsWith,
}

/// A comparison of an attribute with values.
struct Term<'t, 'a> {
    name: &'a str,
    column: usize,
    test: Test,
    values: Vec<&'t ValueRef<'a>>,
    /// Whether it has no faults so far.
    is_valid: bool,
    is_used: bool,
}

/// The keys of the table or index, and the terms that compare them.
struct Keys<'t, 'a> {
    model: &'a Model,
    terms: Vec<Term<'t, 'a>>,
    /// What each key must be, by its stored name.
    ranges: Vec<(&'a str, KeyRange)>,
}

/// Renders the key condition of a Query of the table, or of an index. Faults are at the same places as for a condition.
///
/// # Errors
///
/// All faults.
pub fn key_condition(
    model: &Model,
    index: Option<&Index>,
    expression: &Expression,
    root: &str,
    out: &mut Placeholders,
) -> Result<String, Faults> {
    let (condition, mut checker) = parsed(model, expression, root)?;
    let parts = match &condition {
        Condition::And(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    let mut keys = Keys {
        model,
        terms: Vec::new(),
        ranges: Vec::new(),
    };
    for part in parts {
        if let Some(term) = term(part, &mut checker) {
            keys.add(term, &mut checker);
        }
    }
    let (partition, sort) = key_names(model, index);
    for name in &partition {
        keys.partition(name, &mut checker);
    }
    keys.sort(&sort, &mut checker);
    keys.refuse_others(&partition, &sort, &mut checker);
    let ranges = keys.ranges;
    let definitions = checker.finish()?;
    let texts: Vec<_> = ranges
        .into_iter()
        .map(|(stored_name, range)| range.render(stored_name, out))
        .collect();
    if out.substituted_bytes() > MAX_SUBSTITUTED_BYTES {
        let description = format!("names and values have more than {MAX_SUBSTITUTED_BYTES} bytes in total");
        return Err(definitions.values_fault(description).into());
    }
    Ok(texts.join(" AND "))
}

/// Interprets one part as a comparison of an attribute with values. Anything else is a fault.
fn term<'t, 'a>(part: &'t Condition<'a>, checker: &mut Checker<'a>) -> Option<Term<'t, 'a>> {
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
    let is_valid = checker.condition(part);
    named(path, checker).map(|(name, column)| Term {
        name,
        column,
        test,
        values,
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

impl<'t, 'a> Keys<'t, 'a> {
    /// Adds a term, unless its attribute is compared already.
    fn add(&mut self, term: Term<'t, 'a>, checker: &mut Checker<'a>) {
        if self.terms.iter().any(|known| known.name == term.name) {
            checker.fault_at(term.column, format!("{} is compared twice", quoted(term.name)));
        } else {
            self.terms.push(term);
        }
    }

    /// The term of an attribute, which is then used.
    fn take(&mut self, name: &str) -> Option<&Term<'t, 'a>> {
        let term = self.terms.iter_mut().find(|term| term.name == name)?;
        term.is_used = true;
        Some(term)
    }

    /// A partition key must equal one value.
    fn partition(&mut self, name: &'a str, checker: &mut Checker<'a>) {
        let stored_name = self.model.stored_name(name);
        let Some(term) = self.take(name) else {
            let description = format!("needs `{name} = :value`: the partition key must equal one value");
            checker.push(checker.definitions().text_fault(description));
            return;
        };
        if term.test != Test::Equal {
            let description = format!("the partition key {} can only be compared with =", quoted(name));
            checker.fault_at(term.column, description);
            return;
        }
        if let Some(range) = range(term, MAX_PARTITION_KEY_BYTES, checker) {
            self.ranges.push((stored_name, range));
        }
    }

    /// The sort keys, in order: each but the last that is compared must equal one value.
    fn sort(&mut self, names: &[&'a str], checker: &mut Checker<'a>) {
        let mut unequal: Option<&str> = None;
        for name in names {
            let stored_name = self.model.stored_name(name);
            let Some(term) = self.take(name) else {
                unequal = unequal.or(Some(name));
                continue;
            };
            if let Some(earlier) = unequal {
                let description = format!(
                    "{} can only be compared if {} equals one value",
                    quoted(name),
                    quoted(earlier)
                );
                checker.fault_at(term.column, description);
                continue;
            }
            unequal = (term.test != Test::Equal).then_some(name);
            if let Some(range) = range(term, MAX_SORT_KEY_BYTES, checker) {
                self.ranges.push((stored_name, range));
            }
        }
    }

    /// Reports the terms of attributes that are no keys.
    fn refuse_others(&self, partition: &[&str], sort: &[&str], checker: &mut Checker<'a>) {
        let keys: Vec<_> = partition.iter().chain(sort).map(|name| quoted(name)).collect();
        for term in self.terms.iter().filter(|term| term.is_valid && !term.is_used) {
            let description = format!(
                "{} is not a key attribute; use {}",
                quoted(term.name),
                keys.join(" or ")
            );
            checker.fault_at(term.column, description);
        }
    }
}

/// The range of a term, if its values have no faults.
fn range<'a>(term: &Term<'_, 'a>, max_bytes: usize, checker: &mut Checker<'a>) -> Option<KeyRange> {
    if !term.is_valid {
        return None;
    }
    let mut values = Vec::new();
    for value in &term.values {
        check_value(value, max_bytes, checker);
        values.push(checker.definitions().value(value)?.clone());
    }
    key_range(term.test, values)
}

/// The range of a test; none if it has not as many values as the test needs.
fn key_range(test: Test, values: Vec<Value>) -> Option<KeyRange> {
    let mut values = values.into_iter();
    let first = values.next()?;
    Some(match test {
        Test::Equal => KeyRange::Equal(first),
        Test::Less => KeyRange::Less(first),
        Test::LessOrEqual => KeyRange::LessOrEqual(first),
        Test::Greater => KeyRange::Greater(first),
        Test::GreaterOrEqual => KeyRange::GreaterOrEqual(first),
        Test::Between => KeyRange::Between(first, values.next()?),
        Test::BeginsWith => KeyRange::BeginsWith(first),
    })
}

/// Checks what remains of a valid comparison: that the value is not NULL, and its size.
fn check_value<'a>(value: &ValueRef<'a>, max_bytes: usize, checker: &mut Checker<'a>) {
    let description = match checker.definitions().value(value) {
        Some(Value::Null) => "is NULL, but a key cannot be NULL".to_owned(),
        Some(Value::S(text)) if text.is_empty() || text.len() > max_bytes => size_description(max_bytes),
        Some(Value::B(bytes)) if bytes.is_empty() || bytes.len() > max_bytes => size_description(max_bytes),
        _ => return,
    };
    checker.push(checker.definitions().value_fault(value.name, description));
}

fn size_description(max_bytes: usize) -> String {
    format!("must have 1 to {max_bytes} bytes, like every value of this key attribute")
}
