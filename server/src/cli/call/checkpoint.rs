//! How far a command has come, in a file: a later run continues there. It is replaced as a whole, so that it is always
//! readable. Holds no values of items.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// The least time between two writes of the file.
const INTERVAL: Duration = Duration::from_secs(1);

/// A position.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Position {
    /// The command, its model and its file.
    pub(super) of: String,
    /// Items that are done, from the start.
    pub(super) items: u64,
    /// Items of these that failed.
    pub(super) failed: u64,
    /// Bytes of the output that belong to them.
    #[serde(default)]
    pub(super) bytes: u64,
    /// The token of the next page.
    #[serde(default)]
    pub(super) page_token: String,
}

/// The file of a position, if one was asked for.
pub(super) struct Checkpoint {
    path: Option<PathBuf>,
    written: Option<Instant>,
}

impl Checkpoint {
    /// Reads the position of an earlier run; the start if there is none.
    pub(super) fn open(path: Option<PathBuf>, of: String) -> Result<(Checkpoint, Position), Failure> {
        let start = Position {
            of,
            ..Position::default()
        };
        let Some(file) = &path else {
            return Ok((Checkpoint { path, written: None }, start));
        };
        let name = file.display();
        let position = match std::fs::read(file) {
            Ok(text) => serde_json::from_slice::<Position>(&text)
                .map_err(|_| Failure::Arguments(format!("{name}: not a checkpoint of tollgate")))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => start.clone(),
            Err(error) => return Err(Failure::Arguments(format!("cannot read {name}: {error}"))),
        };
        if position.of != start.of {
            return Err(Failure::Arguments(format!(
                "{name}: is the checkpoint of `{}`, not of `{}`",
                position.of, start.of
            )));
        }
        Ok((Checkpoint { path, written: None }, position))
    }

    /// Whether it is time to keep the position again.
    pub(super) fn is_due(&self) -> bool {
        self.path.is_some() && self.written.is_none_or(|written| written.elapsed() >= INTERVAL)
    }

    /// Keeps the position.
    pub(super) fn keep(&mut self, position: &Position) -> Result<(), Failure> {
        let Some(path) = &self.path else { return Ok(()) };
        let mut new = path.clone().into_os_string();
        new.push(".new");
        let text = serde_json::to_vec(position).unwrap_or_default();
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path));
        self.written = Some(Instant::now());
        written.map_err(|error| Failure::Arguments(format!("cannot write {}: {error}", path.display())))
    }

    /// Removes the file: everything is done.
    pub(super) fn end(&self) -> Result<(), Failure> {
        let Some(path) = &self.path else { return Ok(()) };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::Arguments(format!(
                "cannot remove {}: {error}",
                path.display()
            ))),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_back_by_the_same_command_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c");
        let open = |of: &str| Checkpoint::open(Some(path.clone()), of.to_owned());
        let (mut checkpoint, mut position) = open("batch-write User f").unwrap_or_else(|_| panic!("new"));
        assert!(checkpoint.is_due());
        position.items = 7;
        checkpoint.keep(&position).unwrap();
        assert!(!checkpoint.is_due(), "it was just written");
        assert_eq!(
            open("batch-write User f").unwrap_or_else(|_| panic!("kept")).1,
            position
        );
        assert!(open("batch-write User g").is_err());
        std::fs::write(&path, "{}").unwrap();
        assert!(open("batch-write User f").is_err());
        checkpoint.end().unwrap();
        assert!(!path.exists());
        assert_eq!(open("x").unwrap_or_else(|_| panic!("new")).1.items, 0);
    }
}
