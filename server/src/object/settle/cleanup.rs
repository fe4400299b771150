//! Deletes objects that no item points to: fresh ones whose commit failed, and what an item owned before. Of those only
//! what certainly is the item's own: a pointer is whatever somebody wrote into the table. A failure is logged, never an
//! error: the object is left to sweep.

use futures::{StreamExt, stream};
use tracing::warn;

use crate::aws::{self, Kind, Location, Resource, S3, Stores};
use crate::call::Call;
use crate::item::pointer::Pointer;
use crate::model::{Item, Offload};
use crate::object::owner::{Claim, Owner};
use crate::object::upload::Fresh;

use super::offloads;

/// Undoes uploads that no item points to. What cannot be undone is left to sweep.
pub(super) async fn remove_fresh(stores: &Stores, settling: &Call, fresh: &[(String, Fresh)]) {
    let s3 = &stores.s3;
    let removals: Vec<_> = fresh
        .iter()
        .map(|(_name, fresh)| undo(s3, settling, fresh))
        .collect();
    stream::iter(removals)
        .buffer_unordered(s3.in_flight())
        .collect::<()>()
        .await;
}

async fn undo(s3: &S3, settling: &Call, fresh: &Fresh) {
    if let Some(upload) = fresh.open_multipart() {
        let aborted = s3.abort_multipart_upload(settling, &upload).await;
        log_left_behind(settling, upload.location, aborted);
    }
    if fresh.may_be_stored() {
        remove(s3, settling, fresh.location()).await;
    }
}

/// Deletes the objects that the item owned by its pointers in `old` and none of its pointers in `new` points to.
///
/// A pointer without a table is of an older version or of another program: only the object's metadata can say then that
/// it is this table's.
pub(super) async fn remove_owned(stores: &Stores, settling: &Call, owner: Owner<'_>, old: &Item, new: &Item) {
    let s3 = &stores.s3;
    let removals: Vec<_> = superseded(owner, old, new)
        .into_iter()
        .map(|(pointer, offload)| remove_superseded(s3, settling, owner, pointer, offload))
        .collect();
    stream::iter(removals)
        .buffer_unordered(s3.in_flight())
        .collect::<()>()
        .await;
}

/// The item's own objects that it pointed to, each once.
fn superseded<'a>(owner: Owner<'a>, old: &Item, new: &Item) -> Vec<(Pointer, &'a Offload)> {
    let pointers = |item: &Item| -> Vec<(Pointer, &'a Offload)> {
        offloads(owner.model)
            .filter_map(|(name, offload)| Some((Pointer::from_value(item.get(name)?)?, offload)))
            .collect()
    };
    let is_same = |one: &Pointer, other: &Pointer| (&one.bucket, &one.key) == (&other.bucket, &other.key);
    let kept = pointers(new);
    let mut superseded: Vec<(Pointer, &Offload)> = Vec::new();
    for (pointer, offload) in pointers(old) {
        let is_listed =
            |listed: &[(Pointer, &Offload)]| listed.iter().any(|(other, _)| is_same(other, &pointer));
        if owner.has(offload, &pointer) && !is_listed(&kept) && !is_listed(&superseded) {
            superseded.push((pointer, offload));
        }
    }
    superseded
}

async fn remove_superseded(s3: &S3, settling: &Call, owner: Owner<'_>, pointer: Pointer, offload: &Offload) {
    let location = Location {
        bucket: &pointer.bucket,
        key: &pointer.key,
        region: offload.region.as_deref(),
    };
    if pointer.table.is_empty() {
        match s3.head_object(settling, location).await {
            Ok(head) if owner.claim(&head.metadata) == Claim::Same => {}
            Ok(_) => return log_kept(settling, location),
            Err(error) if is_gone(&error) => return,
            Err(error) => return log_left_behind(settling, location, Err(error)),
        }
    }
    remove(s3, settling, location).await;
}

fn is_gone(error: &aws::Error) -> bool {
    matches!(
        error.kind,
        Kind::Missing {
            what: Resource::Object,
            ..
        }
    )
}

/// Nothing says whose the object is, or its metadata names another item.
fn log_kept(call: &Call, location: Location<'_>) {
    warn!(
        request_id = call.request_id(),
        bucket = location.bucket,
        "an object was not deleted: neither its pointer nor its metadata names this item's table"
    );
}

async fn remove(s3: &S3, settling: &Call, location: Location<'_>) {
    log_left_behind(settling, location, s3.delete_object(settling, location).await);
}

/// The key is the tenant's: the ids must do to find it, ours and S3's.
fn log_left_behind(call: &Call, location: Location<'_>, removed: Result<(), aws::Error>) {
    if let Err(error) = removed {
        warn!(
            request_id = call.request_id(),
            bucket = location.bucket,
            operation = error.operation.name(),
            aws_request_id = error.request_id.as_deref(),
            cause = error.cause,
            "an object that no item points to is left behind"
        );
    }
}
