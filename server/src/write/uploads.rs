//! Uploads the new objects of a write, in parallel.

use std::sync::Arc;

use futures::future::try_join_all;
use tokio::sync::Semaphore;

use crate::aws::Stores;
use crate::call::Call;
use crate::item::pointer::Pointer;
use crate::object::upload::{NewObject, UploadError};

use super::error::Error;

/// Uploads all objects. Returns their pointers, by attribute.
pub(super) async fn upload_all(
    stores: &Stores,
    call: &Call,
    new: &[(String, NewObject)],
) -> Result<Vec<(String, Pointer)>, Error> {
    let slots = Arc::new(Semaphore::new(stores.s3.in_flight()));
    let uploads = new.iter().map(|(name, object)| {
        let slots = &slots;
        async move {
            let uploaded = object.upload(&stores.s3, call, slots).await;
            let pointer = uploaded.map_err(|error| match error {
                UploadError::Store(error) => Error::Store(error),
                UploadError::Content(error) => Error::Content {
                    attribute: name.clone(),
                    error,
                },
            })?;
            Ok((name.clone(), pointer))
        }
    });
    try_join_all(uploads).await
}
