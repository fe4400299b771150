//! Deletes orphans, at a bounded rate, each right after a consistent read of the item that it belongs to. In a versioned
//! bucket the version that was found is deleted: nothing points to it, and a delete marker would only hide it.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::claims::{self, Claimed, ClaimedKind};
use super::context::Context;
use super::error::Error;
use super::places::Root;

/// Orphans between two reports.
const REPORTED: usize = 200;

/// Deletes an orphan unless its item points to it by now.
pub(super) async fn delete(context: &Context, root: &Root, claimed: &Claimed) -> Result<(), Error> {
    context.pace.wait().await;
    if let Some(item_key) = &claimed.item_key {
        let model = &root.places[claimed.place].model;
        if context
            .is_pointed_to(model, item_key, root, &claimed.object.key)
            .await?
        {
            return Ok(());
        }
    }
    let version_id = match (claimed.kind, &claimed.version_id) {
        // its metadata was not read
        (ClaimedKind::Upload, None) => match claims::head(context, root, &claimed.object.key).await? {
            Some(head) => head.stored.version_id,
            None => return Ok(()),
        },
        (ClaimedKind::Owned | ClaimedKind::Hashed | ClaimedKind::Upload, version_id) => version_id.clone(),
    };
    let location = root.at(&claimed.object.key);
    context
        .stores
        .s3
        .delete_object(&context.call(), location, version_id.as_deref())
        .await?;
    context.count(|counts| counts.deleted += 1);
    Ok(())
}

/// Deletes the orphans of a survey; each comes with the number of its root.
pub(super) async fn delete_all(context: &Context, orphans: &[(usize, Claimed)]) -> Result<(), Error> {
    for some in orphans.chunks(REPORTED) {
        let deletions: Vec<_> = some
            .iter()
            .map(|(root, claimed)| delete(context, &context.places.roots[*root], claimed))
            .collect();
        stream::iter(deletions)
            .buffer_unordered(context.in_flight())
            .try_collect::<()>()
            .await?;
        context.progress(None).await?;
    }
    Ok(())
}
