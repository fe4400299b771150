//! What a reload may change.

use crate::model::{Change, Changes, Models};

const BASE: &str = "
name: User
table: users
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string, default: PROFILE }
  age: { type: number, min: 0, max: 150 }
  state: { type: string, enum: [open, paid] }
  ssn: { type: string, encrypted: { key_id: alias/k } }
  photo: { type: object, s3: { bucket: my-bucket, prefix: a/ } }
";

fn models(source: &str) -> Models {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), source).unwrap();
    Models::read(folder.path()).unwrap()
}

fn changes(edits: &[(&str, &str)]) -> Changes {
    let mut source = BASE.to_owned();
    for (from, to) in edits {
        assert!(source.contains(from), "{from}");
        source = source.replace(from, to);
    }
    Changes::between(&models(BASE), &models(&source))
}

fn texts(changes: &[Change]) -> Vec<&str> {
    changes.iter().map(|change| change.text.as_str()).collect()
}

#[test]
fn a_different_order_is_not_a_change() {
    let moved = changes(&[
        ("  age: { type: number, min: 0, max: 150 }\n", ""),
        ("  pk:", "  age: { max: 150, min: 0, type: number }\n  pk:"),
        ("[open, paid]", "[paid, open]"),
    ]);
    assert!(moved.safe.is_empty() && moved.refused.is_empty(), "{moved:?}");
}

#[test]
fn new_attributes_and_checks_are_safe() {
    let changed = changes(&[
        ("max: 150", "max: 200, required: true"),
        (
            "[open, paid]",
            "[open, paid, closed], default: open, max_length: 9, pattern: '[a-z]+'",
        ),
        ("  ssn:", "  nick: { type: string }\n  ssn:"),
    ]);
    assert!(changed.refused.is_empty(), "{changed:?}");
    assert_eq!(
        texts(&changed.safe),
        [
            "attribute `age`: `required` changed from false to true",
            "attribute `age`: `max` changed from 150 to 200",
            "attribute `state`: `default` changed",
            "attribute `state`: `max_length` changed from none to 9",
            "attribute `state`: `pattern` changed",
            "attribute `state`: `enum` changed",
            "attribute `nick` was added",
        ]
    );
    let loosened = changes(&[("partition_key: pk", "unknown_attributes: keep\npartition_key: pk")]);
    assert_eq!(
        texts(&loosened.safe),
        ["`unknown_attributes` changed from reject to keep"]
    );
}

#[test]
fn changes_that_affect_stored_items_require_a_restart() {
    for (from, to, what) in [
        ("table: users", "table: people", "`table`"),
        ("partition_key: pk", "partition_key: state", "`partition_key`"),
        ("sort_key: sk\n", "", "`sort_key`"),
        (
            "age: { type: number, min: 0, max: 150 }",
            "age: { type: string }",
            "`type`",
        ),
        ("alias/k", "alias/other", "`encrypted`"),
        ("alias/k", "alias/k, mode: write_only", "`encrypted`"),
        (", encrypted: { key_id: alias/k }", "", "`encrypted`"),
        ("prefix: a/", "prefix: b/", "`s3`"),
        ("my-bucket", "other-bucket", "`s3`"),
        ("default: PROFILE", "default: OTHER", "`default`"),
        (
            "  state: { type: string, enum: [open, paid] }\n",
            "",
            "`state` was removed",
        ),
        ("name: User", "name: Person", "the model was removed"),
        (
            "  pk:",
            "  tax: { type: string, encrypted: { key_id: alias/k } }\n  pk:",
            "`tax` was added",
        ),
        (
            "  pk:",
            "  scan: { type: object, s3: { bucket: my-bucket } }\n  pk:",
            "`scan` was added",
        ),
    ] {
        is_refused(from, to, what);
    }
}

#[test]
fn options_of_the_stored_form_require_a_restart() {
    for (from, to, what) in [
        (
            "type: number, min",
            "alias: years, type: number, min",
            "`alias` changed",
        ),
        ("default: PROFILE", "template: PROFILE", "`template` changed"),
        (
            "enum: [open, paid]",
            "enum: [open, paid], compressed: {}",
            "`compressed` changed",
        ),
        (
            "  pk:",
            "  until: { type: ttl }\n  pk:",
            "`until` was added, but items expire by it",
        ),
        (
            "  pk:",
            "  rev: { type: version }\n  pk:",
            "`rev` was added, but items are locked by it",
        ),
        (
            "name: User",
            "name: User\nindexes: { by_state: { partition_key: state } }",
            "`indexes` changed",
        ),
        (
            "name: User",
            "name: User\ndiscriminator: { attribute: kind, value: User }",
            "`discriminator` changed",
        ),
        ("name: User", "name: User\ncompat: pydynox", "`compat` changed"),
        (
            "name: User",
            "name: User\nidempotency: item",
            "`idempotency` changed",
        ),
    ] {
        is_refused(from, to, what);
    }
}

fn is_refused(from: &str, to: &str, what: &str) {
    let changed = changes(&[(from, to)]);
    assert!(
        texts(&changed.refused)
            .iter()
            .any(|text| text.contains(what) && text.contains("restart")),
        "{to}: {changed:?}"
    );
}

#[test]
fn lists_added_models() {
    let two = format!("{BASE}---\n{}", BASE.replace("User", "Person"));
    let changed = Changes::between(&models(BASE), &models(&two));
    assert_eq!(changed.added.len(), 1);
    assert_eq!(
        changed.safe[0].to_string(),
        "Person: the model was added, on the table users"
    );
}

#[test]
fn options_of_later_calls_and_nested_attributes_are_safe() {
    let nested = |attributes: &str| format!("  m: {{ type: map, attributes: {{ {attributes} }} }}\n  pk:");
    let before = models(&BASE.replace(
        "  pk:",
        &nested("a: { type: string }, b: { type: list, items: { type: number } }"),
    ));
    let after = models(&BASE.replace("  pk:", &nested(
        "a: { type: string, max_length: 5 }, b: { type: list, items: { type: number, min: 1 } }, c: { type: boolean }",
    )));
    let changed = Changes::between(&before, &after);
    assert!(changed.refused.is_empty(), "{changed:?}");
    assert_eq!(
        texts(&changed.safe),
        [
            "attribute `m.a`: `max_length` changed from none to 5",
            "attribute `m.b[]`: `min` changed from none to 1",
            "attribute `m.c` was added",
        ]
    );
    let changed = Changes::between(&after, &before);
    assert_eq!(
        texts(&changed.refused),
        ["attribute `m.c` was removed: stored items may have it; restart to apply"]
    );
    let changed = changes(&[("min: 0", "hidden: true, generate: epoch, min: 0")]);
    assert!(changed.refused.is_empty(), "{changed:?}");
    assert_eq!(
        texts(&changed.safe),
        [
            "attribute `age`: `generate` changed",
            "attribute `age`: `hidden` changed"
        ]
    );
}
