//! The store of the S3 engine: its index, its bodies, and the threads that use them. Knows nothing of requests.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::super::error::Error;
use super::super::layout::{S3_FOLDER, S3_INDEX};
use super::super::place::{Place, Synchronous};
use super::super::private_file::create_file;
use super::bodies::Bodies;
use super::fault::Fault;
use super::workers::{READERS, SharedConnection, Workers};
use super::{catalog, schema};

/// The index and the bodies of one store.
pub(super) struct Store {
    pub(super) workers: Workers,
    pub(super) bodies: Arc<Bodies>,
}

impl Store {
    /// Opens the store of a place, creates what is missing, and moves bodies without a row to `lost`. Blocks.
    pub(super) fn open(place: &Place, synchronous: Synchronous) -> Result<Self, Error> {
        match place {
            Place::Memory => Self::memory(),
            Place::Folder(data) => Self::folder(&data.join(S3_FOLDER), synchronous),
        }
    }

    fn memory() -> Result<Self, Error> {
        let bodies = Arc::new(Bodies::memory());
        let connection =
            schema::open_memory().map_err(|fault: Fault| fault.into_error(Path::new(":memory:")))?;
        let shared = share(connection);
        Self::start(Arc::clone(&shared), vec![shared], bodies)
    }

    fn folder(root: &Path, synchronous: Synchronous) -> Result<Self, Error> {
        let bodies = Bodies::folder(root, synchronous).map_err(Error::io(root))?;
        let file = root.join(S3_INDEX);
        let in_index = |fault: Fault| fault.into_error(&file);
        create_file(&file)?;
        let writer = schema::open_writer(&file, synchronous).map_err(in_index)?;
        let lost = bodies
            .sweep(|id| catalog::refers_to_body(&writer, id))
            .map_err(|fault: Fault| fault.into_error(root))?;
        if lost > 0 {
            tracing::warn!(bodies = lost, folder = %bodies.lost_folder().display(), "moved bodies without a row to the lost folder");
        }
        let readers = (0..READERS).map(|_| schema::open_reader(&file).map(share).map_err(in_index));
        let readers = readers.collect::<Result<Vec<_>, _>>()?;
        Self::start(share(writer), readers, Arc::new(bodies))
    }

    fn start(
        writer: SharedConnection,
        readers: Vec<SharedConnection>,
        bodies: Arc<Bodies>,
    ) -> Result<Self, Error> {
        let workers =
            Workers::start(writer, readers, &bodies).map_err(|failure| Error::System(failure.to_string()))?;
        Ok(Self { workers, bodies })
    }
}

fn share(connection: Connection) -> SharedConnection {
    Arc::new(Mutex::new(connection))
}
