//! DynamoDB: typed calls over our own values. Every request asks for its consumed capacity and bills it, every write
//! asks for the item that refused it. Knows nothing of models; items are as they are stored.

use std::collections::HashMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, ReturnConsumedCapacity, ReturnValue,
    ReturnValuesOnConditionCheckFailure, Select,
};

use crate::call::Call;
use crate::figure::AwsOperation;
use crate::model::Item;
use crate::model::size::{stored_bytes, write_units};

use super::answer::Answer;
use super::convert::{NotStorable, from_sdk, to_sdk};
use super::error::{Detail, Error, Kind, Request};
use super::meter::{self, Cause, Failure, SdkFailure};

/// DynamoDB, for calls that pay for it.
#[derive(Clone, Debug)]
pub struct DynamoDb {
    pub(super) client: aws_sdk_dynamodb::Client,
}

/// One item by its key.
#[derive(Clone, Debug, Default)]
pub struct GetItem {
    /// The table.
    pub table: String,
    /// Exactly the key attributes.
    pub key: Item,
    /// A projection expression; none: the whole item.
    pub projection: Option<String>,
    /// Attribute names of the projection.
    pub names: HashMap<String, String>,
    /// Whether to see every write that was answered before.
    pub consistent_read: bool,
    /// The item is not one that is returned: it is looked at again, and was counted before if at all.
    pub uncounted: bool,
}

/// A write of a whole item.
#[derive(Clone, Debug, Default)]
pub struct PutItem {
    /// The table.
    pub table: String,
    /// As it will be stored: sealed, with pointers.
    pub item: Item,
    /// A condition expression.
    pub condition: Option<String>,
    /// Attribute names of the condition.
    pub names: HashMap<String, String>,
    /// Values of the condition.
    pub values: Item,
    /// Whether to answer the item that was replaced.
    pub return_old: bool,
}

/// The removal of an item.
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
    /// Whether to answer the item that was removed.
    pub return_old: bool,
}

/// One page of a partition's items.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The table.
    pub table: String,
    /// An index of it.
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
    /// Items evaluated at most.
    pub limit: Option<u32>,
    /// The key after which the page begins.
    pub start_key: Option<Item>,
    /// From the greatest sort key down.
    pub descending: bool,
    /// Whether to see every write that was answered before.
    pub consistent_read: bool,
    /// Whether to answer only how many there are.
    pub count_only: bool,
}

/// One page of a table's items.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    /// The table.
    pub table: String,
    /// An index of it.
    pub index: Option<String>,
    /// A filter expression.
    pub filter: Option<String>,
    /// A projection expression.
    pub projection: Option<String>,
    /// Attribute names of all expressions.
    pub names: HashMap<String, String>,
    /// Values of all expressions.
    pub values: Item,
    /// Items evaluated at most.
    pub limit: Option<u32>,
    /// The key after which the page begins.
    pub start_key: Option<Item>,
    /// Whether to see every write that was answered before.
    pub consistent_read: bool,
    /// Whether to answer only how many there are.
    pub count_only: bool,
    /// One of several parts of the table: its number from 0, and how many there are.
    pub segment: Option<(u32, u32)>,
}

/// What one page holds.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The items that passed the filter.
    pub items: Vec<Item>,
    /// How many these are, also where only the count was asked for.
    pub count: u32,
    /// How many were evaluated.
    pub scanned_count: u32,
    /// Where the next page begins; none: there is no other.
    pub last_key: Option<Item>,
}

impl DynamoDb {
    /// The region of the tables.
    pub fn region(&self) -> &str {
        self.client.config().region().map_or("", |region| region.as_ref())
    }

    /// The item of this key, if there is one.
    ///
    /// # Errors
    ///
    /// `Missing` for a table that is not there; what all reads have.
    pub async fn get_item(&self, call: &Call, get: GetItem) -> Result<Option<Item>, Error> {
        let request = read(AwsOperation::GetItem, &get.table);
        let sent = Box::pin(
            self.client
                .get_item()
                .table_name(&get.table)
                .set_key(Some(storable(&request, get.key)?))
                .set_projection_expression(get.projection)
                .set_expression_attribute_names(some_names(get.names))
                .consistent_read(get.consistent_read)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send(),
        );
        let output = send(call, &request, sent).await?;
        call.add_capacity(units(output.consumed_capacity.as_ref()), 0.0);
        if output.item.is_some() && !get.uncounted {
            call.add_items(1, 0);
        }
        Ok(output.item.map(from_sdk))
    }

    /// Writes an item whole; answers the one that it replaced, where asked and where there was one.
    ///
    /// # Errors
    ///
    /// `ConditionFailed` with the item as it is; `OutcomeUnknown` and `Deadline` as [`Kind`] says.
    pub async fn put_item(&self, call: &Call, put: PutItem) -> Result<Option<Item>, Error> {
        let request = write(AwsOperation::PutItem, &put.table);
        let sent = Box::pin(
            self.client
                .put_item()
                .table_name(&put.table)
                .set_item(Some(storable(&request, put.item)?))
                .set_condition_expression(put.condition)
                .set_expression_attribute_names(some_names(put.names))
                .set_expression_attribute_values(some_values(&request, put.values)?)
                .return_values(return_value(put.return_old))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send(),
        );
        match meter::send(call, &request, sent).await {
            Ok(output) => {
                call.add_capacity(0.0, units(output.consumed_capacity.as_ref()));
                Ok(output.attributes.map(from_sdk))
            }
            Err(failure) => {
                let refusing = put_refused_by(&failure);
                Err(write_error(call, &request, &failure, refusing))
            }
        }
    }

    /// Removes an item, if there is one; answers it, where asked.
    ///
    /// # Errors
    ///
    /// As [`DynamoDb::put_item`].
    pub async fn delete_item(&self, call: &Call, delete: DeleteItem) -> Result<Option<Item>, Error> {
        let request = write(AwsOperation::DeleteItem, &delete.table);
        let sent = Box::pin(
            self.client
                .delete_item()
                .table_name(&delete.table)
                .set_key(Some(storable(&request, delete.key)?))
                .set_condition_expression(delete.condition)
                .set_expression_attribute_names(some_names(delete.names))
                .set_expression_attribute_values(some_values(&request, delete.values)?)
                .return_values(return_value(delete.return_old))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send(),
        );
        match meter::send(call, &request, sent).await {
            Ok(output) => {
                call.add_capacity(0.0, units(output.consumed_capacity.as_ref()));
                Ok(output.attributes.map(from_sdk))
            }
            Err(failure) => {
                let refusing = delete_refused_by(&failure);
                Err(write_error(call, &request, &failure, refusing))
            }
        }
    }

    /// One page of a partition.
    ///
    /// # Errors
    ///
    /// As [`DynamoDb::get_item`].
    pub async fn query(&self, call: &Call, query: Query) -> Result<Page, Error> {
        let request = read(AwsOperation::Query, &query.table);
        let sent = Box::pin(
            self.client
                .query()
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
                .set_select(query.count_only.then_some(Select::Count))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send(),
        );
        let output = send(call, &request, sent).await?;
        let counts = (output.count, output.scanned_count);
        Ok(page(
            call,
            output.items,
            counts,
            output.last_evaluated_key,
            output.consumed_capacity.as_ref(),
        ))
    }

    /// One page of a table.
    ///
    /// # Errors
    ///
    /// As [`DynamoDb::get_item`].
    pub async fn scan(&self, call: &Call, scan: Scan) -> Result<Page, Error> {
        let request = read(AwsOperation::Scan, &scan.table);
        let sent = Box::pin(
            self.client
                .scan()
                .table_name(&scan.table)
                .set_index_name(scan.index)
                .set_filter_expression(scan.filter)
                .set_projection_expression(scan.projection)
                .set_expression_attribute_names(some_names(scan.names))
                .set_expression_attribute_values(some_values(&request, scan.values)?)
                .set_limit(scan.limit.map(to_i32))
                .set_exclusive_start_key(start_key(&request, scan.start_key)?)
                .consistent_read(scan.consistent_read)
                .set_select(scan.count_only.then_some(Select::Count))
                .set_segment(scan.segment.map(|(segment, _total)| to_i32(segment)))
                .set_total_segments(scan.segment.map(|(_segment, total)| to_i32(total)))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send(),
        );
        let output = send(call, &request, sent).await?;
        let counts = (output.count, output.scanned_count);
        Ok(page(
            call,
            output.items,
            counts,
            output.last_evaluated_key,
            output.consumed_capacity.as_ref(),
        ))
    }
}

fn read<'a>(operation: AwsOperation, table: &'a str) -> Request<'a> {
    Request {
        operation,
        name: table,
        is_write: false,
        detail: Detail::default(),
    }
}

fn write<'a>(operation: AwsOperation, table: &'a str) -> Request<'a> {
    Request {
        operation,
        name: table,
        is_write: true,
        detail: Detail::default(),
    }
}

async fn send<T, E>(
    call: &Call,
    request: &Request<'_>,
    sent: impl Future<Output = Result<T, SdkError<E>>>,
) -> Result<T, Error>
where
    T: Answer,
    E: SdkFailure,
{
    meter::send(call, request, sent)
        .await
        .map_err(|failure| request.error(&failure))
}

/// The item that refused a write; outer `None` where no condition refused it.
type RefusedBy = Option<Option<HashMap<String, AttributeValue>>>;

fn put_refused_by(failure: &Failure<PutItemError>) -> RefusedBy {
    let Cause::Sdk(error) = &failure.cause else {
        return None;
    };
    match error.as_service_error()? {
        PutItemError::ConditionalCheckFailedException(refusal) => Some(refusal.item.clone()),
        _ => None,
    }
}

fn delete_refused_by(failure: &Failure<DeleteItemError>) -> RefusedBy {
    let Cause::Sdk(error) = &failure.cause else {
        return None;
    };
    match error.as_service_error()? {
        DeleteItemError::ConditionalCheckFailedException(refusal) => Some(refusal.item.clone()),
        _ => None,
    }
}

/// A write that its condition refused consumed capacity by the size of the item that is there, and at least one unit;
/// the service does not answer it.
fn write_error<E>(call: &Call, request: &Request<'_>, failure: &Failure<E>, refused_by: RefusedBy) -> Error
where
    E: SdkFailure,
{
    let mut error = request.error(failure);
    if let Some(item) = refused_by {
        let item = item.map(from_sdk);
        let bytes = item.as_ref().map_or(0, stored_bytes);
        call.add_estimated_write(write_units(bytes) as f64);
        error.kind = Kind::ConditionFailed { item };
    }
    error
}

fn page(
    call: &Call,
    items: Option<Vec<HashMap<String, AttributeValue>>>,
    (count, scanned_count): (i32, i32),
    last_key: Option<HashMap<String, AttributeValue>>,
    capacity: Option<&ConsumedCapacity>,
) -> Page {
    call.add_capacity(units(capacity), 0.0);
    let page = Page {
        items: items.unwrap_or_default().into_iter().map(from_sdk).collect(),
        count: count.unsigned_abs(),
        scanned_count: scanned_count.unsigned_abs(),
        last_key: last_key.filter(|key| !key.is_empty()).map(from_sdk),
    };
    call.add_items(page.count.into(), page.scanned_count.into());
    page
}

fn units(capacity: Option<&ConsumedCapacity>) -> f64 {
    let units = capacity.and_then(|capacity| capacity.capacity_units);
    units.unwrap_or(0.0)
}

fn storable(request: &Request<'_>, item: Item) -> Result<HashMap<String, AttributeValue>, Error> {
    to_sdk(item).map_err(|NotStorable| request.refused("an object is where a stored value belongs"))
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

fn some_names(names: HashMap<String, String>) -> Option<HashMap<String, String>> {
    if names.is_empty() { None } else { Some(names) }
}

fn return_value(return_old: bool) -> ReturnValue {
    if return_old {
        ReturnValue::AllOld
    } else {
        ReturnValue::None
    }
}

fn to_i32(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
