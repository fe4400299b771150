//! Downloads into files: a temporary file beside the target, which replaces it once the content is verified.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use crate::download::Content;
use crate::{Error, Object, Response};

/// A file that is removed when this is dropped, unless it was renamed.
struct TemporaryFile {
    path: Option<PathBuf>,
}

impl Content {
    /// Writes the content to a file, which it replaces if there is one. Until the content is verified, it is in a temporary
    /// file in the same folder; after an error or if this is dropped, that file is removed and the target is unchanged.
    ///
    /// # Errors
    ///
    /// If the call fails, if the file cannot be written, or if the content does not match its SHA-256.
    pub async fn into_file(self, path: impl AsRef<Path>) -> Result<Response<Object>, Error> {
        let path = path.as_ref();
        let (mut temporary, mut file) = TemporaryFile::beside(path)
            .await
            .map_err(|error| Error::of_content("write", error))?;
        let downloaded = self.write_to(&mut file).await?;
        let renamed = temporary.rename(&mut file, path).await;
        match renamed {
            Ok(()) => Ok(downloaded),
            Err(error) => Err(Error::of_content("write", error).with_metrics(downloaded.metrics)),
        }
    }
}

impl TemporaryFile {
    async fn beside(target: &Path) -> io::Result<(TemporaryFile, File)> {
        let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
        let random = RandomState::new().build_hasher().finish();
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{random:016x}.part"));
        let path = target.with_file_name(temporary);
        let file = File::options().write(true).create_new(true).open(&path).await?;
        Ok((TemporaryFile { path: Some(path) }, file))
    }

    /// Moves the whole file to its place.
    async fn rename(&mut self, file: &mut File, target: &Path) -> io::Result<()> {
        file.flush().await?;
        file.sync_all().await?;
        if let Some(path) = &self.path {
            tokio::fs::rename(path, target).await?;
            self.path = None;
        }
        Ok(())
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // nothing more can be done about a file that cannot be removed
            let _ = std::fs::remove_file(path);
        }
    }
}
