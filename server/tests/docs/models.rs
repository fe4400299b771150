//! The language of models: each example on its page is valid, and each option has one.

use regex::Regex;
use serde_json::Value;
use tollgate::model::Models;

use super::{blocks, read};

const PAGE: &str = "docs/models.md";

/// An example as a whole model: with the keys that it leaves out.
fn completed(block: &str) -> String {
    let keys = [
        ("name", "Example"),
        ("table", "examples"),
        ("partition_key", "pk"),
    ];
    let is_given = |key: &str| block.lines().any(|line| line.starts_with(&format!("{key}:")));
    let missing = keys.iter().filter(|(key, _)| !is_given(key));
    let lines: String = missing.map(|(key, value)| format!("{key}: {value}\n")).collect();
    lines + block
}

#[test]
fn every_example_of_the_page_is_valid() {
    let examples = blocks(&read(PAGE), "yaml");
    assert!(examples.len() > 10, "{}", examples.len());
    for block in examples {
        let mut faults = Models::parse(PAGE, completed(&block).as_bytes())
            .err()
            .unwrap_or_default();
        // the page describes the whole language
        faults.retain(|fault| fault.text != "is not supported by this version");
        assert!(faults.is_empty(), "{block}\n{faults:#?}");
    }
}

#[test]
fn every_option_has_an_example() {
    let examples = blocks(&read(PAGE), "yaml").concat();
    let schema: Value = serde_json::from_str(&read("models/model.schema.json")).unwrap();
    let mut groups = vec![schema.pointer("/properties").unwrap()];
    let definitions = schema.pointer("/$defs").unwrap().as_object().unwrap().values();
    groups.extend(definitions.filter_map(|definition| definition.get("properties")));
    let options = groups.iter().flat_map(|group| group.as_object().unwrap().keys());
    let missing: Vec<_> = options
        .filter(|option| {
            let used = Regex::new(&format!(r"\b{}:", regex::escape(option))).unwrap();
            !used.is_match(&examples)
        })
        .collect();
    assert!(missing.is_empty(), "no example of {missing:?}");
}
