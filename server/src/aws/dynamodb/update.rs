//! UpdateItem. An attempt that may have been applied is repeated only if the caller allows it: an update may not be
//! idempotent.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::{UpdateItemError, UpdateItemInput};
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValue, ReturnValuesOnConditionCheckFailure};

use super::{ConditionFailure, DynamoDb, some_values, storable, units, write_error, write_request};
use crate::aws::convert::{from_sdk, some_names};
use crate::aws::error::{Doubt, Error};
use crate::aws::meter;
use crate::aws::misfit::Misfit;
use crate::aws::request::{Cause, Failure};
use crate::call::Call;
use crate::figure::AwsOperation;
use crate::model::{Item, ReturnValues};

/// Changes attributes of an item.
#[derive(Clone, Debug, Default)]
pub struct UpdateItem {
    /// The table.
    pub table: String,
    /// Exactly the key attributes.
    pub key: Item,
    /// An update expression; `None` to change nothing but create an item that does not exist.
    pub update: Option<String>,
    /// A condition expression.
    pub condition: Option<String>,
    /// Attribute names of both expressions.
    pub names: HashMap<String, String>,
    /// Values of both expressions.
    pub values: Item,
    /// What to return of the item.
    pub returned: ReturnValues,
    /// Whether an attempt that may have been applied is repeated.
    pub is_repeatable: bool,
}

/// Why an update failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum UpdateError {
    /// The update cannot be applied to the stored item, which is unchanged.
    #[error("the update cannot be applied to the stored item: {0}")]
    Misfit(Misfit),
    /// Any other failure.
    #[error(transparent)]
    Store(#[from] Error),
}

impl DynamoDb {
    /// Changes attributes of an item, and creates the item if it does not exist. Returns what was requested of it.
    ///
    /// # Errors
    ///
    /// As [`DynamoDb::put_item`], and [`Misfit`].
    pub async fn update_item(&self, call: &Call, update: UpdateItem) -> Result<Option<Item>, UpdateError> {
        let request = write_request(AwsOperation::UpdateItem, &update.table);
        let input = UpdateItemInput::builder()
            .table_name(&update.table)
            .set_key(Some(storable(&request, update.key)?))
            .set_update_expression(update.update)
            .set_condition_expression(update.condition)
            .set_expression_attribute_names(some_names(update.names))
            .set_expression_attribute_values(some_values(&request, update.values)?)
            .return_values(return_values(update.returned))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Indexes)
            .build();
        let sent = Box::pin(
            self.operations
                .update_item
                .send(&self.client, input, !update.is_repeatable),
        );
        match meter::send(call, &request, sent).await {
            Ok(output) => {
                call.add_capacity(0.0, units(output.consumed_capacity.as_ref()));
                Ok(output.attributes.map(from_sdk))
            }
            Err(failure) => {
                if failure.doubt == Doubt::None
                    && let Some(misfit) = misfit(&failure)
                {
                    return Err(UpdateError::Misfit(misfit));
                }
                let condition_failure = condition_failure(&failure);
                Err(write_error(call, &request, &failure, condition_failure).into())
            }
        }
    }
}

fn return_values(returned: ReturnValues) -> ReturnValue {
    match returned {
        ReturnValues::None => ReturnValue::None,
        ReturnValues::AllOld => ReturnValue::AllOld,
        ReturnValues::AllNew => ReturnValue::AllNew,
        ReturnValues::UpdatedOld => ReturnValue::UpdatedOld,
        ReturnValues::UpdatedNew => ReturnValue::UpdatedNew,
    }
}

fn misfit(failure: &Failure<UpdateItemError>) -> Option<Misfit> {
    let Cause::Sdk(error) = &failure.cause else {
        return None;
    };
    let metadata = error.as_service_error()?.meta();
    if metadata.code() != Some("ValidationException") {
        return None;
    }
    Misfit::of_text(metadata.message()?)
}

fn condition_failure(failure: &Failure<UpdateItemError>) -> ConditionFailure {
    let Cause::Sdk(error) = &failure.cause else {
        return None;
    };
    match error.as_service_error()? {
        UpdateItemError::ConditionalCheckFailedException(failed) => Some(failed.item.clone()),
        // the SDK's enum is non-exhaustive; all other errors are classified by their code
        _ => None,
    }
}
