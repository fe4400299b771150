//! The responses of reads, with items in this program's values. What is not read here (a type of value that is not known, a
//! body that is not JSON) the SDK reads, or refuses.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity};
use serde::Deserialize;

use super::stored::{StoredItem, StoredItems};
use crate::aws::convert::from_sdk;
use crate::aws::response::Response;
use crate::call::ResponseFacts;
use crate::model::Item;

/// The response of GetItem.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct GotItem {
    item: Option<StoredItem>,
    consumed_capacity: Option<Capacity>,
}

/// The response of Query or Scan.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct ReadPage {
    items: Option<StoredItems>,
    /// Items that passed the filter.
    #[serde(default)]
    pub(super) count: i32,
    /// Items that were evaluated.
    #[serde(default)]
    pub(super) scanned_count: i32,
    last_evaluated_key: Option<StoredItem>,
    consumed_capacity: Option<Capacity>,
}

/// The response of BatchGetItem.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::aws) struct GotItems {
    responses: Option<BTreeMap<String, StoredItems>>,
    unprocessed_keys: Option<BTreeMap<String, Unprocessed>>,
    consumed_capacity: Option<Vec<Capacity>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Capacity {
    capacity_units: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Unprocessed {
    keys: StoredItems,
}

impl GotItem {
    /// The item, if it exists.
    pub(in crate::aws) fn into_item(self) -> Option<Item> {
        self.item.map(|StoredItem(item)| item)
    }

    /// Consumed capacity units.
    pub(super) fn units(&self) -> f64 {
        self.capacity().unwrap_or(0.0)
    }

    fn capacity(&self) -> Option<f64> {
        self.consumed_capacity.as_ref()?.capacity_units
    }
}

impl ReadPage {
    /// The items, and the key after which the next page starts.
    pub(super) fn into_parts(self) -> (Vec<Item>, Option<Item>) {
        let items = self.items.unwrap_or_default().0;
        (items, self.last_evaluated_key.map(|StoredItem(key)| key))
    }

    /// Consumed capacity units.
    pub(super) fn units(&self) -> f64 {
        self.capacity().unwrap_or(0.0)
    }

    fn capacity(&self) -> Option<f64> {
        self.consumed_capacity.as_ref()?.capacity_units
    }
}

impl GotItems {
    /// The items, and the keys that were not read, by table.
    pub(super) fn into_parts(self) -> (Tables, Tables) {
        let items = self.responses.unwrap_or_default().into_iter();
        let unprocessed = self.unprocessed_keys.unwrap_or_default().into_iter();
        (
            items.map(|(table, items)| (table, items.0)).collect(),
            unprocessed.map(|(table, left)| (table, left.keys.0)).collect(),
        )
    }

    /// Consumed capacity units of all tables.
    pub(super) fn units(&self) -> f64 {
        self.capacity().unwrap_or(0.0)
    }

    fn capacity(&self) -> Option<f64> {
        let capacity = self
            .consumed_capacity
            .as_ref()
            .filter(|tables| !tables.is_empty())?;
        Some(capacity.iter().filter_map(|table| table.capacity_units).sum())
    }
}

/// Items or keys by table.
pub(super) type Tables = Vec<(String, Vec<Item>)>;

impl Response for GotItem {
    fn facts(&self) -> ResponseFacts {
        ResponseFacts {
            capacity: self.capacity(),
            ..ResponseFacts::default()
        }
    }
}

impl Response for ReadPage {
    fn facts(&self) -> ResponseFacts {
        ResponseFacts {
            capacity: self.capacity(),
            count: Some(self.count.unsigned_abs()),
            scanned_count: Some(self.scanned_count.unsigned_abs()),
        }
    }
}

impl Response for GotItems {
    fn facts(&self) -> ResponseFacts {
        ResponseFacts {
            capacity: self.capacity(),
            ..ResponseFacts::default()
        }
    }
}

impl From<GetItemOutput> for GotItem {
    fn from(output: GetItemOutput) -> GotItem {
        GotItem {
            item: output.item.map(from_sdk).map(StoredItem),
            consumed_capacity: output.consumed_capacity.map(Capacity::from),
        }
    }
}

macro_rules! page_from {
    ($($output:ident),*) => {
        $(impl From<$output> for ReadPage {
            fn from(output: $output) -> ReadPage {
                ReadPage {
                    items: output.items.map(all_from_sdk),
                    count: output.count,
                    scanned_count: output.scanned_count,
                    last_evaluated_key: output.last_evaluated_key.map(from_sdk).map(StoredItem),
                    consumed_capacity: output.consumed_capacity.map(Capacity::from),
                }
            }
        })*
    };
}

page_from!(QueryOutput, ScanOutput);

impl From<BatchGetItemOutput> for GotItems {
    fn from(output: BatchGetItemOutput) -> GotItems {
        let responses = output.responses.unwrap_or_default().into_iter();
        let unprocessed = output.unprocessed_keys.unwrap_or_default().into_iter();
        let capacity = output.consumed_capacity.unwrap_or_default().into_iter();
        let left = |keys| Unprocessed {
            keys: all_from_sdk(keys),
        };
        GotItems {
            responses: Some(
                responses
                    .map(|(table, items)| (table, all_from_sdk(items)))
                    .collect(),
            ),
            unprocessed_keys: Some(
                unprocessed
                    .map(|(table, keys)| (table, left(keys.keys)))
                    .collect(),
            ),
            consumed_capacity: Some(capacity.map(Capacity::from).collect()),
        }
    }
}

impl From<ConsumedCapacity> for Capacity {
    fn from(capacity: ConsumedCapacity) -> Capacity {
        Capacity {
            capacity_units: capacity.capacity_units,
        }
    }
}

fn all_from_sdk(items: Vec<HashMap<String, AttributeValue>>) -> StoredItems {
    StoredItems(items.into_iter().map(from_sdk).collect())
}

#[cfg(test)]
mod tests;
