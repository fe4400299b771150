//! TransactGetItems and TransactWriteItems: several items at one moment, all or none.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, ConditionCheck, ConsumedCapacity, Delete, Get, Put, ReturnConsumedCapacity,
    ReturnValuesOnConditionCheckFailure, TransactGetItem, TransactWriteItem, Update,
};

use super::super::convert::{from_sdk, some_names};
use super::super::error::{Error, Kind, Refusal};
use super::super::failure::is_about_size;
use super::super::meter;
use super::super::misfit::Misfit;
use super::super::request::{Cause, Failure, Request};
use super::batch::{incomplete, names, sum};
use super::{DynamoDb, GetItem, PutItem, some_values, storable, units, write_request};
use crate::call::Call;
use crate::figure::AwsOperation;
use crate::model::Item;

/// One operation of TransactWriteItems. What a single write returns is not returned here.
#[derive(Clone, Debug)]
pub enum TransactItem {
    /// Writes a whole item.
    Put(PutItem),
    /// Changes an item in place.
    Update(TransactKey),
    /// Deletes an item, if it exists.
    Delete(TransactKey),
    /// Changes nothing; the condition must be met.
    Check(TransactKey),
}

/// An operation on the item with a key.
#[derive(Clone, Debug, Default)]
pub struct TransactKey {
    /// The table.
    pub table: String,
    /// Exactly the key attributes.
    pub key: Item,
    /// The update expression of an update.
    pub update: Option<String>,
    /// A condition expression.
    pub condition: Option<String>,
    /// Attribute names of all expressions.
    pub names: HashMap<String, String>,
    /// Values of all expressions.
    pub values: Item,
}

/// Operations of one transaction.
pub const MAX_OPERATIONS: usize = 100;

impl DynamoDb {
    /// Returns several items as they are at one moment, in the order of `gets`; `None` for items that do not exist.
    ///
    /// # Errors
    ///
    /// `TransactionCancelled` if another write is in progress, `Missing` if a table does not exist, and the errors of any
    /// request.
    pub async fn transact_get_items(
        &self,
        call: &Call,
        gets: Vec<GetItem>,
    ) -> Result<Vec<Option<Item>>, Error> {
        let tables = names(gets.iter().map(|get| get.table.as_str()));
        let request = Request::new(AwsOperation::TransactGetItems, &tables);
        let count = gets.len();
        let counted: Vec<bool> = gets.iter().map(|get| !get.uncounted).collect();
        let gets = gets.into_iter().map(|get| transact_get(&request, get));
        let sent = Box::pin(
            self.client
                .transact_get_items()
                .set_transact_items(Some(gets.collect::<Result<_, _>>()?))
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send(),
        );
        let output = meter::send(call, &request, sent).await.map_err(|failure| {
            let mut error = request.error(&failure);
            if let Cause::Sdk(sdk) = &failure.cause
                && let Some(service) = sdk.as_service_error()
                && service.is_transaction_canceled_exception()
            {
                error.kind = Kind::Conflict;
            }
            error
        })?;
        call.add_capacity(sum(output.consumed_capacity()), 0.0);
        let responses = output.responses.unwrap_or_default().into_iter();
        let mut items: Vec<Option<Item>> = responses.map(|response| response.item.map(from_sdk)).collect();
        items.resize(count, None);
        let returned = items.iter().zip(counted);
        let returned = returned.filter(|(item, is_counted)| item.is_some() && *is_counted);
        call.add_items(returned.count() as u64, 0);
        Ok(items)
    }

    /// Applies all operations or none. The SDK repeats attempts with the same token, so that they are applied once;
    /// `token` is the caller's own, else a new one.
    ///
    /// # Errors
    ///
    /// `TransactionCancelled` with the reason of each operation, `TokenMismatch` if the token was used with other
    /// operations, `OutcomeUnknown` and `Deadline`; see [`Kind`].
    pub async fn transact_write_items(
        &self,
        call: &Call,
        items: Vec<TransactItem>,
        token: Option<String>,
    ) -> Result<(), Error> {
        let tables = names(items.iter().map(TransactItem::table));
        let request = write_request(AwsOperation::TransactWriteItems, &tables);
        let count = items.len();
        let items = items.into_iter().map(|item| item.into_sdk(&request));
        let sent = Box::pin(
            self.client
                .transact_write_items()
                .set_transact_items(Some(items.collect::<Result<_, _>>()?))
                .set_client_request_token(token)
                .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
                .send(),
        );
        match meter::send(call, &request, sent).await {
            Ok(output) => {
                let (read, written) = read_and_written(output.consumed_capacity());
                call.add_capacity(read, written);
                Ok(())
            }
            Err(failure) => {
                let mut error = request.error(&failure);
                if let Some(reasons) = cancellation(&failure, count) {
                    error.kind = Kind::TransactionCancelled { reasons };
                }
                Err(error)
            }
        }
    }
}

impl TransactItem {
    /// The table.
    pub fn table(&self) -> &str {
        match self {
            TransactItem::Put(put) => &put.table,
            TransactItem::Update(on) | TransactItem::Delete(on) | TransactItem::Check(on) => &on.table,
        }
    }

    fn into_sdk(self, request: &Request<'_>) -> Result<TransactWriteItem, Error> {
        let item = TransactWriteItem::builder();
        let all_old = ReturnValuesOnConditionCheckFailure::AllOld;
        let missing = |_| incomplete(request);
        macro_rules! keyed {
            ($kind:ident, $on:ident) => {
                $kind::builder()
                    .table_name($on.table)
                    .set_key(Some(storable(request, $on.key)?))
                    .set_condition_expression($on.condition)
                    .set_expression_attribute_names(some_names($on.names))
                    .set_expression_attribute_values(some_values(request, $on.values)?)
                    .return_values_on_condition_check_failure(all_old)
            };
        }
        Ok(match self {
            TransactItem::Put(put) => item.put(
                Put::builder()
                    .table_name(put.table)
                    .set_item(Some(storable(request, put.item)?))
                    .set_condition_expression(put.condition)
                    .set_expression_attribute_names(some_names(put.names))
                    .set_expression_attribute_values(some_values(request, put.values)?)
                    .return_values_on_condition_check_failure(all_old)
                    .build()
                    .map_err(missing)?,
            ),
            TransactItem::Update(on) => item.update(
                keyed!(Update, on)
                    .set_update_expression(on.update)
                    .build()
                    .map_err(missing)?,
            ),
            TransactItem::Delete(on) => item.delete(keyed!(Delete, on).build().map_err(missing)?),
            TransactItem::Check(on) => {
                item.condition_check(keyed!(ConditionCheck, on).build().map_err(missing)?)
            }
        }
        .build())
    }
}

fn transact_get(request: &Request<'_>, get: GetItem) -> Result<TransactGetItem, Error> {
    let get = Get::builder()
        .table_name(get.table)
        .set_key(Some(storable(request, get.key)?))
        .set_projection_expression(get.projection)
        .set_expression_attribute_names(some_names(get.names))
        .build()
        .map_err(|_| incomplete(request))?;
    Ok(TransactGetItem::builder().get(get).build())
}

/// The read and write units of a transaction. The repeat of one that was applied before has read units only.
fn read_and_written(capacity: &[ConsumedCapacity]) -> (f64, f64) {
    let mut sums = (0.0, 0.0);
    for table in capacity {
        match (table.read_capacity_units, table.write_capacity_units) {
            (None, None) => sums.1 += units(Some(table)),
            (read, written) => {
                sums.0 += read.unwrap_or(0.0);
                sums.1 += written.unwrap_or(0.0);
            }
        }
    }
    sums
}

/// The reason of each operation, if the transaction was cancelled. It consumed no capacity that DynamoDB reports.
fn cancellation(
    failure: &Failure<TransactWriteItemsError>,
    operations: usize,
) -> Option<Vec<Option<Refusal>>> {
    let Cause::Sdk(error) = &failure.cause else {
        return None;
    };
    let reasons = match error.as_service_error()? {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => cancelled.cancellation_reasons(),
        // the SDK's enum is non-exhaustive; all other errors are classified by their code
        _ => return None,
    };
    let mut reasons: Vec<_> = reasons.iter().take(operations).map(refusal).collect();
    reasons.resize(operations, None);
    Some(reasons)
}

fn refusal(reason: &CancellationReason) -> Option<Refusal> {
    Some(match reason.code()? {
        "None" => return None,
        "ConditionalCheckFailed" | "DuplicateItem" => Refusal::ConditionFailed {
            item: reason
                .item()
                .cloned()
                .filter(|item| !item.is_empty())
                .map(from_sdk),
        },
        "TransactionConflict" => Refusal::Conflict,
        "ItemCollectionSizeLimitExceeded" => Refusal::TooLarge,
        "ProvisionedThroughputExceeded" | "ThrottlingError" => Refusal::Throttled,
        "ValidationError" if reason.message().is_some_and(is_about_size) => Refusal::TooLarge,
        "ValidationError" => match reason.message().and_then(Misfit::of_text) {
            Some(misfit) => Refusal::Misfit(misfit),
            None => Refusal::Invalid,
        },
        // codes are open strings: the operation was refused for a reason that no caller can act on
        _ => Refusal::Invalid,
    })
}
