//! The changes of a checked update, with their values. Attributes have the model's names until they are rendered.

use std::collections::BTreeSet;

use super::bounds::Bound;
use crate::model::{Number, Value};

/// The changes to one item; no two of their paths overlap.
#[derive(Clone, Debug, Default)]
pub struct Update {
    pub(super) actions: Vec<Action>,
    pub(super) bounds: Vec<Bound>,
}

/// A document path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) attribute: String,
    pub(super) steps: Vec<Step>,
}

/// One step down from an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Index(u32),
    Name(String),
}

/// One change.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Set(Target, Assigned),
    Remove(Target),
    Add(Target, Value),
    Delete(Target, Value),
}

/// What SET assigns.
#[derive(Clone, Debug)]
pub(super) enum Assigned {
    Operand(Operand),
    Sum(Operand, Operand),
    Difference(Operand, Operand),
}

#[derive(Clone, Debug)]
pub(super) enum Operand {
    Path(Target),
    Value(Value),
    IfNotExists(Target, Box<Operand>),
    ListAppend(Box<Operand>, Box<Operand>),
}

/// What an update makes of an attribute as a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Effect<'a> {
    /// Nothing.
    None,
    /// It has this value.
    Set(&'a Value),
    /// It keeps its value, or gets this one if it has none.
    SetIfAbsent(&'a Value),
    /// It is removed.
    Removed,
    /// Its value depends on what is stored.
    Computed,
}

impl Update {
    /// What becomes of an attribute.
    pub fn effect(&self, attribute: &str) -> Effect<'_> {
        let mut changes = self.actions.iter();
        let change = changes.find(|action| action.target().attribute == attribute);
        match change {
            None => Effect::None,
            Some(change) if !change.target().steps.is_empty() => Effect::Computed,
            Some(Action::Remove(_)) => Effect::Removed,
            Some(Action::Set(_, Assigned::Operand(Operand::Value(value)))) => Effect::Set(value),
            Some(Action::Set(target, Assigned::Operand(Operand::IfNotExists(own, value)))) => {
                match &**value {
                    Operand::Value(value) if own == target => Effect::SetIfAbsent(value),
                    _ => Effect::Computed,
                }
            }
            Some(Action::Set(..) | Action::Add(..) | Action::Delete(..)) => Effect::Computed,
        }
    }

    /// Whether the result for an attribute as a whole depends on whether the item has it: ADD, DELETE and
    /// `if_not_exists`.
    pub fn completes(&self, attribute: &str) -> bool {
        let is_in_place = |action: &Action| match action {
            Action::Add(target, _) | Action::Delete(target, _) => {
                target.attribute == attribute && target.steps.is_empty()
            }
            Action::Set(..) | Action::Remove(_) => false,
        };
        matches!(self.effect(attribute), Effect::SetIfAbsent(_)) || self.actions.iter().any(is_in_place)
    }

    /// Changes an attribute as if the item did not have it: ADD and `if_not_exists` set it, DELETE removes it.
    pub fn assume_absent(&mut self, attribute: &str) {
        let added = self.actions.iter().find_map(|action| match action {
            Action::Add(target, value) if target.attribute == attribute => Some(value.clone()),
            Action::Add(..) | Action::Set(..) | Action::Remove(_) | Action::Delete(..) => None,
        });
        let value = match (added, self.effect(attribute)) {
            (Some(value), _) => Some(value),
            (None, Effect::SetIfAbsent(value)) => Some(value.clone()),
            (None, _) => None,
        };
        match value {
            Some(value) => self.set(attribute, value),
            None => self.remove(attribute),
        }
    }

    /// Names of the attributes that are changed, wholly or in part.
    pub fn touched(&self) -> BTreeSet<&str> {
        self.actions
            .iter()
            .map(|action| action.target().attribute.as_str())
            .collect()
    }

    /// Names of the attributes that an item certainly has after the update, even if it was created.
    pub fn provided(&self) -> BTreeSet<&str> {
        let provides = |action: &&Action| match action {
            Action::Set(target, _) | Action::Add(target, _) => target.steps.is_empty(),
            Action::Remove(_) | Action::Delete(..) => false,
        };
        let provided = self.actions.iter().filter(provides);
        provided
            .map(|action| action.target().attribute.as_str())
            .collect()
    }

    /// Whether applying the update twice leaves the same item as applying it once.
    pub fn is_idempotent(&self) -> bool {
        self.actions.iter().all(|action| match action {
            Action::Set(target, assigned) => {
                !matches!(target.steps.last(), Some(Step::Index(_))) && self.is_stable(target, assigned)
            }
            // the members after a removed one move up
            Action::Remove(target) => !matches!(target.steps.last(), Some(Step::Index(_))),
            Action::Add(_, value) => !matches!(value, Value::N(_)),
            Action::Delete(..) => true,
        })
    }

    /// Whether what SET assigns is the same after the update as before.
    fn is_stable(&self, target: &Target, assigned: &Assigned) -> bool {
        match assigned {
            // once assigned, it exists
            Assigned::Operand(Operand::IfNotExists(own, value)) if own == target => self.is_unchanged(value),
            Assigned::Operand(operand) => self.is_unchanged(operand),
            Assigned::Sum(left, right) | Assigned::Difference(left, right) => {
                self.is_unchanged(left) && self.is_unchanged(right)
            }
        }
    }

    /// Whether the update changes nothing that an operand reads.
    fn is_unchanged(&self, operand: &Operand) -> bool {
        let is_changed = |path: &Target| self.actions.iter().any(|action| action.target().overlaps(path));
        match operand {
            Operand::Value(_) => true,
            Operand::Path(path) => !is_changed(path),
            Operand::IfNotExists(path, value) => !is_changed(path) && self.is_unchanged(value),
            Operand::ListAppend(first, second) => self.is_unchanged(first) && self.is_unchanged(second),
        }
    }

    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty()
    }

    /// The attributes that are set as a whole to a given value, `SET attribute = :value`.
    pub fn whole_values(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.actions.iter().filter_map(|action| match action {
            Action::Set(target, Assigned::Operand(Operand::Value(value))) if target.steps.is_empty() => {
                Some((target.attribute.as_str(), value))
            }
            Action::Set(..) | Action::Remove(_) | Action::Add(..) | Action::Delete(..) => None,
        })
    }

    /// Names of the attributes that are removed as a whole.
    pub fn removed(&self) -> impl Iterator<Item = &str> {
        self.actions.iter().filter_map(|action| match action {
            Action::Remove(target) if target.steps.is_empty() => Some(target.attribute.as_str()),
            Action::Set(..) | Action::Remove(_) | Action::Add(..) | Action::Delete(..) => None,
        })
    }

    /// Conditions under which the results of arithmetic stay within the model's bounds.
    pub fn bounds(&self) -> &[Bound] {
        &self.bounds
    }

    /// Sets an attribute as a whole, in place of every other change to it.
    pub fn set(&mut self, attribute: &str, value: Value) {
        self.forget(attribute);
        self.assign(attribute, Operand::Value(value));
    }

    /// Adds one to a number, which counts from zero if the item does not have it, in place of every other change to it.
    pub fn increment(&mut self, attribute: &str) {
        self.forget(attribute);
        let number = |number: u64| Operand::Value(Value::N(Number::from(number)));
        let stored = Operand::IfNotExists(Target::whole(attribute), Box::new(number(0)));
        let sum = Assigned::Sum(stored, number(1));
        self.actions.push(Action::Set(Target::whole(attribute), sum));
    }

    /// Sets an attribute as a whole if the item does not have it, in place of every other change to it.
    pub fn set_if_not_exists(&mut self, attribute: &str, value: Value) {
        self.forget(attribute);
        let target = Target::whole(attribute);
        self.assign(
            attribute,
            Operand::IfNotExists(target, Box::new(Operand::Value(value))),
        );
    }

    /// Removes an attribute, in place of every other change to it.
    pub fn remove(&mut self, attribute: &str) {
        self.forget(attribute);
        self.actions.push(Action::Remove(Target::whole(attribute)));
    }

    /// Leaves an attribute as it is.
    pub fn forget(&mut self, attribute: &str) {
        self.actions
            .retain(|action| action.target().attribute != attribute);
        self.bounds.retain(|bound| bound.attribute() != attribute);
    }

    fn assign(&mut self, attribute: &str, operand: Operand) {
        self.actions
            .push(Action::Set(Target::whole(attribute), Assigned::Operand(operand)));
    }
}

impl Action {
    pub(super) fn target(&self) -> &Target {
        match self {
            Action::Set(target, _)
            | Action::Remove(target)
            | Action::Add(target, _)
            | Action::Delete(target, _) => target,
        }
    }
}

impl Target {
    /// A whole attribute.
    pub(super) fn whole(attribute: &str) -> Target {
        Target {
            attribute: attribute.to_owned(),
            steps: Vec::new(),
        }
    }

    /// Whether one path is the other or leads to it.
    pub(super) fn overlaps(&self, other: &Target) -> bool {
        self.attribute == other.attribute
            && self
                .steps
                .iter()
                .zip(&other.steps)
                .all(|(one, other)| one == other)
    }
}
