//! Adopts the objects of other items to which copied pointers lead: copies the object, then makes the item point to the copy
//! if it still points to the original. The original stays: it belongs to somebody else.

use std::collections::HashMap;

use super::context::Context;
use super::error::Error;
use super::pointed::points_to;
use crate::aws::{self, Doubt, Kind, Location, ObjectHead, UpdateError, UpdateItem};
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::model::{Attribute, Item, Model, Offload, Value};
use crate::object::adopt::Adoption;
use crate::object::owner::Owner;

/// A foreign pointer in an item.
pub(super) struct Foreign<'a> {
    pub(super) model: &'a Model,
    pub(super) attribute: &'a Attribute,
    pub(super) offload: &'a Offload,
    pub(super) item_key: &'a Key,
    /// The pointer as it is stored.
    pub(super) stored: &'a Value,
    pub(super) pointer: &'a Pointer,
    /// The region of the pointer's bucket, if it is not the client's.
    pub(super) region: Option<&'a str>,
    pub(super) head: &'a ObjectHead,
}

/// Copies the object and moves the pointer. Returns whether the item owns its object now.
pub(super) async fn adopt(context: &Context, foreign: &Foreign<'_>) -> Result<bool, Error> {
    if foreign.model.protection.is_some() {
        // the item would no longer match its seal
        return Ok(false);
    }
    let owner = Owner {
        model: foreign.model,
        key: foreign.item_key,
    };
    let adoption = Adoption::new(
        owner,
        foreign.offload,
        foreign.pointer,
        foreign.head,
        foreign.region,
    );
    let Some(adoption) = adoption else {
        return Ok(false);
    };
    context.pace.wait().await;
    let copied = match adoption.copy(&context.stores.s3, || context.call()).await {
        Ok(copied) => copied,
        // it was replaced or deleted
        Err(error) if matches!(error.kind, Kind::Refused | Kind::Missing { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    match commit(context, foreign, &copied).await {
        Ok(_) => Ok(true),
        Err(UpdateError::Store(error)) => settle(context, foreign, &copied, adoption.location(), error).await,
        Err(UpdateError::Misfit(_)) => remove(context, adoption.location()).await.map(|()| false),
    }
}

/// Makes the item point to the copy if it still points to the original.
async fn commit(
    context: &Context,
    foreign: &Foreign<'_>,
    copied: &Pointer,
) -> Result<Option<Item>, UpdateError> {
    let update = UpdateItem {
        table: foreign.model.table.clone(),
        key: foreign.item_key.item(),
        update: Some("SET #pointer = :copied".to_owned()),
        condition: Some("#pointer = :stored".to_owned()),
        names: HashMap::from([("#pointer".to_owned(), foreign.attribute.stored_name.clone())]),
        values: Item::from([
            (":copied".to_owned(), copied.to_value()),
            (":stored".to_owned(), foreign.stored.clone()),
        ]),
        // it cannot be applied twice: its own result fails its condition
        is_repeatable: true,
        ..UpdateItem::default()
    };
    context.stores.dynamodb.update_item(&context.call(), update).await
}

/// After a failed commit: finds out whether the item points to the copy, and deletes the copy if it certainly does not.
async fn settle(
    context: &Context,
    foreign: &Foreign<'_>,
    copied: &Pointer,
    location: Location<'_>,
    error: aws::Error,
) -> Result<bool, Error> {
    let item = context.read(foreign.model, foreign.item_key).await?;
    if item.is_some_and(|item| points_to(&item, &copied.bucket, &copied.key)) {
        return Ok(true);
    }
    if error.doubt != Doubt::Lost {
        remove(context, location).await?;
    }
    match error.kind {
        // the item has changed
        Kind::ConditionFailed { .. } => Ok(false),
        Kind::TransactionCancelled { .. }
        | Kind::Conflict
        | Kind::TokenMismatch
        | Kind::Missing { .. }
        | Kind::Throttled
        | Kind::Denied
        | Kind::KeyUnusable
        | Kind::InvalidCiphertext
        | Kind::IncorrectKey
        | Kind::UnknownKey
        | Kind::TooLarge
        | Kind::Refused
        | Kind::Unavailable
        | Kind::OutcomeUnknown
        | Kind::Deadline { .. } => Err(error.into()),
    }
}

/// Deletes a copy that no item points to.
async fn remove(context: &Context, location: Location<'_>) -> Result<(), Error> {
    Ok(context
        .stores
        .s3
        .delete_object(&context.call(), location, None)
        .await?)
}
