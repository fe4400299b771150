//! Deletes orphans, at a bounded rate, each right after a consistent read of the item that it belongs to.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::claims::Claimed;
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
    let location = root.at(&claimed.object.key);
    context
        .stores
        .s3
        .delete_object(&context.call(), location, None)
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
