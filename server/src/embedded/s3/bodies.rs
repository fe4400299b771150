//! Bodies too large for the index: one file each (or a buffer in memory), named by a random id. Knows nothing of
//! buckets and keys, and never decides which body is wanted: the index does.
//!
//! A body is written to `unfinished/ID`, pushed to the disk, and renamed to `objects/NN/ID`, where NN are the id's
//! last two characters. Only then may the index name it. A body that the index has let go is removed after that
//! commit, or, if someone still reads it, after the last reader has left. When the store is opened, what a crash left
//! in `unfinished` is removed, and a body that the index does not name is moved to `lost`: it may be a crash's, or all
//! that is left of an object whose row was lost.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ulid::Ulid;

use super::super::layout::{FILE_MODE, FOLDER_MODE, LOST_FOLDER, S3_OBJECTS, S3_UNFINISHED};
use super::super::place::Synchronous;

/// All large bodies of one store.
pub(super) struct Bodies {
    home: Home,
    readers: Mutex<HashMap<String, Readers>>,
}

enum Home {
    Folder { root: PathBuf, synchronous: Synchronous },
    Memory(Mutex<HashMap<String, Bytes>>),
}

/// How many read one content, and what to remove once they have left.
#[derive(Default)]
struct Readers {
    count: usize,
    doomed: Vec<String>,
}

/// Files of one content that the index no longer names.
pub(super) struct Doomed {
    pub(super) content: String,
    pub(super) bodies: Vec<String>,
}

impl Bodies {
    /// Bodies in memory.
    pub(super) fn memory() -> Self {
        Self {
            home: Home::Memory(Mutex::default()),
            readers: Mutex::default(),
        }
    }

    /// Bodies in files under `root`; makes the folders that are missing.
    pub(super) fn folder(root: &Path, synchronous: Synchronous) -> io::Result<Self> {
        for folder in [S3_UNFINISHED, S3_OBJECTS] {
            let mut private = DirBuilder::new();
            private
                .recursive(true)
                .mode(FOLDER_MODE)
                .create(root.join(folder))?;
        }
        let bodies = Self {
            home: Home::Folder {
                root: root.to_owned(),
                synchronous,
            },
            readers: Mutex::default(),
        };
        bodies.sync_folder(root)?;
        Ok(bodies)
    }

    /// Removes what was never finished, and moves every body that `wanted` does not know aside; how many those were.
    /// For a store that nobody uses yet.
    pub(super) fn sweep<E: From<io::Error>>(
        &self,
        wanted: impl FnMut(&str) -> Result<bool, E>,
    ) -> Result<usize, E> {
        let Home::Folder { root, .. } = &self.home else {
            return Ok(0);
        };
        for (path, _) in own_files(&root.join(S3_UNFINISHED))? {
            fs::remove_file(path)?;
        }
        let unwanted = unwanted(root, wanted)?;
        for path in &unwanted {
            set_aside(root, path)?;
        }
        Ok(unwanted.len())
    }

    /// Where [`Bodies::sweep`] moves bodies to.
    pub(super) fn lost_folder(&self) -> PathBuf {
        self.root().join(LOST_FOLDER)
    }

    /// Begins a body.
    pub(super) fn begin(self: &Arc<Self>) -> io::Result<Unfinished> {
        let arrival = Arrival {
            id: Ulid::generate().to_string(),
            bodies: Arc::clone(self),
            kept: false,
        };
        let sink = match &self.home {
            Home::Folder { .. } => Sink::File(
                File::options()
                    .write(true)
                    .create_new(true)
                    .mode(FILE_MODE)
                    .open(self.unfinished_path(&arrival.id))?,
            ),
            Home::Memory(_) => Sink::Memory(Vec::new()),
        };
        Ok(Unfinished { sink, arrival })
    }

    /// Opens a body that the index names; `NotFound` where it is not there.
    pub(super) fn open(&self, id: &str) -> io::Result<Source> {
        match &self.home {
            Home::Folder { .. } => File::open(self.path(id)).map(Source::File),
            Home::Memory(held) => lock(held)
                .get(id)
                .cloned()
                .map(Source::Memory)
                .ok_or_else(|| io::ErrorKind::NotFound.into()),
        }
    }

    /// Keeps the bodies of `content` from being removed until the result is dropped.
    pub(super) fn hold(self: &Arc<Self>, content: &str) -> Held {
        lock(&self.readers).entry(content.to_owned()).or_default().count += 1;
        Held {
            content: content.to_owned(),
            bodies: Arc::clone(self),
        }
    }

    /// Pushes the index's log to the disk where commits do not: a body must not go before the commit that lets it
    /// go is sure, or a loss of power would bring its row back without it.
    pub(super) fn push_index(&self, log: &str) -> io::Result<()> {
        let Home::Folder {
            root,
            synchronous: Synchronous::Normal,
        } = &self.home
        else {
            return Ok(());
        };
        match File::open(root.join(log)) {
            Ok(log) => log.sync_data(),
            // the index was closed, which pushed all of it
            Err(failure) if failure.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Removes bodies that the index has let go, now or when their last reader has left.
    pub(super) fn remove(&self, doomed: Doomed) {
        if let Some(readers) = lock(&self.readers).get_mut(&doomed.content) {
            readers.doomed.extend(doomed.bodies);
            return;
        }
        for id in &doomed.bodies {
            self.remove_one(id);
        }
    }

    fn release(&self, content: &str) {
        let mut all = lock(&self.readers);
        let Some(readers) = all.get_mut(content) else {
            return;
        };
        readers.count -= 1;
        if readers.count > 0 {
            return;
        }
        let doomed = all
            .remove(content)
            .map(|readers| readers.doomed)
            .unwrap_or_default();
        drop(all);
        for id in &doomed {
            self.remove_one(id);
        }
    }

    /// A body that cannot be removed now is swept when the store is opened again.
    fn remove_one(&self, id: &str) {
        match &self.home {
            Home::Folder { .. } => {
                if let Err(failure) = fs::remove_file(self.path(id)) {
                    tracing::warn!(body = id, error = %failure, "an old body stays until the next start");
                }
            }
            Home::Memory(held) => {
                lock(held).remove(id);
            }
        }
    }

    fn discard(&self, id: &str) {
        match &self.home {
            Home::Folder { .. } => {
                let gone = fs::remove_file(self.unfinished_path(id)).is_ok();
                if !gone {
                    fs::remove_file(self.path(id)).ok();
                }
            }
            Home::Memory(held) => {
                lock(held).remove(id);
            }
        }
    }

    fn publish(&self, file: &File, id: &str) -> io::Result<()> {
        let Home::Folder { root, synchronous } = &self.home else {
            return Ok(());
        };
        if *synchronous == Synchronous::Full {
            file.sync_all()?;
        }
        let path = self.path(id);
        let folder = root.join(S3_OBJECTS).join(fan_out(id));
        match DirBuilder::new().mode(FOLDER_MODE).create(&folder) {
            Ok(()) => self.sync_folder(&root.join(S3_OBJECTS))?,
            Err(failure) if failure.kind() == io::ErrorKind::AlreadyExists => {}
            Err(failure) => return Err(failure),
        }
        fs::rename(self.unfinished_path(id), path)?;
        self.sync_folder(&folder)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        match self.home {
            Home::Folder {
                synchronous: Synchronous::Full,
                ..
            } => File::open(folder)?.sync_all(),
            Home::Folder { .. } | Home::Memory(_) => Ok(()),
        }
    }

    fn root(&self) -> &Path {
        match &self.home {
            Home::Folder { root, .. } => root,
            Home::Memory(_) => Path::new(""),
        }
    }

    fn unfinished_path(&self, id: &str) -> PathBuf {
        self.root().join(S3_UNFINISHED).join(id)
    }

    fn path(&self, id: &str) -> PathBuf {
        body_path(self.root(), id)
    }
}

/// A body that is being written; gone when dropped.
pub(super) struct Unfinished {
    sink: Sink,
    arrival: Arrival,
}

enum Sink {
    File(File),
    Memory(Vec<u8>),
}

impl Unfinished {
    /// Adds bytes at the end; blocks.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.sink {
            Sink::File(file) => file.write_all(bytes),
            Sink::Memory(buffer) => {
                buffer.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Pushes it to the disk and gives it its final name; blocks.
    pub(super) fn finish(self) -> io::Result<Arrival> {
        let Self { sink, arrival } = self;
        match (sink, &arrival.bodies.home) {
            (Sink::File(file), _) => arrival.bodies.publish(&file, &arrival.id)?,
            (Sink::Memory(buffer), Home::Memory(held)) => {
                lock(held).insert(arrival.id.clone(), Bytes::from(buffer));
            }
            (Sink::Memory(_), Home::Folder { .. }) => return Err(io::ErrorKind::Unsupported.into()),
        }
        Ok(arrival)
    }
}

/// A whole body that the index does not name yet; gone when dropped, unless kept.
pub(super) struct Arrival {
    id: String,
    bodies: Arc<Bodies>,
    kept: bool,
}

impl Arrival {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The index names it now.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if !self.kept {
            self.bodies.discard(&self.id);
        }
    }
}

/// Keeps one content's bodies from being removed.
pub(super) struct Held {
    content: String,
    bodies: Arc<Bodies>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.bodies.release(&self.content);
    }
}

/// An open body.
pub(super) enum Source {
    File(File),
    Memory(Bytes),
}

impl Source {
    /// Reads exactly `length` bytes from `offset`; blocks. `UnexpectedEof` where the body is shorter.
    pub(super) fn read(&mut self, offset: u64, length: usize) -> io::Result<Bytes> {
        match self {
            Self::File(file) => {
                file.seek(SeekFrom::Start(offset))?;
                let mut block = vec![0; length];
                file.read_exact(&mut block)?;
                Ok(Bytes::from(block))
            }
            Self::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let end = start.saturating_add(length);
                if end > bytes.len() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(bytes.slice(start..end))
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The bodies under a store's root that `wanted` does not know.
pub(super) fn unwanted<E: From<io::Error>>(
    root: &Path,
    mut wanted: impl FnMut(&str) -> Result<bool, E>,
) -> Result<Vec<PathBuf>, E> {
    let mut unwanted = Vec::new();
    for folder in fs::read_dir(root.join(S3_OBJECTS))? {
        let folder = folder?;
        if !folder.file_type()?.is_dir() {
            continue;
        }
        for (path, id) in own_files(&folder.path())? {
            if !wanted(&id)? {
                unwanted.push(path);
            }
        }
    }
    Ok(unwanted)
}

/// Moves a body to `lost`, under a name that nothing there has; the new place.
pub(super) fn set_aside(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let lost = root.join(LOST_FOLDER);
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(&lost)?;
    let name = path.file_name().unwrap_or_default();
    let mut target = lost.join(name);
    if target.exists() {
        target = lost.join(format!("{}.{}", name.to_string_lossy(), Ulid::generate()));
    }
    fs::rename(path, &target)?;
    File::open(&lost)?.sync_all()?;
    Ok(target)
}

/// The place of a body under a store's root.
pub(super) fn body_path(root: &Path, id: &str) -> PathBuf {
    root.join(S3_OBJECTS).join(fan_out(id)).join(id)
}

/// The files of a folder that are named as bodies are, and their ids. Anything else is not ours and left alone.
fn own_files(folder: &Path) -> io::Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if let Some(id) = name.to_str().filter(|name| Ulid::from_string(name).is_ok()) {
            files.push((entry.path(), id.to_owned()));
        }
    }
    Ok(files)
}

fn fan_out(id: &str) -> &str {
    &id[id.len().saturating_sub(2)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(root: &Path) -> usize {
        let finished = fs::read_dir(root.join(S3_OBJECTS)).unwrap();
        let folders = finished
            .map(|folder| folder.unwrap().path())
            .filter(|path| path.is_dir());
        let finished = folders.map(|folder| fs::read_dir(folder).unwrap().count());
        finished.sum::<usize>() + fs::read_dir(root.join(S3_UNFINISHED)).unwrap().count()
    }

    fn write(bodies: &Arc<Bodies>, bytes: &[u8]) -> Arrival {
        let mut unfinished = bodies.begin().unwrap();
        unfinished.append(bytes).unwrap();
        unfinished.finish().unwrap()
    }

    #[test]
    fn what_is_not_kept_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let bodies = Arc::new(Bodies::folder(folder.path(), Synchronous::Full).unwrap());
        drop(bodies.begin().unwrap());
        drop(write(&bodies, b"whole, never kept"));
        assert_eq!(files(folder.path()), 0);
        let arrival = write(&bodies, b"kept");
        let id = arrival.id().to_owned();
        arrival.keep();
        assert_eq!(bodies.open(&id).unwrap().read(1, 3).unwrap(), "ept");
        assert!(bodies.open(&id).unwrap().read(1, 4).is_err());
    }

    #[test]
    fn a_body_that_is_read_stays_until_the_reader_leaves() {
        let folder = tempfile::tempdir().unwrap();
        for bodies in [
            Bodies::memory(),
            Bodies::folder(folder.path(), Synchronous::Normal).unwrap(),
        ] {
            let bodies = Arc::new(bodies);
            let arrival = write(&bodies, b"held");
            let id = arrival.id().to_owned();
            arrival.keep();
            let first = bodies.hold("content");
            let second = bodies.hold("content");
            bodies.remove(Doomed {
                content: "content".into(),
                bodies: vec![id.clone()],
            });
            drop(first);
            assert!(bodies.open(&id).is_ok());
            drop(second);
            assert_eq!(bodies.open(&id).err().unwrap().kind(), io::ErrorKind::NotFound);
            assert!(bodies.readers.lock().unwrap().is_empty());
        }
    }

    #[test]
    fn a_sweep_moves_aside_what_is_not_wanted_and_only_that() {
        let folder = tempfile::tempdir().unwrap();
        let bodies = Arc::new(Bodies::folder(folder.path(), Synchronous::Full).unwrap());
        let wanted = write(&bodies, b"wanted");
        let wanted_id = wanted.id().to_owned();
        wanted.keep();
        let left_over = write(&bodies, b"left over");
        let left_over_id = left_over.id().to_owned();
        left_over.keep();
        let half = Ulid::generate().to_string();
        fs::write(folder.path().join(S3_UNFINISHED).join(half), b"half").unwrap();
        fs::write(folder.path().join(S3_OBJECTS).join("stray"), b"not ours").unwrap();
        fs::write(
            folder
                .path()
                .join(S3_OBJECTS)
                .join(fan_out(&wanted_id))
                .join("README"),
            b"not ours",
        )
        .unwrap();
        assert_eq!(bodies.sweep(|id| io::Result::Ok(id == wanted_id)).unwrap(), 1);
        assert!(bodies.open(&wanted_id).is_ok());
        assert_eq!(files(folder.path()), 2);
        let aside = bodies.lost_folder().join(&left_over_id);
        assert_eq!(fs::read(&aside).unwrap(), b"left over");
        fs::write(body_path(folder.path(), &left_over_id), b"the same id again").unwrap();
        assert_eq!(bodies.sweep(|id| io::Result::Ok(id == wanted_id)).unwrap(), 1);
        assert_eq!(
            fs::read(&aside).unwrap(),
            b"left over",
            "nothing aside is replaced"
        );
        assert_eq!(fs::read_dir(bodies.lost_folder()).unwrap().count(), 2);
    }
}
