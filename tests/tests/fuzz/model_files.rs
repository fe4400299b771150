//! Model files: every text is accepted or refused, errors have a place in the file, and the same document means the same
//! as JSON, in block style, and with other line ends.

use std::fmt::Write as _;
use std::sync::LazyLock;

use tollgate::model::{ModelFault, Models};

use super::Outcome;
use super::documents;
use super::input::Input;
use super::models::SOURCE;
use super::mutation;
use super::tree::Tree;

const FILE: &str = "fuzz.yaml";

/// Documents that are valid, from the repository.
static CORPUS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let files = [
        SOURCE,
        include_str!("../../../models/user.yaml"),
        include_str!("../../../models/secure_user.yaml"),
        include_str!("../../../models/document.yaml"),
        include_str!("../../../models/examples/tracker.yaml"),
    ];
    let documents = files
        .iter()
        .flat_map(|file| file.split("\n---\n"))
        .map(str::to_owned);
    let page = include_str!("../../../docs/models.md");
    let blocks = page
        .split("```yaml\n")
        .skip(1)
        .filter_map(|rest| rest.split_once("```"));
    let blocks = blocks.map(|(block, _)| completed(block));
    documents.chain(blocks).collect()
});

/// A block of the documentation, with the keys that it leaves out.
fn completed(block: &str) -> String {
    let mut text = String::new();
    for (key, value) in [
        ("name", "Example"),
        ("table", "examples"),
        ("partition_key", "pk"),
    ] {
        if !block.lines().any(|line| line.starts_with(&format!("{key}:"))) {
            writeln!(text, "{key}: {value}").expect("a string takes all text");
        }
    }
    text + block
}

/// Reads a model file.
pub(crate) fn models(input: &mut Input) -> Outcome {
    match input.below(3) {
        0 => edited(input),
        1 => bytes(input),
        _ => written(input),
    }
}

/// A document that was written, in several styles.
fn written(input: &mut Input) -> Outcome {
    let documents: Vec<Tree> = (0..=input.below(2)).map(|_| documents::model(input)).collect();
    let json = joined(&documents, Tree::json);
    let block = joined(&documents, Tree::block);
    input.note(|| block.clone());
    let of_json = parse(&json);
    let of_block = parse(&block);
    assert_eq!(
        meaning(&of_json),
        meaning(&of_block),
        "as JSON and in block style"
    );
    assert_eq!(
        meaning(&of_block),
        meaning(&parse(&block.replace('\n', "\r\n"))),
        "with other line ends"
    );
    outcome(&of_block)
}

fn joined(documents: &[Tree], style: fn(&Tree) -> String) -> String {
    let texts: Vec<String> = documents.iter().map(style).collect();
    texts.join("\n---\n")
}

/// A known document with some lines and words changed.
fn edited(input: &mut Input) -> Outcome {
    let mut text = input.choose(&CORPUS).clone();
    if input.once_in(2) {
        text = mutation::lines(input, &text);
    }
    if !input.once_in(3) {
        text = mutation::text(input, text, &documents::WORDS);
    }
    input.note(|| text.clone());
    outcome(&parse(&text))
}

/// A known document with some bytes changed, or any bytes.
fn bytes(input: &mut Input) -> Outcome {
    let source = match input.once_in(4) {
        true => mutation::noise(input, 200),
        false => {
            let text = input.choose(&CORPUS).clone();
            mutation::bytes(input, text.into_bytes())
        }
    };
    input.note(|| String::from_utf8_lossy(&source).into_owned());
    let result = Models::parse(FILE, &source);
    check(&result, line_breaks(&source));
    outcome(&result)
}

fn parse(text: &str) -> Result<Models, Vec<ModelFault>> {
    let result = Models::parse(FILE, text.as_bytes());
    check(&result, line_breaks(text.as_bytes()));
    result
}

/// The line breaks of YAML: line feeds and carriage returns, also alone.
fn line_breaks(source: &[u8]) -> usize {
    source.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count()
}

/// Valid models have unique names; errors have a text and a line of the file.
fn check(result: &Result<Models, Vec<ModelFault>>, lines: usize) {
    match result {
        Ok(models) => {
            assert!(!models.is_empty(), "accepted without a model");
            for warning in models.warnings() {
                assert!(!warning.is_empty(), "an empty warning");
            }
            for model in models.iter() {
                assert!(models.get(&model.name).is_some(), "{} is not found", model.name);
                for key in model.key_names() {
                    assert!(model.attribute(key).is_some(), "{key} is not declared");
                }
                for index in &model.indexes {
                    for key in index.key_names() {
                        assert!(model.attribute(key).is_some(), "{key} is not declared");
                    }
                }
            }
        }
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without an error");
            for fault in faults {
                assert!(!fault.text.is_empty(), "an error without a text");
                assert!(fault.line <= lines + 1, "line {} of {lines}", fault.line);
            }
        }
    }
}

fn outcome(result: &Result<Models, Vec<ModelFault>>) -> Outcome {
    match result {
        Ok(_) => Outcome::Accepted,
        Err(_) => Outcome::Refused,
    }
}

/// The models, or the errors in any order and without their lines.
fn meaning(result: &Result<Models, Vec<ModelFault>>) -> Vec<String> {
    let mut parts: Vec<String> = match result {
        Ok(models) => models.iter().map(|model| format!("{model:?}")).collect(),
        Err(faults) => faults
            .iter()
            .map(|fault| format!("{}: {}", fault.path, without_lines(&fault.text)))
            .collect(),
    };
    parts.sort_unstable();
    parts
}

/// Removes the lines of other places: `fuzz.yaml:12`.
fn without_lines(text: &str) -> String {
    let place = format!("{FILE}:");
    let mut parts = text.split(&place);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(FILE);
        out.push_str(part.trim_start_matches(|char: char| char.is_ascii_digit()));
    }
    out
}
