//! Conditions as a tree, and the methods that build it.

use std::ops::Not;

use super::Expression;
use super::operand::{IntoOperand, Operand, OperandKind, Size};
use super::path::Attr;
use super::render::MAX_IN_OPERANDS;
use crate::{Value, ValueError};

/// A condition. `And` and `Or` have at least two parts.
#[derive(Clone, Debug, Default)]
pub(super) enum Node {
    #[default]
    Empty,
    Text(String),
    Compare(OperandKind, &'static str, OperandKind),
    Between(OperandKind, OperandKind, OperandKind),
    In(OperandKind, Vec<OperandKind>),
    /// A function of a path.
    Presence(&'static str, Attr),
    /// A function of two operands.
    Function(&'static str, OperandKind, OperandKind),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

/// The kinds of stored values, for [`Attr::has_kind`], with DynamoDB's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    S,
    /// A number.
    N,
    /// Bytes.
    B,
    /// A boolean.
    Bool,
    /// A null.
    Null,
    /// A list.
    L,
    /// A map.
    M,
    /// A set of strings.
    Ss,
    /// A set of numbers.
    Ns,
    /// A set of byte strings.
    Bs,
}

/// Negates a condition, like `!condition`.
pub fn not(condition: Expression) -> Expression {
    !condition
}

impl Not for Expression {
    type Output = Expression;

    fn not(mut self) -> Expression {
        self.node = match self.node {
            Node::Empty => Node::Empty,
            Node::Not(inner) => *inner,
            node => {
                self.operators += 1;
                Node::Not(Box::new(node))
            }
        };
        self.bounded()
    }
}

macro_rules! comparisons {
    ($subject:ident, $kind:ident, $what:literal) => {
        impl $subject {
            #[doc = concat!($what, " equals the operand.")]
            pub fn eq(self, operand: impl IntoOperand) -> Expression {
                self.compare("=", operand)
            }

            #[doc = concat!($what, " differs from the operand.")]
            pub fn ne(self, operand: impl IntoOperand) -> Expression {
                self.compare("<>", operand)
            }

            #[doc = concat!($what, " is less than the operand.")]
            pub fn lt(self, operand: impl IntoOperand) -> Expression {
                self.compare("<", operand)
            }

            #[doc = concat!($what, " is less than the operand or equals it.")]
            pub fn le(self, operand: impl IntoOperand) -> Expression {
                self.compare("<=", operand)
            }

            #[doc = concat!($what, " is greater than the operand.")]
            pub fn gt(self, operand: impl IntoOperand) -> Expression {
                self.compare(">", operand)
            }

            #[doc = concat!($what, " is greater than the operand or equals it.")]
            pub fn ge(self, operand: impl IntoOperand) -> Expression {
                self.compare(">=", operand)
            }

            #[doc = concat!($what, " is in this range, both ends included.")]
            pub fn between(self, least: impl IntoOperand, greatest: impl IntoOperand) -> Expression {
                let (Operand(least), Operand(greatest)) = (least.into_operand(), greatest.into_operand());
                Expression::of(Node::Between(self.into_operand().0, least, greatest))
            }

            #[doc = concat!($what, " equals one of 1 to 100 operands.")]
            pub fn is_in<O: IntoOperand>(self, operands: impl IntoIterator<Item = O>) -> Expression {
                // one more than allowed is enough to know that there are too many
                let operands = operands.into_iter().take(MAX_IN_OPERANDS + 1);
                let operands = operands.map(|operand| operand.into_operand().0).collect();
                Expression::of(Node::In(self.into_operand().0, operands))
            }

            fn compare(self, operator: &'static str, operand: impl IntoOperand) -> Expression {
                Expression::of(Node::Compare(
                    self.into_operand().0,
                    operator,
                    operand.into_operand().0,
                ))
            }
        }
    };
}

comparisons!(Attr, Attr, "The attribute");
comparisons!(Size, Size, "The size");

impl Attr {
    /// The attribute exists, even if it is null.
    pub fn exists(self) -> Expression {
        Expression::of(Node::Presence("attribute_exists", self))
    }

    /// The attribute does not exist.
    pub fn not_exists(self) -> Expression {
        Expression::of(Node::Presence("attribute_not_exists", self))
    }

    /// The stored value is of this kind: `attribute_type`.
    pub fn has_kind(self, kind: Kind) -> Expression {
        let name = OperandKind::Value(Ok(Value::from(kind.name())));
        Expression::of(Node::Function("attribute_type", OperandKind::Attr(self), name))
    }

    /// The string or the bytes begin with the operand.
    pub fn begins_with(self, prefix: impl IntoOperand) -> Expression {
        let prefix = prefix.into_operand().0;
        Expression::of(Node::Function("begins_with", OperandKind::Attr(self), prefix))
    }

    /// The string contains this part, or the list or set this member.
    pub fn contains(self, part: impl IntoOperand) -> Expression {
        let part = part.into_operand().0;
        Expression::of(Node::Function("contains", OperandKind::Attr(self), part))
    }

    /// The size: characters of a string, bytes of a binary, members of a list, map or set.
    pub fn size(self) -> Size {
        Size(self)
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::S => "S",
            Kind::N => "N",
            Kind::B => "B",
            Kind::Bool => "BOOL",
            Kind::Null => "NULL",
            Kind::L => "L",
            Kind::M => "M",
            Kind::Ss => "SS",
            Kind::Ns => "NS",
            Kind::Bs => "BS",
        }
    }
}

impl Node {
    pub(super) fn and(self, other: Node) -> Node {
        match (self, other) {
            (Node::Empty, only) | (only, Node::Empty) => only,
            (Node::And(mut parts), Node::And(others)) => {
                parts.extend(others);
                Node::And(parts)
            }
            (Node::And(mut parts), other) => {
                parts.push(other);
                Node::And(parts)
            }
            (one, Node::And(others)) => Node::And(std::iter::once(one).chain(others).collect()),
            (one, other) => Node::And(vec![one, other]),
        }
    }

    pub(super) fn or(self, other: Node) -> Node {
        match (self, other) {
            (Node::Empty, only) | (only, Node::Empty) => only,
            (Node::Or(mut parts), Node::Or(others)) => {
                parts.extend(others);
                Node::Or(parts)
            }
            (Node::Or(mut parts), other) => {
                parts.push(other);
                Node::Or(parts)
            }
            (one, Node::Or(others)) => Node::Or(std::iter::once(one).chain(others).collect()),
            (one, other) => Node::Or(vec![one, other]),
        }
    }

    /// Whether it can be a key condition: text, or comparisons that AND joins.
    pub(super) fn is_key_condition(&self) -> bool {
        match self {
            Node::Empty | Node::Text(_) => true,
            Node::Compare(_, operator, _) => *operator != "<>",
            Node::Between(..) => true,
            Node::Function(name, ..) => *name == "begins_with",
            Node::And(parts) => parts.iter().all(Node::is_key_condition),
            Node::In(..) | Node::Presence(..) | Node::Not(_) | Node::Or(_) => false,
        }
    }

    /// The number of operators and functions of a condition without parts.
    pub(super) fn own_operators(&self) -> usize {
        let operands = self.operands();
        usize::from(!matches!(self, Node::Empty | Node::Text(_)))
            + operands.map(OperandKind::operators).sum::<usize>()
    }

    /// Why DynamoDB would refuse a condition without parts.
    pub(super) fn own_fault(&self) -> Option<ValueError> {
        match self {
            Node::In(_, operands) if operands.is_empty() => {
                return Some(ValueError::new("IN requires at least one operand"));
            }
            Node::In(_, operands) if operands.len() > MAX_IN_OPERANDS => {
                let fault = format!("IN supports at most {MAX_IN_OPERANDS} operands");
                return Some(ValueError::new(fault));
            }
            _ => {}
        }
        let mut operands = self.operands();
        let first = operands.next()?;
        let is_same = operands.any(|other| other.is_same(first));
        is_same.then(|| ValueError::new("an attribute is compared with itself"))
    }

    fn operands(&self) -> impl Iterator<Item = &OperandKind> {
        let (fixed, listed): (Vec<&OperandKind>, &[OperandKind]) = match self {
            Node::Compare(left, _, right) | Node::Function(_, left, right) => (vec![left, right], &[]),
            Node::Between(subject, least, greatest) => (vec![subject, least, greatest], &[]),
            Node::In(subject, operands) => (vec![subject], operands),
            Node::Empty | Node::Text(_) | Node::Presence(..) | Node::Not(_) | Node::And(_) | Node::Or(_) => {
                (Vec::new(), &[])
            }
        };
        fixed.into_iter().chain(listed)
    }
}
