//! Generated placeholders for the names and values of all expressions of a request.

use std::collections::HashMap;
use std::time::SystemTime;

use crate::model::{Item, Value};

/// Collects the names and values of all expressions of a request, as `#n0`, `#n1` … and `:v0`, `:v1` ….
#[derive(Clone, Debug)]
pub struct Placeholders {
    names: HashMap<String, String>,
    by_name: HashMap<String, String>,
    values: Item,
    substituted_bytes: usize,
    now: SystemTime,
}

impl Default for Placeholders {
    fn default() -> Placeholders {
        Placeholders::new()
    }
}

impl Placeholders {
    /// No placeholders, for a request that has just arrived.
    pub fn new() -> Placeholders {
        Placeholders {
            names: HashMap::new(),
            by_name: HashMap::new(),
            values: Item::new(),
            substituted_bytes: 0,
            now: SystemTime::now(),
        }
    }

    /// When the request arrived, from which durations count.
    pub(super) fn now(&self) -> SystemTime {
        self.now
    }

    /// The placeholder for a stored attribute name. Equal names have the same one.
    pub fn name(&mut self, stored_name: &str) -> String {
        if let Some(placeholder) = self.by_name.get(stored_name) {
            return placeholder.clone();
        }
        let placeholder = format!("#n{}", self.names.len());
        self.substituted_bytes += placeholder.len() + stored_name.len();
        self.names.insert(placeholder.clone(), stored_name.to_owned());
        self.by_name.insert(stored_name.to_owned(), placeholder.clone());
        placeholder
    }

    /// A new placeholder for a value.
    pub fn value(&mut self, value: Value) -> String {
        let placeholder = format!(":v{}", self.values.len());
        self.substituted_bytes += placeholder.len() + value_bytes(&value);
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    /// The names and the values by their placeholders.
    pub fn into_parts(self) -> (HashMap<String, String>, Item) {
        (self.names, self.values)
    }

    /// The size of all names, values and placeholders, in bytes.
    pub(super) fn substituted_bytes(&self) -> usize {
        self.substituted_bytes
    }
}

/// The size of a value as DynamoDB counts it. Numbers count by their digits, which is never less.
fn value_bytes(value: &Value) -> usize {
    match value {
        Value::S(text) => text.len(),
        Value::N(number) => number.as_str().len(),
        Value::B(bytes) => bytes.len(),
        Value::Bool(_) | Value::Null => 1,
        Value::L(members) => {
            3 + members
                .iter()
                .map(|member| 1 + value_bytes(member))
                .sum::<usize>()
        }
        Value::M(fields) => {
            3 + fields
                .iter()
                .map(|(name, field)| 1 + name.len() + value_bytes(field))
                .sum::<usize>()
        }
        Value::SS(members) => members.iter().map(String::len).sum(),
        Value::NS(members) => members.iter().map(|member| member.as_str().len()).sum(),
        Value::BS(members) => members.iter().map(bytes::Bytes::len).sum(),
        Value::Object(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_share_a_placeholder_and_values_never_do() {
        let mut placeholders = Placeholders::new();
        assert_eq!(placeholders.name("a"), "#n0");
        assert_eq!(placeholders.name("b"), "#n1");
        assert_eq!(placeholders.name("a"), "#n0");
        assert_eq!(placeholders.value(Value::Null), ":v0");
        assert_eq!(placeholders.value(Value::Null), ":v1");
        let (names, values) = placeholders.into_parts();
        assert_eq!(
            names,
            HashMap::from([
                ("#n0".to_owned(), "a".to_owned()),
                ("#n1".to_owned(), "b".to_owned())
            ])
        );
        assert_eq!(values.len(), 2);
    }

    #[test]
    fn counts_the_substituted_bytes() {
        let mut placeholders = Placeholders::new();
        placeholders.name("abc");
        placeholders.name("abc");
        assert_eq!(placeholders.substituted_bytes(), 6);
        let nested = Value::M(HashMap::from([(
            "k".to_owned(),
            Value::L(vec![Value::S("xy".to_owned())]),
        )]));
        placeholders.value(nested);
        assert_eq!(placeholders.substituted_bytes(), 6 + 3 + 3 + 1 + 1 + 3 + 1 + 2);
    }
}
