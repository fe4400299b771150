//! The steps of a delete: DeleteItem, then the item's objects.

use std::time::Instant;

use crate::aws::{self, Doubt, Kind, Stores};
use crate::crypto::CallKeys;
use crate::model::{Item, Model};
use crate::object::owner::{Owner, owns_objects};

use super::cleanup::remove_owned;
use super::offloaded::Offloaded;
use super::old_item::is_as_written;
use super::request::{DeleteRequest, ExpectedVersion};
use super::settle::{Settlement, unknown};
use super::versions::stored_version;

/// Deletes an item and its objects by `deadline`. Returns the item as stored, if it was requested and existed.
pub(super) async fn delete(
    stores: &Stores,
    request: DeleteRequest,
    keys: &CallKeys,
    deadline: Instant,
) -> Result<Option<Item>, aws::Error> {
    let DeleteRequest {
        call,
        model,
        key,
        condition,
        version,
        return_old,
        identity: _,
    } = request;
    let extended = call.with_deadline(deadline);
    let condition = condition.unwrap_or_default();
    let is_settled_by_absence = condition.text.is_empty() && !return_old;
    let delete = aws::DeleteItem {
        table: model.table.clone(),
        key: key.item(),
        condition: Some(condition.text).filter(|text| !text.is_empty()),
        names: condition.names,
        values: condition.values,
        return_old: return_old || owns_objects(&model),
        // another writer may have created the item again since an attempt was applied
        once: owns_objects(&model),
    };
    let old = match stores.dynamodb.delete_item(&extended, delete).await {
        Ok(old) => old,
        // the item is gone, perhaps deleted by an attempt of this call whose response was lost
        Err(error) if error.doubt != Doubt::None && error.kind == (Kind::ConditionFailed { item: None }) => {
            return Err(unknown(error));
        }
        // an item with this version or a lower one may have been created after an attempt of this call deleted it
        Err(error) if error.doubt != Doubt::None && !is_newer(&model, version, &error.kind) => {
            return Err(unknown(error));
        }
        Err(error) if is_settled_by_absence && is_in_doubt(&error) => {
            let settlement = Settlement {
                stores,
                call: &extended,
                model: &model,
                key: &key,
                new: &[],
            };
            return settled_by_absence(&settlement, error).await;
        }
        Err(error) => return Err(error),
    };
    let Some(stored) = old else { return Ok(None) };
    let mut returned = None;
    if return_old && is_as_written(&extended, &model, &stored, keys).await {
        let offloaded = Offloaded {
            stores,
            keys,
            call: &extended,
            model: &model,
        };
        let mut item = stored.clone();
        offloaded.put(&mut item, None).await;
        returned = Some(item);
    }
    let owner = Owner {
        model: &model,
        key: &key,
    };
    remove_owned(stores, &extended, owner, &stored, &Item::new()).await;
    Ok(returned)
}

/// The outcome of a delete that only the missing item shows.
async fn settled_by_absence(
    settlement: &Settlement<'_>,
    error: aws::Error,
) -> Result<Option<Item>, aws::Error> {
    match settlement.read().await {
        Ok(None) => Ok(None),
        Ok(Some(_)) | Err(_) => Err(error),
    }
}

/// Whether the error leaves open if the delete was applied.
fn is_in_doubt(error: &aws::Error) -> bool {
    matches!(error.kind, Kind::OutcomeUnknown | Kind::Deadline { sent: true })
}

/// Whether a failed condition is certain to be about another, newer version of the item. True for a delete without a
/// version, which fails as it always did.
fn is_newer(model: &Model, expected: Option<ExpectedVersion>, kind: &Kind) -> bool {
    let Some(ExpectedVersion::Exactly(number)) = expected else {
        return true;
    };
    matches!(kind, Kind::ConditionFailed { item: Some(item) } if stored_version(model, item) > number)
}
