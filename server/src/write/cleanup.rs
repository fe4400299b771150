//! Deletes objects that no item points to: new ones whose commit failed, and those that the previous item owned. A stored
//! pointer may be written by anyone with access to the table, so an object is deleted only if it certainly belongs to the
//! item. A failure is logged and never returned: the object is left behind for a sweep.

use futures::{StreamExt, stream};
use tracing::warn;

use crate::aws::{self, Kind, Location, Resource, S3, Stores};
use crate::call::Call;
use crate::item::pointer::Pointer;
use crate::model::{Item, Offload};
use crate::object::owner::{Claim, Owner, offloads};
use crate::object::upload::NewObject;

/// Deletes uploaded objects that no item points to, and aborts open uploads.
pub(super) async fn remove_new(stores: &Stores, call: &Call, new: &[(String, NewObject)]) {
    let s3 = &stores.s3;
    let removals: Vec<_> = new
        .iter()
        .map(|(_name, object)| undo_upload(s3, call, object))
        .collect();
    stream::iter(removals)
        .buffer_unordered(s3.in_flight())
        .collect::<()>()
        .await;
}

async fn undo_upload(s3: &S3, call: &Call, object: &NewObject) {
    // a part that arrives after the abort would be left behind
    object.settle().await;
    if let Some(upload) = object.open_multipart() {
        let aborted = s3.abort_multipart_upload(call, &upload).await;
        log_left_behind(call, upload.location, aborted);
    }
    if object.may_be_stored() {
        let version_id = object.version_id();
        remove(s3, call, object.location(), version_id.as_deref()).await;
    }
}

/// Deletes the uploads by URL that a commit has taken up: the item points to their copies.
pub(super) async fn remove_taken_up(stores: &Stores, call: &Call, new: &[(String, NewObject)]) {
    let s3 = &stores.s3;
    let uploads = new.iter().filter_map(|(_name, object)| object.taken_up());
    let removals: Vec<_> = uploads
        .map(|upload| {
            let location = Location {
                bucket: &upload.bucket,
                key: &upload.key,
                region: upload.region.as_deref(),
            };
            remove(s3, call, location, None)
        })
        .collect();
    stream::iter(removals)
        .buffer_unordered(s3.in_flight())
        .collect::<()>()
        .await;
}

/// Deletes the objects that belong to the item and that `old` points to but `new` does not.
///
/// A pointer without a table was written by an older version or another program: then the object's metadata must name
/// this table.
pub(super) async fn remove_owned(stores: &Stores, call: &Call, owner: Owner<'_>, old: &Item, new: &Item) {
    let s3 = &stores.s3;
    let removals: Vec<_> = superseded(owner, old, new)
        .into_iter()
        .map(|(pointer, offload)| remove_superseded(s3, call, owner, pointer, offload))
        .collect();
    stream::iter(removals)
        .buffer_unordered(s3.in_flight())
        .collect::<()>()
        .await;
}

/// The pointers in `old` to objects of the item that `new` does not point to, without duplicates.
fn superseded<'a>(owner: Owner<'a>, old: &Item, new: &Item) -> Vec<(Pointer, &'a Offload)> {
    let pointers = |item: &Item| -> Vec<(Pointer, &'a Offload)> {
        offloads(owner.model)
            .filter_map(|(attribute, offload)| {
                Some((Pointer::from_value(item.get(&attribute.stored_name)?)?, offload))
            })
            .collect()
    };
    let is_same = |one: &Pointer, other: &Pointer| (&one.bucket, &one.key) == (&other.bucket, &other.key);
    let kept = pointers(new);
    let mut superseded: Vec<(Pointer, &Offload)> = Vec::new();
    for (pointer, offload) in pointers(old) {
        let is_listed =
            |listed: &[(Pointer, &Offload)]| listed.iter().any(|(other, _)| is_same(other, &pointer));
        if owner.owns(offload, &pointer) && !is_listed(&kept) && !is_listed(&superseded) {
            superseded.push((pointer, offload));
        }
    }
    superseded
}

async fn remove_superseded(s3: &S3, call: &Call, owner: Owner<'_>, pointer: Pointer, offload: &Offload) {
    let location = Location {
        bucket: &pointer.bucket,
        key: &pointer.key,
        region: offload.region.as_deref(),
    };
    if pointer.table.is_empty() {
        match s3.head_object(call, location).await {
            Ok(head) if owner.claim(&head.metadata) == Claim::Same => {}
            Ok(_) => return log_unowned(call, location),
            Err(error) if is_gone(&error) => return,
            Err(error) => return log_left_behind(call, location, Err(error)),
        }
    }
    let version_id = Some(pointer.version_id.as_str()).filter(|id| offload.purge_versions && !id.is_empty());
    remove(s3, call, location, version_id).await;
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

/// Logs an object without an owner in its metadata, or with another item as its owner.
fn log_unowned(call: &Call, location: Location<'_>) {
    warn!(
        request_id = call.request_id(),
        bucket = location.bucket,
        "an object was not deleted: neither its pointer nor its metadata names this item's table"
    );
}

async fn remove(s3: &S3, call: &Call, location: Location<'_>, version_id: Option<&str>) {
    let removed = s3.delete_object(call, location, version_id).await;
    log_left_behind(call, location, removed);
}

/// Logs a failed deletion. The object's key holds the caller's data and is not logged: the request ids identify it.
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
