//! `tollgate call update`, `count` and `transact`.

use std::fs;

use serde_json::json;

use super::Rig;

fn update(rig: &Rig, arguments: &[&str]) -> super::process::Ended {
    rig.call(&[&["update", "Order"], arguments].concat())
}

/// A rig with the order 7.
fn rig_with_order() -> Rig {
    let rig = Rig::start();
    let saved = [
        "save",
        "Order",
        "order_id=7",
        "total=10",
        "tags=[\"new\"]",
        "note=x",
    ];
    rig.call(&saved).ok();
    rig
}

const CHANGES: &[&str] = &[
    "order_id=7",
    "--set",
    "total = total + :more, lines = list_append(if_not_exists(lines, :none), :lines)",
    "--set",
    "place.city = :city",
    "--add",
    "tags :tags",
    "--remove",
    "note",
    "--condition",
    "total BETWEEN :low AND :high",
    "--value",
    ":more=2.5",
    "--value",
    ":none=[]",
    "--value",
    ":lines=[{\"sku\": \"a\"}]",
    "--value",
    ":city=Rome",
    "--value",
    ":tags=[\"paid\", \"sent\"]",
    "--value",
    ":low=1",
    "--value",
    ":high=100",
];

#[test]
fn update_changes_attributes_in_place() {
    let rig = rig_with_order();
    let nowhere = update(&rig, CHANGES);
    nowhere.fails(
        1,
        &[
            "CONDITION_FAILED",
            "a value inside an attribute that the item does not have",
        ],
    );
    update(&rig, &["order_id=7", "place={}"]).ok();
    let changed = update(&rig, CHANGES).ok().json();
    assert_eq!(changed["total"], 12.5);
    assert_eq!(changed["lines"], json!([{ "sku": "a" }]));
    assert_eq!(changed["place"], json!({ "city": "Rome" }));
    assert_eq!(changed["tags"], json!(["new", "paid", "sent"]));
    assert!(changed.get("note").is_none(), "{changed}");
}

#[test]
fn update_sets_arguments_and_prints_what_is_asked_for() {
    let rig = rig_with_order();
    // attributes that are not part of the key are set, with the version that is expected
    let set = update(&rig, &["order_id=7", "note=urgent", "--version", "1"]).ok();
    assert_eq!(
        (&set.json()["note"], &set.json()["rev"]),
        (&json!("urgent"), &json!(2))
    );
    assert!(set.stderr.contains("write units"), "{set:?}");
    assert_eq!(
        update(&rig, &["pk=ORDER#7", "note=now"]).ok().json()["note"],
        "now"
    );
    let deleted = [
        "order_id=7",
        "--delete",
        "tags :old",
        "--set",
        "lines = :none",
        "--value",
        ":old=[\"old\"]",
        "--value",
        ":none=[]",
        "--return",
        "updated-new",
    ];
    let deleted = update(&rig, &deleted).ok().json();
    assert_eq!(
        (&deleted["tags"], &deleted["lines"]),
        (&json!(["new"]), &json!([]))
    );
    assert!(deleted.get("total").is_none(), "only what was changed: {deleted}");
    let quiet = update(&rig, &["order_id=7", "total=1", "--return", "none", "--quiet"]).ok();
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    let object = update(&rig, &["order_id=7", "total=2", "--json"]).ok().json();
    assert_eq!(object["response"]["item"]["total"], 2);
    assert_eq!(object["metrics"]["wcu"], 1.0);
}

#[test]
fn update_refuses_what_it_cannot_do() {
    let rig = Rig::start();
    update(&rig, &["order_id=7"]).fails(2, &["nothing to change"]);
    update(&rig, &["order_id=7", "total=1", "--value", ":a=1"]).fails(2, &[":a: is not used"]);
    update(&rig, &["order_id=7", "totl=1"]).fails(2, &["did you mean `total`?"]);
    let wrong = ["order_id=7", "--set", "total = :t", "--value", ":t=much"];
    update(&rig, &wrong).fails(2, &[":t: is a number in the model"]);
    update(&rig, &["order_id=7", "total=1", "--must-exist"]).fails(1, &["NOT_FOUND"]);
    let valid = update(&rig, &["order_id=7", "total=1", "--validate-only"]).ok();
    assert!(valid.stderr.contains("valid: nothing was written"), "{valid:?}");
    rig.call(&["get", "Order", "order_id=7"]).fails(1, &["NOT_FOUND"]);
    rig.call(&["save", "Order", "order_id=7", "total=1"]).ok();
    let stale = update(&rig, &["order_id=7", "total=2", "--version", "5"]);
    stale.fails(1, &["VERSION_MISMATCH"]);
}

#[test]
fn count_counts_a_partition_or_all_items() {
    let rig = Rig::start();
    for (sort, age) in [("1", "1"), ("2", "50"), ("3", "60")] {
        let age = format!("age={age}");
        rig.call(&["save", "User", "pk=A", &format!("sk={sort}"), &age])
            .ok();
    }
    rig.call(&["save", "User", "pk=B", "sk=1"]).ok();
    let counted = |arguments: &[&str]| rig.call(&[&["count", "User"], arguments].concat()).ok().stdout;
    assert_eq!(counted(&[]), "4\n");
    assert_eq!(counted(&["--parallelism", "3"]), "4\n");
    assert_eq!(counted(&["pk=A"]), "3\n");
    assert_eq!(counted(&["pk=A", "--where", "sk > :s", "--value", ":s=1"]), "2\n");
    assert_eq!(counted(&["--filter", "age > :a", "--value", ":a=50"]), "1\n");
    let object = rig
        .call(&[
            "count", "User", "--filter", "age = :a", "--value", ":a=1", "--json",
        ])
        .ok();
    assert_eq!(
        object.json()["response"],
        json!({ "count": 1, "scanned_count": 4 })
    );
    let by_index = ["save", "Order", "order_id=1", "total=5", "status=open"];
    rig.call(&by_index).ok();
    let in_index = ["Order", "status=open", "--index", "by_status"];
    assert_eq!(rig.call(&[&["count"], &in_index[..]].concat()).ok().stdout, "1\n");
    let queried = rig.call(&[&["query"], &in_index[..]].concat()).ok();
    assert_eq!(queried.json()["order_id"], "1");
}

#[test]
fn transact_applies_all_operations_or_none() {
    let rig = Rig::start();
    rig.call(&["save", "User", "pk=A", "sk=1", "age=3"]).ok();
    rig.call(&["save", "User", "pk=A", "sk=2", "age=3"]).ok();
    let operations = r##"
        {"save": {"model": "Order", "item": {"order_id": "9", "total": 4}}}
        {"update": {"model": "User", "key": {"pk": "A", "sk": "1"}, "update": "SET #a = #a + :n REMOVE year",
                    "names": {"#a": "age"}, "values": {":n": 2}, "must_exist": true}}
        {"delete": {"model": "User", "key": {"pk": "A", "sk": "2"}, "condition": "age = :age", "values": {":age": 3}}}
        {"check": {"model": "User", "key": {"pk": "Z", "sk": "1"}, "condition": "attribute_not_exists(pk)"}}
    "##;
    let transact = ["transact", "--file", "-"];
    let valid = rig
        .fed(&[&transact[..], &["--validate-only"]].concat(), operations)
        .ok();
    assert!(valid.stderr.contains("valid: nothing was written"), "{valid:?}");
    let applied = rig.fed(&transact, operations).ok();
    assert_eq!(applied.stdout, "4 operations applied\n");
    assert_eq!(rig.call(&["get", "User", "pk=A", "sk=1"]).ok().json()["age"], 5);
    rig.call(&["get", "User", "pk=A", "sk=2"])
        .fails(1, &["NOT_FOUND"]);
    // the order exists by now, and the deleted item does not meet its condition
    let failed = rig.fed(&transact, operations);
    failed.fails(
        1,
        &[
            "operation 0, save Order (standard input:2): ALREADY_EXISTS",
            "operation 2, delete User (standard input:5): CONDITION_FAILED",
        ],
    );
    assert_eq!(
        rig.call(&["get", "User", "pk=A", "sk=1"]).ok().json()["age"],
        5,
        "nothing was applied"
    );
    fs::write(
        rig.folder.path().join("operations.json"),
        r#"[{"save": {"model": "Order", "item": {"order_id": "10"}}}]"#,
    )
    .expect("written");
    let object = rig
        .call(&["transact", "--file", "operations.json", "--json"])
        .ok()
        .json();
    assert_eq!(
        object["response"]["results"][0]["generated"]["rev"], 1,
        "{object}"
    );
}

#[test]
fn transact_reports_faults_with_their_place() {
    let rig = Rig::start();
    for (operation, what) in [
        ("", "has no operation"),
        (
            "{\"svae\": {}}",
            "`svae`: must be save, update, delete or check (did you mean `save`?)",
        ),
        ("{\"save\": {}}", "standard input:1: save.model: is required"),
        ("{\"save\": {\"model\": \"User\"}}", "save.item: is required"),
        (
            "{\"delete\": {\"model\": \"User\", \"key\": {\"pk\": \"A\", \"sk\": \"1\"}, \"conditon\": \"a\"}}",
            "delete.conditon: unknown field (did you mean `condition`?)",
        ),
        (
            "{\"delete\": {\"model\": \"User\", \"key\": {\"pk\": \"A\", \"age\": 1}}}",
            "delete.key.age: is not part of the key",
        ),
        (
            "{\"check\": {\"model\": \"User\", \"key\": {\"pk\": \"A\", \"sk\": \"1\"}, \"condition\": \"age = :a\", \
             \"values\": {\":a\": 1, \":b\": 2}}}",
            "check.:b: is not used in any expression",
        ),
        ("[1]", "standard input:1: expected an item"),
    ] {
        rig.fed(&["transact", "--file", "-"], operation).fails(2, &[what]);
    }
    rig.fed(
        &["transact", "--file", "-"],
        "{\"save\": {\"model\": \"Usr\", \"item\": {}}}",
    )
    .fails(1, &["UNKNOWN_MODEL", "did you mean `User`?"]);
}
