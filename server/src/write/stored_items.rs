//! Reads attributes of several items, consistently: the pointers that a transaction replaces, and what shows whether it was
//! applied.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::aws::{self, BatchGetItem, DynamoDb, KeyAttributes, Kind, TableKeys};
use crate::call::{Backoff, Call};
use crate::figure::AwsOperation;
use crate::item::{ItemId, Key};
use crate::model::{Item, Model};

/// Attributes of one item.
pub(super) struct Wanted<'a> {
    pub(super) model: &'a Model,
    pub(super) key: &'a Key,
    /// Their stored names.
    pub(super) names: Vec<&'a str>,
    /// Whether all attributes are wanted.
    pub(super) is_whole: bool,
}

/// Reads the wanted attributes of up to 100 different items, in their order; `None` for items that do not exist. Keys that
/// DynamoDB leaves unprocessed are read again within the deadline.
pub(super) async fn read_items(
    dynamodb: &DynamoDb,
    call: &Call,
    wanted: &[Wanted<'_>],
) -> Result<Vec<Option<Item>>, aws::Error> {
    let mut found: Vec<Option<Item>> = wanted.iter().map(|_| None).collect();
    if wanted.is_empty() {
        return Ok(found);
    }
    let places: HashMap<ItemId, usize> = wanted
        .iter()
        .enumerate()
        .map(|(index, item)| (ItemId::new(&item.model.table, item.key), index))
        .collect();
    let mut left: Vec<usize> = (0..wanted.len()).collect();
    let mut backoff = Backoff::default();
    loop {
        backoff.wait(call).await;
        let got = dynamodb.batch_get_item(call, request(wanted, &left)).await?;
        let place = |table: &str, item: &Item| {
            let of_table = wanted.iter().find(|item| item.model.table == table)?;
            places.get(&ItemId::of_stored(of_table.model, item)?).copied()
        };
        for (table, items) in got.items {
            for mut item in items {
                if let Some(index) = place(&table, &item) {
                    let Wanted { names, is_whole, .. } = &wanted[index];
                    item.retain(|name, _| *is_whole || names.contains(&name.as_str()));
                    found[index] = Some(item);
                }
            }
        }
        let unprocessed: Vec<usize> = got
            .unprocessed
            .iter()
            .filter_map(|(table, key)| place(table, key))
            .collect();
        if unprocessed.is_empty() {
            return Ok(found);
        }
        call.add_throttled();
        let made_progress = unprocessed.len() < left.len();
        backoff = backoff
            .next(made_progress, call.deadline())
            .ok_or_else(unprocessed_error)?;
        left = unprocessed;
    }
}

/// The request for some of the items: one projection for each table, and none if one of its items is read whole.
fn request(wanted: &[Wanted<'_>], indexes: &[usize]) -> BatchGetItem {
    let mut whole_tables: BTreeSet<&str> = BTreeSet::new();
    let mut tables: BTreeMap<&str, (Vec<KeyAttributes>, BTreeSet<String>)> = BTreeMap::new();
    for item in indexes.iter().map(|&index| &wanted[index]) {
        let (keys, names) = tables.entry(&item.model.table).or_default();
        if item.is_whole {
            whole_tables.insert(&item.model.table);
        }
        let key: Vec<_> = item.key.attributes().collect();
        names.extend(key.iter().map(|(name, _)| name.clone()));
        names.extend(item.names.iter().map(|name| (*name).to_owned()));
        keys.push(key);
    }
    let tables = tables.into_iter().map(|(table, (keys, mut attributes))| {
        if whole_tables.contains(table) {
            attributes.clear();
        }
        let names: HashMap<String, String> = attributes
            .into_iter()
            .enumerate()
            .map(|(index, name)| (format!("#a{index}"), name))
            .collect();
        let projection: Vec<&str> = names.keys().map(String::as_str).collect();
        TableKeys {
            table: table.to_owned(),
            keys,
            projection: Some(projection.join(",")).filter(|text| !text.is_empty()),
            names,
            consistent_read: true,
        }
    });
    BatchGetItem {
        tables: tables.collect(),
        uncounted: true,
    }
}

fn unprocessed_error() -> aws::Error {
    aws::Error {
        kind: Kind::Throttled,
        operation: AwsOperation::BatchGetItem,
        request_id: None,
        doubt: aws::Doubt::None,
        endpoint: None,
        cause: "DynamoDB left an item unprocessed until the deadline".into(),
    }
}
