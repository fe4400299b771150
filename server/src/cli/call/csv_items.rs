//! Reads the items of a CSV file, typed by the model: the first line has the names of the attributes, and an empty cell is
//! an absent attribute. Holds a few records at a time.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use csv::StringRecord;
use tokio::sync::mpsc;
use tollgate_client::{Item, Model};

use super::failure::Failure;
use super::items::Found;
use super::texts::{self, MAX_TEXT_BYTES};
use super::{input, text, typed};

/// Records that are read ahead.
const AHEAD: usize = 16;

/// The items of a CSV source.
pub(super) struct CsvItems<'a> {
    model: &'a Model,
    name: String,
    rows: mpsc::Receiver<Result<Row, String>>,
    header: Option<Vec<String>>,
    bytes: u64,
}

/// A record, the line that it begins on, and the position of its end.
struct Row {
    record: StringRecord,
    line: u64,
    end: u64,
}

impl<'a> CsvItems<'a> {
    /// The items of a file; `-` is standard input.
    pub(super) fn open(model: &'a Model, path: &Path) -> Result<CsvItems<'a>, Failure> {
        let (name, source) = texts::open(path)?;
        Ok(CsvItems::new(model, name, source))
    }

    fn new(model: &'a Model, name: String, source: Box<dyn Read + Send>) -> CsvItems<'a> {
        let (sender, rows) = mpsc::channel(AHEAD);
        // on another thread, so that the connection stays alive
        tokio::task::spawn_blocking(move || read(source, &sender));
        CsvItems {
            model,
            name,
            rows,
            header: None,
            bytes: 0,
        }
    }

    /// The name of the source for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The bytes that were read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next item; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Found>, Failure> {
        if self.header.is_none() {
            let Some(row) = self.row().await? else {
                return Ok(None);
            };
            self.header = Some(self.header(&row.record)?);
        }
        let Some(row) = self.row().await? else {
            return Ok(None);
        };
        let place = format!("{}:{}", self.name, row.line);
        let wrong = |name: &str, what: &str| Failure::Arguments(format!("{place}: {name}: {what}"));
        let mut item = Item::new();
        for (name, cell) in self.header.iter().flatten().zip(&row.record) {
            if !cell.is_empty() {
                let value = text::parse(cell, typed::kind_of(self.model, name));
                item.insert(name.clone(), value.map_err(|what| wrong(name, &what))?);
            }
        }
        Ok(Some(Found {
            item,
            place,
            withheld: Vec::new(),
        }))
    }

    async fn row(&mut self) -> Result<Option<Row>, Failure> {
        match self.rows.recv().await {
            Some(Ok(row)) => {
                self.bytes = row.end;
                Ok(Some(row))
            }
            Some(Err(what)) => Err(Failure::Arguments(format!("{}: {what}", self.name))),
            None => Ok(None),
        }
    }

    /// The names of the first line, each once.
    fn header(&self, record: &StringRecord) -> Result<Vec<String>, Failure> {
        let names = record
            .iter()
            .map(|name| name.trim_start_matches('\u{feff}').trim());
        let names: Vec<String> = names.map(str::to_owned).collect();
        let at = |what: String| Failure::Arguments(format!("{}:1: {what}", self.name));
        for (index, name) in names.iter().enumerate() {
            if name.is_empty() {
                return Err(at(format!("column {} has no name", index + 1)));
            }
            if names[..index].contains(name) {
                return Err(at(format!("two columns have the name {name}")));
            }
        }
        input::check_names(self.model, names.iter().map(String::as_str)).map_err(
            |failure| match failure {
                Failure::Arguments(what) => at(what),
                other => other,
            },
        )?;
        Ok(names)
    }
}

/// Sends the records of a source until nobody receives them.
fn read(source: Box<dyn Read + Send>, rows: &mpsc::Sender<Result<Row, String>>) {
    let unfinished = Arc::new(AtomicUsize::new(0));
    let limited = Limited {
        source,
        unfinished: Arc::clone(&unfinished),
    };
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(limited);
    let mut record = StringRecord::new();
    loop {
        let row = match reader.read_record(&mut record) {
            Ok(true) => Ok(Row {
                record: record.clone(),
                line: record.position().map_or(0, csv::Position::line),
                end: reader.position().byte(),
            }),
            Ok(false) => return,
            Err(error) => Err(error.to_string()),
        };
        unfinished.store(0, Ordering::Relaxed);
        let is_last = row.is_err();
        if rows.blocking_send(row).is_err() || is_last {
            return;
        }
    }
}

/// Fails if a record does not end.
struct Limited {
    source: Box<dyn Read + Send>,
    /// Bytes that were read since the last record ended.
    unfinished: Arc<AtomicUsize>,
}

impl Read for Limited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        let unfinished = self.unfinished.fetch_add(read, Ordering::Relaxed);
        match unfinished > MAX_TEXT_BYTES {
            true => Err(io::Error::other(format!(
                "a record of more than {MAX_TEXT_BYTES} bytes"
            ))),
            false => Ok(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollgate_client::Attribute;

    use super::*;

    fn model() -> Model {
        let declared = [
            ("pk", "string"),
            ("n", "number"),
            ("tags", "string_set"),
            ("raw", "binary"),
        ];
        let attributes = declared.map(|(name, kind)| Attribute {
            name: name.to_owned(),
            r#type: kind.to_owned(),
            ..Attribute::default()
        });
        Model {
            name: "All".to_owned(),
            unknown_attributes: "reject".to_owned(),
            attributes: attributes.to_vec(),
            ..Model::default()
        }
    }

    async fn items(source: &[u8]) -> Result<Vec<Found>, String> {
        let model = model();
        let source = Box::new(io::Cursor::new(source.to_vec()));
        let mut items = CsvItems::new(&model, "f".to_owned(), source);
        let mut found = Vec::new();
        loop {
            match items.next().await {
                Ok(Some(item)) => found.push(item),
                Ok(None) => return Ok(found),
                Err(Failure::Arguments(what)) => return Err(what),
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn cells_are_typed_by_the_model() {
        let source = "\u{feff}pk,n,tags,raw\n\"a, \"\"b\"\"\",1e2,\"[\"\"x\"\"]\",AQL/\nc,,,\n";
        let found = items(source.as_bytes()).await.unwrap();
        assert_eq!(found[0].item["pk"], "a, \"b\"".into());
        assert_eq!(found[0].item["n"], 100.into());
        assert_eq!(
            (found[0].item["tags"].kind(), found[0].item["raw"].kind()),
            ("SS", "B")
        );
        assert_eq!(
            (found[1].item.len(), found[1].place.as_str()),
            (1, "f:3"),
            "empty cells are absent"
        );
        assert!(items(b"").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn faults_have_their_line() {
        for (source, what) in [
            ("pk,pk\na,b\n", "f:1: two columns have the name pk"),
            ("pk,\na,b\n", "f:1: column 2 has no name"),
            ("pk,nn\na,1\n", "f:1: nn: All has no attribute of this name"),
            ("pk,n\na,many\n", "f:2: n: is a number in the model"),
            ("pk,n\na\n", "line: 2"),
        ] {
            let fault = items(source.as_bytes()).await.err().unwrap();
            assert!(fault.contains(what), "{source}: {fault}");
        }
        assert!(items(b"pk\n\xff\n").await.err().unwrap().contains("UTF-8"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(source in prop::collection::vec(any::<u8>(), 0..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(items(&source));
        }
    }
}
