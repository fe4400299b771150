//! Uploads the new objects of a write, in parallel.

use std::sync::Arc;

use futures::future::try_join_all;
use tokio::sync::Semaphore;

use crate::aws::Stores;
use crate::call::{Call, now};
use crate::item::pointer::Pointer;
use crate::object::upload::{NewObject, UploadError};

use super::caller::Caller;
use super::cleanup::remove_new;
use super::error::Error;

/// Uploads all objects. Returns their pointers, by attribute.
async fn upload_all(
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

/// Uploads all objects, unless the caller disconnects meanwhile. After an error, none is left: `extended` has the time for
/// that.
pub(super) async fn upload(
    stores: &Stores,
    call: &Call,
    extended: &Call,
    new: &[(String, NewObject)],
    caller: &Caller,
) -> Result<Vec<(String, Pointer)>, Error> {
    let uploaded = caller.step(upload_all(stores, call, new)).await;
    let may_commit = !caller.is_disconnected() && now() < call.deadline();
    let error = match uploaded {
        Ok(uploaded) if may_commit => return Ok(uploaded),
        Ok(_) => caller.gave_up().into(),
        Err(error) => error,
    };
    remove_new(stores, extended, new).await;
    Err(error)
}
