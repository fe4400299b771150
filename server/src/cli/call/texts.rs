//! Splits a file or standard input into the texts of JSON objects: one, several, or those of an array. Holds one text at a
//! time.

use std::io::{self, Read};
use std::path::Path;

use super::failure::Failure;

/// The maximum text of one object: more than the base64 of the largest message.
pub(super) const MAX_TEXT_BYTES: usize = 64 * 1024 * 1024;
/// The size of one read.
const CHUNK_BYTES: usize = 64 * 1024;
/// The byte order mark that some programs write.
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// A source and its name for messages; `-` is standard input.
pub(super) fn open(path: &Path) -> Result<(String, Box<dyn Read + Send>), Failure> {
    if path.as_os_str() == "-" {
        return Ok(("standard input".to_owned(), Box::new(io::stdin())));
    }
    let name = path.display().to_string();
    match std::fs::File::open(path) {
        Ok(file) => Ok((name, Box::new(file))),
        Err(error) => Err(Failure::Arguments(format!("cannot read {name}: {error}"))),
    }
}

/// Splits a source into the texts of its items.
pub(super) struct Texts {
    name: String,
    /// `None` while a thread reads from it.
    source: Option<Box<dyn Read + Send>>,
    chunk: Vec<u8>,
    used: usize,
    splitter: Splitter,
}

impl Texts {
    /// The texts of a file; `-` is standard input.
    pub(super) fn open(path: &Path) -> Result<Texts, Failure> {
        let (name, source) = open(path)?;
        Ok(Texts::new(name, source))
    }

    /// The name of the source for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The bytes that were read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.splitter.bytes as u64
    }

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
    pub(super) async fn next(&mut self) -> Result<Option<(usize, String)>, String> {
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

    proptest! {
        #[test]
        fn any_bytes_are_cut_or_refused(source in prop::collection::vec(any::<u8>(), 0..60)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(texts(&source));
        }
    }
}
