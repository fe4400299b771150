//! Updates: SET, REMOVE, ADD and DELETE, and what SET assigns.

use std::ops::{Add, Sub};

use serde::Serialize;
use tollgate_proto::v1;

use super::Expression;
use super::condition::Node;
use super::path::Attr;
use super::render::{MAX_OPERATORS, MAX_TEXT_BYTES, Renderer};
use crate::{Error, Item, Value, ValueError, to_value};

/// Functions that are nested in each other.
const MAX_DEPTH: usize = 32;
/// Actions of one update: a text cannot contain more, because each has at least four bytes.
const MAX_ACTIONS: usize = MAX_TEXT_BYTES / 4;

/// Changes of an item, in any order: `update().set("name", "Ada").set("visits", attr("visits") + 1).remove("old")`.
///
/// Attributes are paths, as for [`attr`](super::attr). Text works too: `expr("SET #n = :n")`.
#[derive(Clone, Debug, Default)]
pub struct Update {
    texts: Vec<Expression>,
    actions: Vec<Action>,
}

#[derive(Clone, Debug)]
enum Action {
    Set(Attr, AssignedKind),
    Remove(Attr),
    Add(Attr, Result<Value, ValueError>),
    Delete(Attr, Result<Value, ValueError>),
}

/// What SET assigns: a value, an attribute, a function, or a sum or difference of two of these.
#[derive(Clone, Debug)]
pub struct Assigned(AssignedKind);

#[derive(Clone, Debug)]
enum AssignedKind {
    One(Computed),
    Sum(Computed, Computed),
    Difference(Computed, Computed),
}

/// A value, an attribute, `if_not_exists` or `list_append`.
#[derive(Clone, Debug)]
pub struct Computed {
    node: ComputedNode,
    operators: usize,
    depth: usize,
}

#[derive(Clone, Debug)]
enum ComputedNode {
    Attr(Attr),
    Value(Result<Value, ValueError>),
    IfNotExists(Attr, Box<Computed>),
    ListAppend(Box<Computed>, Box<Computed>),
    /// More functions in each other than DynamoDB allows.
    TooDeep,
}

/// An update without changes, to which they are added.
pub fn update() -> Update {
    Update::default()
}

/// A value as the start of a computation: `value(100) - attr("used")`.
pub fn value<T: Serialize>(value: T) -> Computed {
    value.into_computed()
}

impl Update {
    /// Assigns to an attribute a value, another attribute, or a computation.
    #[must_use]
    pub fn set(self, attribute: impl Into<Attr>, assigned: impl IntoAssigned) -> Update {
        let Assigned(assigned) = assigned.into_assigned();
        self.with(Action::Set(attribute.into(), assigned))
    }

    /// Removes an attribute, a field of a map or a member of a list.
    #[must_use]
    pub fn remove(self, attribute: impl Into<Attr>) -> Update {
        self.with(Action::Remove(attribute.into()))
    }

    /// Adds to a number, or members to a set. An absent attribute counts as 0 or as an empty set.
    #[must_use]
    pub fn add<T: Serialize>(self, attribute: impl Into<Attr>, value: T) -> Update {
        self.with(Action::Add(attribute.into(), to_value(&value)))
    }

    /// Removes members from a set.
    #[must_use]
    pub fn delete<T: Serialize>(self, attribute: impl Into<Attr>, members: T) -> Update {
        self.with(Action::Delete(attribute.into(), to_value(&members)))
    }

    /// All changes of two updates.
    #[must_use]
    pub fn and(mut self, other: Update) -> Update {
        self.texts.extend(other.texts);
        other.actions.into_iter().fold(self, Update::with)
    }

    fn with(mut self, action: Action) -> Update {
        // one more than allowed is enough to know that there are too many
        if self.actions.len() <= MAX_ACTIONS {
            self.actions.push(action);
        }
        self
    }

    /// The message for a field of the request. `None` if there are no changes.
    pub(crate) fn into_wire(self, field: &str) -> Result<Option<v1::Expression>, Error> {
        let refused = |fault: &str| Err(Error::invalid_value(field, ValueError::new(fault)));
        let mut texts = self.texts.into_iter();
        if let Some(text) = texts.next() {
            return match (self.actions.is_empty() && texts.len() == 0, &text.node) {
                (true, Node::Empty | Node::Text(_)) => text.into_wire(field),
                (true, _) => refused("is a condition: use update() or text"),
                (false, _) => refused("has text and other changes: use only one of them"),
            };
        }
        if self.actions.is_empty() {
            return Ok(None);
        }
        if let Some(fault) = fault(&self.actions) {
            return Err(Error::invalid_value(field, fault));
        }
        Renderer::render(Item::new(), Default::default(), |renderer| {
            clauses(renderer, &self.actions);
        })
        .map(Some)
        .map_err(|fault| Error::invalid_value(field, fault))
    }
}

impl From<Expression> for Update {
    fn from(text: Expression) -> Update {
        Update {
            texts: vec![text],
            actions: Vec::new(),
        }
    }
}

impl From<&str> for Update {
    fn from(text: &str) -> Update {
        Update::from(Expression::from(text))
    }
}

/// For requests that are sent without this crate's calls. An update without changes is an empty message.
impl TryFrom<Update> for v1::Expression {
    type Error = Error;

    fn try_from(update: Update) -> Result<v1::Expression, Error> {
        Ok(update.into_wire("update")?.unwrap_or_default())
    }
}

/// What a computation can contain: an [`Attr`], a [`Computed`], or any serde value.
pub trait IntoComputed {
    /// The part of the computation.
    fn into_computed(self) -> Computed;
}

impl<T: Serialize> IntoComputed for T {
    fn into_computed(self) -> Computed {
        Computed::leaf(ComputedNode::Value(to_value(&self)))
    }
}

impl IntoComputed for Attr {
    fn into_computed(self) -> Computed {
        Computed::leaf(ComputedNode::Attr(self))
    }
}

impl IntoComputed for Computed {
    fn into_computed(self) -> Computed {
        self
    }
}

/// What [`Update::set`] assigns: an [`Attr`], a [`Computed`], an [`Assigned`], or any serde value.
pub trait IntoAssigned {
    /// What is assigned.
    fn into_assigned(self) -> Assigned;
}

impl<T: Serialize> IntoAssigned for T {
    fn into_assigned(self) -> Assigned {
        Assigned(AssignedKind::One(self.into_computed()))
    }
}

impl IntoAssigned for Attr {
    fn into_assigned(self) -> Assigned {
        Assigned(AssignedKind::One(self.into_computed()))
    }
}

impl IntoAssigned for Computed {
    fn into_assigned(self) -> Assigned {
        Assigned(AssignedKind::One(self))
    }
}

impl IntoAssigned for Assigned {
    fn into_assigned(self) -> Assigned {
        self
    }
}

macro_rules! computations {
    ($($subject:ident)*) => {$(
        impl<T: IntoComputed> Add<T> for $subject {
            type Output = Assigned;

            fn add(self, other: T) -> Assigned {
                Assigned(AssignedKind::Sum(self.into_computed(), other.into_computed()))
            }
        }

        impl<T: IntoComputed> Sub<T> for $subject {
            type Output = Assigned;

            fn sub(self, other: T) -> Assigned {
                Assigned(AssignedKind::Difference(self.into_computed(), other.into_computed()))
            }
        }

        impl $subject {
            /// The list with the members of another one behind it: `list_append`.
            #[must_use]
            pub fn append(self, members: impl IntoComputed) -> Computed {
                Computed::appended(self.into_computed(), members.into_computed())
            }

            /// The list with the members of another one before it: `list_append`.
            #[must_use]
            pub fn prepend(self, members: impl IntoComputed) -> Computed {
                Computed::appended(members.into_computed(), self.into_computed())
            }
        }
    )*};
}

computations! { Attr Computed }

impl Attr {
    /// The attribute, or something else if it does not exist.
    pub fn if_not_exists(self, otherwise: impl IntoComputed) -> Computed {
        let otherwise = otherwise.into_computed();
        let (operators, depth) = (otherwise.operators + 1, otherwise.depth + 1);
        Computed::nested(
            ComputedNode::IfNotExists(self, Box::new(otherwise)),
            operators,
            depth,
        )
    }
}

impl Computed {
    fn leaf(node: ComputedNode) -> Computed {
        Computed {
            node,
            operators: 0,
            depth: 0,
        }
    }

    fn appended(first: Computed, second: Computed) -> Computed {
        let operators = first.operators + second.operators + 1;
        let depth = first.depth.max(second.depth) + 1;
        let node = ComputedNode::ListAppend(Box::new(first), Box::new(second));
        Computed::nested(node, operators, depth)
    }

    fn nested(node: ComputedNode, operators: usize, depth: usize) -> Computed {
        let is_allowed = depth <= MAX_DEPTH && operators <= MAX_OPERATORS;
        Computed {
            node: if is_allowed { node } else { ComputedNode::TooDeep },
            operators: operators.min(MAX_OPERATORS + 1),
            depth: depth.min(MAX_DEPTH),
        }
    }
}

impl Action {
    fn target(&self) -> &Attr {
        match self {
            Action::Set(path, _) | Action::Remove(path) | Action::Add(path, _) | Action::Delete(path, _) => {
                path
            }
        }
    }

    fn clause(&self) -> &'static str {
        match self {
            Action::Set(..) => "SET",
            Action::Remove(_) => "REMOVE",
            Action::Add(..) => "ADD",
            Action::Delete(..) => "DELETE",
        }
    }

    fn operators(&self) -> usize {
        match self {
            Action::Set(_, AssignedKind::One(one)) => one.operators,
            Action::Set(_, AssignedKind::Sum(one, other) | AssignedKind::Difference(one, other)) => {
                one.operators + other.operators + 1
            }
            Action::Remove(_) | Action::Add(..) | Action::Delete(..) => 0,
        }
    }

    /// Why the action can never succeed.
    fn fault(&self) -> Option<ValueError> {
        let is_set = |value: &Value| {
            matches!(
                value,
                Value::StringSet(_) | Value::NumberSet(_) | Value::BinarySet(_)
            )
        };
        let what = match self {
            Action::Add(_, Ok(value)) if !is_set(value) && !matches!(value, Value::Number(_)) => {
                "ADD supports only numbers and sets"
            }
            Action::Delete(_, Ok(value)) if !is_set(value) => "DELETE supports only sets",
            _ => return None,
        };
        Some(ValueError::new(what))
    }
}

/// Why DynamoDB would refuse these actions.
fn fault(actions: &[Action]) -> Option<ValueError> {
    if actions.len() > MAX_ACTIONS {
        return Some(ValueError::new(format!("has more than {MAX_ACTIONS} changes")));
    }
    if actions.iter().map(Action::operators).sum::<usize>() > MAX_OPERATORS {
        let fault = format!("has more than {MAX_OPERATORS} operators and functions");
        return Some(ValueError::new(fault));
    }
    for (index, action) in actions.iter().enumerate() {
        if let Some(fault) = action.target().fault() {
            return Some(ValueError::new(fault));
        }
        let is_changed = |other: &Action| other.target().conflicts(action.target());
        if actions[..index].iter().any(is_changed) {
            let name = action.target().last_name();
            return Some(ValueError::new(format!("{name:?} is changed twice")));
        }
        if let Some(fault) = action.fault() {
            return Some(fault);
        }
    }
    None
}

fn clauses(renderer: &mut Renderer, actions: &[Action]) {
    for clause in ["SET", "REMOVE", "ADD", "DELETE"] {
        let mut separator = format!("{}{clause} ", if renderer.text.is_empty() { "" } else { " " });
        for action in actions.iter().filter(|action| action.clause() == clause) {
            renderer.text.push_str(&separator);
            renderer.path(action.target());
            changed(renderer, action);
            separator = ", ".to_owned();
        }
    }
}

fn changed(renderer: &mut Renderer, action: &Action) {
    let hint = action.target().last_name();
    match action {
        Action::Remove(_) => {}
        Action::Add(_, value) | Action::Delete(_, value) => {
            renderer.text.push(' ');
            renderer.value(value, hint);
        }
        Action::Set(_, assigned) => {
            renderer.text.push_str(" = ");
            let (first, rest) = match assigned {
                AssignedKind::One(one) => (one, None),
                AssignedKind::Sum(one, other) => (one, Some((" + ", other))),
                AssignedKind::Difference(one, other) => (one, Some((" - ", other))),
            };
            computed(renderer, first, hint);
            if let Some((operator, second)) = rest {
                renderer.text.push_str(operator);
                computed(renderer, second, hint);
            }
        }
    }
}

fn computed(renderer: &mut Renderer, part: &Computed, hint: &str) {
    match &part.node {
        ComputedNode::Attr(path) => renderer.path(path),
        ComputedNode::Value(value) => renderer.value(value, hint),
        ComputedNode::IfNotExists(path, otherwise) => {
            renderer.text.push_str("if_not_exists(");
            renderer.path(path);
            renderer.text.push_str(", ");
            computed(renderer, otherwise, hint);
            renderer.text.push(')');
        }
        ComputedNode::ListAppend(first, second) => {
            renderer.text.push_str("list_append(");
            computed(renderer, first, hint);
            renderer.text.push_str(", ");
            computed(renderer, second, hint);
            renderer.text.push(')');
        }
        ComputedNode::TooDeep => renderer.refuse(format!("has more than {MAX_DEPTH} nested functions")),
    }
}
