//! Unknown names of models, attributes and map keys, and how paths spell them.

use std::path::Path;

use tollgate_proto::v1;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{
    Item, delete, document, expression, get, item, key, l, m, n, query, s, save, scan, user,
};

use super::goes_on;

/// A gateway of two models on one table: one rejects attributes that it does not have, one keeps them.
async fn homes() -> (Gateway, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, unknown) in [("Home", "reject"), ("OpenHome", "keep")] {
        let text = format!(
            "name: {name}\ntable: homes\npartition_key: pk\nsort_key: sk\nunknown_attributes: {unknown}\nattributes:\n  \
             pk: {{ type: string }}\n  sk: {{ type: string }}\n  home: {{ type: map }}\n  name: {{ type: string, required: true }}\n  \
             name_full: {{ type: number }}\n"
        );
        std::fs::write(Path::new(folder.path()).join(format!("{name}.yaml")), text).expect("a file");
    }
    let models = Some(folder.path().to_owned());
    let setup = Setup {
        models,
        ..Setup::default()
    };
    (Gateway::with(setup).await, folder)
}

/// The violations in the order in which they were sent.
fn reported(refusal: &Refusal) -> Vec<(&str, &str)> {
    let violations = &refusal.details.bad_request().expect("fields").field_violations;
    violations
        .iter()
        .map(|violation| (violation.field.as_str(), violation.description.as_str()))
        .collect()
}

#[tokio::test]
async fn suggests_the_nearest_attribute_for_an_unknown_one() {
    let gateway = Gateway::start().await;
    let nmae = || vec!["nmae".to_owned()];
    let refusals = [
        Refusal::of(
            gateway
                .get(v1::GetRequest {
                    fields: nmae(),
                    ..get("User", key("A", "B"))
                })
                .await,
        ),
        Refusal::of(
            gateway
                .query(v1::QueryRequest {
                    fields: nmae(),
                    ..query("User", "A")
                })
                .await,
        ),
        Refusal::of(
            gateway
                .scan(v1::ScanRequest {
                    fields: nmae(),
                    ..scan("User")
                })
                .await,
        ),
        Refusal::of(
            gateway
                .scan(v1::ScanRequest {
                    filter: expression("nmae = :x", [(":x", s("x"))]),
                    ..scan("User")
                })
                .await,
        ),
        Refusal::of(
            gateway
                .save(save(
                    "User",
                    item([("pk", s("A")), ("sk", s("B")), ("nmae", s("x"))]),
                ))
                .await,
        ),
    ];
    for refusal in &refusals {
        assert_eq!(refusal.fields.len(), 1, "{refusal:?}");
        assert!(
            reported(refusal)[0].1.ends_with("(did you mean `name`?)"),
            "{refusal:?}"
        );
        refusal.cost_nothing();
    }
    goes_on(&gateway).await;
}

#[tokio::test]
async fn suggests_the_nearest_key_object_and_model() {
    let gateway = Gateway::start().await;
    let key_of = |name: &str| item([("pk", s("A")), (name, s("B"))]);
    let refusal = Refusal::of(gateway.delete(delete("User", key_of("ks"))).await);
    refusal.is("INVALID_FIELD", &["key.ks", "key.sk"]);
    assert!(refusal.message.contains("did you mean `sk`?"), "{refusal:?}");
    let include_objects = vec!["contnet".to_owned()];
    let request = v1::GetRequest {
        include_objects,
        ..get("Document", key("A", "V1"))
    };
    let refusal = Refusal::of(gateway.get(request).await);
    refusal.is("INVALID_FIELD", &["include_objects[0]"]);
    assert!(refusal.message.contains("did you mean `content`?"), "{refusal:?}");
    let refusal = Refusal::of(gateway.get(get("Usre", key("A", "B"))).await);
    refusal.is("UNKNOWN_MODEL", &[]);
    assert!(refusal.message.contains("did you mean `User`?"), "{refusal:?}");
    let name = "document".to_owned();
    let missing = gateway.schema().get_model(v1::GetModelRequest { name }).await;
    let refusal = Refusal::of_status(&missing.unwrap_err());
    assert!(
        refusal.message.contains("did you mean `Document`?"),
        "{refusal:?}"
    );
    goes_on(&gateway).await;
}

#[tokio::test]
async fn a_model_name_is_required() {
    let gateway = Gateway::start().await;
    let refusals = [
        Refusal::of(gateway.save(save("", user("A", "1"))).await),
        Refusal::of(gateway.get(get("", key("A", "B"))).await),
        Refusal::of(gateway.delete(delete("", key("A", "B"))).await),
        Refusal::of(gateway.query(query("", "A")).await),
        Refusal::of(gateway.scan(scan("")).await),
    ];
    for refusal in refusals {
        refusal.is("INVALID_FIELD", &["model"]);
        assert_eq!(reported(&refusal), [("model", "is required")]);
        refusal.cost_nothing();
    }
    let unnamed = gateway.schema().get_model(v1::GetModelRequest::default()).await;
    Refusal::of_status(&unnamed.unwrap_err()).is("INVALID_FIELD", &["name"]);
    goes_on(&gateway).await;
}

#[tokio::test]
async fn fields_reach_every_map_key() {
    differs_on!(Moto, "projection-names");
    let (gateway, _folder) = homes().await;
    let keys = [
        "2024-05-01",
        "a/b c",
        "#x",
        "a.b",
        "a[0]",
        r#"say "hi\""#,
        "straße",
    ];
    let fields = [
        "home.2024-05-01",
        "home.a/b c",
        "home.#x",
        r#"home."a.b"[1]"#,
        r#"home."a[0]""#,
        r#"home."say \"hi\\\"""#,
        r#"home."straße""#,
    ];
    let values = keys.map(|name| (name, l([s("first"), s(name)])));
    let mut written = key("A", "B");
    written.extend(item([("home", m(values)), ("name", s("x"))]));
    gateway.save(save("Home", written)).await.ok();
    for (name, field) in keys.into_iter().zip(fields) {
        let request = v1::GetRequest {
            fields: vec![field.to_owned()],
            ..get("Home", key("A", "B"))
        };
        let expected = match field.ends_with("[1]") {
            true => l([s(name)]),
            false => l([s("first"), s(name)]),
        };
        let found = gateway.get(request).await.ok().item;
        assert_eq!(found, item([("home", m([(name, expected)]))]), "{field}");
    }
    let wrong = ["home.", "home.\"a", "home.a\"b", "home[x]", "home..a"]
        .map(str::to_owned)
        .to_vec();
    let request = v1::GetRequest {
        fields: wrong,
        ..get("Home", key("A", "B"))
    };
    let places: Vec<_> = (0..5).map(|index| format!("fields[{index}]")).collect();
    let places: Vec<_> = places.iter().map(String::as_str).collect();
    Refusal::of(gateway.get(request).await).is("INVALID_FIELD", &places);
}

#[tokio::test]
async fn unknown_fields_are_left_to_models_that_keep_them() {
    let (gateway, _folder) = homes().await;
    let mut written = key("A", "B");
    written.extend(item([("color", m([("a.b", s("red"))])), ("name", s("x"))]));
    gateway.save(save("OpenHome", written.clone())).await.ok();
    let asked = |model: &str| v1::GetRequest {
        fields: vec![r#"color."a.b""#.to_owned()],
        ..get(model, key("A", "B"))
    };
    let found = gateway.get(asked("OpenHome")).await.ok().item;
    assert_eq!(found, item([("color", m([("a.b", s("red"))]))]));
    Refusal::of(gateway.get(asked("Home")).await).is("INVALID_FIELD", &["fields[0]"]);
}

#[tokio::test]
async fn paths_of_errors_are_spelled_like_fields() {
    let (gateway, _folder) = homes().await;
    let mut written = key("A", "B");
    let inner = m([
        ("2024-05-01", n("x")),
        ("a.b", l([n("x")])),
        ("say \"hi\"", n("x")),
    ]);
    written.extend(item([("home", inner), ("name", s("x"))]));
    let refusal = Refusal::of(gateway.save(save("Home", written)).await);
    let fields = [
        "item.home.2024-05-01",
        r#"item.home."a.b"[0]"#,
        r#"item.home."say \"hi\"""#,
    ];
    let sent: Vec<_> = reported(&refusal)
        .into_iter()
        .map(|(field, _)| field.to_owned())
        .collect();
    assert_eq!(sent, fields);
}

#[tokio::test]
async fn an_undecodable_part_hides_only_its_own_fields() {
    let (gateway, _folder) = homes().await;
    let mut written = key("A", "B");
    written.insert("name_full".to_owned(), n("not a number"));
    let refusal = Refusal::of(gateway.save(save("Home", written.clone())).await);
    refusal.is("INVALID_FIELD", &["item.name", "item.name_full"]);
    written.insert("name".to_owned(), v1::AttributeValue { kind: None });
    let refusal = Refusal::of(gateway.save(save("Home", written)).await);
    refusal.is("INVALID_FIELD", &["item.name", "item.name_full"]);
    assert!(!refusal.message.contains("required"), "{refusal:?}");
}

/// A list in lists, so many levels in all.
fn nested(levels: usize) -> v1::AttributeValue {
    (1..levels).fold(s("x"), |inner, _| l([inner]))
}

#[tokio::test]
async fn values_of_expressions_are_those_of_items() {
    let (gateway, _folder) = homes().await;
    let condition =
        |value: v1::AttributeValue| expression("attribute_exists(pk) OR color = :v", [(":v", value)]);
    for (value, field) in [
        (nested(33), format!("condition.values.:v{}", "[0]".repeat(32))),
        (m([("", s("x"))]), r#"condition.values.:v."""#.to_owned()),
        (
            m([("a", m([("", s("x"))]))]),
            r#"condition.values.:v.a."""#.to_owned(),
        ),
        (n("1e126"), "condition.values.:v".to_owned()),
        (n("one"), "condition.values.:v".to_owned()),
        (l([s("x"), n("one")]), "condition.values.:v[1]".to_owned()),
    ] {
        for validate_only in [true, false] {
            let request = v1::DeleteRequest {
                condition: condition(value.clone()),
                validate_only,
                ..delete("OpenHome", key("A", "B"))
            };
            let refusal = Refusal::of(gateway.delete(request).await);
            assert_eq!(refusal.fields, [field.as_str()], "{refusal:?}");
            assert!(
                !refusal.message.contains("defined") && !refusal.message.contains("used"),
                "{refusal:?}"
            );
            refusal.cost_nothing();
        }
    }
    let request = v1::DeleteRequest {
        condition: condition(nested(32)),
        ..delete("OpenHome", key("A", "B"))
    };
    Refusal::of(gateway.delete(request).await).is("CONDITION_FAILED", &[]);
    let request = v1::QueryRequest {
        key_condition: expression("pk = :p", [(":p", n("x"))]),
        ..query("Home", "A")
    };
    Refusal::of(gateway.query(request).await).is("INVALID_FIELD", &["key_condition.values.:p"]);
}

#[tokio::test]
async fn faults_come_in_the_order_of_the_request() {
    let gateway = Gateway::start().await;
    let mut wrong: Item = (0..8).map(|number| (format!("x{number}"), n("x"))).collect();
    wrong.extend(item([("pk", n(1)), ("ssn", l([s("x")]))]));
    let values = item([(":b", n("x")), (":a", n("x")), (":c", s("x"))]);
    let condition = Some(v1::Expression {
        text: "name = :a AND age = :b AND ssn = :c".to_owned(),
        values,
        ..v1::Expression::default()
    });
    let expected = [
        "item.pk",
        "item.sk",
        "item.ssn",
        "item.x0",
        "item.x1",
        "item.x2",
        "item.x3",
        "item.x4",
        "item.x5",
        "item.x6",
        "item.x7",
        "condition.text",
        "condition.values.:a",
        "condition.values.:b",
        "return_values",
    ];
    for _ in 0..10 {
        let request = v1::SaveRequest {
            condition: condition.clone(),
            return_values: 9,
            ..save("User", wrong.clone())
        };
        let refusal = Refusal::of(gateway.save(request).await);
        let fields: Vec<_> = reported(&refusal)
            .into_iter()
            .map(|(field, _)| field.to_owned())
            .collect();
        assert_eq!(fields, expected);
    }
    // far more faults than are kept: the first ones are the same in every call
    let countless: Item = (0..3000)
        .map(|number| (format!("y{number:04}"), n("x")))
        .collect();
    let mut messages = Vec::new();
    for _ in 0..3 {
        let refusal = Refusal::of(gateway.save(save("User", countless.clone())).await);
        assert_eq!(reported(&refusal)[0].0, "item.y0000");
        assert!(
            refusal.message.ends_with("; and 2984 more"),
            "{}",
            refusal.message
        );
        messages.push(refusal.message);
    }
    assert!(messages.iter().all(|message| *message == messages[0]));
    gateway.save(save("Document", document("A", vec![1]))).await.ok();
}
