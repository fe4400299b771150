//! Triggers of a reload of the models: SIGHUP, which reloads certificates, tokens and keys too, and with `--watch` a change
//! of their files. `app` decides what a reload may change.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tracing::info;

use crate::app::Reloader;
use crate::model;

/// The interval at which `--watch` scans the files. A change counts once two scans agree: an editor may still be writing.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The triggers of a reload.
pub(super) struct Triggers {
    hangups: Hangups,
    watcher: Option<Watcher>,
}

impl Triggers {
    /// Listens from now on, so that triggers during the start count too.
    pub(super) fn listen(watched: Option<&Path>) -> io::Result<Triggers> {
        Ok(Triggers {
            hangups: Hangups::listen()?,
            watcher: watched.map(Watcher::new),
        })
    }

    /// Reloads on every trigger, one at a time.
    pub(super) async fn run(mut self, reloader: Arc<Reloader>) {
        loop {
            let trigger = tokio::select! {
                () = self.hangups.next() => {
                    reloader.flush_keys();
                    reloader.reopen_audit();
                    // the outcome is logged
                    let _ = reloader.reload_certificates().await;
                    reloader.reload_credentials().await;
                    let _ = reloader.reload_policies().await;
                    "SIGHUP"
                }
                () = changed(self.watcher.as_mut()) => "changed files",
            };
            info!(trigger, folder = %reloader.folder().display(), "reading the models");
            // the outcome is logged
            let _ = reloader.reload().await;
        }
    }
}

async fn changed(watcher: Option<&mut Watcher>) {
    match watcher {
        Some(watcher) => watcher.changed().await,
        None => std::future::pending().await,
    }
}

/// The result of a scan: each model file's time, size and identity, or an error.
type Look = Result<BTreeMap<PathBuf, (Option<SystemTime>, u64, u64)>, String>;

/// Scans the model files periodically. Uses only their times, sizes and identities.
struct Watcher {
    folder: PathBuf,
    seen: Look,
}

impl Watcher {
    fn new(folder: &Path) -> Watcher {
        Watcher {
            folder: folder.to_owned(),
            seen: look(folder),
        }
    }

    /// Returns once the files differ from the last scan.
    async fn changed(&mut self) {
        let mut unsettled = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let folder = self.folder.clone();
            let Ok(now) = tokio::task::spawn_blocking(move || look(&folder)).await else {
                continue;
            };
            if now == self.seen {
                unsettled = None;
            } else if unsettled.as_ref() == Some(&now) {
                self.seen = now;
                return;
            } else {
                unsettled = Some(now);
            }
        }
    }
}

fn look(folder: &Path) -> Look {
    let files = model::model_files(folder)?;
    let seen = files.into_iter().map(|path| {
        // a file that is removed during the scan is missing in the next one
        let seen = path.metadata().map_or((None, 0, 0), |metadata| {
            (metadata.modified().ok(), metadata.len(), identity(&metadata))
        });
        (path, seen)
    });
    Ok(seen.collect())
}

/// A file that replaced another can have the same time; its inode differs.
#[cfg(unix)]
fn identity(metadata: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    metadata.ino()
}

#[cfg(not(unix))]
fn identity(_: &std::fs::Metadata) -> u64 {
    0
}

/// The SIGHUPs of this process; they no longer end it.
#[cfg(unix)]
struct Hangups(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Hangups {
    fn listen() -> io::Result<Hangups> {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::hangup()).map(Hangups)
    }

    async fn next(&mut self) {
        if self.0.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

/// This system has no SIGHUP.
#[cfg(not(unix))]
struct Hangups;

#[cfg(not(unix))]
impl Hangups {
    fn listen() -> io::Result<Hangups> {
        Ok(Hangups)
    }

    async fn next(&mut self) {
        std::future::pending().await
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn a_scan_detects_every_kind_of_change() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(look(folder.path()).is_err(), "there is no model file");
        fs::write(at("a.yaml"), "name: A\n").unwrap();
        fs::write(at("notes.txt"), "1").unwrap();
        let mut last = look(folder.path());
        let mut differs = |what: &str| {
            let now = look(folder.path());
            assert_ne!(now, last, "{what}");
            last = now;
        };
        fs::write(at("a.yaml"), "name: AB\n").unwrap();
        differs("another size");
        fs::write(at("b.yaml"), "name: B\n").unwrap();
        differs("another file");
        let modified = fs::metadata(at("b.yaml")).unwrap().modified().unwrap();
        fs::write(at("new"), "name: C\n").unwrap();
        fs::File::options()
            .append(true)
            .open(at("new"))
            .unwrap()
            .set_modified(modified)
            .unwrap();
        fs::rename(at("new"), at("b.yaml")).unwrap();
        differs("moved over it, with the same time and size");
        fs::remove_file(at("b.yaml")).unwrap();
        differs("a file less");
        fs::write(at("notes.txt"), "12").unwrap();
        assert_eq!(look(folder.path()), last, "other files are not looked at");
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_reported_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.yaml"), "name: A\n").unwrap();
        let mut watcher = Watcher::new(folder.path());
        fs::write(folder.path().join("a.yaml"), "name: AB\n").unwrap();
        watcher.changed().await;
        let again = tokio::time::timeout(10 * LOOK_EVERY, watcher.changed()).await;
        assert!(again.is_err(), "nothing changed since");
    }
}
