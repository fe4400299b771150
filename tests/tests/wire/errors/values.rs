//! The number of values of one request is bounded, in all of its fields together.

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{Item, expression, get, item, key, l, m, n, query, s, save, scan};

use super::goes_on;

const MAX_VALUES: usize = 50;

/// A gateway that takes so many values in one request.
async fn frugal() -> Gateway {
    let settings = vec![("TOLLGATE_LIMITS__VALUES", MAX_VALUES.to_string())];
    Gateway::with(Setup {
        settings,
        ..Setup::default()
    })
    .await
}

/// The refusal names the field and the limit, and nothing was spent.
fn is_over(refusal: &Refusal, field: &str) {
    refusal.is("INVALID_FIELD", &[field]);
    let violation = &refusal.details.bad_request().expect("a field").field_violations[0];
    let description = &violation.description;
    assert!(
        description.contains("limits.values") && description.contains("50"),
        "{description}"
    );
    refusal.cost_nothing();
}

fn empty() -> v1::AttributeValue {
    v1::AttributeValue { kind: None }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("n{number}")).collect()
}

fn saved(attribute: v1::AttributeValue) -> v1::SaveRequest {
    save("SecureUser", item([("address", attribute)]))
}

#[tokio::test]
async fn too_many_values_are_refused_before_they_are_decoded() {
    let gateway = frugal().await;
    let texts = names(MAX_VALUES);
    let set = Kind::Ss(v1::StringSet {
        values: texts.clone(),
    });
    let object = v1::Object {
        metadata: texts.iter().map(|name| (name.clone(), String::new())).collect(),
        ..v1::Object::default()
    };
    let fields = texts.iter().map(|name| (name.clone(), n(1))).collect();
    let attributes = [
        l(vec![empty(); MAX_VALUES]),
        l(vec![s("x"); MAX_VALUES]),
        m([("deep", l([m([("deep", l(vec![empty(); MAX_VALUES]))])]))]),
        v1::AttributeValue { kind: Some(set) },
        v1::AttributeValue {
            kind: Some(Kind::M(v1::MapValue { fields })),
        },
        v1::AttributeValue {
            kind: Some(Kind::Object(Box::new(object))),
        },
    ];
    for attribute in attributes {
        is_over(&Refusal::of(gateway.save(saved(attribute)).await), "item");
    }
    goes_on(&gateway).await;
}

#[tokio::test]
async fn too_many_entries_of_a_field_are_refused_before_they_are_decoded() {
    let gateway = frugal().await;
    let countless: Item = names(MAX_VALUES + 1)
        .into_iter()
        .map(|name| (name, empty()))
        .collect();
    is_over(
        &Refusal::of(gateway.save(save("User", countless.clone())).await),
        "item",
    );
    is_over(
        &Refusal::of(gateway.get(get("User", countless.clone())).await),
        "key",
    );
    let countless = names(MAX_VALUES + 1);
    let request = v1::GetRequest {
        fields: countless.clone(),
        ..get("User", key("A", "B"))
    };
    is_over(&Refusal::of(gateway.get(request).await), "fields");
    let request = v1::QueryRequest {
        include_objects: countless.clone(),
        ..query("Document", "A")
    };
    is_over(&Refusal::of(gateway.query(request).await), "include_objects");
    let values = countless
        .iter()
        .map(|name| (format!(":{name}"), empty()))
        .collect();
    let filter = v1::Expression {
        values,
        ..v1::Expression::default()
    };
    let request = v1::ScanRequest {
        filter: Some(filter),
        ..scan("User")
    };
    is_over(&Refusal::of(gateway.scan(request).await), "filter.values");
    let names = countless
        .iter()
        .map(|name| (format!("#{name}"), name.clone()))
        .collect();
    let request = v1::SaveRequest {
        condition: Some(v1::Expression {
            names,
            ..v1::Expression::default()
        }),
        ..save("User", key("A", "B"))
    };
    is_over(&Refusal::of(gateway.save(request).await), "condition.names");
    goes_on(&gateway).await;
}

#[tokio::test]
async fn accepts_the_maximum_number_of_values() {
    let gateway = frugal().await;
    // the attributes, then the members of the list
    let mut written = key("A", "B");
    written.insert(
        "address".to_owned(),
        m([("lines", l(vec![n(1); MAX_VALUES - 4]))]),
    );
    gateway.save(save("SecureUser", written.clone())).await.ok();
    assert_eq!(
        gateway.get(get("SecureUser", key("A", "B"))).await.ok().item,
        written
    );
    let request = v1::QueryRequest {
        filter: expression("attribute_exists(address)", []),
        ..query("User", "A")
    };
    // one value too many of a request that is wrong anyway: both limits hold
    Refusal::of(gateway.query(request).await).is("INVALID_EXPRESSION", &["filter.text"]);
    goes_on(&gateway).await;
}

#[tokio::test]
async fn an_object_that_is_asked_for_twice_is_read_once() {
    let gateway = Gateway::start().await;
    let written = tollgate_tests::values::document("A", vec![7; 1000]);
    gateway.save(save("Document", written)).await.ok();
    let request = v1::GetRequest {
        include_objects: vec!["content".to_owned(); 500],
        ..get("Document", key("A", "V1"))
    };
    let found = gateway.get(request).await;
    assert_eq!(found.bill.count("tollgate-s3-bytes-downloaded"), 1000);
    found.ok();
}
