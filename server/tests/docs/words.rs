//! A list of words that plain technical English does not use, over all text that people read: code, documentation,
//! protos, settings and scripts.

use regex::Regex;

use super::repository;

/// What to write instead is in the second column.
const WORDS: [(&str, &str); 11] = [
    ("told", "returned, reported, logged"),
    ("tells", "returns, reports, logs, shows"),
    ("answers", "returns; for a noun: responses"),
    ("answered", "returned, responded"),
    ("in clear", "in plaintext"),
    ("for ever", "forever, without end"),
    ("it is no", "it is not a"),
    ("that is none", "invalid, not a"),
    ("of (?:its|their) own", "its own, separate"),
    ("side by side", "in parallel, concurrently"),
    ("gives no", "returns no, has no"),
];

/// Kinds of files that are read.
const EXTENSIONS: [&str; 5] = ["rs", "md", "proto", "yaml", "py"];

/// Files that may use the words, with the reason.
const EXCEPTIONS: [(&str, &str); 1] = [("server/tests/docs/words.rs", "this list")];

/// The words as whole words, in names with underscores too.
fn patterns() -> Vec<(Regex, &'static str)> {
    let pattern = |word: &str| format!(r"(?i)(?:^|[^a-z]){}(?:[^a-z]|$)", word.replace(' ', r"[\s_]+"));
    WORDS
        .iter()
        .map(|(word, instead)| (Regex::new(&pattern(word)).expect("a pattern"), *instead))
        .collect()
}

/// One line per use of a word.
fn uses(path: &str, text: &str, patterns: &[(Regex, &'static str)]) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (pattern, instead) in patterns {
            if pattern.is_match(line) {
                found.push(format!(
                    "{path}:{}: {} (write: {instead})",
                    number + 1,
                    line.trim()
                ));
            }
        }
    }
    found
}

#[test]
fn texts_are_plain_english() {
    let patterns = patterns();
    let mut found = Vec::new();
    for (path, text) in repository() {
        let is_read = EXTENSIONS
            .iter()
            .any(|extension| path.ends_with(&format!(".{extension}")));
        let is_excepted = EXCEPTIONS.iter().any(|(file, _)| *file == path);
        if is_read && !is_excepted {
            found.extend(uses(&path, &text, &patterns));
        }
    }
    assert!(found.is_empty(), "{} uses:\n{}", found.len(), found.join("\n"));
}

#[test]
fn words_are_found_in_text_and_in_names() {
    let lines = [
        "fn is_told() {}",
        "it tells",
        "Answers",
        "of their own",
        "it is none of these",
        "stole, retold",
    ];
    let found = uses("a.rs", &lines.join("\n"), &patterns());
    let numbers: Vec<_> = found
        .iter()
        .map(|line| line.split(':').nth(1).expect("a line"))
        .collect();
    assert_eq!(numbers, ["1", "2", "3", "4"]);
}
