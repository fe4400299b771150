//! Writes of items that own objects: two stores, one commit. The protocol:
//!
//! **Save.** Seal the encrypted attributes (a failure of KMS costs no upload) → upload every object under a fresh key,
//! side by side → one PutItem, the commit, which answers the item it replaced → delete the objects that the old item
//! owned. An object is only ever deleted when it is certain that it is the item's own (see [`owner`](super::owner)) and
//! that no item points to it.
//!
//! | the commit | the fresh objects | the old objects | the caller is told |
//! |---|---|---|---|
//! | succeeds | live | deleted; what cannot be is left to sweep | success |
//! | is refused by its condition, or by the service | deleted | live | why |
//! | is refused since a kept object's stored pointer has other fields than the caller knows | wait | live | nothing: it is tried again with that pointer |
//! | is refused by its condition, but by the item that an earlier attempt of it wrote | live | left to sweep | success |
//! | is refused by its condition after an attempt whose answer was lost | left to sweep | live | why |
//! | ends in 500s | as a consistent read of the item tells: live, or deleted | left to sweep, or live | success, or unavailable |
//! | ends unanswered | if the item points to them, at once or at a second look, live; else left to sweep: the write may land yet | left to sweep, or live | success, or unknown outcome |
//!
//! **Before the commit** a failure, a caller who leaves, or the deadline ends the work: uploads are aborted and fresh
//! objects deleted. **From the commit on** everything runs to its end, whoever has left: in a task that shutdown waits
//! for, bounded by [`GRACE`] beyond the caller's deadline, billed to the same call. The caller is answered at the
//! deadline at the latest.
//!
//! **Delete.** DeleteItem, which answers the item → delete its objects, one DeleteObject each. With an unknown outcome
//! nothing is deleted: at worst its objects are left to sweep.
//!
//! **A crash anywhere** leaves the item pointing to a whole object, old or new, and at worst objects that no item
//! points to.

mod cleanup;
mod commit;
mod kept;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::aws::{self, Doubt, Kind, Stores};
use crate::call::Call;
use crate::crypto::CallKeys;
use crate::figure::AwsOperation;
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::item::store::{StoreError, seal};
use crate::model::{Item, Model, Offload, Value};

use self::cleanup::{remove_fresh, remove_owned};
use self::commit::Commit;
use self::kept::Kept;
pub use self::kept::{KeptError, condition_bytes};
use super::owner::Owner;
use super::upload::Fresh;

/// How long the commit and what follows may go on after the caller's deadline.
pub const GRACE: Duration = Duration::from_secs(30);

/// Runs writes to their end. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Settler {
    stores: Stores,
    tasks: TaskTracker,
}

/// An item to be written whole.
pub struct Write {
    /// Who pays.
    pub call: Call,
    /// The item's model.
    pub model: Arc<Model>,
    /// Checked and complete; object attributes are [`Value::Object`] with their content, or without for objects that the
    /// item keeps.
    pub item: Item,
    /// The call's data keys.
    pub keys: CallKeys,
    /// What must hold for the item as it is.
    pub condition: Option<Condition>,
    /// Whether to answer the item that was replaced.
    pub return_old: bool,
}

/// An item to be removed.
pub struct Removal {
    /// Who pays.
    pub call: Call,
    /// The item's model.
    pub model: Arc<Model>,
    /// Which one.
    pub key: Key,
    /// What must hold for the item as it is.
    pub condition: Option<Condition>,
    /// Whether to answer the item that was removed.
    pub return_old: bool,
}

/// A condition expression with what it names.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// The expression.
    pub text: String,
    /// Its attribute names.
    pub names: HashMap<String, String>,
    /// Its values.
    pub values: Item,
}

/// What a write came to.
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The item that was replaced, as stored: where asked, where there was one, and where it is known (not after an
    /// answer that was lost).
    pub old: Option<Item>,
    /// The fresh objects by their attributes.
    pub objects: Vec<(String, Pointer)>,
    /// The objects that were kept, by their attributes.
    pub kept: Vec<(String, Pointer)>,
}

/// Why a write was not done.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The item could not be sealed; nothing was written.
    #[error(transparent)]
    Seal(#[from] StoreError),
    /// An object cannot be kept; nothing was written.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// A store said no.
    #[error(transparent)]
    Store(#[from] aws::Error),
}

impl Settler {
    /// Writes over `stores`, in tasks that whoever shuts down waits for.
    pub fn new(stores: Stores, tasks: TaskTracker) -> Settler {
        Settler { stores, tasks }
    }

    /// Writes an item and its objects.
    ///
    /// # Errors
    ///
    /// [`aws::Kind::ConditionFailed`] with the item as stored; `OutcomeUnknown` and `Deadline { sent: true }` where
    /// nobody knows; after every other one the item is as it was.
    pub async fn save(&self, write: Write) -> Result<Committed, SettleError> {
        let deadline = write.call.deadline();
        let presence = Presence::default();
        if !owns_objects(&write.model) {
            return save(&self.stores, write, &presence, deadline).await;
        }
        let stores = self.stores.clone();
        let _leaves_when_dropped = presence.left.clone().drop_guard();
        let committing = Arc::clone(&presence.committing);
        let task = self.tasks.spawn(async move {
            let trace = write.call.trace().clone();
            trace
                .scope(save(&stores, write, &presence, deadline + GRACE))
                .await
        });
        match tokio::time::timeout_at(deadline.into(), task).await {
            Ok(joined) => finished(joined, &committing),
            Err(_elapsed) => Err(given_up(AwsOperation::PutItem, &committing).into()),
        }
    }

    /// Removes an item and the objects that it owns; answers it as it was stored, where asked.
    ///
    /// # Errors
    ///
    /// As [`Settler::save`].
    pub async fn delete(&self, removal: Removal) -> Result<Option<Item>, aws::Error> {
        let deadline = removal.call.deadline();
        if !owns_objects(&removal.model) {
            return delete(&self.stores, removal, deadline).await;
        }
        let stores = self.stores.clone();
        let committing = AtomicBool::new(true);
        let task = self.tasks.spawn(async move {
            let trace = removal.call.trace().clone();
            trace.scope(delete(&stores, removal, deadline + GRACE)).await
        });
        match tokio::time::timeout_at(deadline.into(), task).await {
            Ok(joined) => finished(joined, &committing),
            Err(_elapsed) => Err(given_up(AwsOperation::DeleteItem, &committing)),
        }
    }
}

/// Whether the caller is still there, and how far the work is.
#[derive(Default)]
struct Presence {
    left: CancellationToken,
    committing: Arc<AtomicBool>,
}

impl Presence {
    /// Runs a step before the commit: the caller who leaves ends it.
    async fn step<T, E: Into<SettleError>>(
        &self,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, SettleError> {
        tokio::select! {
            biased;
            () = self.left.cancelled() => Err(given_up(AwsOperation::PutItem, &self.committing).into()),
            result = step => result.map_err(Into::into),
        }
    }
}

async fn save(
    stores: &Stores,
    write: Write,
    presence: &Presence,
    deadline: Instant,
) -> Result<Committed, SettleError> {
    let Write {
        call,
        model,
        item,
        keys,
        condition,
        return_old,
    } = write;
    let settling = call.with_deadline(deadline);
    let mut item = presence.step(seal(&model, item, &keys)).await?;
    let (fresh, kept) = take_objects(&model, &mut item);
    let uploads = upload_all(stores, &call, &fresh);
    let uploaded = presence.step(uploads).await;
    let objects = match uploaded {
        Ok(objects) if !presence.left.is_cancelled() && Instant::now() < call.deadline() => objects,
        Ok(_) => {
            remove_fresh(stores, &settling, &fresh).await;
            return Err(given_up(AwsOperation::PutItem, &presence.committing).into());
        }
        Err(error) => {
            remove_fresh(stores, &settling, &fresh).await;
            return Err(error);
        }
    };
    item.extend(
        objects
            .iter()
            .map(|(name, pointer)| (name.clone(), pointer.to_value())),
    );
    presence.committing.store(true, Ordering::Release);
    let mut commit = Commit {
        stores,
        call: settling,
        model: &model,
        fresh: &fresh,
        kept,
        item,
    };
    let old = commit.run(condition, return_old).await?;
    let kept = commit.kept_pointers();
    Ok(Committed { old, objects, kept })
}

async fn delete(stores: &Stores, removal: Removal, deadline: Instant) -> Result<Option<Item>, aws::Error> {
    let Removal {
        call,
        model,
        key,
        condition,
        return_old,
    } = removal;
    let settling = call.with_deadline(deadline);
    let condition = condition.unwrap_or_default();
    let delete = aws::DeleteItem {
        table: model.table.clone(),
        key: key.item(),
        condition: Some(condition.text).filter(|text| !text.is_empty()),
        names: condition.names,
        values: condition.values,
        return_old: return_old || owns_objects(&model),
    };
    let old = match stores.dynamodb.delete_item(&settling, delete).await {
        Ok(old) => old,
        // gone: perhaps by an attempt of this call that was not answered
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
        remove_owned(stores, &settling, owner, old, &Item::new()).await;
    }
    Ok(old.filter(|_| return_old))
}

/// Takes the objects out of a sealed item; their pointers take their places once the fresh ones are uploaded.
fn take_objects(model: &Model, item: &mut Item) -> (Vec<(String, Fresh)>, Vec<Kept>) {
    let (mut fresh, mut kept) = (Vec::new(), Vec::new());
    let Some(key) = Key::of_item(model, item) else {
        return (fresh, kept);
    };
    for (name, offload) in offloads(model) {
        if !matches!(item.get(name), Some(Value::Object(_))) {
            continue;
        }
        let Some(Value::Object(object)) = item.remove(name) else {
            continue;
        };
        if object.data.is_none() {
            kept.push(Kept::new(name, *object, &model.table));
        } else if let Some(object) = Fresh::new(model, &key, offload, *object) {
            fresh.push((name.to_owned(), object));
        }
    }
    (fresh, kept)
}

async fn upload_all(
    stores: &Stores,
    call: &Call,
    fresh: &[(String, Fresh)],
) -> Result<Vec<(String, Pointer)>, aws::Error> {
    let slots = Semaphore::new(stores.s3.in_flight());
    let uploads = fresh.iter().map(|(name, fresh)| {
        let slots = &slots;
        async move { Ok((name.clone(), fresh.upload(&stores.s3, call, slots).await?)) }
    });
    try_join_all(uploads).await
}

fn owns_objects(model: &Model) -> bool {
    offloads(model).next().is_some()
}

fn offloads(model: &Model) -> impl Iterator<Item = (&str, &Offload)> {
    model
        .attributes
        .iter()
        .filter_map(|attribute| Some((attribute.name.as_str(), attribute.s3.as_ref()?)))
}

/// What the task said; a task that the runtime dropped leaves the outcome as far as it came.
fn finished<T, E: From<aws::Error>>(
    joined: Result<Result<T, E>, tokio::task::JoinError>,
    committing: &AtomicBool,
) -> Result<T, E> {
    match joined {
        Ok(result) => result,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_dropped) => Err(given_up(AwsOperation::PutItem, committing).into()),
        },
    }
}

/// The caller is gone, or is told so at its deadline.
fn given_up(operation: AwsOperation, committing: &AtomicBool) -> aws::Error {
    aws::Error {
        kind: Kind::Deadline {
            sent: committing.load(Ordering::Acquire),
        },
        operation,
        request_id: None,
        doubt: Doubt::None,
        endpoint: None,
        cause: "the caller left or its deadline passed".into(),
    }
}

#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests;
