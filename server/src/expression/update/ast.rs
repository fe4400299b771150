//! What an update expression says, as a tree that borrows from its text. Contains no values: those are looked up.

use super::super::ast::{Path, ValueRef};

/// One change.
#[derive(Debug)]
pub(super) enum Action<'a> {
    Set(Path<'a>, Assigned<'a>),
    Remove(Path<'a>),
    Add(Path<'a>, ValueRef<'a>),
    Delete(Path<'a>, ValueRef<'a>),
}

/// What SET assigns.
#[derive(Debug)]
pub(super) enum Assigned<'a> {
    Operand(Operand<'a>),
    Sum(Operand<'a>, Operand<'a>),
    Difference(Operand<'a>, Operand<'a>),
}

#[derive(Debug)]
pub(super) enum Operand<'a> {
    Path(Path<'a>),
    Value(ValueRef<'a>),
    /// A path, and what is assigned if nothing is stored there.
    IfNotExists(Path<'a>, Box<Operand<'a>>),
    ListAppend(Box<Operand<'a>>, Box<Operand<'a>>),
}

impl<'a> Action<'a> {
    /// The path that the action changes.
    pub(super) fn target(&self) -> &Path<'a> {
        match self {
            Action::Set(path, _) | Action::Remove(path) | Action::Add(path, _) | Action::Delete(path, _) => {
                path
            }
        }
    }
}

impl Operand<'_> {
    /// Where the operand begins; a function begins at its first operand.
    pub(super) fn column(&self) -> usize {
        match self {
            Operand::Path(path) | Operand::IfNotExists(path, _) => path.attribute.column,
            Operand::Value(value) => value.column,
            Operand::ListAppend(first, _) => first.column(),
        }
    }
}
