//! The attributes that each write builds from templates, beside the table's keys: mostly keys of secondary indexes. What
//! they depend on, when they are built, and what any key of an index must be.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::attribute::Attribute;
use super::index::Index;
use super::limits::{MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES};
use super::schema::Model;
use super::template::Template;
use super::value::Value;

/// What is known of an attribute's value before it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Known<'a> {
    /// The value in its stored form.
    Value(&'a Value),
    /// There is none.
    Absent,
    /// It depends on the stored item.
    Unknown,
}

impl<'a> From<Option<&'a Value>> for Known<'a> {
    fn from(value: Option<&'a Value>) -> Known<'a> {
        match value {
            Some(Value::Null) | None => Known::Absent,
            Some(value) => Known::Value(value),
        }
    }
}

impl Model {
    /// The attributes with a template that are not keys of the table.
    pub fn rebuilt(&self) -> impl Iterator<Item = (&Attribute, &Template)> {
        let others = self
            .attributes
            .iter()
            .filter(|attribute| !self.is_key(&attribute.name));
        others.filter_map(|attribute| Some((attribute, attribute.template.as_ref()?)))
    }

    /// The rebuilt attribute that depends on another one, if there is any.
    pub fn rebuilt_of(&self, name: &str) -> Option<&Attribute> {
        let mut dependent = self
            .rebuilt()
            .filter(|(attribute, template)| self.dependencies(attribute, template).contains(name));
        dependent.next().map(|(attribute, _)| attribute)
    }

    /// The attributes that decide the value of a rebuilt one: the parts of its template, and those that `when` of its
    /// indexes names.
    pub fn dependencies<'a>(&'a self, attribute: &'a Attribute, template: &'a Template) -> BTreeSet<&'a str> {
        let parts = template.parts().map(|part| part.attribute());
        parts.chain(self.conditions_of(&attribute.name)).collect()
    }

    /// The attributes that `when` of the indexes with this key names.
    pub fn conditions_of<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        let names = self.indexes_of(key).flat_map(|index| index.when.keys());
        names.map(String::as_str)
    }

    /// Whether a rebuilt attribute has a value: unless it is a key only of indexes whose `when` does not hold. `None` if
    /// that is not known.
    pub fn builds<'v>(&self, name: &str, value: impl Fn(&str) -> Known<'v>) -> Option<bool> {
        let mut indexes = self.indexes_of(name).peekable();
        if indexes.peek().is_none() {
            return Some(true);
        }
        let mut is_known = true;
        for index in indexes {
            match self.holds(index, &value) {
                Some(true) => return Some(true),
                Some(false) => {}
                None => is_known = false,
            }
        }
        is_known.then_some(false)
    }

    /// Whether `when` of an index holds.
    fn holds<'v>(&self, index: &Index, value: impl Fn(&str) -> Known<'v>) -> Option<bool> {
        let mut is_known = true;
        for (name, values) in &index.when {
            let attribute = self.attribute(name)?;
            // values of these types do not depend on the time
            let stored = |value: &Value| attribute.to_stored(value.clone(), SystemTime::UNIX_EPOCH);
            match value(name) {
                Known::Value(found)
                    if values
                        .iter()
                        .any(|value| stored(value).is_ok_and(|value| value == *found)) => {}
                Known::Value(_) | Known::Absent => return Some(false),
                Known::Unknown => is_known = false,
            }
        }
        is_known.then_some(true)
    }

    /// What is wrong with a stored value as a key of an index, if the attribute is one.
    pub fn index_key_problem(&self, name: &str, value: &Value) -> Option<String> {
        let max_bytes = |index: &Index| match index.partition.iter().any(|key| key == name) {
            true => MAX_PARTITION_KEY_BYTES,
            false => MAX_SORT_KEY_BYTES,
        };
        let indexes = self.indexes_of(name).filter(|_| !self.is_key(name));
        let (max_bytes, index) = indexes
            .map(|index| (max_bytes(index), index))
            .min_by_key(|(max_bytes, _)| *max_bytes)?;
        let index = &index.name;
        match value {
            Value::Null => Some(format!("must not be null: it is a key of the index {index}")),
            Value::S(text) => length_problem(text.len(), max_bytes, index),
            Value::B(bytes) => length_problem(bytes.len(), max_bytes, index),
            Value::N(_)
            | Value::Bool(_)
            | Value::L(_)
            | Value::M(_)
            | Value::SS(_)
            | Value::NS(_)
            | Value::BS(_)
            | Value::Object(_) => None,
        }
    }

    /// The indexes that have the attribute as a key.
    fn indexes_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Index> {
        let has_key = move |index: &&Index| index.key_names().any(|key| key == name);
        self.indexes.iter().filter(has_key)
    }
}

fn length_problem(bytes: usize, max_bytes: usize, index: &str) -> Option<String> {
    match bytes {
        0 => Some(format!("must not be empty: it is a key of the index {index}")),
        bytes if bytes > max_bytes => Some(format!(
            "must have at most {max_bytes} bytes: it is a key of the index {index}"
        )),
        _ => None,
    }
}
