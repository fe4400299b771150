//! What a sweep has found, in a file: memory does not grow with it, and a later run goes on from the last mark. A line of
//! JSON for each finding and each mark; lines after the last mark are dropped when it is opened.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::model::{Item, Value};
use crate::sweep::{Finding, Mark};

/// A line of the file.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::cli) enum Line {
    Orphan {
        bucket: String,
        key: String,
        bytes: u64,
    },
    Dangling {
        table: String,
        /// As DynamoDB writes it in JSON.
        item_key: serde_json::Value,
        attribute: String,
        bucket: String,
        key: String,
    },
    StrayUpload {
        bucket: String,
        key: String,
        upload_id: String,
        bytes: u64,
    },
    Mark(Box<Mark>),
}

/// The file of a sweep.
pub(in crate::cli) struct Spool {
    file: io::BufWriter<File>,
    path: PathBuf,
    /// Nobody asked for it: it is removed with the process.
    is_temporary: bool,
}

impl Spool {
    /// Opens the file of an earlier sweep with its last mark, or begins a new one; a temporary one without a path.
    pub(in crate::cli) fn open(path: Option<&Path>) -> Result<(Spool, Option<Mark>), String> {
        let is_temporary = path.is_none();
        let path = match path {
            Some(path) => path.to_owned(),
            None => {
                let name = format!("tollgate-sweep-{}.jsonl", ulid::Ulid::generate());
                std::env::temp_dir().join(name)
            }
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let named = |error: io::Error| format!("cannot open {}: {error}", path.display());
        let file = options.open(&path).map_err(named)?;
        let (mark, bytes) = last_mark(&file).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => format!("{}: is not a checkpoint of a sweep", path.display()),
            _ => named(error),
        })?;
        let mut file = io::BufWriter::new(file);
        file.get_ref().set_len(bytes).map_err(named)?;
        file.seek(SeekFrom::Start(bytes)).map_err(named)?;
        let spool = Spool {
            file,
            path,
            is_temporary,
        };
        Ok((spool, mark))
    }

    /// Adds a finding.
    pub(in crate::cli) fn add(&mut self, finding: &Finding) -> io::Result<()> {
        self.write(&line(finding))
    }

    /// Adds a line.
    pub(in crate::cli) fn add_line(&mut self, line: &Line) -> io::Result<()> {
        self.write(line)
    }

    /// Adds a mark, from which a later run goes on.
    pub(in crate::cli) fn mark(&mut self, mark: &Mark) -> io::Result<()> {
        self.write(&Line::Mark(Box::new(mark.clone())))?;
        self.file.flush()
    }

    /// Calls `visit` for each finding, in the order in which they were found.
    pub(in crate::cli) fn for_each(
        &mut self,
        visit: &mut dyn FnMut(Line) -> io::Result<()>,
    ) -> io::Result<()> {
        self.file.flush()?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(0))?;
        for text in BufReader::new(&*file).lines() {
            let line: Line = serde_json::from_str(&text?)?;
            if !matches!(line, Line::Mark(_)) {
                visit(line)?;
            }
        }
        file.seek(SeekFrom::End(0)).map(|_| ())
    }

    /// Removes the file: everything is done.
    pub(in crate::cli) fn end(self) {
        // a file that cannot be removed is of no harm
        let _ = std::fs::remove_file(&self.path);
    }

    fn write(&mut self, line: &Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.file, line)?;
        self.file.write_all(b"\n")
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.is_temporary {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The last mark, and the bytes up to its end. A line that was cut off is the last one.
fn last_mark(file: &File) -> io::Result<(Option<Mark>, u64)> {
    let mut reader = BufReader::new(file);
    let (mut mark, mut marked, mut bytes) = (None, 0, 0);
    let mut text = String::new();
    loop {
        text.clear();
        let read = reader.read_line(&mut text)?;
        bytes += read as u64;
        if !text.ends_with('\n') {
            // something else than a cut line is another file
            let is_ours = text.is_empty() || bytes > read as u64 || text.starts_with('{');
            return match is_ours {
                true => Ok((mark, marked)),
                false => Err(io::ErrorKind::InvalidData.into()),
            };
        }
        let line = serde_json::from_str(&text).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        if let Line::Mark(found) = line {
            (mark, marked) = (Some(*found), bytes);
        }
    }
}

fn line(finding: &Finding) -> Line {
    match finding.clone() {
        Finding::Orphan { bucket, key, bytes } => Line::Orphan { bucket, key, bytes },
        Finding::Dangling {
            table,
            item_key,
            attribute,
            bucket,
            key,
        } => Line::Dangling {
            table,
            item_key: dynamodb_json(&item_key),
            attribute,
            bucket,
            key,
        },
        Finding::StrayUpload {
            bucket,
            key,
            upload_id,
            bytes,
        } => Line::StrayUpload {
            bucket,
            key,
            upload_id,
            bytes,
        },
    }
}

/// A key as the AWS CLI accepts it.
fn dynamodb_json(key: &Item) -> serde_json::Value {
    use base64::Engine as _;
    let value = |value: &Value| match value {
        Value::S(text) => serde_json::json!({ "S": text }),
        Value::N(number) => serde_json::json!({ "N": number.as_str() }),
        Value::B(bytes) => {
            serde_json::json!({ "B": base64::engine::general_purpose::STANDARD.encode(bytes) })
        }
        // keys have no other types
        Value::Bool(_)
        | Value::Null
        | Value::L(_)
        | Value::M(_)
        | Value::SS(_)
        | Value::NS(_)
        | Value::BS(_)
        | Value::Object(_) => serde_json::Value::Null,
    };
    let attributes = key.iter().map(|(name, stored)| (name.clone(), value(stored)));
    serde_json::Value::Object(attributes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::{Counts, Position};

    fn orphan(key: &str) -> Finding {
        Finding::Orphan {
            bucket: "b".to_owned(),
            key: key.to_owned(),
            bytes: 1,
        }
    }

    fn mark(objects: u64) -> Mark {
        Mark {
            of: "x".to_owned(),
            position: Position::Uploads { root: 0, after: None },
            counts: Counts {
                objects,
                ..Counts::default()
            },
        }
    }

    fn keys(spool: &mut Spool) -> Vec<String> {
        let mut keys = Vec::new();
        let read = spool.for_each(&mut |line| {
            if let Line::Orphan { key, .. } = line {
                keys.push(key);
            }
            Ok(())
        });
        read.unwrap();
        keys
    }

    #[test]
    fn what_follows_the_last_mark_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c");
        let open = || Spool::open(Some(&path)).unwrap_or_else(|text| panic!("{text}"));
        let (mut spool, none) = open();
        assert!(none.is_none());
        spool.add(&orphan("one")).unwrap();
        spool.mark(&mark(1)).unwrap();
        spool.add(&orphan("two")).unwrap();
        spool.file.write_all(b"{\"orph").unwrap();
        drop(spool);
        let (mut spool, found) = open();
        assert_eq!(found.map(|mark| mark.counts.objects), Some(1));
        spool.add(&orphan("three")).unwrap();
        assert_eq!(keys(&mut spool), ["one", "three"]);
        spool.end();
        assert!(!path.exists());
    }

    #[test]
    fn other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes");
        for text in ["hello", "hello\n", "{}\n", "[1]\n{\"mark\":1}\n"] {
            std::fs::write(&path, text).unwrap();
            let refused = Spool::open(Some(&path)).err().expect("refused");
            assert!(refused.ends_with("is not a checkpoint of a sweep"), "{refused}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_temporary_file_is_removed() {
        let (spool, _) = Spool::open(None).unwrap_or_else(|text| panic!("{text}"));
        let path = spool.path.clone();
        assert!(path.exists());
        drop(spool);
        assert!(!path.exists());
    }

    #[test]
    fn keys_are_written_as_dynamodb_does() {
        let key = Item::from([
            ("pk".to_owned(), Value::S("a\"b".to_owned())),
            ("n".to_owned(), Value::N("1.5".parse().unwrap())),
            ("b".to_owned(), Value::B(vec![0, 255].into())),
        ]);
        let written = dynamodb_json(&key);
        let expected =
            serde_json::json!({ "pk": { "S": "a\"b" }, "n": { "N": "1.5" }, "b": { "B": "AP8=" } });
        assert_eq!(written, expected);
    }
}
