//! DynamoDB: typed requests over this program's values. Every request returns its consumed capacity, which is billed, and
//! every write the item that failed its condition. Knows nothing of models: items are as stored.

mod batch;
mod operations;
mod put;
mod reads;
mod stored;
mod transact;
mod update;

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::{DeleteItemError, DeleteItemInput};
use aws_sdk_dynamodb::operation::get_item::GetItemInput;
use aws_sdk_dynamodb::operation::query::QueryInput;
use aws_sdk_dynamodb::operation::scan::ScanInput;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, ReturnConsumedCapacity, ReturnValue,
    ReturnValuesOnConditionCheckFailure,
};

use crate::call::Call;
use crate::figure::AwsOperation;
use crate::model::size::{stored_bytes, write_units};
use crate::model::{Item, Value};

use self::operations::Operations;
use self::reads::ReadPage;
use super::convert::{NotStorable, from_sdk, some_names, to_i32, to_sdk};
use super::error::{Error, Kind};
use super::meter;
use super::request::{Cause, Failure, Request, SdkFailure};
use super::response::Response;
use super::selected::Selected;

pub use batch::{BatchGetItem, BatchGot, BatchWrite, KeyAttributes, MAX_GETS, MAX_WRITES, TableKeys};
pub use put::PutItem;
pub use transact::{MAX_OPERATIONS, TransactItem, TransactKey};
pub use update::{UpdateError, UpdateItem};

/// DynamoDB; every request is billed to its call.
#[derive(Clone, Debug)]
pub struct DynamoDb {
    pub(super) client: aws_sdk_dynamodb::Client,
    operations: Arc<Operations>,
}

/// Reads one item by its key.
#[derive(Clone, Debug, Default)]
pub struct GetItem {
    /// The table.
    pub table: String,
    /// Exactly the key attributes.
    pub key: Item,
    /// A projection expression; `None` for the whole item.
    pub projection: Option<String>,
    /// Attribute names of the projection.
    pub names: HashMap<String, String>,
    /// Whether to use a strongly consistent read.
    pub consistent_read: bool,
    /// The item is not counted in the bill: it is read for a check, not to be returned.
    pub uncounted: bool,
}

/// Deletes an item.
#[derive(Clone, Debug, Default)]
pub struct DeleteItem {
    /// The table.
    pub table: String,
    /// Exactly the key attributes.
    pub key: Item,
    /// A condition expression.
    pub condition: Option<String>,
    /// Attribute names of the condition.
    pub names: HashMap<String, String>,
    /// Values of the condition.
    pub values: Item,
    /// Whether to return the deleted item.
    pub return_old: bool,
    /// Whether an attempt that may have been applied must not be repeated.
    pub once: bool,
}

/// Reads one page of a partition.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The table.
    pub table: String,
    /// The index; `None` for the table itself.
    pub index: Option<String>,
    /// The key condition expression.
    pub key_condition: String,
    /// A filter expression.
    pub filter: Option<String>,
    /// A projection expression.
    pub projection: Option<String>,
    /// Attribute names of all expressions.
    pub names: HashMap<String, String>,
    /// Values of all expressions.
    pub values: Item,
    /// Maximum number of items to evaluate.
    pub limit: Option<u32>,
    /// The key after which the page starts.
    pub start_key: Option<Item>,
    /// Whether to read in descending order of the sort key.
    pub descending: bool,
    /// Whether to use a strongly consistent read.
    pub consistent_read: bool,
    /// What to return of the items.
    pub select: Selected,
}

/// Reads one page of a table or index.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// The table.
    pub table: String,
    /// The index; `None` for the table itself.
    pub index: Option<String>,
    /// A filter expression.
    pub filter: Option<String>,
    /// A projection expression.
    pub projection: Option<String>,
    /// Attribute names of all expressions.
    pub names: HashMap<String, String>,
    /// Values of all expressions.
    pub values: Item,
    /// Maximum number of items to evaluate.
    pub limit: Option<u32>,
    /// The key after which the page starts.
    pub start_key: Option<Item>,
    /// Whether to use a strongly consistent read.
    pub consistent_read: bool,
    /// What to return of the items.
    pub select: Selected,
    /// The segment of a parallel scan: its number, from 0, and the total number of segments.
    pub segment: Option<(u32, u32)>,
}

/// One page of results.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The items that passed the filter.
    pub items: Vec<Item>,
    /// Number of items that passed the filter, also if only the count was requested.
    pub count: u32,
    /// Number of items evaluated.
    pub scanned_count: u32,
    /// The key after which the next page starts; `None` after the last page.
    pub last_key: Option<Item>,
}

impl DynamoDb {
    /// DynamoDB by this client.
    pub(super) fn new(client: aws_sdk_dynamodb::Client) -> DynamoDb {
        DynamoDb {
            client,
            operations: Arc::default(),
        }
    }

    /// The region of the tables.
    pub fn region(&self) -> &str {
        self.client.config().region().map_or("", |region| region.as_ref())
    }

    /// Returns the item with this key, if it exists.
    ///
    /// # Errors
    ///
    /// `Missing` if the table does not exist, and the errors of any request.
    pub async fn get_item(&self, call: &Call, get: GetItem) -> Result<Option<Item>, Error> {
        let request = Request::new(AwsOperation::GetItem, &get.table);
        let input = GetItemInput::builder()
            .table_name(&get.table)
            .set_key(Some(storable(&request, get.key)?))
            .set_projection_expression(get.projection)
            .set_expression_attribute_names(some_names(get.names))
            .consistent_read(get.consistent_read)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .build();
        let sent = Box::pin(self.operations.get_item.send(&self.client, input, false));
        let output = send(call, &request, sent).await?;
        call.add_capacity(output.units(), 0.0);
        let item = output.into_item();
        if item.is_some() && !get.uncounted {
            call.add_items(1, 0);
        }
        Ok(item)
    }

    /// Deletes an item, if it exists. Returns it, if requested.
    ///
    /// # Errors
    ///
    /// As [`DynamoDb::put_item`].
    pub async fn delete_item(&self, call: &Call, delete: DeleteItem) -> Result<Option<Item>, Error> {
        let request = write_request(AwsOperation::DeleteItem, &delete.table);
        let input = DeleteItemInput::builder()
            .table_name(&delete.table)
            .set_key(Some(storable(&request, delete.key)?))
            .set_condition_expression(delete.condition)
            .set_expression_attribute_names(some_names(delete.names))
            .set_expression_attribute_values(some_values(&request, delete.values)?)
            .return_values(return_value(delete.return_old))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .build();
        let sent = Box::pin(self.operations.delete_item.send(&self.client, input, delete.once));
        match meter::send(call, &request, sent).await {
            Ok(output) => {
                call.add_capacity(0.0, units(output.consumed_capacity.as_ref()));
                Ok(output.attributes.map(from_sdk))
            }
            Err(failure) => {
                let condition_failure = delete_condition_failure(&failure);
                Err(write_error(call, &request, &failure, condition_failure))
            }
        }
    }

    /// Returns one page of a partition.
    ///
    /// # Errors
    ///
    /// As [`DynamoDb::get_item`].
    pub async fn query(&self, call: &Call, query: Query) -> Result<Page, Error> {
        let request = Request::new(AwsOperation::Query, &query.table);
        let input = QueryInput::builder()
            .table_name(&query.table)
            .set_index_name(query.index)
            .key_condition_expression(query.key_condition)
            .set_filter_expression(query.filter)
            .set_projection_expression(query.projection)
            .set_expression_attribute_names(some_names(query.names))
            .set_expression_attribute_values(some_values(&request, query.values)?)
            .set_limit(query.limit.map(to_i32))
            .set_exclusive_start_key(start_key(&request, query.start_key)?)
            .scan_index_forward(!query.descending)
            .consistent_read(query.consistent_read)
            .set_select(query.select.to_sdk())
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .build();
        let sent = Box::pin(self.operations.query.send(&self.client, input, false));
        Ok(page(call, send(call, &request, sent).await?))
    }

    /// Returns one page of a table or index.
    ///
    /// # Errors
    ///
    /// As [`DynamoDb::get_item`].
    pub async fn scan(&self, call: &Call, scan: Scan) -> Result<Page, Error> {
        let request = Request::new(AwsOperation::Scan, &scan.table);
        let input = ScanInput::builder()
            .table_name(&scan.table)
            .set_index_name(scan.index)
            .set_filter_expression(scan.filter)
            .set_projection_expression(scan.projection)
            .set_expression_attribute_names(some_names(scan.names))
            .set_expression_attribute_values(some_values(&request, scan.values)?)
            .set_limit(scan.limit.map(to_i32))
            .set_exclusive_start_key(start_key(&request, scan.start_key)?)
            .consistent_read(scan.consistent_read)
            .set_select(scan.select.to_sdk())
            .set_segment(scan.segment.map(|(segment, _total)| to_i32(segment)))
            .set_total_segments(scan.segment.map(|(_segment, total)| to_i32(total)))
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .build();
        let sent = Box::pin(self.operations.scan.send(&self.client, input, false));
        Ok(page(call, send(call, &request, sent).await?))
    }
}

fn write_request(operation: AwsOperation, table: &str) -> Request<'_> {
    Request {
        is_write: true,
        ..Request::new(operation, table)
    }
}

async fn send<T, E>(
    call: &Call,
    request: &Request<'_>,
    sent: impl Future<Output = Result<T, SdkError<E>>>,
) -> Result<T, Error>
where
    T: Response,
    E: SdkFailure,
{
    meter::send(call, request, sent)
        .await
        .map_err(|failure| request.error(&failure))
}

/// The current item if the condition of a write failed; the outer `None` for any other failure.
type ConditionFailure = Option<Option<HashMap<String, AttributeValue>>>;

fn delete_condition_failure(failure: &Failure<DeleteItemError>) -> ConditionFailure {
    let Cause::Sdk(error) = &failure.cause else {
        return None;
    };
    match error.as_service_error()? {
        DeleteItemError::ConditionalCheckFailedException(failed) => Some(failed.item.clone()),
        // the SDK's enum is non-exhaustive; all other errors are classified by their code
        _ => None,
    }
}

/// The error of a write. A write whose condition failed consumes capacity by the size of the current item, and at least
/// one unit; DynamoDB does not report it, so that it is estimated.
fn write_error<E>(
    call: &Call,
    request: &Request<'_>,
    failure: &Failure<E>,
    condition_failure: ConditionFailure,
) -> Error
where
    E: SdkFailure,
{
    let mut error = request.error(failure);
    if let Some(item) = condition_failure {
        let item = item.map(from_sdk);
        let bytes = item.as_ref().map_or(0, stored_bytes);
        call.add_estimated_write(write_units(bytes) as f64);
        error.kind = Kind::ConditionFailed { item };
    }
    error
}

fn page(call: &Call, read: ReadPage) -> Page {
    call.add_capacity(read.units(), 0.0);
    let (count, scanned_count) = (read.count.unsigned_abs(), read.scanned_count.unsigned_abs());
    call.add_items(count.into(), scanned_count.into());
    let (items, last_key) = read.into_parts();
    Page {
        items,
        count,
        scanned_count,
        last_key: last_key.filter(|key| !key.is_empty()),
    }
}

fn units(capacity: Option<&ConsumedCapacity>) -> f64 {
    let units = capacity.and_then(|capacity| capacity.capacity_units);
    units.unwrap_or(0.0)
}

fn storable(
    request: &Request<'_>,
    item: impl IntoIterator<Item = (String, Value)>,
) -> Result<HashMap<String, AttributeValue>, Error> {
    to_sdk(item).map_err(|NotStorable| request.local_error(Kind::Refused, "an object value cannot be stored"))
}

fn some_values(
    request: &Request<'_>,
    values: Item,
) -> Result<Option<HashMap<String, AttributeValue>>, Error> {
    if values.is_empty() {
        Ok(None)
    } else {
        storable(request, values).map(Some)
    }
}

fn start_key(
    request: &Request<'_>,
    key: Option<Item>,
) -> Result<Option<HashMap<String, AttributeValue>>, Error> {
    key.map(|key| storable(request, key)).transpose()
}

fn return_value(return_old: bool) -> ReturnValue {
    if return_old {
        ReturnValue::AllOld
    } else {
        ReturnValue::None
    }
}
