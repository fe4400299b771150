//! Files and folders, and conflicts between models.

use std::path::Path;

use proptest::prelude::*;

use super::{model_with, read};
use crate::model::{Models, parse};
use crate::yaml::{Cursor, Report, documents};

#[test]
fn reports_all_faults_of_all_files_at_once() {
    let files = [
        (
            "b.yml",
            "name: B\ntable: b\npartition_key: pk\nattributes:\n  id: { type: text }\n  n: { type: number, minn: 1 }\n",
        ),
        (
            "a.yaml",
            "name: A\n---\ntable: t-able\nname: 1\npartition_key: id\nattributes: []\n",
        ),
        ("c.yaml", "name: [\n"),
        ("empty.yaml", "# nothing\n"),
        ("ignored.json", "{"),
        (".hidden.yaml", "{"),
    ];
    assert_eq!(
        read(&files).unwrap_err(),
        [
            "a.yaml:1: table: is required",
            "a.yaml:1: partition_key: is required",
            "a.yaml:1: attributes: is required",
            "a.yaml:4: name: expected text, found a number (put it in quotes)",
            "a.yaml:6: attributes: expected a map, found a list",
            "b.yml:2: table: must be 3 to 255 characters of A-Z, a-z, 0-9, `_`, `.` and `-`",
            "b.yml:3: partition_key: is not an attribute of this model",
            "b.yml:5: attributes.id.type: must be one of string, number, binary, boolean, list, map, object, string_set, number_set, binary_set, json, datetime, ttl, version",
            "b.yml:6: attributes.n.minn: unknown key (did you mean `min`?)",
            "c.yaml:1: not YAML: while parsing a node, did not find expected node content",
            "empty.yaml: has no model",
        ]
    );
}

#[test]
fn refuses_folders_without_models() {
    let missing = Models::read(Path::new("/nowhere/models")).unwrap_err();
    assert_eq!(
        missing[0].to_string(),
        "/nowhere/models: no such folder; put model files there, or name another folder"
    );
    let faults = read(&[("models.txt", "")]).unwrap_err();
    assert!(
        faults[0].contains("no model file (*.yaml, *.yml) in this folder"),
        "{faults:?}"
    );
}

#[test]
fn names_are_unique_and_models_of_a_table_have_the_same_keys() {
    let first = "name: A\ntable: one\npartition_key: pk\nattributes: { pk: { type: string } }\n";
    let other_type = "name: A\ntable: one\npartition_key: pk\nattributes: { pk: { type: number } }\n";
    let other_keys = "name: C\ntable: one\npartition_key: pk\nsort_key: sk\nattributes: { pk: { type: string }, sk: { type: string } }\n";
    let same = first.replace("name: A", "name: D");
    let second = format!("---\n{same}---\n{other_keys}");
    let keyless = "name: E\ntable: one\npartition_key: x\nattributes: {}\n";
    assert_eq!(
        read(&[("1.yaml", first), ("2.yaml", keyless)]).unwrap_err(),
        ["2.yaml:3: partition_key: is not an attribute of this model"]
    );
    let faults = read(&[("1.yaml", first), ("2.yaml", other_type), ("3.yaml", &second)]).unwrap_err();
    assert_eq!(
        faults,
        [
            "2.yaml:1: name: duplicate model name, first used at 1.yaml:1",
            "2.yaml:3: partition_key: the model at 1.yaml:3 has different keys for the same table",
            "3.yaml:9: partition_key: the model at 1.yaml:3 has different keys for the same table",
        ]
    );
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "type",
        "string",
        "number",
        "object",
        "name",
        "table",
        "partition_key",
        "attributes",
        "pk",
        "default",
        "enum",
        "min",
        "max",
        "pattern",
        "s3",
        "bucket",
        "encrypted",
        "key_id",
        "context",
        "1e999",
        "null",
        "[",
        "]",
        "{",
        "}",
        ": ",
        ", ",
        "\n",
        "\n  ",
        "- ",
        "---\n",
        "'",
        "\"",
        "*a",
        "&a ",
        "!t ",
        "| ",
        "(",
        "ä",
    ])
}

proptest! {
    #[test]
    fn anything_like_a_model_is_accepted_or_refused(words in prop::collection::vec(word(), 0..60)) {
        let mut report = Report::new("f.yaml");
        for node in documents(words.concat().as_bytes(), &mut report) {
            parse::read(&Cursor::document(&node), &mut report);
        }
    }

    #[test]
    fn any_attribute_is_accepted_or_refused(words in prop::collection::vec(word(), 0..30)) {
        let source = model_with(&format!("  a: {{ type: string, {} }}", words.concat()));
        let mut report = Report::new("f.yaml");
        for node in documents(source.as_bytes(), &mut report) {
            parse::read(&Cursor::document(&node), &mut report);
        }
    }
}
