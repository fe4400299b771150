//! No file is longer than 450 lines and no function longer than 70, in all crates and in tests too.

use std::collections::BTreeMap;

use crate::{items::functions, workspace::files};

const MAX_FILE_LINES: usize = 450;
const MAX_FUNCTION_LINES: usize = 70;
const CRATES: [&str; 4] = ["server", "client-rs", "proto", "tests"];

fn long_files(files: &BTreeMap<String, String>) -> Vec<String> {
    let lines = files.iter().map(|(path, text)| (path, text.lines().count()));
    let long = lines.filter(|(_, lines)| *lines > MAX_FILE_LINES);
    long.map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect()
}

fn long_functions(files: &BTreeMap<String, String>) -> Vec<String> {
    let all = files
        .iter()
        .flat_map(|(path, text)| functions(text).into_iter().map(move |function| (path, function)));
    let long = all.filter(|(_, function)| function.lines > MAX_FUNCTION_LINES);
    long.map(|(path, function)| {
        format!(
            "{path}:{} {}: {} lines",
            function.line, function.name, function.lines
        )
    })
    .collect()
}

fn all_files() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for name in CRATES {
        let inside = files(name).into_iter();
        all.extend(inside.map(|(path, text)| (format!("{name}/{path}"), text)));
    }
    all
}

#[test]
fn no_file_is_longer_than_450_lines() {
    let long = long_files(&all_files());
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn no_function_is_longer_than_70_lines() {
    let long = long_functions(&all_files());
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn finds_a_file_and_a_function_that_are_one_line_too_long() {
    let function = |lines: usize| format!("fn f() {{\n{}}}\n", "g();\n".repeat(lines - 2));
    let sample = |text: String| BTreeMap::from([("a.rs".to_owned(), text)]);
    assert_eq!(
        long_functions(&sample(function(MAX_FUNCTION_LINES))),
        Vec::<String>::new()
    );
    assert_eq!(
        long_functions(&sample(function(MAX_FUNCTION_LINES + 1))),
        ["a.rs:1 f: 71 lines"]
    );
    assert_eq!(
        long_files(&sample("\n".repeat(MAX_FILE_LINES))),
        Vec::<String>::new()
    );
    assert_eq!(
        long_files(&sample("\n".repeat(MAX_FILE_LINES + 1))),
        ["a.rs: 451 lines"]
    );
}
