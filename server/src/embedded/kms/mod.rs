//! A small KMS on a key file, with the JSON protocol of KMS: symmetric keys and aliases, envelope encryption with an
//! enforced context. For one machine. Never returns the material of a KMS key.

mod api;
mod blob;
mod cipher;
mod error;
mod names;
mod store;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use zeroize::Zeroizing;

use super::connector::Engine;
use super::error::Error;
use super::keys::{Key, random_bytes};
use super::place::Place;
use api::Operation;
use error::Fault;
use names::KeyId;
use store::Store;

const OK: u16 = 200;
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// The KMS engine.
pub(super) struct Kms {
    store: Arc<Store>,
}

/// Opens the key file, whose keys must be wrapped by this root key.
pub(super) fn open(place: &Place, root_key: &Key) -> Result<Arc<Kms>, Error> {
    Ok(Arc::new(Kms {
        store: Arc::new(Store::open(place, root_key)?),
    }))
}

/// Checks that this root key unwraps every key of the file, and returns the number of keys.
pub(super) fn check(path: &Path, root_key: &Key) -> Result<usize, Error> {
    Ok(store::read(path, root_key)?.map_or(0, |state| state.key_count()))
}

impl Engine for Kms {
    fn call(&self, mut request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target");
        let Some(operation) = target.and_then(Operation::from_target) else {
            return HttpConnectorFuture::ready(Ok(respond(Err(Fault::UnknownOperation))));
        };
        let body = request.take_body();
        if !operation.changes_keys() {
            return HttpConnectorFuture::ready(Ok(respond(run(&self.store, operation, &body))));
        }
        let store = Arc::clone(&self.store);
        HttpConnectorFuture::new(async move {
            // writes the key file, and completes even if the caller disconnects
            let done = tokio::task::spawn_blocking(move || run(&store, operation, &body)).await;
            Ok(respond(done.unwrap_or(Err(Fault::Internal))))
        })
    }
}

fn run(store: &Store, operation: Operation, body: &SdkBody) -> Result<Zeroizing<Vec<u8>>, Fault> {
    api::handle(store, operation, body.bytes().ok_or(Fault::Serialization)?)
}

fn respond(outcome: Result<Zeroizing<Vec<u8>>, Fault>) -> HttpResponse {
    let (status, body) = match outcome {
        Ok(body) => (OK, body),
        Err(fault) => (fault.status(), Zeroizing::new(fault.body())),
    };
    let status = status.try_into().expect("three-digit statuses are valid");
    let mut response = HttpResponse::new(status, SdkBody::from(Bytes::from_owner(body)));
    let headers = response.headers_mut();
    headers.insert("content-type", CONTENT_TYPE);
    // if the random source fails, an id of zeroes is better than a failed call
    headers.insert(
        "x-amzn-requestid",
        KeyId::from_bytes(random_bytes().unwrap_or_default()).to_string(),
    );
    response
}
