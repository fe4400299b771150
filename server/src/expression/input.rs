//! An expression as a request contains it.

use std::collections::HashMap;

use crate::model::Value;

/// An expression of a request, over the model's attribute names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expression {
    /// DynamoDB's syntax; reserved words need no `#`.
    pub text: String,
    /// Values by their placeholder, `:name`.
    pub values: HashMap<String, Value>,
    /// Attribute names by their placeholder, `#name`.
    pub names: HashMap<String, String>,
}

impl Expression {
    /// Whether the expression is absent. One that has values or names but no text is not empty, and is invalid.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.values.is_empty() && self.names.is_empty()
    }
}
