//! Uploads the new objects of a write, in parallel.

use futures::future::try_join_all;
use tokio::sync::Semaphore;

use crate::aws::{self, Stores};
use crate::call::Call;
use crate::item::pointer::Pointer;
use crate::object::upload::NewObject;

/// Uploads all objects. Returns their pointers, by attribute.
pub(super) async fn upload_all(
    stores: &Stores,
    call: &Call,
    new: &[(String, NewObject)],
) -> Result<Vec<(String, Pointer)>, aws::Error> {
    let slots = Semaphore::new(stores.s3.in_flight());
    let uploads = new.iter().map(|(name, object)| {
        let slots = &slots;
        async move { Ok((name.clone(), object.upload(&stores.s3, call, slots).await?)) }
    });
    try_join_all(uploads).await
}
