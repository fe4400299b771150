//! `tollgate call save`: printed items can be saved again, and a file of items stops at the first failure.

use std::fs;

use bytes::Bytes;
use serde_json::{Value, json};
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;

use super::Rig;

fn value(kind: Kind) -> v1::AttributeValue {
    v1::AttributeValue { kind: Some(kind) }
}

fn s(text: &str) -> v1::AttributeValue {
    value(Kind::S(text.to_owned()))
}

fn b(bytes: &[u8]) -> v1::AttributeValue {
    value(Kind::B(Bytes::copy_from_slice(bytes)))
}

fn map(fields: Vec<(&str, v1::AttributeValue)>) -> v1::AttributeValue {
    let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
    value(Kind::M(v1::MapValue {
        fields: fields.collect(),
    }))
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|text| (*text).to_owned()).collect()
}

/// Values that plain JSON would not preserve.
fn thing(sort: &str) -> Vec<(String, v1::AttributeValue)> {
    const DIGITS: &str = "12345678901234567890123456789012345678";
    let numbers = v1::NumberSet {
        values: strings(&["1", DIGITS]),
    };
    let fields = vec![
        ("pk", s("A")),
        ("sk", s(sort)),
        ("count", value(Kind::N(format!("-0.{DIGITS}")))),
        ("raw", b(&[0, 255])),
        ("secret", s("hidden")),
        (
            "list",
            value(Kind::L(v1::ListValue {
                values: vec![b(b"in a list"), value(Kind::Ns(numbers)), value(Kind::Null(0))],
            })),
        ),
        (
            "map",
            map(vec![
                ("bytes", b(b"in a map")),
                (
                    "looks like a set",
                    map(vec![("$ss", value(Kind::L(v1::ListValue::default())))]),
                ),
                (
                    "looks like a map",
                    map(vec![("$m", map(vec![("$b", s("AQL/"))]))]),
                ),
            ]),
        ),
        (
            "tags",
            value(Kind::Ss(v1::StringSet {
                values: strings(&["a", "b"]),
            })),
        ),
        (
            "blobs",
            value(Kind::Bs(v1::BinarySet {
                values: vec![Bytes::from_static(b"\x00")],
            })),
        ),
        ("loose", b(b"not declared")),
        ("text", s("AQL/")),
        ("truth", value(Kind::Bool(true))),
    ];
    fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

async fn stored(rig: &Rig, sort: &str) -> std::collections::HashMap<String, v1::AttributeValue> {
    let key = [("pk".to_owned(), s("A")), ("sk".to_owned(), s(sort))];
    let request = v1::GetRequest {
        model: "Thing".to_owned(),
        key: key.into(),
        ..v1::GetRequest::default()
    };
    rig.data()
        .await
        .get(request)
        .await
        .expect("as the test made it")
        .into_inner()
        .item
}

#[tokio::test]
async fn printed_items_can_be_saved_without_loss() {
    let rig = Rig::start();
    for sort in ["1", "2"] {
        let request = v1::SaveRequest {
            model: "Thing".to_owned(),
            item: thing(sort).into_iter().collect(),
            ..v1::SaveRequest::default()
        };
        rig.data().await.save(request).await.unwrap();
    }
    let expected = stored(&rig, "1").await;
    let get = ["get", "Thing", "pk=A", "sk=1"];
    let plain = rig.call(&get).ok().stdout;
    let envelope = rig.call(&[&["--json"], &get[..]].concat()).ok().stdout;
    let response = serde_json::from_str::<Value>(&envelope).unwrap()["response"]["item"].clone();
    assert_eq!(response["list"][0], json!({ "$b": "aW4gYSBsaXN0" }));
    assert_eq!(response["raw"], json!("AP8="), "typed by the model");
    let line = rig.call(&[&["--output", "jsonl"], &get[..]].concat()).ok().stdout;
    for (form, printed) in [("plain", plain), ("--json", envelope), ("jsonl", line)] {
        rig.call(&["delete", "Thing", "pk=A", "sk=1"]).ok();
        fs::write(rig.folder.path().join("item.json"), printed).unwrap();
        rig.call(&["save", "Thing", "--file", "item.json"]).ok();
        assert_eq!(stored(&rig, "1").await, expected, "{form}");
    }
    let all: Vec<(&str, String)> = ["jsonl", "json"]
        .into_iter()
        .map(|form| (form, rig.call(&["scan", "Thing", "--output", form]).ok().stdout))
        .chain([("--json", rig.call(&["scan", "Thing", "--json"]).ok().stdout)])
        .collect();
    for (form, printed) in all {
        for sort in ["sk=1", "sk=2"] {
            rig.call(&["delete", "Thing", "pk=A", sort]).ok();
        }
        let saved = rig
            .fed(&["save", "Thing", "--file", "-", "--json"], &printed)
            .ok();
        assert_eq!(saved.json()["response"]["items"].as_array().unwrap().len(), 2);
        assert_eq!(saved.json()["metrics"]["kms_calls"], 2, "the bill of both");
        assert_eq!(stored(&rig, "1").await, expected, "{form}");
    }
}

#[test]
fn a_printed_object_is_kept_or_written_again() {
    let rig = Rig::start();
    let folder = rig.folder.path();
    fs::write(folder.join("a.txt"), "first").unwrap();
    rig.call(&["save", "Document", "pk=A", "content=@a.txt"]).ok();
    let get = [
        "get",
        "Document",
        "pk=A",
        "--include-object",
        "content",
        "--object-file",
        "copy.txt",
    ];
    let content = || {
        rig.call(&get).ok();
        fs::read_to_string(folder.join("copy.txt")).unwrap()
    };
    let reference = rig.call(&["get", "Document", "pk=A", "--json"]).ok().stdout;
    rig.fed(&["save", "Document", "--file", "-"], &reference).ok();
    assert_eq!(content(), "first", "kept as it is");
    let inline = rig
        .call(&["get", "Document", "pk=A", "--include-object", "content", "--json"])
        .ok();
    let object = &inline.json()["response"]["item"]["content"];
    assert_eq!(
        (&object["data"], &object["name"]),
        (&json!("Zmlyc3Q="), &json!("a.txt"))
    );
    rig.call(&["delete", "Document", "pk=A"]).ok();
    rig.fed(&["save", "Document", "--file", "-"], &inline.stdout).ok();
    assert_eq!(content(), "first", "written anew");
}

#[test]
fn many_items_stop_at_the_first_that_fails() {
    let rig = Rig::start();
    let lines = "{\"pk\":\"B\",\"sk\":\"1\"}\n{\"pk\":\"B\",\"sk\":\"2\",\"age\":\"old\"}\n{\"pk\":\"B\",\"sk\":\"3\"}\n";
    let failed = rig.fed(&["save", "User", "--file", "-"], lines);
    failed.fails(
        1,
        &[
            "INVALID_ARGUMENT",
            "item.age",
            "standard input:2 (items saved before it: 1)",
        ],
    );
    let count = |rig: &Rig| {
        let all = rig.call(&["query", "User", "pk=B", "--output", "json"]).ok();
        all.json().as_array().unwrap().len()
    };
    assert_eq!(count(&rig), 1);
    let checked = rig.fed(&["save", "User", "--file", "-", "--validate-only"], lines);
    checked.fails(1, &["item.age", "standard input:2"]);
    assert_eq!(
        (count(&rig), checked.stdout.as_str()),
        (1, ""),
        "nothing was written"
    );
    let broken = rig.fed(
        &["save", "User", "--file", "-"],
        "{\"pk\":\"C\",\"sk\":\"1\"}\n{\"pk\"\n",
    );
    broken.fails(2, &["the item of line 2 does not end"]);
    let broken = rig.fed(
        &["save", "User", "--file", "-", "--json"],
        "{\"pk\":\"C\",\"sk\":\"1\"}{\"pk\":\"C\",\"sk\":\"2\"}\n{\"pk\":1",
    );
    broken.fails(
        2,
        &["the item of line 2 does not end", "items saved before it: 2"],
    );
    assert_eq!(
        (broken.code, &broken.json()["metrics"]["dynamodb_calls"]),
        (2, &json!(2)),
        "billed all the same"
    );
    let each = rig.fed(
        &["save", "User", "name=Bo", "--file", "-", "--quiet"],
        "[{\"pk\":\"D\",\"sk\":\"1\"},{\"pk\":\"D\",\"sk\":\"2\"}]",
    );
    assert_eq!(
        each.ok().stdout.matches("Bo").count(),
        2,
        "arguments go for every item"
    );
    rig.fed(&["save", "User", "--file", "-"], "")
        .fails(2, &["standard input: has no item"]);
    rig.call(&["save", "User", "--file", "nowhere.json"])
        .fails(2, &["nowhere.json"]);
}

#[test]
fn refuses_to_save_an_item_whose_attributes_were_withheld() {
    let rig = Rig::start();
    rig.call(&["save", "Sealed", "pk=A", "pin=1234"]).ok();
    let read = rig.call(&["get", "Sealed", "pk=A"]).ok();
    assert!(read.stderr.contains("withheld: pin"), "{read:?}");
    let printed = rig.call(&["get", "Sealed", "pk=A", "--json"]).ok().stdout;
    let save = ["save", "Sealed", "--file", "-"];
    rig.fed(&save, &printed).fails(2, &["`pin` was withheld"]);
    rig.fed(&[&save[..], &["pin=1"]].concat(), &printed).ok();
}
