//! The body files of a store: their paths, and the files that no row refers to. Knows nothing of buckets and keys.
//!
//! A body is written to `unfinished/ID`, flushed to the disk, and renamed to `objects/NN/ID`, where NN are the last two
//! characters of the id. Only then may the index refer to it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use ulid::Ulid;

use super::super::layout::{FOLDER_MODE, LOST_FOLDER, S3_OBJECTS, S3_UNFINISHED};

/// The path of a finished body.
pub(super) fn body_path(root: &Path, id: &str) -> PathBuf {
    body_folder(root, id).join(id)
}

/// The folder of a finished body.
pub(super) fn body_folder(root: &Path, id: &str) -> PathBuf {
    let last_two = &id[id.len().saturating_sub(2)..];
    root.join(S3_OBJECTS).join(last_two)
}

/// The path of a body that is being written.
pub(super) fn unfinished_path(root: &Path, id: &str) -> PathBuf {
    root.join(S3_UNFINISHED).join(id)
}

/// Removes the bodies that were never finished.
pub(super) fn remove_unfinished(root: &Path) -> io::Result<()> {
    for (path, _) in own_files(&root.join(S3_UNFINISHED))? {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// The finished bodies for which `is_referenced` returns false.
pub(super) fn unreferenced<E: From<io::Error>>(
    root: &Path,
    mut is_referenced: impl FnMut(&str) -> Result<bool, E>,
) -> Result<Vec<PathBuf>, E> {
    let mut unreferenced = Vec::new();
    for folder in fs::read_dir(root.join(S3_OBJECTS))? {
        let folder = folder?;
        if !folder.file_type()?.is_dir() {
            continue;
        }
        for (path, id) in own_files(&folder.path())? {
            if !is_referenced(&id)? {
                unreferenced.push(path);
            }
        }
    }
    Ok(unreferenced)
}

/// Moves a body to `lost` without replacing a file there, and returns its new path.
pub(super) fn move_to_lost(root: &Path, path: &Path) -> io::Result<PathBuf> {
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

/// The files in a folder whose name is a body id, and the ids. Ignores all other files: they are not ours.
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
