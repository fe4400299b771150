//! Builds a tree of bounded depth from the events of the parser. Every node has its line, and scalars keep their exact
//! text. Refuses aliases and tags, so that a document means exactly what it shows.

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::report::Report;

/// Maximum size of a file, in bytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// Maximum nesting of lists and maps.
pub const MAX_DEPTH: usize = 64;

/// A node with the line where it starts.
#[derive(Debug)]
pub struct Node {
    pub(super) line: usize,
    pub(super) content: Content,
}

/// The content of a node.
#[derive(Debug)]
pub(super) enum Content {
    /// A scalar without quotes: text, a number, a boolean or null.
    Plain(String),
    /// A scalar in quotes or a block: text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the file, including duplicate keys.
    Map(Vec<Entry>),
    /// A node that was already reported as a fault.
    Refused,
}

/// One key and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) value: Node,
}

/// A list or map that is not complete yet.
struct Open {
    line: usize,
    content: Content,
    /// The key of a map whose value comes next.
    key: Option<(String, usize)>,
}

/// Builds documents from events.
struct Builder<'r> {
    open: Vec<Open>,
    documents: Vec<Node>,
    report: &'r mut Report,
}

/// Reads all documents of a file. Returns those before a syntax error, so that their faults are reported too.
pub fn documents(source: &[u8], report: &mut Report) -> Vec<Node> {
    if source.len() > MAX_FILE_BYTES {
        report.add_at(0, "", format!("larger than {MAX_FILE_BYTES} bytes"));
        return Vec::new();
    }
    match std::str::from_utf8(source) {
        Ok(text) => parse(text, report),
        Err(error) => {
            let line = 1 + source[..error.valid_up_to()]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            report.add_at(line, "", "not UTF-8 text");
            Vec::new()
        }
    }
}

fn parse(text: &str, report: &mut Report) -> Vec<Node> {
    let mut builder = Builder {
        open: Vec::new(),
        documents: Vec::new(),
        report,
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                // at the end of the text, the parser counts lines that are not there
                let line = error.marker().line().min(text.lines().count().max(1));
                builder
                    .report
                    .add_at(line, "", format!("not YAML: {}", error.info()));
                break;
            }
        };
        if builder.accept(event, span.start.line()).is_none() {
            break;
        }
    }
    builder.documents
}

impl Builder<'_> {
    /// Handles one event. Returns `None` if the rest of the file must not be read.
    fn accept(&mut self, event: Event<'_>, line: usize) -> Option<()> {
        match event {
            Event::Scalar(text, style, _, tag) => {
                self.refuse_tag(tag.is_some(), line);
                let content = match style {
                    ScalarStyle::Plain => Content::Plain(text.into_owned()),
                    _ => Content::Text(text.into_owned()),
                };
                self.place(Node { line, content });
            }
            Event::Alias(_) => {
                self.report
                    .add_at(line, "", "aliases are not supported; write the value out");
                self.place(Node {
                    line,
                    content: Content::Refused,
                });
            }
            Event::SequenceStart(_, tag) => self.begin(Content::List(Vec::new()), tag.is_some(), line)?,
            Event::MappingStart(_, tag) => self.begin(Content::Map(Vec::new()), tag.is_some(), line)?,
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        Some(())
    }

    fn begin(&mut self, content: Content, tagged: bool, line: usize) -> Option<()> {
        self.refuse_tag(tagged, line);
        if self.open.len() == MAX_DEPTH {
            self.report
                .add_at(line, "", format!("nested deeper than {MAX_DEPTH} levels"));
            return None;
        }
        self.open.push(Open {
            line,
            content,
            key: None,
        });
        Some(())
    }

    fn end(&mut self) {
        if let Some(Open { line, content, .. }) = self.open.pop() {
            self.place(Node { line, content });
        }
    }

    /// Adds a complete node to the innermost open list or map, or to the documents.
    fn place(&mut self, node: Node) {
        let Some(parent) = self.open.last_mut() else {
            self.documents.push(node);
            return;
        };
        match (&mut parent.content, parent.key.take()) {
            (Content::List(items), _) => items.push(node),
            (Content::Map(entries), Some((key, line))) => entries.push(Entry {
                key,
                line,
                value: node,
            }),
            (_, _) => parent.key = Some((key_text(&node, self.report), node.line)),
        }
    }

    fn refuse_tag(&mut self, tagged: bool, line: usize) {
        if tagged {
            self.report.add_at(line, "", "tags are not supported");
        }
    }
}

fn key_text(node: &Node, report: &mut Report) -> String {
    match &node.content {
        Content::Plain(text) | Content::Text(text) => text.clone(),
        Content::List(_) | Content::Map(_) => {
            report.add_at(node.line, "", "a key must be text");
            String::new()
        }
        Content::Refused => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::yaml::Cursor;

    fn faults_of(source: impl AsRef<[u8]>) -> Vec<String> {
        let mut report = Report::new("f.yaml");
        documents(source.as_ref(), &mut report);
        report.into_faults().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_node_has_its_line() {
        let mut report = Report::new("f.yaml");
        let nodes = documents(b"# why\na: 1\nb:\n  c: [x,\n    y]\n---\nd: 2\n", &mut report);
        assert_eq!(report.into_faults(), []);
        assert_eq!(nodes.len(), 2);
        let mut second = Report::new("f.yaml");
        let entries = Cursor::document(&nodes[0]).entries(&mut second).unwrap();
        let lines: Vec<usize> = entries.iter().map(|(_, cursor)| cursor.line()).collect();
        assert_eq!(lines, [2, 3]);
        let inner = entries[1].1.entries(&mut second).unwrap();
        let items = inner[0].1.items(&mut second).unwrap();
        assert_eq!((items[1].line(), items[1].path()), (5, "b.c[1]"));
        let last = Cursor::document(&nodes[1]).entries(&mut second).unwrap();
        assert_eq!(last[0].1.line(), 7);
    }

    #[test]
    fn keeps_documents_before_a_syntax_error() {
        let mut report = Report::new("f.yaml");
        let nodes = documents(b"a: 1\n---\nb: [1,\nc: 2\n", &mut report);
        assert_eq!(nodes.len(), 1);
        let faults = report.into_faults();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(
            faults[0].line >= 3 && faults[0].text.starts_with("not YAML: "),
            "{faults:?}"
        );
    }

    #[test]
    fn faults_at_the_end_are_on_the_last_line() {
        assert_eq!(
            faults_of("a: 1\nb: { c"),
            ["f.yaml:2: not YAML: while parsing a flow mapping, did not find expected ',' or '}'"]
        );
    }

    #[test]
    fn refuses_aliases_tags_and_keys_that_are_not_text() {
        assert_eq!(
            faults_of("a: &x 1\nb: *x\nc: !!int 5\n[d]: 1\n"),
            [
                "f.yaml:2: aliases are not supported; write the value out",
                "f.yaml:3: tags are not supported",
                "f.yaml:4: a key must be text",
            ]
        );
    }

    #[test]
    fn stops_early_on_excessive_input() {
        let deep = |levels: usize| format!("a: {}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(faults_of(deep(63)), [""; 0]);
        assert_eq!(faults_of(deep(64)), ["f.yaml:1: nested deeper than 64 levels"]);
        assert_eq!(faults_of(deep(20_000)).len(), 1);
        assert_eq!(faults_of("- ".repeat(200_000)).len(), 1);
        assert_eq!(
            faults_of("x".repeat(MAX_FILE_BYTES + 1)),
            ["f.yaml: larger than 1048576 bytes"]
        );
        assert_eq!(faults_of(b"a: 1\nb: \xff\n"), ["f.yaml:2: not UTF-8 text"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_accepted_or_refused(source in prop::collection::vec(any::<u8>(), 0..200)) {
            documents(&source, &mut Report::new("f.yaml"));
        }

        #[test]
        fn anything_like_yaml_is_accepted_or_refused(source in "[a-c:\\-\\[\\]{},&*!|>'\"#? \n%@.~0-9]{0,80}") {
            documents(source.as_bytes(), &mut Report::new("f.yaml"));
        }
    }
}
