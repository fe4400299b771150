//! S3 in process: `s3s` implements the protocol, SQLite stores keys, metadata and small bodies, files store the large
//! ones. Never opens a socket and requires no signature. Acknowledged writes survive `kill -9` and, with
//! [`Synchronous::Full`], power loss.
//!
//! For the files see `layout.rs`, for the index `schema.rs`, for the bodies `body_files.rs`.

mod audit;
mod bodies;
mod body_files;
mod body_reader;
mod body_writer;
mod buckets;
mod catalog;
mod chunked;
mod complete;
mod conditions;
mod copy;
mod copy_part;
mod delete;
mod digest;
mod fault;
mod headers;
mod integrity;
mod list;
mod multipart;
mod put;
mod read;
mod receive;
mod schema;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod upload;
mod upload_lists;
mod urls;
mod wire;
mod workers;

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use s3s::service::{S3Service, S3ServiceBuilder};

use super::connector::Engine;
use super::error::Error;
use super::place::{Place, Synchronous};
pub(super) use audit::audit;
use service::Service;
use store::Store;
pub use urls::UrlBody;
pub(super) use urls::{ACCESS_KEY, SignedService};

/// The S3 engine: serves the S3 REST protocol, path-style, from one store.
pub(super) struct S3 {
    service: S3Service,
    store: Arc<Store>,
}

impl Engine for S3 {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        wire::call(&self.service, request)
    }
}

/// Opens the store of a place, creates what is missing, and moves bodies without a row to `lost`. Blocks.
///
/// # Errors
///
/// [`Error::Io`], [`Error::Sqlite`], [`Error::Unusable`] with the path; [`Error::System`] if threads cannot be started.
pub(super) fn open(place: &Place, synchronous: Synchronous) -> Result<Arc<S3>, Error> {
    let store = Arc::new(Store::open(place, synchronous)?);
    // no auth provider: accepts unsigned requests and rejects signed ones
    let service = S3ServiceBuilder::new(Service(Arc::clone(&store))).build();
    Ok(Arc::new(S3 { service, store }))
}
