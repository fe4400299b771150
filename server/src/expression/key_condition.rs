//! Key conditions: each partition key equals one value, and the sort keys are compared in order, all but the last with =.
//! Other attributes are refused. A key that has a template is compared as it is stored, or by the parts of the template:
//! the first ones with =, then at most one with another operator.

use std::time::SystemTime;

use super::ast::Condition;
use super::check::Checker;
use super::condition::parsed;
use super::input::Expression;
use super::key_names::key_names;
use super::key_range::KeyRange;
use super::key_template;
use super::key_terms::{Term, TermValue, Test, term};
use super::names::quoted;
use super::placeholders::Placeholders;
use crate::fault::Faults;
use crate::model::limits::{MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES, MAX_SUBSTITUTED_BYTES};
use crate::model::{Index, Model, Piece, Template, Value};

/// Which keys a key condition compares.
#[derive(Clone, Copy)]
pub struct KeyScope<'a> {
    /// The model.
    pub model: &'a Model,
    /// The index; `None`: the table.
    pub index: Option<&'a Index>,
    /// Whether items of other models in the same partition are left out, as far as the template of the sort key shows.
    pub narrows: bool,
    /// When the request arrived.
    pub now: SystemTime,
}

/// The keys of the table or index, and the terms that compare them.
struct Keys<'a> {
    model: &'a Model,
    /// Whether items of other models in the same partition are left out.
    narrows: bool,
    terms: Vec<Term<'a>>,
    /// What each key must be, by its stored name.
    ranges: Vec<(&'a str, KeyRange)>,
}

/// Renders the key condition of a Query of the table, or of an index. Faults are at the same places as for a condition.
///
/// # Errors
///
/// All faults.
pub fn key_condition(
    scope: &KeyScope<'_>,
    expression: &Expression,
    root: &str,
    out: &mut Placeholders,
) -> Result<String, Faults> {
    let KeyScope {
        model,
        index,
        narrows,
        now,
    } = *scope;
    let (condition, mut checker) = parsed(model, expression, root, now)?;
    let parts = match &condition {
        Condition::And(parts) => parts.as_slice(),
        single => std::slice::from_ref(single),
    };
    let mut keys = Keys {
        model,
        narrows,
        terms: Vec::new(),
        ranges: Vec::new(),
    };
    for part in parts {
        if let Some(term) = term(model, now, part, &mut checker) {
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

impl<'a> Keys<'a> {
    /// Adds a term, unless its attribute is compared already.
    fn add(&mut self, term: Term<'a>, checker: &mut Checker<'a>) {
        if self.terms.iter().any(|known| known.name == term.name) {
            checker.fault_at(term.column, format!("{} is compared twice", quoted(term.name)));
        } else {
            self.terms.push(term);
        }
    }

    /// The term of an attribute, which is then used.
    fn take(&mut self, name: &str) -> Option<&Term<'a>> {
        let term = self.terms.iter_mut().find(|term| term.name == name)?;
        term.is_used = true;
        Some(term)
    }

    /// The template of a key that is not compared itself.
    fn unless_compared(&self, name: &str) -> Option<&'a Template> {
        let is_compared = self.terms.iter().any(|term| term.name == name);
        let attribute = self.model.attribute(name).filter(|_| !is_compared)?;
        attribute.template.as_ref()
    }

    /// A partition key that is built from parts; each must equal one value.
    fn built(&mut self, name: &str, template: &Template, checker: &mut Checker<'a>) -> Option<Value> {
        let leading = key_template::leading(template, &self.terms, checker);
        for part in template.parts() {
            let Some(term) = self.take(part.attribute()) else {
                continue;
            };
            if term.test != Test::Equal {
                let description = format!(
                    "{} is a part of the partition key and can only be compared with =",
                    quoted(term.name)
                );
                checker.fault_at(term.column, description);
                return None;
            }
        }
        let leading = leading?;
        match leading.rest.first() {
            None => Some(Value::S(leading.text)),
            Some(Piece::Literal(_)) => None,
            Some(Piece::Part(part)) => {
                let part = part.attribute();
                let description = format!(
                    "needs `{part} = :value`, or `{name} = :value`: the partition key must equal one value"
                );
                checker.push(checker.definitions().text_fault(description));
                None
            }
        }
    }

    /// The range of a sort key that is built from parts.
    fn of_parts(&mut self, template: &Template, checker: &mut Checker<'a>) -> Option<KeyRange> {
        let Some(leading) = key_template::leading(template, &self.terms, checker) else {
            template
                .parts()
                .for_each(|part| self.use_equality(part.attribute()));
            return None;
        };
        let (text, rest) = (leading.text, leading.rest);
        let Some(Piece::Part(next)) = rest.first() else {
            template
                .parts()
                .for_each(|part| self.use_equality(part.attribute()));
            return Some(KeyRange::Equal(Value::S(text)));
        };
        let is_before = |name: &str| {
            !rest
                .iter()
                .any(|piece| matches!(piece, Piece::Part(part) if part.attribute() == name))
        };
        for part in template.parts().filter(|part| is_before(part.attribute())) {
            self.use_equality(part.attribute());
        }
        self.refuse_skipping(next.attribute(), rest, checker);
        if let Some(term) = self.take(next.attribute()) {
            return key_template::range(&text, term, rest, checker);
        }
        (!text.is_empty()).then_some(KeyRange::BeginsWith(Value::S(text)))
    }

    /// Reports the terms of parts that come after one that does not equal a value.
    fn refuse_skipping(&mut self, next: &str, rest: &[Piece], checker: &mut Checker<'a>) {
        for piece in rest.iter().skip(1) {
            let Piece::Part(part) = piece else { continue };
            if part.attribute() == next {
                continue;
            }
            if let Some(term) = self.take(part.attribute()) {
                let description = format!(
                    "{} can only be compared if {} equals one value",
                    quoted(term.name),
                    quoted(next)
                );
                checker.fault_at(term.column, description);
            }
        }
    }

    fn use_equality(&mut self, name: &str) {
        let terms = self.terms.iter_mut();
        terms
            .filter(|term| term.name == name && term.test == Test::Equal)
            .for_each(|term| term.is_used = true);
    }

    /// A partition key must equal one value.
    fn partition(&mut self, name: &'a str, checker: &mut Checker<'a>) {
        let stored_name = self.model.stored_name(name);
        if let Some(template) = self.unless_compared(name) {
            if let Some(key) = self.built(name, template, checker) {
                let range = KeyRange::Equal(key);
                check_built(name, &range, MAX_PARTITION_KEY_BYTES, checker);
                self.ranges.push((stored_name, range));
            }
            return;
        }
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
            if let Some(template) = self
                .unless_compared(name)
                .filter(|_| self.narrows && unequal.is_none())
            {
                let range = self.of_parts(template, checker);
                if let Some(range) = &range {
                    check_built(name, range, MAX_SORT_KEY_BYTES, checker);
                }
                let is_equality = matches!(range, Some(KeyRange::Equal(_)));
                unequal = (!is_equality).then_some(name);
                self.ranges.extend(range.map(|range| (stored_name, range)));
                continue;
            }
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
fn range<'a>(term: &Term<'a>, max_bytes: usize, checker: &mut Checker<'a>) -> Option<KeyRange> {
    if !term.is_valid {
        return None;
    }
    for value in &term.values {
        check_value(value, max_bytes, checker);
    }
    let values = term.values.iter().map(|value| value.value.clone());
    key_range(term.test, values.collect())
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
fn check_value<'a>(value: &TermValue<'a>, max_bytes: usize, checker: &mut Checker<'a>) {
    let description = match &value.value {
        Value::Null => "is NULL, but a key cannot be NULL".to_owned(),
        Value::S(text) if text.is_empty() || text.len() > max_bytes => size_description(max_bytes),
        Value::B(bytes) if bytes.is_empty() || bytes.len() > max_bytes => size_description(max_bytes),
        _ => return,
    };
    checker.push(checker.definitions().value_fault(value.placeholder, description));
}

/// Checks the length of a key that is built from parts.
fn check_built(name: &str, range: &KeyRange, max_bytes: usize, checker: &mut Checker<'_>) {
    if !range.is_within(max_bytes) {
        let name = quoted(name);
        let description =
            format!("the key {name} that is built from these values has more than {max_bytes} bytes");
        checker.push(checker.definitions().text_fault(description));
    }
}

fn size_description(max_bytes: usize) -> String {
    format!("must have 1 to {max_bytes} bytes, like every value of this key attribute")
}
