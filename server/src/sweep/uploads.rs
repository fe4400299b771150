//! The walk over the multipart uploads in progress: reports those that nobody completes any more, and aborts them. S3 lists
//! no metadata of uploads, so that the form of the key decides whose they are.

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::context::Context;
use super::error::Error;
use super::event::Finding;
use super::places::{Kind, Root};
use super::position::Position;
use crate::aws::{self, ListedUpload, MultipartUpload};

/// Walks over the uploads that follow `after` under the root with this number, and all uploads of the later roots.
pub(super) async fn walk(
    context: &Context,
    (first, mut after): (usize, Option<(String, String)>),
) -> Result<(), Error> {
    for (number, root) in context.places.roots.iter().enumerate().skip(first) {
        loop {
            let location = root.at(&root.prefix);
            let call = context.call();
            let s3 = &context.stores.s3;
            let page = s3.list_multipart_uploads(&call, location, after.as_ref()).await?;
            let is_stray = |upload: &ListedUpload| {
                let age = page.now.duration_since(upload.initiated).unwrap_or_default();
                age >= context.options.grace && matches!(root.kind(&upload.key), Kind::Owned(_))
            };
            let strays: Vec<_> = page
                .uploads
                .iter()
                .filter(|upload| is_stray(upload))
                .map(|upload| handle(context, root, upload))
                .collect();
            stream::iter(strays)
                .buffer_unordered(context.in_flight())
                .try_collect::<()>()
                .await?;
            after = page.next;
            if after.is_none() {
                break;
            }
            let position = Position::Uploads {
                root: number,
                after: after.clone(),
            };
            context.progress(Some(position)).await?;
        }
    }
    Ok(())
}

async fn handle(context: &Context, root: &Root, listed: &ListedUpload) -> Result<(), Error> {
    let upload = MultipartUpload {
        location: root.at(&listed.key),
        id: listed.id.clone(),
    };
    let s3 = &context.stores.s3;
    let bytes = match s3.uploaded_bytes(&context.call(), &upload).await {
        Ok(bytes) => bytes,
        Err(error) if is_gone(&error) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    context.count(|counts| {
        counts.stray_uploads += 1;
        counts.stray_bytes += bytes;
    });
    context
        .found(Finding::StrayUpload {
            bucket: root.bucket.clone(),
            key: listed.key.clone(),
            upload_id: listed.id.clone(),
            bytes,
        })
        .await?;
    if context.options.dry_run {
        return Ok(());
    }
    context.pace.wait().await;
    match s3.abort_multipart_upload(&context.call(), &upload).await {
        Ok(()) => context.count(|counts| counts.aborted += 1),
        Err(error) if is_gone(&error) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// Whether an upload was completed or aborted: S3 refuses a request about an id that it does not know.
fn is_gone(error: &aws::Error) -> bool {
    match error.kind {
        aws::Kind::Refused | aws::Kind::Missing { .. } => true,
        aws::Kind::ConditionFailed { .. }
        | aws::Kind::TransactionCancelled { .. }
        | aws::Kind::Conflict
        | aws::Kind::TokenMismatch
        | aws::Kind::Throttled
        | aws::Kind::Denied
        | aws::Kind::KeyUnusable
        | aws::Kind::InvalidCiphertext
        | aws::Kind::IncorrectKey
        | aws::Kind::UnknownKey
        | aws::Kind::TooLarge
        | aws::Kind::Unavailable
        | aws::Kind::OutcomeUnknown
        | aws::Kind::Deadline { .. } => false,
    }
}
