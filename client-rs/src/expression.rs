//! Conditions, filters and keys. Does not parse expressions: the server checks them against the model.

use std::collections::HashMap;

use serde::Serialize;
use tollgate_proto::v1;

use crate::value::{item_to_wire, to_value};
use crate::{Error, Item, ValueError};

/// An expression in DynamoDB's syntax, using the model's attribute names, with the values of its placeholders:
/// `expr("age >= :least").bind(":least", 18)`. The default has no text and is left out of requests.
#[derive(Clone, Debug, Default)]
pub struct Expression {
    text: String,
    values: Item,
    names: HashMap<String, String>,
    fault: Option<ValueError>,
}

/// Creates an expression. Set its placeholders with [`Expression::bind`].
pub fn expr(text: impl Into<String>) -> Expression {
    Expression {
        text: text.into(),
        ..Expression::default()
    }
}

impl Expression {
    /// Sets the value of a `:name` placeholder. Include the colon. An invalid value is reported by the call.
    #[must_use]
    pub fn bind<T: Serialize>(mut self, placeholder: impl Into<String>, value: T) -> Expression {
        put(&mut self.values, &mut self.fault, placeholder.into(), &value);
        self
    }

    /// Sets the attribute of a `#name` placeholder. Include the hash. Reserved words need no placeholder.
    #[must_use]
    pub fn name(mut self, placeholder: impl Into<String>, attribute: impl Into<String>) -> Expression {
        self.names.insert(placeholder.into(), attribute.into());
        self
    }

    /// Joins two expressions with AND. An empty one has no effect.
    #[must_use]
    pub fn and(mut self, other: Expression) -> Expression {
        if self.text.is_empty() {
            return other;
        }
        if !other.text.is_empty() {
            self.text = format!("{} AND {}", operand(&self.text), operand(&other.text));
            self.values.extend(other.values);
            self.names.extend(other.names);
            self.fault = self.fault.or(other.fault);
        }
        self
    }

    /// The message for a field of the request. `None` if the expression is empty.
    pub(crate) fn into_wire(self, field: &str) -> Result<Option<v1::Expression>, Error> {
        if let Some(fault) = self.fault {
            return Err(Error::invalid_value(field, fault.in_field("values")));
        }
        let is_empty = self.text.is_empty() && self.values.is_empty() && self.names.is_empty();
        let values = item_to_wire(self.values);
        Ok((!is_empty).then_some(v1::Expression {
            text: self.text,
            values,
            names: self.names,
        }))
    }
}

impl From<&str> for Expression {
    fn from(text: &str) -> Expression {
        expr(text)
    }
}

/// The key of an item: `Key::new("pk", "USER#1").and("sk", "PROFILE")`.
///
/// As a key condition it selects a whole partition, or one item.
#[derive(Clone, Debug, Default)]
pub struct Key {
    attributes: Item,
    fault: Option<ValueError>,
}

impl Key {
    /// A key with one attribute.
    pub fn new<T: Serialize>(attribute: impl Into<String>, value: T) -> Key {
        Key::default().and(attribute, value)
    }

    /// Adds an attribute. An invalid value is reported by the call.
    #[must_use]
    pub fn and<T: Serialize>(mut self, attribute: impl Into<String>, value: T) -> Key {
        put(&mut self.attributes, &mut self.fault, attribute.into(), &value);
        self
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
        let mut expression = Expression {
            fault: key.fault,
            ..Expression::default()
        };
        let mut terms = Vec::new();
        for (index, (attribute, value)) in attributes.into_iter().enumerate() {
            terms.push(format!("#key{index} = :key{index}"));
            expression.names.insert(format!("#key{index}"), attribute);
            expression.values.insert(format!(":key{index}"), value);
        }
        expression.text = terms.join(" AND ");
        expression
    }
}

/// An operand of AND: in parentheses if it may contain an OR, which has lower precedence. Key conditions must not have
/// parentheses.
fn operand(text: &str) -> String {
    if text.to_ascii_uppercase().contains("OR") {
        format!("({text})")
    } else {
        text.to_owned()
    }
}

/// Adds a value. The first fault is kept for the call.
fn put<T: Serialize>(values: &mut Item, fault: &mut Option<ValueError>, name: String, value: &T) {
    match to_value(value) {
        Ok(value) => {
            values.insert(name, value);
        }
        Err(error) => {
            fault.get_or_insert(error.in_field(&name));
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;
    use crate::Value;

    #[test]
    fn an_empty_expression_is_left_out() {
        assert!(Expression::default().into_wire("filter").unwrap().is_none());
        assert_eq!(Expression::default().and("a = b".into()).text, "a = b");
        assert_eq!(expr("a = b").and(Expression::default()).text, "a = b");
    }

    #[test]
    fn a_key_is_a_key_condition() {
        let condition = Expression::from(Key::new("sk", 7).and("pk", "USER#1"));
        assert_eq!(condition.text, "#key0 = :key0 AND #key1 = :key1");
        assert_eq!(
            (
                condition.names["#key0"].as_str(),
                condition.names["#key1"].as_str()
            ),
            ("pk", "sk")
        );
        assert_eq!(condition.values[":key1"], Value::from(7));
    }

    #[test]
    fn both_sides_of_and_keep_their_values() {
        let both = expr("a = :a OR b = :a")
            .bind(":a", 1)
            .and(expr("#c = :c").bind(":c", true).name("#c", "count"));
        assert_eq!(both.text, "(a = :a OR b = :a) AND #c = :c");
        assert_eq!((both.values.len(), both.names.len()), (2, 1));
    }

    #[test]
    fn the_call_reports_invalid_values() {
        let error = expr("a = :a")
            .bind(":a", f64::NAN)
            .bind(":b", 1)
            .into_wire("condition")
            .unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert_eq!(error.violations()[0].field, "condition.values.:a");
        assert_eq!(
            Key::new("pk", f64::INFINITY)
                .into_wire()
                .unwrap_err()
                .violations()[0]
                .field,
            "key.pk"
        );
    }
}
