//! Deletes objects that no item points to. A failure is logged, never an error: the object is left to sweep.

use futures::{StreamExt, stream};
use tracing::warn;

use crate::aws::{self, Location, S3, Stores};
use crate::billing::Call;
use crate::item::pointer::Pointer;
use crate::model::{Item, Model};
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

/// Deletes the objects that `old` owned and `new` does not: those of the model's object attributes, in the places that
/// the model gives them.
pub(super) async fn remove_owned(stores: &Stores, settling: &Call, model: &Model, old: &Item, new: &Item) {
    let s3 = &stores.s3;
    let pointer = |item: &Item, name: &str| item.get(name).and_then(Pointer::from_value);
    let owned = offloads(model)
        .filter_map(|(name, offload)| Some((pointer(old, name)?, pointer(new, name), offload)));
    let superseded: Vec<_> = owned
        .filter(|(old, new, offload)| {
            let is_kept = new
                .as_ref()
                .is_some_and(|new| (&new.bucket, &new.key) == (&old.bucket, &old.key));
            !is_kept && old.bucket == offload.bucket && old.key.starts_with(&offload.prefix)
        })
        .collect();
    let removals: Vec<_> = superseded
        .iter()
        .map(|(old, _new, offload)| {
            remove(
                s3,
                settling,
                Location {
                    bucket: &old.bucket,
                    key: &old.key,
                    region: offload.region.as_deref(),
                },
            )
        })
        .collect();
    stream::iter(removals)
        .buffer_unordered(s3.in_flight())
        .collect::<()>()
        .await;
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
            operation = error.operation,
            aws_request_id = error.request_id.as_deref(),
            cause = error.cause,
            "an object that no item points to is left behind"
        );
    }
}
