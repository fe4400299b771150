//! Reads the items of a file or of standard input: one JSON object, several (JSON lines), an array, or the output of
//! `--json`. Holds one item at a time.

use std::io::{self, Read};
use std::path::Path;

use tollgate_client::{Item, Model, Value};

use super::failure::Failure;
use super::{json, typed};

/// The maximum text of one item: more than the base64 of the largest message.
const MAX_TEXT_BYTES: usize = 64 * 1024 * 1024;
/// The size of one read.
const CHUNK_BYTES: usize = 64 * 1024;
/// The byte order mark that some programs write.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// The items of a source.
pub(super) struct Items<'a> {
    model: &'a Model,
    texts: Texts,
    /// The rest of a `--json` output with several items.
    unpacked: std::vec::IntoIter<Item>,
    unpacked_place: String,
}

/// An item and its location.
pub(super) struct Found {
    pub(super) item: Item,
    /// `file:line`
    pub(super) place: String,
    /// Attributes that were withheld from the reader of the item.
    pub(super) withheld: Vec<String>,
}

impl<'a> Items<'a> {
    /// The items of a file; `-` is standard input.
    pub(super) fn open(model: &'a Model, path: &Path) -> Result<Items<'a>, Failure> {
        let (name, source): (String, Box<dyn Read + Send>) = match path.as_os_str() == "-" {
            true => ("standard input".to_owned(), Box::new(io::stdin())),
            false => {
                let name = path.display().to_string();
                let file = std::fs::File::open(path)
                    .map_err(|error| Failure::Arguments(format!("cannot read {name}: {error}")))?;
                (name, Box::new(file))
            }
        };
        Ok(Items {
            model,
            texts: Texts::new(name, source),
            unpacked: Vec::new().into_iter(),
            unpacked_place: String::new(),
        })
    }

    /// The name of the source for messages.
    pub(super) fn name(&self) -> &str {
        &self.texts.name
    }

    /// The next item; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Found>, Failure> {
        if let Some(item) = self.unpacked.next() {
            return Ok(Some(Found {
                item,
                place: self.unpacked_place.clone(),
                withheld: Vec::new(),
            }));
        }
        let Some((line, text)) = self.texts.next().await.map_err(Failure::Arguments)? else {
            return Ok(None);
        };
        let place = format!("{}:{line}", self.texts.name);
        let wrong = |what: String| Failure::Arguments(format!("{place}: {what}"));
        let Value::Map(fields) = json::read(&text).map_err(wrong)? else {
            return Err(wrong("not a JSON object".to_owned()));
        };
        let response = response_of(self.model, &fields);
        let (mut items, withheld) = match response {
            Some(response) => unpack(response).map_err(wrong)?,
            None => (vec![fields], Vec::new()),
        };
        let read: Result<Vec<Item>, String> = items.drain(..).map(|fields| self.read(fields)).collect();
        let mut items = read.map_err(wrong)?.into_iter();
        let Some(item) = items.next() else {
            return Err(wrong("has no item".to_owned()));
        };
        self.unpacked = items;
        self.unpacked_place.clone_from(&place);
        Ok(Some(Found {
            item,
            place,
            withheld,
        }))
    }

    fn read(&self, fields: Item) -> Result<Item, String> {
        let read = fields.into_iter().map(|(name, json)| {
            match typed::read(json, typed::kind_of(self.model, &name)) {
                Ok(value) => Ok((name, value)),
                Err(what) => Err(format!("{name}: {what}")),
            }
        });
        read.collect()
    }
}

/// Whether this is output of `--json`, not an item with attributes of these names.
fn response_of<'f>(model: &Model, fields: &'f Item) -> Option<&'f Item> {
    let names = ["response", "metrics"];
    let is_output = fields.len() == names.len()
        && names.iter().all(|name| fields.contains_key(*name))
        && names.iter().all(|name| typed::kind_of(model, name).is_empty());
    match fields.get("response") {
        Some(Value::Map(response)) if is_output => Some(response),
        _ => None,
    }
}

/// The items of a response, and the names of the withheld attributes.
fn unpack(response: &Item) -> Result<(Vec<Item>, Vec<String>), String> {
    let items = match (response.get("item"), response.get("items")) {
        (Some(Value::Map(item)), _) => vec![item.clone()],
        (None, Some(Value::List(items))) => {
            let items: Option<Vec<Item>> = items
                .iter()
                .map(|item| match item {
                    Value::Map(item) => Some(item.clone()),
                    _ => None,
                })
                .collect();
            items.ok_or("the response has an item that is not a JSON object")?
        }
        _ => return Err("the response has no item".to_owned()),
    };
    let withheld = match response.get("withheld") {
        Some(Value::List(names)) => names.iter().map(|name| match name {
            Value::String(name) => name.clone(),
            other => json::compact(other),
        }),
        _ => return Ok((items, Vec::new())),
    };
    Ok((items, withheld.collect()))
}

/// Splits a source into the texts of its items.
struct Texts {
    name: String,
    /// `None` while a thread reads from it.
    source: Option<Box<dyn Read + Send>>,
    chunk: Vec<u8>,
    used: usize,
    splitter: Splitter,
}

impl Texts {
    fn new(name: String, source: Box<dyn Read + Send>) -> Texts {
        Texts {
            name,
            source: Some(source),
            chunk: Vec::new(),
            used: 0,
            splitter: Splitter::default(),
        }
    }

    /// The next text and the line that it begins on.
    async fn next(&mut self) -> Result<Option<(usize, String)>, String> {
        loop {
            while let Some(byte) = self.chunk.get(self.used) {
                self.used += 1;
                let found = self.splitter.take(*byte);
                if let Some((line, text)) = found.map_err(|what| self.at(&what))? {
                    let text = String::from_utf8(text);
                    let text = text.map_err(|_| format!("{}:{line}: not UTF-8", self.name))?;
                    return Ok(Some((line, text)));
                }
            }
            let more = self.more().await;
            if !more.map_err(|error| format!("cannot read {}: {error}", self.name))? {
                return self.splitter.end().map(|()| None).map_err(|what| self.at(&what));
            }
        }
    }

    /// Reads more on another thread, so that the connection stays alive. Returns false at the end.
    async fn more(&mut self) -> io::Result<bool> {
        let Some(mut source) = self.source.take() else {
            return Ok(false);
        };
        let mut chunk = std::mem::take(&mut self.chunk);
        let reading = tokio::task::spawn_blocking(move || {
            chunk.resize(CHUNK_BYTES, 0);
            let read = loop {
                match source.read(&mut chunk) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => break read,
                }
            };
            (source, chunk, read)
        });
        let (source, mut chunk, read) = reading.await.map_err(io::Error::other)?;
        chunk.truncate(read?);
        (self.chunk, self.used) = (chunk, 0);
        self.source = Some(source).filter(|_| !self.chunk.is_empty());
        Ok(!self.chunk.is_empty())
    }

    fn at(&self, what: &str) -> String {
        format!("{}:{}: {what}", self.name, self.splitter.line())
    }
}

/// Finds the start and end of JSON objects byte by byte. The JSON reader checks whether they are valid.
#[derive(Default)]
struct Splitter {
    /// Of the object being read, from its `{` on.
    text: Vec<u8>,
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    lines: usize,
    begun_on: usize,
    bytes: usize,
    array: Array,
}

/// The position in an outermost array.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Array {
    /// There is none.
    #[default]
    None,
    /// An item may follow.
    Before,
    /// A comma or the end has to follow.
    After,
    Closed,
}

impl Splitter {
    fn line(&self) -> usize {
        self.lines + 1
    }

    /// The object that this byte ends, with the line of its beginning.
    fn take(&mut self, byte: u8) -> Result<Option<(usize, Vec<u8>)>, String> {
        let ended = match self.depth {
            0 => self.between(byte).map(|()| None),
            _ => self.inside(byte),
        };
        self.bytes += 1;
        self.lines += usize::from(byte == b'\n');
        ended
    }

    fn between(&mut self, byte: u8) -> Result<(), String> {
        match (byte, self.array) {
            (b' ' | b'\t' | b'\r' | b'\n', _) => Ok(()),
            (b'{', Array::None | Array::Before) => {
                self.depth = 1;
                self.begun_on = self.line();
                self.text = vec![byte];
                Ok(())
            }
            (b'[', Array::None) if self.begun_on == 0 => {
                self.array = Array::Before;
                Ok(())
            }
            (b',', Array::After) => {
                self.array = Array::Before;
                Ok(())
            }
            (b']', Array::Before | Array::After) => {
                self.array = Array::Closed;
                Ok(())
            }
            _ if BYTE_ORDER_MARK.get(self.bytes) == Some(&byte) => Ok(()),
            (_, Array::None | Array::Before) => Err("expected an item, as a JSON object".to_owned()),
            (_, Array::After) => Err("expected a comma or the end of the array".to_owned()),
            (_, Array::Closed) => Err("more follows the array".to_owned()),
        }
    }

    fn inside(&mut self, byte: u8) -> Result<Option<(usize, Vec<u8>)>, String> {
        if self.text.len() == MAX_TEXT_BYTES {
            return Err(format!("an item of more than {MAX_TEXT_BYTES} bytes"));
        }
        self.text.push(byte);
        if self.in_string {
            self.in_string = byte != b'"' || self.is_escaped;
            self.is_escaped = byte == b'\\' && !self.is_escaped;
            return Ok(None);
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
        if self.depth > 0 {
            return Ok(None);
        }
        if self.array == Array::Before {
            self.array = Array::After;
        }
        Ok(Some((self.begun_on, std::mem::take(&mut self.text))))
    }

    fn end(&self) -> Result<(), String> {
        match (self.depth, self.array) {
            (0, Array::None | Array::Closed) => Ok(()),
            (0, _) => Err("the array does not end".to_owned()),
            _ => Err(format!("the item of line {} does not end", self.begun_on)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollgate_client::Attribute;

    use super::*;

    async fn texts(source: &[u8]) -> Result<Vec<(usize, String)>, String> {
        let mut texts = Texts::new("f".to_owned(), Box::new(io::Cursor::new(source.to_vec())));
        let mut found = Vec::new();
        while let Some(text) = texts.next().await? {
            found.push(text);
        }
        Ok(found)
    }

    #[tokio::test]
    async fn items_are_read_from_lines_sequences_and_arrays() {
        let one = "{\"a\": \"}]\\\"{\", \"b\": [{}, [1]]}";
        let at = |line: usize| (line, one.to_owned());
        for (source, lines) in [
            (String::new(), vec![]),
            ("\n \n".to_owned(), vec![]),
            (one.to_owned(), vec![1]),
            (format!("{one}{one}\n{one}\r\n"), vec![1, 1, 2]),
            (format!("[{one},\n{one}\n]\n"), vec![1, 2]),
            ("[]".to_owned(), vec![]),
            (format!("\u{feff}{one}"), vec![1]),
        ] {
            let expected: Vec<_> = lines.into_iter().map(at).collect();
            assert_eq!(texts(source.as_bytes()).await, Ok(expected), "{source}");
        }
    }

    #[tokio::test]
    async fn invalid_items_are_reported_with_their_line() {
        for (source, what) in [
            ("1", "f:1: expected an item"),
            ("{}\n{}\n\"a\"", "f:3: expected an item"),
            ("{}\n{", "the item of line 2 does not end"),
            ("[{}", "the array does not end"),
            ("[{} {}]", "expected a comma"),
            ("[{}]{}", "more follows the array"),
            ("{}[{}]", "expected an item"),
            ("{},{}", "expected an item"),
        ] {
            let fault = texts(source.as_bytes()).await.unwrap_err();
            assert!(fault.contains(what), "{source}: {fault}");
        }
        assert!(texts(b"{\"\xff\"}").await.unwrap_err().contains("f:1: not UTF-8"));
    }

    fn model() -> Model {
        let declared = [("pk", "string"), ("tags", "string_set")];
        let attributes = declared.map(|(name, kind)| Attribute {
            name: name.to_owned(),
            r#type: kind.to_owned(),
            ..Attribute::default()
        });
        Model {
            attributes: attributes.to_vec(),
            ..Model::default()
        }
    }

    async fn items(source: &str) -> Result<Vec<Found>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.json");
        std::fs::write(&path, source).unwrap();
        let model = model();
        let mut items = Items::open(&model, &path).unwrap_or_else(|failure| panic!("{failure:?}"));
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
    async fn json_output_is_read_back() {
        let get = r#"{"response":{"item":{"pk":"a","tags":["x"]},"withheld":["ssn"]},"metrics":{}}"#;
        let found = items(get).await.unwrap();
        assert_eq!(found[0].withheld, ["ssn"]);
        assert_eq!(found[0].item["tags"].kind(), "SS");
        let list = r#"{"response":{"items":[{"pk":"a"},{"pk":"b"}],"count":2},"metrics":{}}"#;
        assert_eq!(items(list).await.unwrap().len(), 2);
        let attributes = r#"{"response":{"item":{}},"metrics":{},"pk":"a"}"#;
        assert_eq!(
            items(attributes).await.unwrap()[0].item.len(),
            3,
            "an item, not a response"
        );
        let none = r#"{"response":{"count":2},"metrics":{}}"#;
        assert!(items(none).await.err().unwrap().contains("no item"));
        let fault = items("{\"pk\":\"a\"}\n{\"tags\":[1]}").await.err().unwrap();
        assert!(
            fault.ends_with("items.json:2: tags: is a set of strings"),
            "{fault}"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_cut_or_refused(source in prop::collection::vec(any::<u8>(), 0..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(texts(&source));
        }
    }
}
