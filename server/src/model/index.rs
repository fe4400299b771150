//! A secondary index of a model.

use std::collections::BTreeMap;

use super::value::Value;

/// A secondary index of the model's table. All names are those of the model's attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    /// The name that requests use.
    pub name: String,
    /// The name in DynamoDB.
    pub stored_name: String,
    /// Whether it is local: its partition key is the table's.
    pub local: bool,
    /// The attributes of its partition key, in order; those of the table for a local index.
    pub partition: Vec<String>,
    /// The attributes of its sort key, in order; empty if it has none.
    pub sort: Vec<String>,
    /// The attributes that it contains.
    pub projection: Projection,
    /// The templated keys of the index are built only if each of these attributes has one of its values. Empty: always.
    pub when: BTreeMap<String, Vec<Value>>,
}

/// The attributes that an index contains.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Projection {
    /// All.
    #[default]
    All,
    /// The keys of the table and of the index.
    KeysOnly,
    /// The keys, and these attributes.
    Include(Vec<String>),
}

impl Index {
    /// The attributes of its keys, partition key first.
    pub fn key_names(&self) -> impl Iterator<Item = &str> {
        self.partition.iter().chain(&self.sort).map(String::as_str)
    }
}
