//! The table that models need: its keys, and the indexes of all models that share it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
    GlobalSecondaryIndexUpdate, KeySchemaElement, KeyType, LocalSecondaryIndex, Projection, ProjectionType,
    ProvisionedThroughput, ScalarAttributeType, TableDescription,
};

use crate::model::{self, AttributeType, Index, MARKER_EXPIRES, MARKER_KEY, Model, NeededTable};

/// A table, as its models need it. All names are stored names.
pub(super) struct Table<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// Its partition key.
    pub(super) partition: &'a str,
    /// Its sort key.
    pub(super) sort: Option<&'a str>,
    /// The types of all keys, those of the indexes too.
    pub(super) types: BTreeMap<&'a str, ScalarAttributeType>,
    /// The attribute by which items expire.
    pub(super) ttl: Option<&'a str>,
    /// Whether it remembers request ids.
    pub(super) holds_markers: bool,
    /// Its indexes, by name.
    pub(super) indexes: BTreeMap<&'a str, TableIndex<'a>>,
}

/// An index of a table.
pub(super) struct TableIndex<'a> {
    /// Whether it is local.
    pub(super) local: bool,
    /// The attributes of its partition key, in order.
    pub(super) partition: Vec<&'a str>,
    /// The attributes of its sort key, in order.
    pub(super) sort: Vec<&'a str>,
    /// The attributes beside the keys; `None`: all.
    attributes: Option<Vec<&'a str>>,
}

impl<'a> Table<'a> {
    /// The table that models need.
    pub(super) fn needed(needed: &NeededTable<'a>) -> Option<Table<'a>> {
        match needed {
            NeededTable::Items { models, .. } => Some(Table::new(models.first()?, models.iter().copied())),
            NeededTable::Markers { name } => Some(Table {
                name,
                partition: MARKER_KEY,
                sort: None,
                types: [(MARKER_KEY, ScalarAttributeType::S)].into(),
                ttl: Some(MARKER_EXPIRES),
                holds_markers: true,
                indexes: BTreeMap::new(),
            }),
        }
    }

    /// The table of a model, with the indexes of the others that share it.
    fn new(model: &'a Model, sharing: impl Iterator<Item = &'a Model>) -> Table<'a> {
        let mut table = Table {
            name: &model.table,
            partition: model.stored_name(&model.partition_key),
            sort: model.sort_key.as_deref().map(|name| model.stored_name(name)),
            types: BTreeMap::new(),
            ttl: None,
            holds_markers: false,
            indexes: BTreeMap::new(),
        };
        for name in model.key_names() {
            table
                .types
                .insert(model.stored_name(name), scalar_type(model, name));
        }
        for other in sharing {
            table.ttl = table.ttl.or(other.ttl().map(|ttl| ttl.stored_name.as_str()));
            for index in &other.indexes {
                table.add(other, index);
            }
        }
        table
    }

    /// Adds an index of a model, or what the model needs of an index that another one has too.
    fn add(&mut self, model: &'a Model, index: &'a Index) {
        let stored = |names: &'a [String]| names.iter().map(|name| model.stored_name(name)).collect();
        let wanted = TableIndex {
            local: index.local,
            partition: stored(&index.partition),
            sort: stored(&index.sort),
            attributes: projected(model, index),
        };
        for name in index.key_names() {
            self.types
                .insert(model.stored_name(name), scalar_type(model, name));
        }
        let Some(known) = self.indexes.get_mut(index.stored_name.as_str()) else {
            self.indexes.insert(&index.stored_name, wanted);
            return;
        };
        known.attributes = match (known.attributes.take(), wanted.attributes) {
            (Some(mut attributes), Some(more)) => {
                attributes.extend(more);
                attributes.sort_unstable();
                attributes.dedup();
                Some(attributes)
            }
            (None, _) | (_, None) => None,
        };
    }

    /// The keys of the table, partition key first.
    pub(super) fn keys(&self) -> Vec<&'a str> {
        std::iter::once(self.partition).chain(self.sort).collect()
    }

    /// Completes the request that creates the table.
    pub(super) fn create(
        &self,
        create: CreateTableFluentBuilder,
    ) -> Result<CreateTableFluentBuilder, BuildError> {
        let mut create = create
            .table_name(self.name)
            .billing_mode(BillingMode::PayPerRequest);
        for element in elements(&[self.partition], self.sort.as_slice())? {
            create = create.key_schema(element);
        }
        for definition in self.definitions(self.types.keys().copied())? {
            create = create.attribute_definitions(definition);
        }
        for (name, index) in &self.indexes {
            create = match index.local {
                true => create.local_secondary_indexes(
                    LocalSecondaryIndex::builder()
                        .index_name(*name)
                        .set_key_schema(Some(index.elements()?))
                        .projection(self.projection(index))
                        .build()?,
                ),
                false => create.global_secondary_indexes(
                    GlobalSecondaryIndex::builder()
                        .index_name(*name)
                        .set_key_schema(Some(index.elements()?))
                        .projection(self.projection(index))
                        .build()?,
                ),
            };
        }
        Ok(create)
    }

    /// The update that adds a global index, with the definitions of its keys. An index of a table with provisioned capacity
    /// needs `throughput`.
    pub(super) fn add_index(
        &self,
        name: &str,
        index: &TableIndex<'a>,
        throughput: Option<ProvisionedThroughput>,
    ) -> Result<(GlobalSecondaryIndexUpdate, Vec<AttributeDefinition>), BuildError> {
        let create = CreateGlobalSecondaryIndexAction::builder()
            .index_name(name)
            .set_key_schema(Some(index.elements()?))
            .projection(self.projection(index))
            .set_provisioned_throughput(throughput)
            .build()?;
        let names = index.partition.iter().chain(&index.sort).copied();
        let update = GlobalSecondaryIndexUpdate::builder().create(create).build();
        Ok((update, self.definitions(names)?))
    }

    /// The names of the indexes that a table lacks.
    pub(super) fn missing_indexes(&self, table: &TableDescription) -> Vec<&'a str> {
        let global = table
            .global_secondary_indexes()
            .iter()
            .filter_map(|index| index.index_name());
        let local = table
            .local_secondary_indexes()
            .iter()
            .filter_map(|index| index.index_name());
        let present: Vec<&str> = global.chain(local).collect();
        let names = self.indexes.keys().copied();
        names.filter(|name| !present.contains(name)).collect()
    }

    fn definitions(
        &self,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<AttributeDefinition>, BuildError> {
        let types = names.filter_map(|name| Some((name, self.types.get(name)?)));
        types
            .map(|(name, kind)| {
                AttributeDefinition::builder()
                    .attribute_name(name)
                    .attribute_type(kind.clone())
                    .build()
            })
            .collect()
    }

    /// The projection of one of its indexes.
    pub(super) fn projection(&self, index: &TableIndex<'a>) -> Projection {
        let keys = self.keys();
        let is_key =
            |name: &&&str| keys.contains(name) || index.partition.contains(name) || index.sort.contains(name);
        match &index.attributes {
            None => Projection::builder().projection_type(ProjectionType::All).build(),
            Some(attributes) => {
                let others: Vec<String> = attributes
                    .iter()
                    .filter(|name| !is_key(name))
                    .map(|name| (*name).to_owned())
                    .collect();
                match others.is_empty() {
                    true => Projection::builder()
                        .projection_type(ProjectionType::KeysOnly)
                        .build(),
                    false => Projection::builder()
                        .projection_type(ProjectionType::Include)
                        .set_non_key_attributes(Some(others))
                        .build(),
                }
            }
        }
    }
}

impl TableIndex<'_> {
    fn elements(&self) -> Result<Vec<KeySchemaElement>, BuildError> {
        elements(&self.partition, &self.sort)
    }
}

fn elements(partition: &[&str], sort: &[&str]) -> Result<Vec<KeySchemaElement>, BuildError> {
    let element = |name: &&str, kind: KeyType| {
        KeySchemaElement::builder()
            .attribute_name(*name)
            .key_type(kind)
            .build()
    };
    let hash = partition.iter().map(|name| element(name, KeyType::Hash));
    let range = sort.iter().map(|name| element(name, KeyType::Range));
    hash.chain(range).collect()
}

/// The attributes that a model needs in an index beside the keys; `None`: all. A list has those too that decide whether
/// an item is returned.
fn projected<'a>(model: &'a Model, index: &'a Index) -> Option<Vec<&'a str>> {
    match &index.projection {
        model::Projection::All => None,
        model::Projection::KeysOnly => Some(Vec::new()),
        model::Projection::Include(names) => {
            let listed = names.iter().map(|name| model.stored_name(name));
            let mut names: Vec<_> = listed.chain(model.deciding_names()).collect();
            names.sort_unstable();
            names.dedup();
            Some(names)
        }
    }
}

/// The stored type of a key attribute; the model parser allows no others.
fn scalar_type(model: &Model, name: &str) -> ScalarAttributeType {
    let attribute = model.attribute(name);
    match attribute.map(|attribute| (attribute.kind, attribute.datetime_store.is_number())) {
        Some((AttributeType::Number | AttributeType::Ttl | AttributeType::Version, _))
        | Some((AttributeType::Datetime, true)) => ScalarAttributeType::N,
        Some((AttributeType::Binary, _)) => ScalarAttributeType::B,
        Some((
            AttributeType::String
            | AttributeType::Boolean
            | AttributeType::List
            | AttributeType::Map
            | AttributeType::Object
            | AttributeType::StringSet
            | AttributeType::NumberSet
            | AttributeType::BinarySet
            | AttributeType::Json
            | AttributeType::Datetime,
            _,
        ))
        | None => ScalarAttributeType::S,
    }
}
