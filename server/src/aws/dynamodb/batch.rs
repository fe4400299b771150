//! BatchGetItem and BatchWriteItem: several items in one request. What DynamoDB leaves unprocessed is returned to the
//! caller, who retries it.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemInput;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemInput;
use aws_sdk_dynamodb::types::{
    ConsumedCapacity, DeleteRequest, KeysAndAttributes, PutRequest, ReturnConsumedCapacity, WriteRequest,
};

use super::super::convert::{from_sdk, some_names};
use super::super::error::{Error, Kind};
use super::super::meter;
use super::super::request::Request;
use super::{DynamoDb, storable, units, write_request};
use crate::call::Call;
use crate::figure::AwsOperation;
use crate::model::{Item, Value};

/// Reads up to [`MAX_GETS`] items. Each table occurs once.
#[derive(Clone, Debug, Default)]
pub struct BatchGetItem {
    /// The keys by table.
    pub tables: Vec<TableKeys>,
    /// Whether the items are not returned to the caller, and not counted as such.
    pub uncounted: bool,
}

/// The attributes of a key, each once.
pub type KeyAttributes = Vec<(String, Value)>;

/// The keys to read from one table.
#[derive(Clone, Debug, Default)]
pub struct TableKeys {
    /// The table.
    pub table: String,
    /// Distinct keys, each exactly the key attributes.
    pub keys: Vec<KeyAttributes>,
    /// A projection expression with the key attributes; `None` for whole items.
    pub projection: Option<String>,
    /// Attribute names of the projection.
    pub names: HashMap<String, String>,
    /// Whether to use strongly consistent reads.
    pub consistent_read: bool,
}

/// What BatchGetItem returned. Keys that are in neither do not exist.
#[derive(Clone, Debug, Default)]
pub struct BatchGot {
    /// The items that were found, by table, in no order.
    pub items: Vec<(String, Vec<Item>)>,
    /// The keys that were not read, each with its table.
    pub unprocessed: Vec<(String, Item)>,
}

/// One write of BatchWriteItem.
#[derive(Clone, Debug)]
pub enum BatchWrite {
    /// Writes a whole item.
    Put {
        /// The table.
        table: String,
        /// As stored: encrypted, with pointers.
        item: Item,
    },
    /// Deletes an item, if it exists.
    Delete {
        /// The table.
        table: String,
        /// Exactly the key attributes.
        key: Item,
    },
}

/// Keys that one BatchGetItem reads.
pub const MAX_GETS: usize = 100;
/// Writes that one BatchWriteItem makes.
pub const MAX_WRITES: usize = 25;

impl DynamoDb {
    /// Reads several items.
    ///
    /// # Errors
    ///
    /// `Missing` if a table does not exist, and the errors of any request.
    pub async fn batch_get_item(&self, call: &Call, get: BatchGetItem) -> Result<BatchGot, Error> {
        let tables = names(get.tables.iter().map(|table| table.table.as_str()));
        let request = Request::new(AwsOperation::BatchGetItem, &tables);
        let mut keys = HashMap::with_capacity(get.tables.len());
        for table in get.tables {
            let stored = table.keys.into_iter().map(|key| storable(&request, key));
            let attributes = KeysAndAttributes::builder()
                .set_keys(Some(stored.collect::<Result<_, _>>()?))
                .set_projection_expression(table.projection)
                .set_expression_attribute_names(some_names(table.names))
                .consistent_read(table.consistent_read)
                .build();
            keys.insert(table.table, attributes.map_err(|_| incomplete(&request))?);
        }
        let input = BatchGetItemInput::builder()
            .set_request_items(Some(keys))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .build();
        let sent = Box::pin(self.operations.batch_get_item.send(&self.client, input, false));
        let output = super::send(call, &request, sent).await?;
        call.add_capacity(output.units(), 0.0);
        let (items, unprocessed) = output.into_parts();
        let found: usize = items.iter().map(|(_, items)| items.len()).sum();
        let left = |(table, keys): (String, Vec<Item>)| keys.into_iter().map(move |key| (table.clone(), key));
        let got = BatchGot {
            items,
            unprocessed: unprocessed.into_iter().flat_map(left).collect(),
        };
        if !get.uncounted {
            call.add_items(found as u64, 0);
        }
        Ok(got)
    }

    /// Writes and deletes up to [`MAX_WRITES`] different items, each for itself. Returns the writes that were not made.
    ///
    /// # Errors
    ///
    /// `OutcomeUnknown` and `Deadline` as for [`DynamoDb::put_item`]; if DynamoDB refuses one write, it makes none.
    pub async fn batch_write_item(
        &self,
        call: &Call,
        writes: Vec<BatchWrite>,
    ) -> Result<Vec<BatchWrite>, Error> {
        let tables = names(writes.iter().map(BatchWrite::table));
        let request = write_request(AwsOperation::BatchWriteItem, &tables);
        let mut by_table: HashMap<String, Vec<WriteRequest>> = HashMap::new();
        for write in writes {
            let (table, write) = write.into_sdk(&request)?;
            by_table.entry(table).or_default().push(write);
        }
        let input = BatchWriteItemInput::builder()
            .set_request_items(Some(by_table))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .build();
        let sent = Box::pin(self.operations.batch_write_item.send(&self.client, input, false));
        let output = meter::send(call, &request, sent)
            .await
            .map_err(|failure| request.error(&failure))?;
        call.add_capacity(0.0, sum(output.consumed_capacity()));
        let left = output.unprocessed_items.unwrap_or_default();
        Ok(left
            .into_iter()
            .flat_map(|(table, writes)| writes.into_iter().map(move |write| (table.clone(), write)))
            .filter_map(|(table, write)| BatchWrite::from_sdk(table, write))
            .collect())
    }
}

impl BatchWrite {
    /// The table.
    pub fn table(&self) -> &str {
        match self {
            BatchWrite::Put { table, .. } | BatchWrite::Delete { table, .. } => table,
        }
    }

    /// The item to write, or the key to delete.
    pub fn item(&self) -> &Item {
        match self {
            BatchWrite::Put { item, .. } => item,
            BatchWrite::Delete { key, .. } => key,
        }
    }

    fn into_sdk(self, request: &Request<'_>) -> Result<(String, WriteRequest), Error> {
        let builder = WriteRequest::builder();
        Ok(match self {
            BatchWrite::Put { table, item } => {
                let put = PutRequest::builder()
                    .set_item(Some(storable(request, item)?))
                    .build()
                    .map_err(|_| incomplete(request))?;
                (table, builder.put_request(put).build())
            }
            BatchWrite::Delete { table, key } => {
                let delete = DeleteRequest::builder()
                    .set_key(Some(storable(request, key)?))
                    .build()
                    .map_err(|_| incomplete(request))?;
                (table, builder.delete_request(delete).build())
            }
        })
    }

    fn from_sdk(table: String, write: WriteRequest) -> Option<BatchWrite> {
        match (write.put_request, write.delete_request) {
            (Some(put), _) => Some(BatchWrite::Put {
                table,
                item: from_sdk(put.item),
            }),
            (None, Some(delete)) => Some(BatchWrite::Delete {
                table,
                key: from_sdk(delete.key),
            }),
            (None, None) => None,
        }
    }
}

/// The units of all tables.
pub(super) fn sum(capacity: &[ConsumedCapacity]) -> f64 {
    capacity.iter().map(|capacity| units(Some(capacity))).sum()
}

/// The names of the tables of a request, each once.
pub(super) fn names<'a>(tables: impl Iterator<Item = &'a str>) -> String {
    let mut seen = HashSet::new();
    let distinct: Vec<&str> = tables.filter(|table| seen.insert(*table)).collect();
    distinct.join(", ")
}

/// The SDK requires a field that is always set.
pub(super) fn incomplete(request: &Request<'_>) -> Error {
    request.local_error(Kind::Refused, "a required field is not set")
}
