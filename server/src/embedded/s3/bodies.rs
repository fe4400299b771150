//! The bodies that are too large for the index: one file each (or a buffer in memory), named by a random id. Knows
//! nothing of buckets and keys, and never decides which bodies are kept: the index does.
//!
//! A body that the index no longer refers to is removed after that commit or, if it is being read, after its last
//! reader has finished. When the store is opened, unfinished bodies are removed. A body without a row is moved to `lost`:
//! it may come from a crash, or be all that is left of an object whose row was lost.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use super::super::layout::{FILE_MODE, FOLDER_MODE, LOST_FOLDER, S3_OBJECTS, S3_UNFINISHED};
use super::super::place::Synchronous;
use super::body_files::{
    body_folder, body_path, move_to_lost, remove_unfinished, unfinished_path, unreferenced,
};
use super::body_reader::BodyReader;

/// All large bodies of one store.
pub(super) struct Bodies {
    storage: Storage,
    readers: Mutex<HashMap<String, Readers>>,
}

enum Storage {
    Folder { root: PathBuf, synchronous: Synchronous },
    Memory(Mutex<HashMap<String, Bytes>>),
}

/// The number of readers of one content, and the bodies to remove after the last one.
#[derive(Default)]
struct Readers {
    count: usize,
    removed: Vec<String>,
}

/// Bodies of one content that the index no longer refers to.
pub(super) struct RemovedBodies {
    pub(super) content: String,
    pub(super) bodies: Vec<String>,
}

impl Bodies {
    /// Creates a store in memory.
    pub(super) fn memory() -> Self {
        Self {
            storage: Storage::Memory(Mutex::default()),
            readers: Mutex::default(),
        }
    }

    /// Opens the bodies in files under `root`, and creates missing folders.
    pub(super) fn folder(root: &Path, synchronous: Synchronous) -> io::Result<Self> {
        for folder in [S3_UNFINISHED, S3_OBJECTS] {
            let mut private = DirBuilder::new();
            private
                .recursive(true)
                .mode(FOLDER_MODE)
                .create(root.join(folder))?;
        }
        let bodies = Self {
            storage: Storage::Folder {
                root: root.to_owned(),
                synchronous,
            },
            readers: Mutex::default(),
        };
        bodies.sync_folder(root)?;
        Ok(bodies)
    }

    /// Removes unfinished bodies, moves the bodies for which `is_referenced` returns false to `lost`, and returns their
    /// number. For a store that is not in use yet.
    pub(super) fn sweep<E: From<io::Error>>(
        &self,
        is_referenced: impl FnMut(&str) -> Result<bool, E>,
    ) -> Result<usize, E> {
        let Storage::Folder { root, .. } = &self.storage else {
            return Ok(0);
        };
        remove_unfinished(root)?;
        let unreferenced = unreferenced(root, is_referenced)?;
        for path in &unreferenced {
            move_to_lost(root, path)?;
        }
        Ok(unreferenced.len())
    }

    /// The folder that [`Bodies::sweep`] moves bodies to.
    pub(super) fn lost_folder(&self) -> PathBuf {
        match &self.storage {
            Storage::Folder { root, .. } => root.join(LOST_FOLDER),
            Storage::Memory(_) => PathBuf::from(LOST_FOLDER),
        }
    }

    /// Creates an empty body.
    pub(super) fn create(&self, id: &str) -> io::Result<Sink> {
        Ok(match &self.storage {
            Storage::Folder { root, .. } => Sink::File(
                File::options()
                    .write(true)
                    .create_new(true)
                    .mode(FILE_MODE)
                    .open(unfinished_path(root, id))?,
            ),
            Storage::Memory(_) => Sink::Memory(Vec::new()),
        })
    }

    /// Opens a body that the index refers to; `NotFound` if it is missing.
    pub(super) fn open(&self, id: &str) -> io::Result<BodyReader> {
        match &self.storage {
            Storage::Folder { root, .. } => File::open(body_path(root, id)).map(BodyReader::File),
            Storage::Memory(held) => held
                .lock()
                .get(id)
                .cloned()
                .map(BodyReader::Memory)
                .ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }

    /// Delays the removal of the bodies of `content` until the result is dropped.
    pub(super) fn hold(self: &Arc<Self>, content: &str) -> ReadHold {
        self.readers.lock().entry(content.to_owned()).or_default().count += 1;
        ReadHold {
            content: content.to_owned(),
            bodies: Arc::clone(self),
        }
    }

    /// Flushes the log of the index to the disk if commits do not. A body must not be removed before the commit that
    /// removes its row is durable: power loss would otherwise restore the row without its body.
    pub(super) fn sync_index_log(&self, log: &str) -> io::Result<()> {
        let Storage::Folder {
            root,
            synchronous: Synchronous::Normal,
        } = &self.storage
        else {
            return Ok(());
        };
        match File::open(root.join(log)) {
            Ok(log) => log.sync_data(),
            // the index was closed, which flushed and removed its log
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Removes bodies that the index no longer refers to, now or after their last reader has finished.
    pub(super) fn remove(&self, removed: RemovedBodies) {
        if let Some(readers) = self.readers.lock().get_mut(&removed.content) {
            readers.removed.extend(removed.bodies);
            return;
        }
        for id in &removed.bodies {
            self.remove_one(id);
        }
    }

    fn release(&self, content: &str) {
        let mut all = self.readers.lock();
        let Some(readers) = all.get_mut(content) else {
            return;
        };
        readers.count -= 1;
        if readers.count > 0 {
            return;
        }
        let removed = all
            .remove(content)
            .map(|readers| readers.removed)
            .unwrap_or_default();
        drop(all);
        for id in &removed {
            self.remove_one(id);
        }
    }

    /// A body that cannot be removed is swept when the store is opened again.
    fn remove_one(&self, id: &str) {
        match &self.storage {
            Storage::Folder { root, .. } => {
                if let Err(failure) = fs::remove_file(body_path(root, id)) {
                    tracing::warn!(body = id, error = %failure, "cannot remove an unreferenced body; it stays until the next start");
                }
            }
            Storage::Memory(held) => {
                held.lock().remove(id);
            }
        }
    }

    /// Removes a body that no row refers to.
    pub(super) fn discard(&self, id: &str) {
        match &self.storage {
            Storage::Folder { root, .. } => {
                let is_removed = fs::remove_file(unfinished_path(root, id)).is_ok();
                if !is_removed {
                    fs::remove_file(body_path(root, id)).ok();
                }
            }
            Storage::Memory(held) => {
                held.lock().remove(id);
            }
        }
    }

    /// Flushes a complete body to the disk and gives it its final name.
    pub(super) fn publish(&self, sink: Sink, id: &str) -> io::Result<()> {
        match (sink, &self.storage) {
            (Sink::File(file), Storage::Folder { root, synchronous }) => {
                self.publish_file(&file, root, *synchronous, id)
            }
            (Sink::Memory(buffer), Storage::Memory(held)) => {
                held.lock().insert(id.to_owned(), Bytes::from(buffer));
                Ok(())
            }
            (Sink::Memory(_), Storage::Folder { .. }) | (Sink::File(_), Storage::Memory(_)) => {
                Err(io::ErrorKind::Unsupported.into())
            }
        }
    }

    fn publish_file(&self, file: &File, root: &Path, synchronous: Synchronous, id: &str) -> io::Result<()> {
        if synchronous == Synchronous::Full {
            file.sync_all()?;
        }
        let folder = body_folder(root, id);
        match DirBuilder::new().mode(FOLDER_MODE).create(&folder) {
            Ok(()) => self.sync_folder(&root.join(S3_OBJECTS))?,
            Err(failure) if failure.kind() == io::ErrorKind::AlreadyExists => {}
            Err(failure) => return Err(failure),
        }
        fs::rename(unfinished_path(root, id), body_path(root, id))?;
        self.sync_folder(&folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        match self.storage {
            Storage::Folder {
                synchronous: Synchronous::Full,
                ..
            } => File::open(folder)?.sync_all(),
            Storage::Folder { .. } | Storage::Memory(_) => Ok(()),
        }
    }
}

/// Where the bytes of a new body are written.
pub(super) enum Sink {
    /// A file in `unfinished`.
    File(File),
    /// A buffer.
    Memory(Vec<u8>),
}

impl Sink {
    /// Appends bytes; blocks.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(bytes),
            Self::Memory(buffer) => {
                buffer.extend_from_slice(bytes);
                Ok(())
            }
        }
    }
}

/// Delays the removal of the bodies of one content.
pub(super) struct ReadHold {
    content: String,
    bodies: Arc<Bodies>,
}

impl Drop for ReadHold {
    fn drop(&mut self) {
        self.bodies.release(&self.content);
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::super::body_writer::{BodyWriter, NewBody};
    use super::*;

    fn files(root: &Path) -> usize {
        let finished = fs::read_dir(root.join(S3_OBJECTS)).unwrap();
        let folders = finished
            .map(|folder| folder.unwrap().path())
            .filter(|path| path.is_dir());
        let finished = folders.map(|folder| fs::read_dir(folder).unwrap().count());
        finished.sum::<usize>() + fs::read_dir(root.join(S3_UNFINISHED)).unwrap().count()
    }

    fn write(bodies: &Arc<Bodies>, bytes: &[u8]) -> NewBody {
        let mut writer = BodyWriter::begin(bodies).unwrap();
        writer.append(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn removes_bodies_that_are_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let bodies = Arc::new(Bodies::folder(folder.path(), Synchronous::Full).unwrap());
        drop(BodyWriter::begin(&bodies).unwrap());
        drop(write(&bodies, b"complete, never kept"));
        assert_eq!(files(folder.path()), 0);
        let new_body = write(&bodies, b"kept");
        let id = new_body.id().to_owned();
        new_body.keep();
        assert_eq!(bodies.open(&id).unwrap().read(1, 3).unwrap(), "ept");
        assert!(bodies.open(&id).unwrap().read(1, 4).is_err());
    }

    #[test]
    fn a_body_is_kept_until_its_last_reader_has_finished() {
        let folder = tempfile::tempdir().unwrap();
        for bodies in [
            Bodies::memory(),
            Bodies::folder(folder.path(), Synchronous::Normal).unwrap(),
        ] {
            let bodies = Arc::new(bodies);
            let new_body = write(&bodies, b"held");
            let id = new_body.id().to_owned();
            new_body.keep();
            let first = bodies.hold("content");
            let second = bodies.hold("content");
            bodies.remove(RemovedBodies {
                content: "content".into(),
                bodies: vec![id.clone()],
            });
            drop(first);
            assert!(bodies.open(&id).is_ok());
            drop(second);
            assert_eq!(bodies.open(&id).err().unwrap().kind(), io::ErrorKind::NotFound);
            assert!(bodies.readers.lock().is_empty());
        }
    }

    #[test]
    fn a_sweep_moves_exactly_the_unreferenced_bodies() {
        let folder = tempfile::tempdir().unwrap();
        let bodies = Arc::new(Bodies::folder(folder.path(), Synchronous::Full).unwrap());
        let referenced = write(&bodies, b"referenced");
        let referenced_id = referenced.id().to_owned();
        referenced.keep();
        let unreferenced = write(&bodies, b"unreferenced");
        let unreferenced_id = unreferenced.id().to_owned();
        unreferenced.keep();
        let half = Ulid::generate().to_string();
        fs::write(folder.path().join(S3_UNFINISHED).join(half), b"half").unwrap();
        fs::write(folder.path().join(S3_OBJECTS).join("stray"), b"not ours").unwrap();
        fs::write(
            body_folder(folder.path(), &referenced_id).join("README"),
            b"not ours",
        )
        .unwrap();
        assert_eq!(bodies.sweep(|id| io::Result::Ok(id == referenced_id)).unwrap(), 1);
        assert!(bodies.open(&referenced_id).is_ok());
        assert_eq!(files(folder.path()), 2);
        let aside = bodies.lost_folder().join(&unreferenced_id);
        assert_eq!(fs::read(&aside).unwrap(), b"unreferenced");
        fs::write(
            body_path(folder.path(), &unreferenced_id),
            b"another body with this id",
        )
        .unwrap();
        assert_eq!(bodies.sweep(|id| io::Result::Ok(id == referenced_id)).unwrap(), 1);
        assert_eq!(
            fs::read(&aside).unwrap(),
            b"unreferenced",
            "a file in lost is never replaced"
        );
        assert_eq!(fs::read_dir(bodies.lost_folder()).unwrap().count(), 2);
    }
}
