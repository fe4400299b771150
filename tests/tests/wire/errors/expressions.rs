//! Invalid expressions in every field that accepts one.

use std::collections::HashMap;

use tollgate_proto::v1;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{
    Item, delete, expression, get, item, key, n, object, query, s, save, scan, secure_user, user,
};

use super::goes_on;

/// Expressions over `User` that no place takes, with values.
fn bad() -> Vec<(String, Item)> {
    let x = || item([(":x", s("1"))]);
    let many = vec!["name = :x"; 200].join(" OR ");
    let texts = [
        "name",
        "name =",
        "= :x",
        "name = :x AND",
        "AND",
        "NOT",
        "(name = :x",
        "name = :x)",
        "name == :x",
        "name != :x",
        "name = :x; DROP TABLE users",
        "name = 'x'",
        "name = \"x\"",
        "size(name",
        "size() > :x",
        "unheard(name, :x)",
        "begins_with(name)",
        "contains(name, :x, :x)",
        "attribute_exists(:x)",
        "attribute_not_exists()",
        "attribute_type(name, :x)",
        "name BETWEEN :x",
        "name IN ()",
        "name IN (:x,)",
        "name = :nobody",
        "nobody = :x",
        "name.inner = :x",
        "name[0] = :x",
        "#nobody = :x",
        "name = :x :x",
        "ssn = :x",
        "attribute_exists(ssn[",
        "name \u{0} = :x",
        "näme = :x",
        "\u{202e}name = :x",
        ":x = :x = :x",
        "name = :x AND age = :x",
        "age > :x",
    ];
    let mut bad: Vec<_> = texts.into_iter().map(|text| (text.to_owned(), x())).collect();
    bad.push(("(".repeat(5000), x()));
    bad.push((format!("{}name = :x{}", "(".repeat(5000), ")".repeat(5000)), x()));
    bad.push(("NOT ".repeat(1000) + "name = :x", x()));
    bad.push((many, x()));
    bad.push((format!("name = :x AND name = :{}", "y".repeat(5000)), x()));
    bad.push(("attribute_exists(name)".to_owned(), x()));
    bad.push((String::new(), x()));
    bad.push(("name = :x".to_owned(), item([(":x", n(1))])));
    bad.push(("name = :x".to_owned(), item([(":x", object(vec![1]))])));
    bad.push(("name = :x".to_owned(), item([(":x", n("NaN"))])));
    bad.push(("name = :x".to_owned(), item([("x", s("1"))])));
    bad
}

fn as_expression(text: &str, values: &Item) -> Option<v1::Expression> {
    Some(v1::Expression {
        text: text.to_owned(),
        values: values.clone(),
        names: HashMap::new(),
    })
}

/// The reason is that of expressions, or of fields where a value is no value; every fault lies in the expression.
fn lies_in(refusal: &Refusal, place: &str, text: &str) {
    let text = text.get(..60).unwrap_or(text);
    assert!(
        ["INVALID_EXPRESSION", "INVALID_FIELD"].contains(&refusal.reason.as_str()),
        "{text}: {refusal:?}"
    );
    assert!(!refusal.fields.is_empty(), "{text}: {refusal:?}");
    let parts = [".text", ".values", ".names"].map(|part| format!("{place}{part}"));
    let inside = |field: &String| parts.iter().any(|part| field.starts_with(part));
    assert!(refusal.fields.iter().all(inside), "{text}: {refusal:?}");
    refusal.cost_nothing();
}

#[tokio::test]
async fn refuses_invalid_conditions_and_filters_before_any_request() {
    let gateway = Gateway::start().await;
    gateway.save(save("User", user("A", "1"))).await.ok();
    for (text, values) in bad() {
        let condition = as_expression(&text, &values);
        let request = v1::SaveRequest {
            condition: condition.clone(),
            ..save("User", user("A", "1"))
        };
        lies_in(&Refusal::of(gateway.save(request).await), "condition", &text);
        let request = v1::DeleteRequest {
            condition: condition.clone(),
            ..delete("User", key("A", "PROFILE"))
        };
        lies_in(&Refusal::of(gateway.delete(request).await), "condition", &text);
        let request = v1::QueryRequest {
            filter: condition.clone(),
            ..query("User", "A")
        };
        lies_in(&Refusal::of(gateway.query(request).await), "filter", &text);
        let request = v1::ScanRequest {
            filter: condition,
            ..scan("User")
        };
        lies_in(&Refusal::of(gateway.scan(request).await), "filter", &text);
    }
    assert_eq!(
        gateway.get(get("User", key("A", "PROFILE"))).await.ok().item,
        user("A", "1")
    );
    goes_on(&gateway).await;
}

#[tokio::test]
async fn key_conditions_name_one_partition() {
    let gateway = Gateway::start().await;
    let pair = || item([(":p", s("A")), (":s", s("B"))]);
    let one = || item([(":p", s("A"))]);
    let texts = [
        ("pk > :p", one()),
        ("sk = :p", one()),
        ("pk = :p OR pk = :p", one()),
        ("NOT pk = :p", one()),
        ("pk = :p AND name = :s", pair()),
        ("pk = :p AND pk = :s", pair()),
        ("pk = :p AND contains(sk, :s)", pair()),
        ("pk = :p AND sk <> :s", pair()),
        ("pk = :p AND sk IN (:s)", pair()),
        ("pk = :p AND sk = :s AND sk = :s", pair()),
        ("begins_with(pk, :p)", one()),
        ("pk = :p", item([(":p", n(1))])),
        ("pk = :p", item([(":p", s(""))])),
        ("pk = :q", one()),
        ("pk = :p", pair()),
        ("", item([])),
        (&"(".repeat(5000), item([])),
    ];
    for (text, values) in texts {
        let request = v1::QueryRequest {
            key_condition: as_expression(text, &values),
            ..query("User", "A")
        };
        lies_in(&Refusal::of(gateway.query(request).await), "key_condition", text);
    }
    let missing = v1::QueryRequest {
        key_condition: None,
        ..query("User", "A")
    };
    Refusal::of(gateway.query(missing).await).is("INVALID_EXPRESSION", &["key_condition.text"]);
    let filter = expression("sk = :s", [(":s", s("B"))]);
    let refused = gateway
        .query(v1::QueryRequest {
            filter,
            ..query("User", "A")
        })
        .await;
    Refusal::of(refused).is("INVALID_EXPRESSION", &["filter.text"]);
    goes_on(&gateway).await;
}

#[tokio::test]
async fn encrypted_attributes_are_named_in_the_refusal() {
    let gateway = Gateway::start().await;
    let filter = expression("phone = :x", [(":x", s("1"))]);
    let request = v1::ScanRequest {
        filter,
        ..scan("SecureUser")
    };
    let refusal = Refusal::of(gateway.scan(request).await);
    refusal.is("INVALID_EXPRESSION", &["filter.text"]);
    assert!(
        refusal.message.contains("phone") && refusal.message.contains("encrypted"),
        "{refusal:?}"
    );
    let condition = expression("address.city = :x", [(":x", s("1"))]);
    let request = v1::SaveRequest {
        condition,
        ..save("SecureUser", secure_user("A", "B"))
    };
    Refusal::of(gateway.save(request).await).is("INVALID_EXPRESSION", &["condition.text"]);
}

#[tokio::test]
async fn invalid_fields_are_reported_by_index() {
    let gateway = Gateway::start().await;
    let fields = ["name", "unheard", "name.inner", "", "a..b", "name", "#x"]
        .map(str::to_owned)
        .to_vec();
    let expected = [
        "fields[1]",
        "fields[2]",
        "fields[3]",
        "fields[4]",
        "fields[5]",
        "fields[6]",
    ];
    let request = v1::GetRequest {
        fields: fields.clone(),
        ..get("User", key("A", "B"))
    };
    Refusal::of(gateway.get(request).await).is("INVALID_FIELD", &expected);
    let request = v1::QueryRequest {
        fields: fields.clone(),
        ..query("User", "A")
    };
    Refusal::of(gateway.query(request).await).is("INVALID_FIELD", &expected);
    let request = v1::ScanRequest {
        fields,
        ..scan("User")
    };
    Refusal::of(gateway.scan(request).await).is("INVALID_FIELD", &expected);
    goes_on(&gateway).await;
}

#[tokio::test]
async fn a_failed_condition_returns_the_item_if_requested() {
    let gateway = Gateway::start().await;
    gateway.save(save("User", user("A", "1"))).await.ok();
    let condition = expression("attribute_not_exists(pk)", []);
    let plain = v1::SaveRequest {
        condition: condition.clone(),
        ..save("User", user("A", "2"))
    };
    let refusal = Refusal::of(gateway.save(plain.clone()).await);
    refusal.is("CONDITION_FAILED", &[]);
    assert!(refusal.details.precondition_failure().is_some());
    let all_old = v1::ReturnValues::AllOld as i32;
    let asked = v1::SaveRequest {
        return_values: all_old,
        ..plain
    };
    let status = gateway.save(asked).await.status();
    let message = <tonic_types::Status as prost::Message>::decode(status.details()).unwrap();
    let current = message
        .details
        .iter()
        .find(|detail| detail.type_url.ends_with("tollgate.v1.SaveResponse"));
    let current: v1::SaveResponse = prost::Message::decode(current.unwrap().value.as_slice()).unwrap();
    assert_eq!(current.old_item, user("A", "1"));
    goes_on(&gateway).await;
}
