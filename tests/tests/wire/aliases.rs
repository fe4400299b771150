//! Stored names are not names of a request: an expression that used one would bypass the options of the attribute. No
//! write or read may use them, even if the model keeps attributes that it does not declare.

use tollgate_proto::v1;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{Item, expression, get, item, key, m, query, s, save, scan, update};

const MODEL: &str = "
name: Patient
table: patients
partition_key: pk
sort_key: sk
unknown_attributes: keep
attributes:
  pk: { type: string }
  sk: { type: string }
  ssn: { type: string, alias: x, encrypted: { key_id: alias/my-app-key } }
  address: { type: map, alias: a, attributes: { city: { type: string, alias: c, max_length: 5 } } }
  strict: { type: map, unknown_attributes: reject, attributes: { city: { type: string } } }
";

async fn patients() -> Gateway {
    Gateway::of_models(MODEL, Setup::default()).await
}

fn patient() -> Item {
    let mut patient = key("A", "1");
    patient.extend(item([("ssn", s("123")), ("address", m([("city", s("Lima"))]))]));
    patient
}

/// The fields of the refusal; the store was not called.
fn assert_refused(refusal: &Refusal, field: &str, description: &str) {
    let violations = &refusal.details.bad_request().expect("fields").field_violations;
    let found = violations.iter().find(|violation| violation.field == field);
    let found = found.unwrap_or_else(|| panic!("{violations:?}"));
    assert!(found.description.contains(description), "{}", found.description);
}

#[tokio::test]
async fn updates_refuse_stored_names() {
    let gateway = patients().await;
    gateway.save(save("Patient", patient())).await.ok();
    let cases = [
        ("SET x = :v", "\"x\" is the stored name of `ssn`"),
        ("REMOVE x SET note = :v", "\"x\" is the stored name of `ssn`"),
        (
            "SET note = if_not_exists(x, :v)",
            "\"x\" is the stored name of `ssn`",
        ),
        ("SET address.c = :v", "\"c\" is the stored name of `city`"),
        (
            "SET strict.town = :v",
            "\"town\" is not a declared field of the map",
        ),
    ];
    for (text, description) in cases {
        let request = update("Patient", key("A", "1"), text, [(":v", s("in plaintext"))]);
        assert_refused(
            &Refusal::of(gateway.update(request).await),
            "update.text",
            description,
        );
    }
    let read = gateway.get(get("Patient", key("A", "1"))).await.ok().item;
    assert_eq!(read, patient());
}

#[tokio::test]
async fn conditions_filters_and_fields_refuse_stored_names() {
    let gateway = patients().await;
    gateway.save(save("Patient", patient())).await.ok();
    let values = || [(":v", s("123"))];
    let named = |mut expression: v1::Expression| {
        expression.names.insert("#x".to_owned(), "x".to_owned());
        Some(expression)
    };
    let filtered = v1::ScanRequest {
        filter: expression("begins_with(x, :v)", values()),
        ..scan("Patient")
    };
    assert_refused(
        &Refusal::of(gateway.scan(filtered).await),
        "filter.text",
        "use that name",
    );
    let placeholder = v1::QueryRequest {
        filter: named(expression("#x = :v", values()).expect("an expression")),
        ..query("Patient", "A")
    };
    assert_refused(
        &Refusal::of(gateway.query(placeholder).await),
        "filter.names.#x",
        "use that name",
    );
    let conditional = v1::SaveRequest {
        condition: expression("address.c = :v", values()),
        ..save("Patient", patient())
    };
    assert_refused(
        &Refusal::of(gateway.save(conditional).await),
        "condition.text",
        "use that name",
    );
    for field in ["x", "address.c"] {
        let fields = v1::GetRequest {
            fields: vec![field.to_owned()],
            ..get("Patient", key("A", "1"))
        };
        assert_refused(
            &Refusal::of(gateway.get(fields).await),
            "fields[0]",
            "use that name",
        );
    }
}
