//! Expressions that pass the checks also work in a real engine.

use std::collections::HashMap;

use dynoxide::Database;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::{Placeholders, ReadScope, condition, key_condition, projection};
use super::round_trip::{defined, whole};
use super::{expression, open_model, table_keys, text};
use crate::model::Value;

/// Half the stack of the engine's threads. The engine recurses.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// An engine with the table of `model()` and one item.
fn engine() -> Database {
    let engine = Database::memory().unwrap();
    let table = json!({
        "TableName": "users",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "S"},
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    });
    engine
        .create_table(serde_json::from_value(table).unwrap())
        .unwrap();
    let item = json!({
        "pk": {"S": "p"},
        "sk": {"S": "s2"},
        "name": {"S": ":a"},
        "age": {"N": "30"},
        "not-plain": {"M": {"and": {"L": [{"S": ":b"}, {"N": "1"}]}}},
    });
    let put = json!({"TableName": "users", "Item": item});
    engine.put_item(serde_json::from_value(put).unwrap()).unwrap();
    engine
}

/// A request with these members and placeholders.
fn request(members: Json, placeholders: Placeholders) -> Json {
    let (names, values) = placeholders.into_parts();
    let values: HashMap<_, _> = values
        .into_iter()
        .map(|(placeholder, value)| match value {
            Value::S(text) => (placeholder, json!({"S": text})),
            Value::N(number) => (placeholder, json!({"N": number.as_str()})),
            other => panic!("{other:?} is not in these tests"),
        })
        .collect();
    let mut request = members;
    request["TableName"] = json!("users");
    if !names.is_empty() {
        request["ExpressionAttributeNames"] = json!(names);
    }
    if !values.is_empty() {
        request["ExpressionAttributeValues"] = json!(values);
    }
    request
}

#[test]
fn conditions_have_their_meaning() {
    let engine = engine();
    let cases = [
        ("name = :a AND NOT name <> :a", true),
        ("name = :b OR name = :a AND name = :b", false),
        ("(name = :b OR name = :a) AND name = :a", true),
        ("NOT (name = :a AND name = :a)", false),
        ("#b.and[0] = :b AND #b.#n1[0] IN (:a, :b)", true),
        ("size(#b.and) BETWEEN size(#b) AND age", true),
        ("begins_with(name, :a) AND contains(#b.and, :b)", true),
        (
            "attribute_exists(#b.and[1]) AND attribute_not_exists(#b.and[2])",
            true,
        ),
        ("NOT NOT attribute_not_exists(age)", false),
    ];
    for (condition_text, holds) in cases {
        let mut sent = defined(condition_text);
        sent.values.retain(|name, _| condition_text.contains(name));
        sent.names.retain(|name, _| condition_text.contains(name));
        let mut out = Placeholders::new();
        let filter = condition(&open_model(), &sent, "filter", &mut out).unwrap();
        let scan = request(json!({"FilterExpression": filter}), out);
        let response = engine.scan(serde_json::from_value(scan).unwrap()).unwrap();
        assert_eq!(response.count, usize::from(holds), "{condition_text}");
    }
}

#[test]
fn accepts_the_deepest_conditions() {
    let run = || {
        let engine = engine();
        for condition_text in [
            format!("{}name = :a", "NOT ".repeat(299)),
            format!("{}name = :a{}", "NOT (name = :a AND ".repeat(99), ")".repeat(99)),
            format!(
                "{}name = :a{}",
                "name = :a AND (name = :a OR ".repeat(74),
                ")".repeat(74)
            ),
            vec!["name = :a"; 150].join(" OR "),
        ] {
            let mut out = Placeholders::new();
            let sent = expression(&condition_text, &[(":a", text(":a"))], &[]);
            let filter = condition(&open_model(), &sent, "filter", &mut out).unwrap();
            let scan = request(json!({"FilterExpression": filter}), out);
            engine.scan(serde_json::from_value(scan).unwrap()).unwrap();
        }
    };
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn key_conditions_and_projections_work() {
    let engine = engine();
    let model = open_model();
    let cases = [
        ("pk = :p", 1),
        (":p = pk AND :s < sk", 1),
        ("sk <= :s AND pk = :p", 0),
        ("(pk = :p) AND begins_with(sk, :s)", 1),
        ("pk = :p AND sk BETWEEN :s AND :t", 1),
    ];
    for (condition_text, count) in cases {
        let values = [(":p", text("p")), (":s", text("s")), (":t", text("t"))];
        let used: Vec<_> = values
            .into_iter()
            .filter(|(name, _)| condition_text.contains(name))
            .collect();
        let mut out = Placeholders::new();
        let sent = expression(condition_text, &used, &[]);
        let condition = key_condition(&table_keys(&model), &sent, "key_condition", &mut out).unwrap();
        let fields = ["age", "unknown[0].x", "name"].map(str::to_owned);
        let projection = projection(&ReadScope::table(&model), &fields, &[], "fields", &mut out).unwrap();
        let members = json!({"KeyConditionExpression": condition, "ProjectionExpression": projection.text});
        let response = engine
            .query(serde_json::from_value(request(members, out)).unwrap())
            .unwrap();
        assert_eq!(response.count, count, "{condition_text}");
        let mut names: Vec<_> = response
            .items
            .unwrap()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
            .collect();
        names.sort();
        assert_eq!(names, ["age", "name", "pk", "sk"][..4 * count]);
    }
}

proptest! {
    #[test]
    fn the_engine_accepts_what_passes_the_checks(condition_text in whole()) {
        let mut sent = defined(&condition_text);
        let is_used = |name: &str| {
            let letters = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | ':' | '#');
            condition_text.split(|letter| !letters(letter)).any(|word| word == name)
        };
        sent.values.retain(|name, _| is_used(name));
        sent.names.retain(|name, _| is_used(name));
        let mut out = Placeholders::new();
        // most texts compare values that cannot be compared, and are refused
        if let Ok(filter) = condition(&open_model(), &sent, "filter", &mut out) {
            let scan = request(json!({"FilterExpression": filter}), out);
            let response = ENGINE.with(|engine| engine.scan(serde_json::from_value(scan).unwrap()));
            prop_assert!(response.is_ok(), "{}: {:?}", condition_text, response.err());
        }
    }
}

thread_local! {
    static ENGINE: Database = engine();
}
