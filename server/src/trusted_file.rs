//! Reads files that decide who may do what: certificates, keys, tokens, policies. A file that another user may write is
//! refused, and a secret one that others may read. Interprets nothing.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use zeroize::Zeroizing;

/// How often files are read to notice a change.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Whoever is notified when other content of files is put in use.
#[derive(Default)]
pub struct OnChange(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl OnChange {
    /// Sets who is notified, once.
    pub fn set(&self, notify: impl Fn() + Send + Sync + 'static) {
        // the first one stays
        let _ = self.0.set(Box::new(notify));
    }

    /// Notifies.
    pub fn notify(&self) {
        if let Some(notify) = self.0.get() {
            notify();
        }
    }
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Anyone.
    Anyone,
    /// The user of this process, and its group.
    OwnerAndGroup,
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is missing, or cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is a folder, a device or a pipe.
    #[error("is not a regular file")]
    NotAFile,
    /// It is larger than expected.
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    /// Its owner is neither this user nor root.
    #[error("belongs to another user (uid {0}), who could change it: change its owner")]
    OtherOwner(u32),
    /// Users other than its owner may write it.
    #[error("may be written by other users (mode {0:04o}): run chmod go-w on it")]
    Writable(u32),
    /// Users other than its owner and group may read it.
    #[error("is secret, but any user may read it (mode {0:04o}): run chmod o-r on it")]
    Readable(u32),
}

/// Reads a file of at most `max_bytes`. Follows symbolic links, as volumes of Kubernetes have them.
///
/// # Errors
///
/// It cannot be read, is too large, or its permissions are too wide.
pub fn read(path: &Path, readers: Readers, max_bytes: u64) -> Result<Zeroizing<Vec<u8>>, Error> {
    // opening a pipe would wait for its writer
    if !fs::metadata(path)?.is_file() {
        return Err(Error::NotAFile);
    }
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    check(&metadata, readers)?;
    let mut content = Zeroizing::new(Vec::new());
    // the exact size at once: a vector that grows leaves copies behind
    content.reserve_exact(usize::try_from(metadata.len().min(max_bytes)).unwrap_or(0) + 1);
    file.take(max_bytes + 1).read_to_end(&mut content)?;
    match content.len() as u64 > max_bytes {
        true => Err(Error::TooLarge(max_bytes)),
        false => Ok(content),
    }
}

/// Waits until it is time to read files again, and does so on a thread that may block. Returns whether to go on: a panic of
/// `reload` ends the watch, not the server.
pub async fn look_again<T: Send + 'static>(reload: impl FnOnce() -> T + Send + 'static) -> bool {
    tokio::time::sleep(LOOK_EVERY).await;
    tokio::task::spawn_blocking(reload).await.is_ok()
}

#[cfg(unix)]
fn check(metadata: &Metadata, readers: Readers) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt as _;

    const ROOT: u32 = 0;
    const GROUP_OR_OTHERS_WRITE: u32 = 0o022;
    const OTHERS_READ: u32 = 0o004;

    let mode = metadata.mode() & 0o7777;
    let owner = metadata.uid();
    if owner != ROOT && owner != nix::unistd::geteuid().as_raw() {
        return Err(Error::OtherOwner(owner));
    }
    if mode & GROUP_OR_OTHERS_WRITE != 0 {
        return Err(Error::Writable(mode));
    }
    if readers == Readers::OwnerAndGroup && mode & OTHERS_READ != 0 {
        return Err(Error::Readable(mode));
    }
    Ok(())
}

/// This system has other permissions.
#[cfg(not(unix))]
fn check(_: &Metadata, _: Readers) -> Result<(), Error> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn refuses_files_that_others_may_write_and_secret_ones_that_others_may_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "secret").unwrap();
        for (mode, anyone, owner) in [
            (0o600, true, true),
            (0o400, true, true),
            (0o640, true, true),
            (0o644, true, false),
            (0o604, true, false),
            (0o660, false, false),
            (0o602, false, false),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let is_read = |readers| match read(&path, readers, 6) {
                Ok(content) => content.as_slice() == b"secret",
                Err(error) => !matches!(error, Error::Writable(_) | Error::Readable(_)),
            };
            assert_eq!(is_read(Readers::Anyone), anyone, "{mode:o}");
            assert_eq!(is_read(Readers::OwnerAndGroup), owner, "{mode:o}");
        }
    }

    #[test]
    fn reads_no_more_than_expected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "1234567").unwrap();
        assert!(matches!(read(&path, Readers::Anyone, 6), Err(Error::TooLarge(6))));
        assert_eq!(read(&path, Readers::Anyone, 7).unwrap().as_slice(), b"1234567");
        assert!(matches!(
            read(folder.path(), Readers::Anyone, 6),
            Err(Error::NotAFile)
        ));
        assert!(matches!(
            read(&folder.path().join("none"), Readers::Anyone, 6),
            Err(Error::Io(_))
        ));
    }
}
