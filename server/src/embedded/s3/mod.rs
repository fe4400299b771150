//! S3 in process: `s3s` speaks the protocol, SQLite keeps keys, metadata and small bodies, files keep the large
//! ones. Never opens a socket and asks for no signature. What it acknowledged survives `kill -9`, and with
//! [`Synchronous::Full`] the loss of power.
//!
//! The folder: `s3/index.sqlite` (see `schema.rs`), `s3/objects/NN/ID`, `s3/unfinished/ID` and `s3/lost/ID` (see
//! `bodies.rs`).

mod audit;
mod bodies;
mod buckets;
mod catalog;
mod chunked;
mod complete;
mod conditions;
mod copy;
mod delete;
mod digest;
mod fault;
mod headers;
mod intake;
mod list;
mod multipart;
mod promise;
mod put;
mod read;
mod schema;
mod service;
#[cfg(test)]
mod tests;
mod wire;
mod workers;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use rusqlite::Connection;
use s3s::service::{S3Service, S3ServiceBuilder};

use super::connector::Engine;
use super::error::Error;
use super::layout::{S3_FOLDER, S3_INDEX};
use super::place::{Place, Synchronous};
use super::private_file::create_file;
pub(super) use audit::audit;
use bodies::Bodies;
use fault::Fault;
use service::Service;
use workers::{READERS, Shared, Workers};

/// The engine: answers S3's REST protocol, path-style, from one store.
pub(super) struct S3 {
    service: S3Service,
}

impl Engine for S3 {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        wire::call(&self.service, request)
    }
}

/// Opens the store at `place`, makes what is missing, and moves the bodies aside that have no row. Blocks.
///
/// # Errors
///
/// [`Error::Io`], [`Error::Sqlite`], [`Error::Unusable`] with the path, [`Error::System`] where there are no threads.
pub(super) fn open(place: &Place, synchronous: Synchronous) -> Result<Arc<S3>, Error> {
    let store = match place {
        Place::Memory => Store::memory(),
        Place::Folder(data) => Store::folder(&data.join(S3_FOLDER), synchronous),
    }?;
    // no auth provider: unsigned requests are taken, signed ones refused
    let service = S3ServiceBuilder::new(Service(Arc::new(store))).build();
    Ok(Arc::new(S3 { service }))
}

/// Index and bodies of one store.
struct Store {
    workers: Workers,
    bodies: Arc<Bodies>,
}

impl Store {
    fn memory() -> Result<Self, Error> {
        let bodies = Arc::new(Bodies::memory());
        let connection = schema::open_memory().map_err(|fault| refused(Path::new(":memory:"), fault))?;
        let shared = share(connection);
        Self::start(Arc::clone(&shared), vec![shared], bodies)
    }

    fn folder(root: &Path, synchronous: Synchronous) -> Result<Self, Error> {
        let bodies = Bodies::folder(root, synchronous).map_err(|source| Error::Io {
            path: root.to_owned(),
            source,
        })?;
        let file = root.join(S3_INDEX);
        let in_index = |fault| refused(&file, fault);
        create_file(&file)?;
        let writer = schema::open_writer(&file, synchronous).map_err(in_index)?;
        let lost = bodies
            .sweep(|id| catalog::names_body(&writer, id))
            .map_err(|fault| refused(root, fault))?;
        if lost > 0 {
            tracing::warn!(bodies = lost, folder = %bodies.lost_folder().display(), "bodies without a row were moved aside");
        }
        let readers = (0..READERS).map(|_| schema::open_reader(&file).map(share).map_err(in_index));
        let readers = readers.collect::<Result<Vec<_>, _>>()?;
        Self::start(share(writer), readers, Arc::new(bodies))
    }

    fn start(writer: Shared, readers: Vec<Shared>, bodies: Arc<Bodies>) -> Result<Self, Error> {
        let workers =
            Workers::start(writer, readers, &bodies).map_err(|failure| Error::System(failure.to_string()))?;
        Ok(Self { workers, bodies })
    }
}

fn share(connection: Connection) -> Shared {
    Arc::new(Mutex::new(connection))
}

fn refused(path: &Path, fault: Fault) -> Error {
    let path = PathBuf::from(path);
    match fault {
        Fault::Sqlite(source) => Error::Sqlite { path, source },
        Fault::Io(source) => Error::Io { path, source },
        Fault::Broken(problem) => Error::Unusable { path, problem },
        Fault::Refused(_, text) => Error::Unusable {
            path,
            problem: text.into_owned(),
        },
    }
}
