//! Invalid names, keys and values: each is reported with its path, all at once.

use tollgate_proto::v1;
use tollgate_tests::gateway::{Gateway, in_session};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{
    Item, b, delete, document, expression, get, item, key, l, m, n, object, query, s, save, scan, user,
};
use tonic::{Code, Request};

use super::goes_on;

pub(super) async fn refused_item(gateway: &Gateway, model: &str, written: Item) -> Refusal {
    let refusal = Refusal::of(gateway.save(save(model, written)).await);
    refusal.cost_nothing();
    refusal
}

#[tokio::test]
async fn reports_all_values_of_the_wrong_type_at_once() {
    let gateway = Gateway::start().await;
    let mut wrong = key("A", "B");
    wrong.extend(item([
        ("name", n(1)),
        ("age", s("36")),
        ("ssn", b(vec![1])),
        ("email", l([s("a")])),
    ]));
    wrong.insert("nickname".to_owned(), s("x"));
    let expected = ["item.age", "item.email", "item.name", "item.nickname", "item.ssn"];
    refused_item(&gateway, "User", wrong)
        .await
        .is("INVALID_FIELD", &expected);
    let address = refused_item(
        &gateway,
        "SecureUser",
        item([("pk", s("A")), ("sk", s("B")), ("address", s("x"))]),
    );
    address.await.is("INVALID_FIELD", &["item.address"]);
    goes_on(&gateway).await;
}

#[tokio::test]
async fn accepts_exactly_the_numbers_of_dynamodb() {
    let gateway = Gateway::start().await;
    let too_many_digits = "1".repeat(39);
    let texts = [
        "",
        "NaN",
        "Infinity",
        "-inf",
        "one",
        "1e126",
        "-1e126",
        "1e-131",
        "0x10",
        "1,5",
        "1_000",
        " 1",
        "1 ",
        "--1",
        "1e",
        "1.2.3",
        "١",
        &too_many_digits,
    ];
    for text in texts {
        let mut wrong = key("A", "B");
        wrong.insert("age".to_owned(), n(text));
        refused_item(&gateway, "User", wrong)
            .await
            .is("INVALID_FIELD", &["item.age"]);
    }
    let mut nested = key("A", "B");
    nested.insert(
        "address".to_owned(),
        m([
            ("lines", l([n(1), n("1e999"), s("x"), n("NaN")])),
            ("zip", n("-")),
        ]),
    );
    let fields = [
        "item.address.lines[1]",
        "item.address.lines[3]",
        "item.address.zip",
    ];
    refused_item(&gateway, "SecureUser", nested)
        .await
        .is("INVALID_FIELD", &fields);
    for (given, kept) in [
        ("1E2", "100"),
        ("-0", "0"),
        ("1.50", "1.5"),
        (&"9".repeat(38), &"9".repeat(38)),
    ] {
        let mut right = key("N", "B");
        right.insert("age".to_owned(), n(given));
        gateway.save(save("User", right)).await.ok();
        assert_eq!(
            gateway.get(get("User", key("N", "B"))).await.ok().item["age"],
            n(kept)
        );
    }
    goes_on(&gateway).await;
}

#[tokio::test]
async fn refuses_values_without_a_kind_and_invalid_sets() {
    use v1::attribute_value::Kind;
    let gateway = Gateway::start().await;
    let unset = v1::AttributeValue { kind: None };
    let empty = v1::AttributeValue {
        kind: Some(Kind::Ss(v1::StringSet { values: Vec::new() })),
    };
    let twice = v1::NumberSet {
        values: vec!["1".to_owned(), "1.0".to_owned()],
    };
    let twice = v1::AttributeValue {
        kind: Some(Kind::Ns(twice)),
    };
    let address = m([("a", l([unset.clone()])), ("b", empty), ("c", twice)]);
    let mut wrong = key("A", "B");
    wrong.extend(item([("ssn", unset.clone()), ("address", address)]));
    let fields = [
        "item.address.a[0]",
        "item.address.b",
        "item.address.c[1]",
        "item.ssn",
    ];
    refused_item(&gateway, "SecureUser", wrong)
        .await
        .is("INVALID_FIELD", &fields);
    let refusal = Refusal::of(
        gateway
            .get(get("User", item([("pk", unset), ("sk", s("B"))])))
            .await,
    );
    refusal.is("INVALID_FIELD", &["key.pk"]);
    goes_on(&gateway).await;
}

#[tokio::test]
async fn refuses_a_pointer_to_an_object_of_another_item() {
    let gateway = Gateway::start().await;
    gateway
        .save(save("Document", document("VICTIM", vec![7; 100])))
        .await
        .ok();
    let victim = gateway.get(get("Document", key("VICTIM", "V1"))).await.ok().item;
    let mut thief = key("THIEF", "V1");
    thief.insert("content".to_owned(), victim["content"].clone());
    let fields =
        ["bucket", "data", "etag", "key", "sha256", "size"].map(|field| format!("item.content.{field}"));
    let fields = fields.each_ref().map(String::as_str);
    refused_item(&gateway, "Document", thief.clone())
        .await
        .is("INVALID_FIELD", &fields);
    let Some(v1::attribute_value::Kind::Object(mut object)) = victim["content"].kind.clone() else {
        panic!("no object")
    };
    object.data = Some(vec![1].into());
    thief.insert(
        "content".to_owned(),
        v1::AttributeValue {
            kind: Some(v1::attribute_value::Kind::Object(object.clone())),
        },
    );
    let fields = ["bucket", "etag", "key", "sha256", "size"].map(|field| format!("item.content.{field}"));
    let fields = fields.each_ref().map(String::as_str);
    refused_item(&gateway, "Document", thief.clone())
        .await
        .is("INVALID_FIELD", &fields);
    let pointer = [
        ("bucket", s(object.bucket)),
        ("key", s(object.key)),
        ("size", n(100)),
        ("etag", s(object.etag)),
    ];
    thief.insert("content".to_owned(), m(pointer));
    refused_item(&gateway, "Document", thief)
        .await
        .is("INVALID_FIELD", &["item.content"]);
    goes_on(&gateway).await;
}

#[tokio::test]
async fn refuses_objects_outside_object_attributes() {
    let gateway = Gateway::start().await;
    let mut wrong = user("A", "1");
    wrong.insert("name".to_owned(), object(vec![1]));
    refused_item(&gateway, "User", wrong)
        .await
        .is("INVALID_FIELD", &["item.name"]);
    let mut hidden = key("A", "B");
    hidden.insert("address".to_owned(), m([("photo", object(vec![1]))]));
    refused_item(&gateway, "SecureUser", hidden)
        .await
        .is("INVALID_FIELD", &["item.address.photo"]);
    let include_objects = vec!["content".to_owned(), "name".to_owned(), "nothing".to_owned()];
    let request = v1::GetRequest {
        include_objects,
        ..get("Document", key("A", "V1"))
    };
    let refusal = Refusal::of(gateway.get(request).await);
    refusal.is("INVALID_FIELD", &["include_objects[1]", "include_objects[2]"]);
    goes_on(&gateway).await;
}

#[tokio::test]
async fn unknown_enum_values_are_refused() {
    let gateway = Gateway::start().await;
    let saved = gateway
        .save(v1::SaveRequest {
            return_values: 99,
            ..save("User", user("A", "1"))
        })
        .await;
    Refusal::of(saved).is("INVALID_FIELD", &["return_values"]);
    let all_new = v1::ReturnValues::AllNew as i32;
    for return_values in [all_new, -1] {
        let deleted = gateway
            .delete(v1::DeleteRequest {
                return_values,
                ..delete("User", key("A", "B"))
            })
            .await;
        Refusal::of(deleted).is("INVALID_FIELD", &["return_values"]);
    }
    let queried = gateway
        .query(v1::QueryRequest {
            select: 7,
            ..query("User", "A")
        })
        .await;
    Refusal::of(queried).is("INVALID_FIELD", &["select"]);
    let scanned = gateway
        .scan(v1::ScanRequest {
            select: 7,
            ..scan("User")
        })
        .await;
    Refusal::of(scanned).is("INVALID_FIELD", &["select"]);
    goes_on(&gateway).await;
}

#[tokio::test]
async fn reports_the_faults_of_all_fields_together() {
    let gateway = Gateway::start().await;
    let mut wrong = item([("pk", s("A")), ("age", n("NaN")), ("surplus", s("x"))]);
    wrong.insert("name".to_owned(), n(1));
    let condition = expression("nobody = :x AND ssn = :y", [(":x", s("1")), (":z", s("1"))]);
    let refused = gateway
        .save(v1::SaveRequest {
            condition,
            return_values: 9,
            ..save("User", wrong)
        })
        .await;
    let refusal = Refusal::of(refused);
    assert_eq!(refusal.reason, "INVALID_FIELD");
    for field in [
        "item.age",
        "item.name",
        "item.sk",
        "item.surplus",
        "return_values",
        "condition.text",
    ] {
        assert!(
            refusal.fields.iter().any(|reported| reported == field),
            "{field} in {refusal:?}"
        );
    }
    let request = v1::ScanRequest {
        segment: 5,
        total_segments: 3,
        parallelism: 100,
        select: 9,
        fields: vec!["a..b".to_owned()],
        filter: expression("ssn = :s", [(":s", s("1"))]),
        ..scan("User")
    };
    let refusal = Refusal::of(gateway.scan(request).await);
    for field in ["segment", "parallelism", "select", "fields[0]", "filter.text"] {
        assert!(
            refusal.fields.iter().any(|reported| reported == field),
            "{field} in {refusal:?}"
        );
    }
    goes_on(&gateway).await;
}

#[tokio::test]
async fn reports_a_bounded_number_of_faults() {
    let gateway = Gateway::start().await;
    let mut wrong = key("A", "B");
    for number in 0..5000 {
        wrong.insert(format!("surplus-{number}-{}", "x".repeat(100)), s("x"));
    }
    let refusal = refused_item(&gateway, "User", wrong).await;
    assert_eq!(refusal.reason, "INVALID_FIELD");
    assert!(
        refusal.fields.len() > 1 && refusal.fields.len() <= 16,
        "{}",
        refusal.fields.len()
    );
    let more = format!("; and {} more", 5000 - refusal.fields.len());
    assert!(refusal.message.ends_with(&more), "{}", refusal.message);
    goes_on(&gateway).await;
}

#[tokio::test]
async fn names_in_the_metadata_are_checked() {
    let gateway = Gateway::start().await;
    let too_long = "x".repeat(129);
    for name in ["", "a b", "a/b", "ümlaut", "{}", &too_long] {
        for header in ["tollgate-session", "tollgate-request-id"] {
            let Ok(value) = name.parse() else {
                assert_eq!(name, "ümlaut", "no header of gRPC");
                continue;
            };
            let mut request = Request::new(get("User", key("A", "B")));
            request.metadata_mut().insert(header, value);
            let refusal = Refusal::of(gateway.get(request).await);
            refusal.is("INVALID_FIELD", &[header]);
            assert_eq!(refusal.code, Code::InvalidArgument);
        }
    }
    let request_id = "a b".to_owned();
    let refused = gateway
        .save(v1::SaveRequest {
            request_id,
            ..save("User", user("A", "1"))
        })
        .await;
    Refusal::of(refused).is("INVALID_FIELD", &["request_id"]);
    let named = gateway
        .get(in_session(get("User", key("A", "B")), "Az0._:-"))
        .await;
    Refusal::of(named).is("ITEM_NOT_FOUND", &[]);
    goes_on(&gateway).await;
}
