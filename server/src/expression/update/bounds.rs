//! Bounds of the model that only the store can check, since the result of the change depends on what is stored:
//! `SET age = age + :one` with a `max` of 150 is allowed if the stored age is at most 149.

use bigdecimal::BigDecimal;

use super::super::names::stored_name;
use super::super::placeholders::Placeholders;
use crate::model::{Checks, Item, Model, Number, Value};

/// What must be true of a stored attribute before it is changed, so that the result is within the model's bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    attribute: String,
    measured: Measured,
    least: Option<Number>,
    greatest: Option<Number>,
    /// Whether the change works on an item without the attribute.
    is_optional: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Measured {
    Value,
    Length,
}

/// Why a bound is not a condition on the stored value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BoundError {
    /// No stored value could satisfy it.
    Unreachable,
    /// The limit for the stored value has more digits than a number can have.
    Precision,
}

impl Bound {
    /// For `attribute = attribute + added`, or ADD, which takes a missing attribute for zero. None if the attribute has no
    /// bounds.
    pub(super) fn of_sum(
        attribute: &str,
        checks: &Checks,
        added: &Number,
        takes_missing: bool,
    ) -> Result<Option<Bound>, BoundError> {
        if checks.min.is_none() && checks.max.is_none() {
            return Ok(None);
        }
        let before = |limit: &Number| difference(limit, added).ok_or(BoundError::Precision);
        let is_zero_plus_added_allowed = checks.min.as_ref().is_none_or(|min| added >= min)
            && checks.max.as_ref().is_none_or(|max| added <= max);
        Ok(Some(Bound {
            attribute: attribute.to_owned(),
            measured: Measured::Value,
            least: checks.min.as_ref().map(before).transpose()?,
            greatest: checks.max.as_ref().map(before).transpose()?,
            is_optional: takes_missing && is_zero_plus_added_allowed,
        }))
    }

    /// For a list that so many members are appended to. None if the attribute has no bounds.
    pub(super) fn of_append(
        attribute: &str,
        checks: &Checks,
        members: usize,
    ) -> Result<Option<Bound>, BoundError> {
        if checks.min_length.is_none() && checks.max_length.is_none() {
            return Ok(None);
        }
        let members = members as u64;
        let greatest = checks
            .max_length
            .map(|max| max.checked_sub(members).ok_or(BoundError::Unreachable))
            .transpose()?;
        let least = checks.min_length.and_then(|min| min.checked_sub(members));
        Ok(Some(Bound {
            attribute: attribute.to_owned(),
            measured: Measured::Length,
            least: least.filter(|least| *least > 0).map(Number::from),
            greatest: greatest.map(Number::from),
            is_optional: false,
        }))
    }

    /// The attribute, by the model's name.
    pub fn attribute(&self) -> &str {
        &self.attribute
    }

    /// The condition, without parentheses around it.
    pub fn render(&self, model: &Model, out: &mut Placeholders) -> String {
        let name = out.name(stored_name(model, &self.attribute));
        let operand = match self.measured {
            Measured::Value => name.clone(),
            Measured::Length => format!("size({name})"),
        };
        let mut parts = Vec::new();
        for (comparator, limit) in [(">=", &self.least), ("<=", &self.greatest)] {
            if let Some(limit) = limit {
                let value = out.value(Value::N(limit.clone()));
                parts.push(format!("{operand}{comparator}{value}"));
            }
        }
        if parts.is_empty() {
            return format!("attribute_exists({name})");
        }
        let within = parts.join(" AND ");
        match self.is_optional {
            true => format!("(attribute_not_exists({name}) OR ({within}))"),
            false => within,
        }
    }

    /// Whether an item, by the model's names, satisfies the condition.
    pub fn is_met_by(&self, item: &Item) -> bool {
        let within = |number: &Number| {
            self.least.as_ref().is_none_or(|least| number >= least)
                && self.greatest.as_ref().is_none_or(|greatest| number <= greatest)
        };
        match (item.get(&self.attribute), self.measured) {
            (None, _) => self.is_optional,
            (Some(Value::N(number)), Measured::Value) => within(number),
            (Some(Value::L(members)), Measured::Length) => within(&Number::from(members.len() as u64)),
            (Some(_), _) => false,
        }
    }
}

/// The exact difference, if a number can hold it.
fn difference(from: &Number, taken: &Number) -> Option<Number> {
    let exact = |number: &Number| number.as_str().parse::<BigDecimal>().ok();
    let difference = exact(from)? - exact(taken)?;
    difference.to_plain_string().parse().ok()
}
