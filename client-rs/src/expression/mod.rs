//! Expressions: builders that produce only valid ones, and text. Does not know the model: the server checks names and types.

mod condition;
mod key;
mod operand;
mod path;
mod render;
mod text;
mod update;

use std::collections::HashMap;

use tollgate_proto::v1;

use crate::value::item_to_wire;
use crate::{Error, Item, ValueError};
use condition::Node;
use render::{MAX_OPERATORS, Renderer};

pub use condition::{Kind, not};
pub use key::{Key, KeyAttr, KeyCondition, KeyRange, key};
pub use operand::{IntoOperand, Operand, Size};
pub use path::{Attr, attr};
pub use text::expr;
pub use update::{Assigned, Computed, IntoAssigned, IntoComputed, Update, update, value};

/// A condition, filter or key condition, over the model's attribute names. The default is empty and left out of requests.
///
/// Build it from attributes, `attr("age").ge(18).and(attr("name").begins_with("A"))`, or write it as text,
/// `expr("age >= :least").bind(":least", 18)`. Both can be joined. The call reports what is invalid about it.
#[derive(Clone, Debug, Default)]
pub struct Expression {
    node: Node,
    /// The values and names of placeholders in texts.
    values: Item,
    names: HashMap<String, String>,
    operators: usize,
    fault: Option<ValueError>,
}

impl Expression {
    /// Joins two expressions with AND. An empty one has no effect.
    #[must_use]
    pub fn and(self, other: Expression) -> Expression {
        self.joined(other, Node::and)
    }

    /// Joins two expressions with OR. An empty one has no effect.
    #[must_use]
    pub fn or(self, other: Expression) -> Expression {
        self.joined(other, Node::or)
    }

    /// The message for a field of the request. `None` if the expression is empty.
    pub(crate) fn into_wire(self, field: &str) -> Result<Option<v1::Expression>, Error> {
        let refused = |fault: ValueError| Error::invalid_value(field, fault);
        if let Some(fault) = self.fault {
            return Err(refused(fault));
        }
        let is_empty = matches!(self.node, Node::Empty) && self.values.is_empty() && self.names.is_empty();
        if is_empty {
            return Ok(None);
        }
        let node = self.node;
        Renderer::render(self.values, self.names, |renderer| renderer.condition(&node))
            .map(Some)
            .map_err(refused)
    }

    /// Like [`Expression::into_wire`], for a key condition.
    pub(crate) fn into_key_wire(self, field: &str) -> Result<Option<v1::Expression>, Error> {
        match self.node.is_key_condition() {
            true => self.into_wire(field),
            false => {
                let fault = ValueError::new("a key condition joins comparisons of key attributes by AND");
                Err(Error::invalid_value(field, fault))
            }
        }
    }

    fn of(node: Node) -> Expression {
        Expression {
            operators: node.own_operators(),
            fault: node.own_fault(),
            node,
            ..Expression::default()
        }
        .bounded()
    }

    fn joined(mut self, other: Expression, join: fn(Node, Node) -> Node) -> Expression {
        let is_join = !matches!(self.node, Node::Empty) && !matches!(other.node, Node::Empty);
        self.operators += other.operators + usize::from(is_join);
        self.fault = self.fault.or(other.fault);
        for (placeholder, value) in other.values {
            if self.values.get(&placeholder).is_some_and(|known| *known != value) {
                self.conflict("values", &placeholder);
            }
            self.values.insert(placeholder, value);
        }
        for (placeholder, name) in other.names {
            if self.names.get(&placeholder).is_some_and(|known| *known != name) {
                self.conflict("names", &placeholder);
            }
            self.names.insert(placeholder, name);
        }
        self.node = join(self.node, other.node);
        self.bounded()
    }

    fn conflict(&mut self, members: &str, placeholder: &str) {
        let fault = ValueError::new("has two values in the expressions that are joined");
        self.fault
            .get_or_insert(fault.in_field(placeholder).in_field(members));
    }

    /// Drops an expression that DynamoDB would refuse for its size, so that the size of the tree is bounded.
    fn bounded(mut self) -> Expression {
        if self.operators > MAX_OPERATORS {
            let fault = format!("more than {MAX_OPERATORS} operators and functions");
            self.fault.get_or_insert(ValueError::new(fault));
            self.node = Node::Empty;
        }
        self
    }
}

/// For requests that are sent without this crate's calls. Empty expressions are empty messages.
impl TryFrom<Expression> for v1::Expression {
    type Error = Error;

    fn try_from(expression: Expression) -> Result<v1::Expression, Error> {
        Ok(expression.into_wire("expression")?.unwrap_or_default())
    }
}

/// The parts of a message.
fn message(text: String, values: Item, names: HashMap<String, String>) -> v1::Expression {
    v1::Expression {
        text,
        values: item_to_wire(values),
        names,
    }
}

#[cfg(test)]
mod tests;
