//! Keys of items, and key conditions.

use std::collections::HashMap;

use serde::Serialize;
use tollgate_proto::v1;

use super::Expression;
use super::condition::Node;
use super::operand::OperandKind;
use super::path::Attr;
use crate::value::{item_to_wire, to_value};
use crate::{Error, Item, Value, ValueError};

/// The key of an item: `Key::new("pk", "USER#1").and("sk", "PROFILE")`. It consists of the key attributes, or of the
/// attributes that the model builds them from.
///
/// As a key condition it selects a whole partition, or one item.
#[derive(Clone, Debug, Default)]
pub struct Key {
    attributes: Item,
    fault: Option<ValueError>,
}

/// An attribute of a key condition, as [`key`] returns it.
#[derive(Clone, Debug)]
pub struct KeyAttr(String);

/// A range of the sort key.
#[derive(Clone, Debug)]
pub struct KeyRange(Node);

/// A key condition with a range of the sort key.
#[derive(Clone, Debug)]
pub struct KeyCondition(Expression);

/// An attribute of a key condition: `key("pk").eq("USER#1").and_sort(key("sk").begins_with("ORDER#"))`.
pub fn key(attribute: impl Into<String>) -> KeyAttr {
    KeyAttr(attribute.into())
}

impl KeyAttr {
    /// The attribute equals the value.
    pub fn eq<T: Serialize>(self, value: T) -> Key {
        Key::new(self.0, value)
    }

    /// The attribute is less than the value.
    pub fn lt<T: Serialize>(self, value: T) -> KeyRange {
        self.compare("<", &value)
    }

    /// The attribute is less than the value or equals it.
    pub fn le<T: Serialize>(self, value: T) -> KeyRange {
        self.compare("<=", &value)
    }

    /// The attribute is greater than the value.
    pub fn gt<T: Serialize>(self, value: T) -> KeyRange {
        self.compare(">", &value)
    }

    /// The attribute is greater than the value or equals it.
    pub fn ge<T: Serialize>(self, value: T) -> KeyRange {
        self.compare(">=", &value)
    }

    /// The attribute is in this range, both ends included.
    pub fn between<T: Serialize, U: Serialize>(self, least: T, greatest: U) -> KeyRange {
        KeyRange(Node::Between(self.operand(), operand(&least), operand(&greatest)))
    }

    /// The attribute begins with the value.
    pub fn begins_with<T: Serialize>(self, prefix: T) -> KeyRange {
        KeyRange(Node::Function("begins_with", self.operand(), operand(&prefix)))
    }

    fn compare<T: Serialize>(self, operator: &'static str, value: &T) -> KeyRange {
        KeyRange(Node::Compare(self.operand(), operator, operand(value)))
    }

    fn operand(self) -> OperandKind {
        OperandKind::Attr(Attr::named(self.0))
    }
}

impl Key {
    /// A key with one attribute.
    pub fn new<T: Serialize>(attribute: impl Into<String>, value: T) -> Key {
        Key::default().and(attribute, value)
    }

    /// Adds an attribute. An invalid value is reported by the call.
    #[must_use]
    pub fn and<T: Serialize>(mut self, attribute: impl Into<String>, value: T) -> Key {
        let attribute = attribute.into();
        match to_value(&value) {
            Ok(value) => {
                self.attributes.insert(attribute, value);
            }
            Err(error) => {
                self.fault.get_or_insert(error.in_field(&attribute));
            }
        }
        self
    }

    /// A key condition: these attributes, and a range of the sort key.
    pub fn and_sort(self, range: KeyRange) -> KeyCondition {
        KeyCondition(Expression::from(self).and(Expression::of(range.0)))
    }

    pub(crate) fn into_wire(self) -> Result<HashMap<String, v1::AttributeValue>, Error> {
        match self.fault {
            Some(fault) => Err(Error::invalid_value("key", fault)),
            None => Ok(item_to_wire(self.attributes)),
        }
    }
}

impl From<Item> for Key {
    fn from(attributes: Item) -> Key {
        Key {
            attributes,
            fault: None,
        }
    }
}

impl From<Key> for Expression {
    fn from(key: Key) -> Expression {
        let mut attributes: Vec<_> = key.attributes.into_iter().collect();
        attributes.sort_by(|(left, _), (right, _)| left.cmp(right));
        let equal = |(name, value): (String, Value)| {
            let operand = OperandKind::Value(Ok(value));
            Expression::of(Node::Compare(KeyAttr(name).operand(), "=", operand))
        };
        let all = attributes.into_iter().map(equal);
        let mut expression = all.reduce(Expression::and).unwrap_or_default();
        if let Some(fault) = key.fault {
            expression.fault = Some(fault.in_field("values"));
        }
        expression
    }
}

impl From<KeyCondition> for Expression {
    fn from(condition: KeyCondition) -> Expression {
        condition.0
    }
}

fn operand<T: Serialize>(value: &T) -> OperandKind {
    OperandKind::Value(to_value(value))
}
