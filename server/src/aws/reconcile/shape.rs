//! Tables and indexes in comparable form: what DynamoDB describes, and what models need. Sends nothing.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_dynamodb::types::{
    GlobalSecondaryIndexDescription, KeySchemaElement, KeyType, LocalSecondaryIndexDescription, Projection,
    ProjectionType, TableDescription,
};

use super::super::table::{Table, TableIndex};

/// A table with its indexes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TableShape {
    pub(super) keys: KeyShape,
    /// By name.
    pub(super) indexes: BTreeMap<String, IndexShape>,
}

/// The keys of a table or an index, each with its type, such as `pk (S)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyShape {
    partition: Vec<String>,
    sort: Vec<String>,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct IndexShape {
    pub(super) local: bool,
    keys: KeyShape,
    /// `all`, `keys only`, or the names of the other attributes.
    projection: String,
}

impl TableShape {
    /// What the models need.
    pub(super) fn wanted(table: &Table<'_>) -> TableShape {
        let shape = |index: &TableIndex<'_>| IndexShape {
            local: index.local,
            keys: KeyShape::wanted(table, &index.partition, &index.sort),
            projection: projection(Some(&table.projection(index))),
        };
        TableShape {
            keys: KeyShape::wanted(table, &[table.partition], table.sort.as_slice()),
            indexes: table
                .indexes
                .iter()
                .map(|(name, index)| ((*name).to_owned(), shape(index)))
                .collect(),
        }
    }

    /// What exists.
    pub(super) fn found(table: &TableDescription) -> TableShape {
        let types: BTreeMap<&str, &str> = table
            .attribute_definitions()
            .iter()
            .map(|definition| {
                (
                    definition.attribute_name.as_str(),
                    definition.attribute_type.as_str(),
                )
            })
            .collect();
        let global = |index: &GlobalSecondaryIndexDescription| {
            let shape = IndexShape::found(false, index.key_schema(), index.projection(), &types);
            Some((index.index_name()?.to_owned(), shape))
        };
        let local = |index: &LocalSecondaryIndexDescription| {
            let shape = IndexShape::found(true, index.key_schema(), index.projection(), &types);
            Some((index.index_name()?.to_owned(), shape))
        };
        let globals = table.global_secondary_indexes().iter().filter_map(global);
        let locals = table.local_secondary_indexes().iter().filter_map(local);
        TableShape {
            keys: KeyShape::found(table.key_schema(), &types),
            indexes: globals.chain(locals).collect(),
        }
    }
}

impl KeyShape {
    fn wanted(table: &Table<'_>, partition: &[&str], sort: &[&str]) -> KeyShape {
        let typed = |name: &&str| match table.types.get(name) {
            Some(kind) => format!("{name} ({})", kind.as_str()),
            None => (*name).to_owned(),
        };
        KeyShape {
            partition: partition.iter().map(typed).collect(),
            sort: sort.iter().map(typed).collect(),
        }
    }

    fn found(schema: &[KeySchemaElement], types: &BTreeMap<&str, &str>) -> KeyShape {
        let of_kind = |kind: KeyType| {
            let elements = schema.iter().filter(|element| element.key_type == kind);
            let typed = elements.map(|element| match types.get(element.attribute_name.as_str()) {
                Some(kind) => format!("{} ({kind})", element.attribute_name),
                None => element.attribute_name.clone(),
            });
            typed.collect()
        };
        KeyShape {
            partition: of_kind(KeyType::Hash),
            sort: of_kind(KeyType::Range),
        }
    }
}

impl IndexShape {
    fn found(
        local: bool,
        schema: &[KeySchemaElement],
        projected: Option<&Projection>,
        types: &BTreeMap<&str, &str>,
    ) -> IndexShape {
        IndexShape {
            local,
            keys: KeyShape::found(schema, types),
            projection: projection(projected),
        }
    }

    /// A line about the index of this name.
    pub(super) fn line(&self, name: &str) -> String {
        let scope = if self.local { "local" } else { "global" };
        format!(
            "{scope} index {name}: {}, projection {}",
            self.keys, self.projection
        )
    }
}

impl fmt::Display for KeyShape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "partition key {}", self.partition.join(" and "))?;
        match self.sort.is_empty() {
            true => Ok(()),
            false => write!(formatter, ", sort key {}", self.sort.join(" and ")),
        }
    }
}

fn projection(projection: Option<&Projection>) -> String {
    match projection.and_then(Projection::projection_type) {
        Some(ProjectionType::KeysOnly) => "keys only".to_owned(),
        Some(ProjectionType::Include) => {
            let mut names: Vec<&str> = projection
                .map(Projection::non_key_attributes)
                .unwrap_or_default()
                .iter()
                .map(String::as_str)
                .collect();
            names.sort_unstable();
            names.join(" and ")
        }
        Some(ProjectionType::All) | None => "all".to_owned(),
        // the SDK's enum is non-exhaustive
        Some(other) => other.as_str().to_lowercase(),
    }
}
