//! PutItem.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::{PutItemError, PutItemInput};
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};

use super::{
    ConditionFailure, DynamoDb, return_value, some_values, storable, units, write_error, write_request,
};
use crate::aws::convert::{from_sdk, some_names};
use crate::aws::error::Error;
use crate::aws::meter;
use crate::aws::request::{Cause, Failure};
use crate::call::Call;
use crate::figure::AwsOperation;
use crate::model::Item;

/// Writes a whole item.
#[derive(Clone, Debug, Default)]
pub struct PutItem {
    /// The table.
    pub table: String,
    /// As stored: encrypted, with pointers.
    pub item: Item,
    /// A condition expression.
    pub condition: Option<String>,
    /// Attribute names of the condition.
    pub names: HashMap<String, String>,
    /// Values of the condition.
    pub values: Item,
    /// Whether to return the replaced item.
    pub return_old: bool,
    /// Whether an attempt that may have been applied must not be repeated.
    pub once: bool,
}

impl DynamoDb {
    /// Writes a whole item. Returns the item that it replaced, if requested.
    ///
    /// # Errors
    ///
    /// `ConditionFailed` with the current item, `OutcomeUnknown` and `Deadline`; see [`Kind`](crate::aws::Kind).
    pub async fn put_item(&self, call: &Call, put: PutItem) -> Result<Option<Item>, Error> {
        let request = write_request(AwsOperation::PutItem, &put.table);
        let input = PutItemInput::builder()
            .table_name(&put.table)
            .set_item(Some(storable(&request, put.item)?))
            .set_condition_expression(put.condition)
            .set_expression_attribute_names(some_names(put.names))
            .set_expression_attribute_values(some_values(&request, put.values)?)
            .return_values(return_value(put.return_old))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .build();
        let sent = Box::pin(self.operations.put_item.send(&self.client, input, put.once));
        match meter::send(call, &request, sent).await {
            Ok(output) => {
                call.add_capacity(0.0, units(output.consumed_capacity.as_ref()));
                Ok(output.attributes.map(from_sdk))
            }
            Err(failure) => {
                let condition_failure = put_condition_failure(&failure);
                Err(write_error(call, &request, &failure, condition_failure))
            }
        }
    }
}

fn put_condition_failure(failure: &Failure<PutItemError>) -> ConditionFailure {
    let Cause::Sdk(error) = &failure.cause else {
        return None;
    };
    match error.as_service_error()? {
        PutItemError::ConditionalCheckFailedException(failed) => Some(failed.item.clone()),
        // the SDK's enum is non-exhaustive; all other errors are classified by their code
        _ => None,
    }
}
