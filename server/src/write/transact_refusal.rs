//! Explains why the operations of a cancelled transaction were refused.

use futures::future::join_all;

use crate::aws::{Refusal, Stores};
use crate::call::Call;
use crate::crypto::Keyring;
use crate::model::Item;

use super::error::Error;
use super::old_item::open_current;
use super::prepared::Prepared;
use super::refused::{OperationRefusal, RefusedOperation};
use super::versions::unmet;

/// The refused operations, with their current items where the caller wants them.
pub(super) async fn refused(
    stores: &Stores,
    keyring: &Keyring,
    call: &Call,
    operations: &[Prepared],
    reasons: Vec<Option<Refusal>>,
) -> Vec<RefusedOperation> {
    let reasons = reasons.into_iter().zip(operations).enumerate();
    let opening = reasons.filter_map(|(index, (reason, operation))| {
        Some(explain(stores, keyring, call, index, reason?, operation))
    });
    join_all(opening).await
}

async fn explain(
    stores: &Stores,
    keyring: &Keyring,
    call: &Call,
    index: usize,
    reason: Refusal,
    operation: &Prepared,
) -> RefusedOperation {
    let (refusal, item) = match reason {
        Refusal::ConditionFailed { item } => (unmet_condition(operation, item.as_ref()), item),
        Refusal::Misfit(misfit) => (OperationRefusal::Misfit(misfit), None),
        Refusal::Conflict => (OperationRefusal::Conflict, None),
        Refusal::TooLarge => (OperationRefusal::TooLarge, None),
        Refusal::Throttled => (OperationRefusal::Throttled, None),
        Refusal::Invalid => (OperationRefusal::Invalid, None),
    };
    let current = match item.filter(|_| operation.return_old) {
        Some(item) => open_current(stores, keyring, call, &operation.model, item).await,
        None => None,
    };
    RefusedOperation {
        index,
        refusal,
        current,
    }
}

/// Which part of the condition was not met.
fn unmet_condition(operation: &Prepared, current: Option<&Item>) -> OperationRefusal {
    match unmet(&operation.model, operation.version, current) {
        Some(Error::WrongModel { .. }) => return OperationRefusal::WrongModel,
        Some(Error::AlreadyExists { .. }) => return OperationRefusal::AlreadyExists,
        Some(Error::VersionMismatch { current }) => return OperationRefusal::VersionMismatch { current },
        Some(_) | None => {}
    }
    let Some(change) = operation.update() else {
        return OperationRefusal::ConditionFailed;
    };
    if current.is_none() && change.must_exist {
        return OperationRefusal::NotFound;
    }
    let none = Item::new();
    let current = current.unwrap_or(&none);
    let mut bounds = change.update.bounds().iter();
    match bounds.find(|bound| !bound.is_met_by(current)) {
        Some(bound) => {
            let attribute = operation.model.attribute(bound.attribute());
            OperationRefusal::OutOfBounds {
                attribute: bound.attribute().to_owned(),
                limits: attribute
                    .map(|attribute| attribute.checks.limits())
                    .unwrap_or_default(),
            }
        }
        None => OperationRefusal::ConditionFailed,
    }
}
