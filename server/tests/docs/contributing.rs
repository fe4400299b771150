//! The lists of files in `CONTRIBUTING.md` against the marker comments in those files.
//!
//! The section "Add an RPC" lists the files to touch, one per list item, which begins with the file's path in backticks.
//! Each of them has a comment with `add-an-rpc:` at the place to edit. Two notes after the path make exceptions:
//! ``1. `path` (new)`` is a file to create, ``1. `path` (docs)`` a file that exists and has no marker. The sections on
//! figures, model options, settings and parsers are checked in the same way.

use std::collections::BTreeSet;

use super::{read, repository};

const SECTIONS: [(&str, &str); 5] = [
    ("Add an RPC", "add-an-rpc:"),
    ("Add a figure", "add-a-figure:"),
    ("Add a model option", "add-a-model-option:"),
    ("Add a setting", "add-a-setting:"),
    ("Add a parser", "add-a-parser:"),
];

/// Files that name the markers without being places to edit.
const NOT_MARKED: [&str; 2] = ["CONTRIBUTING.md", "server/tests/docs/contributing.rs"];

#[derive(Debug, PartialEq)]
enum Note {
    Marked,
    New,
    Docs,
}

/// The files that a section lists.
fn listed(page: &str, title: &str) -> Vec<(String, Note)> {
    let heading = format!("## {title}\n");
    let (_, rest) = page
        .split_once(&heading)
        .unwrap_or_else(|| panic!("no section {title}"));
    let section = rest.split("\n## ").next().unwrap_or(rest);
    let items = section.lines().filter_map(|line| {
        let numbered = line
            .split_once(". ")
            .filter(|(number, _)| !number.is_empty() && number.chars().all(|letter| letter.is_ascii_digit()));
        numbered
            .map(|(_, item)| item)
            .or_else(|| line.strip_prefix("- "))
            .or_else(|| line.strip_prefix("* "))
    });
    items.map(|item| path_and_note(title, item)).collect()
}

fn path_and_note(title: &str, item: &str) -> (String, Note) {
    let path = item.strip_prefix('`').and_then(|rest| rest.split_once('`'));
    let (path, rest) = path
        .unwrap_or_else(|| panic!("{title}: a list item must begin with a path in backticks, got {item}"));
    let note = match rest.trim_start() {
        rest if rest.starts_with("(new)") => Note::New,
        rest if rest.starts_with("(docs)") => Note::Docs,
        _ => Note::Marked,
    };
    (path.to_owned(), note)
}

fn difference(title: &str, listed: &[(String, Note)], marked: &BTreeSet<String>) -> Vec<String> {
    let expected: BTreeSet<String> = listed
        .iter()
        .filter(|(_, note)| *note == Note::Marked)
        .map(|(path, _)| path.clone())
        .collect();
    let without_marker = expected.difference(marked);
    let not_listed = marked.difference(&expected);
    without_marker
        .map(|path| format!("{title}: {path} is listed and has no marker"))
        .chain(not_listed.map(|path| format!("{title}: {path} has the marker and is not listed")))
        .collect()
}

#[test]
fn the_lists_of_contributing_are_the_marked_files() {
    let page = read("CONTRIBUTING.md");
    let files = repository();
    let mut differences = Vec::new();
    for (title, marker) in SECTIONS {
        let listed = listed(&page, title);
        assert!(!listed.is_empty(), "{title} lists no files");
        for (path, note) in &listed {
            let exists = files.contains_key(path);
            assert!(exists || *note == Note::New, "{title}: no file {path}");
        }
        let marked = files
            .iter()
            .filter(|(path, text)| text.contains(marker) && !NOT_MARKED.contains(&path.as_str()))
            .map(|(path, _)| path.clone())
            .collect();
        differences.extend(difference(title, &listed, &marked));
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn a_list_is_read_to_the_end_of_its_section() {
    let page = "# A\n\n## Add an RPC\n\nText.\n\n1. `a.rs`: the name\n   and more\n2. `NAME.rs` (new): code\n\
                - `c.md` (docs)\n\n## Add a figure\n\n1. `d.rs`\n";
    let expected = [
        ("a.rs".to_owned(), Note::Marked),
        ("NAME.rs".to_owned(), Note::New),
        ("c.md".to_owned(), Note::Docs),
    ];
    assert_eq!(listed(page, "Add an RPC"), expected);
    assert_eq!(listed(page, "Add a figure").len(), 1);
}

#[test]
fn files_that_only_one_side_names_are_found() {
    let listed = [("a.rs".to_owned(), Note::Marked), ("b.md".to_owned(), Note::Docs)];
    let marked = BTreeSet::from(["c.rs".to_owned()]);
    let expected = [
        "T: a.rs is listed and has no marker",
        "T: c.rs has the marker and is not listed",
    ];
    assert_eq!(difference("T", &listed, &marked), expected);
    assert_eq!(
        difference("T", &listed, &BTreeSet::from(["a.rs".to_owned()])),
        Vec::<String>::new()
    );
}
