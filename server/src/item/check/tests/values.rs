use super::*;
use crate::model::{Compat, Generate, SetEncoding};

fn aliased(name: &str, alias: &str, kind: AttributeType) -> Attribute {
    Attribute {
        stored_name: alias.to_owned(),
        ..attribute(name, kind)
    }
}

fn number(text: &str) -> Value {
    Value::N(text.parse().unwrap())
}

/// A model with these attributes beside its keys.
fn with(attributes: Vec<Attribute>) -> Model {
    Model {
        unknown_attributes: UnknownAttributes::Reject,
        ..testing::model(attributes)
    }
}

fn save(model: &Model, fields: &[(&str, Value)]) -> Result<Checked, Vec<String>> {
    let keys = [("pk", text("U#1")), ("sk", text("PROFILE"))];
    let item = map(&[&keys[..], fields].concat());
    check_item(model, item, "item", MAX_DEPTH, NOW).map_err(|error| match error {
        CheckError::Invalid(faults) => faults.sorted(&["item"]).iter().map(Fault::to_string).collect(),
        other => panic!("{other:?}"),
    })
}

/// An address with a required city, and lines of an order.
fn nested_model() -> Model {
    let city = Attribute {
        required: true,
        ..aliased("city", "c", AttributeType::String)
    };
    let country = Attribute {
        default: Some(text("PE")),
        ..attribute("country", AttributeType::String)
    };
    let quantity = Attribute {
        required: true,
        checks: Checks {
            min: Some("1".parse().unwrap()),
            ..Checks::default()
        },
        ..attribute("quantity", AttributeType::Number)
    };
    let line = Attribute {
        attributes: vec![quantity, attribute("when", AttributeType::Datetime)],
        nested_unknown: Some(UnknownAttributes::Keep),
        ..attribute("", AttributeType::Map)
    };
    with(vec![
        Attribute {
            attributes: vec![city, country],
            ..attribute("address", AttributeType::Map)
        },
        Attribute {
            items: Some(Box::new(line)),
            ..attribute("lines", AttributeType::List)
        },
    ])
}

fn m(fields: &[(&str, Value)]) -> Value {
    Value::M(map(fields))
}

#[test]
fn nested_faults_have_their_paths() {
    let lines = Value::L(vec![
        m(&[("quantity", number("1"))]),
        Value::Null,
        m(&[
            ("quantity", number("0")),
            ("when", text("soon")),
            ("free", text("x")),
        ]),
        m(&[]),
        text("x"),
    ]);
    let address = m(&[
        ("city", Value::Null),
        ("street", text("x")),
        ("country", number("1")),
    ]);
    assert_eq!(
        save(&nested_model(), &[("lines", lines), ("address", address)]).unwrap_err(),
        [
            "item.address.city: is required",
            "item.address.country: must be a string, got a number",
            "item.address.street: is not a declared field of the map",
            "item.lines[2].quantity: must be at least 1",
            "item.lines[2].when: must be RFC 3339 with an offset, such as 2026-01-31T12:00:00Z",
            "item.lines[3].quantity: is required",
            "item.lines[4]: must be a map, got a string",
        ]
    );
}

#[test]
fn defaults_apply_inside_maps_that_are_present() {
    let model = nested_model();
    let checked = save(&model, &[("address", m(&[("city", text("Lima"))]))]).unwrap();
    assert_eq!(
        checked.item["address"],
        m(&[("c", text("Lima")), ("country", text("PE"))])
    );
    assert!(!save(&model, &[]).unwrap().item.contains_key("address"));
}

#[test]
fn the_stored_name_of_a_field_is_not_a_field() {
    let mut model = nested_model();
    model.attributes[2].nested_unknown = Some(UnknownAttributes::Keep);
    let address = m(&[("city", text("Lima")), ("c", text("x"))]);
    assert_eq!(
        save(&model, &[("address", address)]).unwrap_err(),
        ["item.address.c: is the stored name of `city`: use that name"]
    );
    let mut model = with(vec![aliased("email", "e", AttributeType::String)]);
    model.unknown_attributes = UnknownAttributes::Keep;
    assert_eq!(
        save(&model, &[("e", text("x"))]).unwrap_err(),
        ["item.e: is the stored name of `email`: use that name"]
    );
}

#[test]
fn values_are_converted_by_their_type() {
    let list = |name, kind| Attribute {
        set_encoding: SetEncoding::List,
        ..attribute(name, kind)
    };
    let json = Attribute {
        compat: Compat::Pydynox,
        ..attribute("json", AttributeType::Json)
    };
    let model = with(vec![
        attribute("when", AttributeType::Datetime),
        attribute("expires", AttributeType::Ttl),
        list("sizes", AttributeType::NumberSet),
        json,
    ]);
    let given = [
        ("when", text("2026-01-31T12:00:00-05:00")),
        ("expires", text("+1h")),
        ("sizes", Value::NS(BTreeSet::from(["1E0".parse().unwrap()]))),
        ("json", text("{\"a\":[1,2]}")),
    ];
    let item = save(&model, &given).unwrap().item;
    assert_eq!(item["when"], text("2026-01-31T17:00:00+00:00"));
    assert_eq!(item["expires"], number("3600"));
    assert_eq!(item["sizes"], Value::L(vec![text("1")]));
    assert_eq!(item["json"], text("{\"a\": [1, 2]}"));
    assert_eq!(
        save(
            &model,
            &[
                ("when", number("1")),
                ("expires", number("1e12")),
                ("sizes", Value::NS(BTreeSet::new())),
                ("json", text("{")),
            ]
        )
        .unwrap_err(),
        [
            "item.expires: must be seconds since 1970, at most 100000000000: milliseconds are not accepted",
            "item.json: must be JSON text, nested at most 127 levels deep",
            "item.sizes: must have at least one member",
            "item.when: must be a datetime such as 2026-01-31T12:00:00Z, got a number",
        ]
    );
}

#[test]
fn null_and_absent_differ() {
    let kinds = [
        (AttributeType::String, true),
        (AttributeType::Map, true),
        (AttributeType::Datetime, true),
        (AttributeType::Ttl, false),
        (AttributeType::StringSet, false),
        (AttributeType::Object, false),
    ];
    for (kind, is_stored) in kinds {
        let model = with(vec![attribute("a", kind)]);
        let item = save(&model, &[("a", Value::Null)]).unwrap().item;
        assert_eq!(item.get("a"), is_stored.then_some(&Value::Null), "{kind:?}");
        assert!(!save(&model, &[]).unwrap().item.contains_key("a"));
    }
    let default = with(vec![Attribute {
        default: Some(text("+1h")),
        ..attribute("a", AttributeType::Ttl)
    }]);
    assert!(
        !save(&default, &[("a", Value::Null)])
            .unwrap()
            .item
            .contains_key("a")
    );
    assert_eq!(save(&default, &[]).unwrap().generated["a"], number("3600"));
}

#[test]
fn generated_values_give_way_to_given_ones_except_on_every_write() {
    let generated = |name, kind, generate| Attribute {
        generate: Some(generate),
        ..attribute(name, kind)
    };
    let model = with(vec![
        generated("id", AttributeType::String, Generate::Ulid),
        generated("created", AttributeType::Datetime, Generate::UtcNow),
        generated("changed", AttributeType::Datetime, Generate::UtcNowOnWrite),
        Attribute {
            hidden: true,
            ..generated("epoch", AttributeType::Number, Generate::Epoch)
        },
    ]);
    let epoch = text("1970-01-01T00:00:00+00:00");
    let checked = save(&model, &[("id", Value::Null), ("changed", text("soon"))]).unwrap();
    assert_eq!(checked.generated.len(), 3, "hidden attributes are left out");
    assert_eq!(
        (&checked.item["created"], &checked.item["changed"]),
        (&epoch, &epoch)
    );
    assert_eq!(checked.item["epoch"], number("0"));
    let given = [("id", text("mine")), ("created", text("2026-01-31T12:00:00Z"))];
    let checked = save(&model, &given).unwrap();
    assert_eq!(checked.item["id"], text("mine"));
    assert_eq!(checked.item["created"], text("2026-01-31T12:00:00+00:00"));
    assert!(!checked.generated.contains_key("id"));
}

#[test]
fn a_version_is_expected_and_counted() {
    let model = with(vec![attribute("rev", AttributeType::Version)]);
    let created = save(&model, &[]).unwrap();
    assert_eq!(
        (created.version, &created.generated["rev"]),
        (VersionExpectation::Create, &number("1"))
    );
    let replaced = save(&model, &[("rev", number("7"))]).unwrap();
    assert_eq!(
        (replaced.version, &replaced.item["rev"]),
        (VersionExpectation::Exactly(7), &number("8"))
    );
    for version in [number("0"), number("1.5"), number("1e18"), text("1")] {
        assert_eq!(
            save(&model, &[("rev", version)]).unwrap_err(),
            [
                "item.rev: must be the version that was read, a whole number from 1; leave it out to create the item"
            ]
        );
    }
    assert_eq!(
        save(&with(vec![]), &[]).unwrap().version,
        VersionExpectation::None
    );
}

#[test]
fn the_size_is_that_of_the_stored_names() {
    let model = with(vec![aliased("name", "n", AttributeType::String)]);
    let bytes = "pkU#1skPROFILEn".len();
    assert!(save(&model, &[("name", text(&"x".repeat(MAX_ITEM_BYTES - bytes)))]).is_ok());
    let large = item(&[("name", text(&"x".repeat(MAX_ITEM_BYTES)))]);
    assert!(matches!(
        check_item(
            &with(vec![
                aliased("name", "n", AttributeType::String),
                attribute("email", AttributeType::String)
            ]),
            large,
            "item",
            MAX_DEPTH,
            NOW
        ),
        Err(CheckError::Invalid(_) | CheckError::TooLarge { .. })
    ));
}
