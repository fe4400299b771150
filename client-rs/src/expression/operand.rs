//! What conditions compare: attributes, sizes and values.

use serde::Serialize;

use super::path::Attr;
use crate::{Value, ValueError, to_value};

/// The size of an attribute's value, as [`Attr::size`] returns it.
#[derive(Clone, Debug)]
pub struct Size(pub(super) Attr);

/// One side of a comparison: an [`Attr`], a [`Size`], or any serde value.
#[derive(Clone, Debug)]
pub struct Operand(pub(super) OperandKind);

#[derive(Clone, Debug)]
pub(super) enum OperandKind {
    Attr(Attr),
    Size(Attr),
    Value(Result<Value, ValueError>),
}

/// What attributes can be compared with: an [`Attr`], a [`Size`], or any serde value.
pub trait IntoOperand {
    /// The operand.
    fn into_operand(self) -> Operand;
}

impl<T: Serialize> IntoOperand for T {
    fn into_operand(self) -> Operand {
        Operand(OperandKind::Value(to_value(&self)))
    }
}

impl IntoOperand for Attr {
    fn into_operand(self) -> Operand {
        Operand(OperandKind::Attr(self))
    }
}

impl IntoOperand for Size {
    fn into_operand(self) -> Operand {
        Operand(OperandKind::Size(self.0))
    }
}

impl OperandKind {
    /// The attribute that it names.
    pub(super) fn attribute(&self) -> Option<&Attr> {
        match self {
            OperandKind::Attr(path) | OperandKind::Size(path) => Some(path),
            OperandKind::Value(_) => None,
        }
    }

    /// The number of functions.
    pub(super) fn operators(&self) -> usize {
        usize::from(matches!(self, OperandKind::Size(_)))
    }

    /// Whether both are the same attribute or size, which DynamoDB refuses to compare.
    pub(super) fn is_same(&self, other: &OperandKind) -> bool {
        match (self, other) {
            (OperandKind::Attr(one), OperandKind::Attr(other))
            | (OperandKind::Size(one), OperandKind::Size(other)) => one.steps() == other.steps(),
            (OperandKind::Attr(_) | OperandKind::Size(_) | OperandKind::Value(_), _) => false,
        }
    }
}
