//! The steps of a delete: DeleteItem, then the item's objects.

use std::time::Instant;

use crate::aws::{self, Doubt, Kind, Stores};
use crate::model::Item;
use crate::object::owner::{Owner, owns_objects};

use super::cleanup::remove_owned;
use super::request::DeleteRequest;

/// Deletes an item and its objects by `deadline`. Returns the item as stored, if it was requested and existed.
pub(super) async fn delete(
    stores: &Stores,
    request: DeleteRequest,
    deadline: Instant,
) -> Result<Option<Item>, aws::Error> {
    let DeleteRequest {
        call,
        model,
        key,
        condition,
        return_old,
    } = request;
    let extended = call.with_deadline(deadline);
    let condition = condition.unwrap_or_default();
    let delete = aws::DeleteItem {
        table: model.table.clone(),
        key: key.item(),
        condition: Some(condition.text).filter(|text| !text.is_empty()),
        names: condition.names,
        values: condition.values,
        return_old: return_old || owns_objects(&model),
    };
    let old = match stores.dynamodb.delete_item(&extended, delete).await {
        Ok(old) => old,
        // the item is gone, perhaps deleted by an attempt of this call whose response was lost
        Err(error) if error.doubt != Doubt::None && error.kind == (Kind::ConditionFailed { item: None }) => {
            return Err(aws::Error {
                kind: Kind::OutcomeUnknown,
                ..error
            });
        }
        Err(error) => return Err(error),
    };
    if let Some(old) = &old {
        let owner = Owner {
            model: &model,
            key: &key,
        };
        remove_owned(stores, &extended, owner, old, &Item::new()).await;
    }
    Ok(old.filter(|_| return_old))
}
