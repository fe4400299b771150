//! Expressions as text. Does not parse them: the server does.

use serde::Serialize;

use super::Expression;
use super::condition::Node;
use crate::to_value;

/// An expression in DynamoDB's syntax. Set its placeholders with [`Expression::bind`].
pub fn expr(text: impl Into<String>) -> Expression {
    let text = text.into();
    let node = match text.is_empty() {
        true => Node::Empty,
        false => Node::Text(text),
    };
    Expression {
        node,
        ..Expression::default()
    }
}

impl Expression {
    /// Sets the value of a `:name` placeholder of a text. Include the colon. An invalid value is reported by the call.
    #[must_use]
    pub fn bind<T: Serialize>(mut self, placeholder: impl Into<String>, value: T) -> Expression {
        let placeholder = placeholder.into();
        match to_value(&value) {
            Ok(value) => {
                self.values.insert(placeholder, value);
            }
            Err(error) => {
                let fault = error.in_field(&placeholder).in_field("values");
                self.fault.get_or_insert(fault);
            }
        }
        self
    }

    /// Sets the attribute of a `#name` placeholder of a text. Include the hash. Reserved words need no placeholder.
    #[must_use]
    pub fn name(mut self, placeholder: impl Into<String>, attribute: impl Into<String>) -> Expression {
        self.names.insert(placeholder.into(), attribute.into());
        self
    }
}

impl From<&str> for Expression {
    fn from(text: &str) -> Expression {
        expr(text)
    }
}
