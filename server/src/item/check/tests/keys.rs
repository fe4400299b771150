use super::*;
use crate::model::{Discriminator, Index, Projection, Template};

fn templated(name: &str, template: &str) -> Attribute {
    Attribute {
        template: Some(Template::parse(template, "#").unwrap()),
        ..attribute(name, AttributeType::String)
    }
}

fn index(name: &str, partition: &str, sort: &str) -> Index {
    Index {
        name: name.to_owned(),
        stored_name: name.to_owned(),
        local: false,
        partition: vec![partition.to_owned()],
        sort: vec![sort.to_owned()],
        projection: Projection::All,
        when: Default::default(),
    }
}

/// Orders of users, and an index of the open ones.
fn orders() -> Model {
    let open = Index {
        when: [("status".to_owned(), vec![text("open")])].into(),
        ..index("open", "open_pk", "placed")
    };
    Model {
        attributes: vec![
            Attribute {
                stored_name: "p".to_owned(),
                ..templated("pk", "USER#{user}")
            },
            templated("sk", "ORDER#{number:05}"),
            Attribute {
                required: true,
                ..attribute("user", AttributeType::String)
            },
            attribute("number", AttributeType::Number),
            Attribute {
                default: Some(text("open")),
                ..attribute("status", AttributeType::String)
            },
            attribute("placed", AttributeType::Datetime),
            templated("open_pk", "OPEN#{user:lower}"),
            Attribute {
                hidden: true,
                ..templated("kind", "ORDER")
            },
        ],
        indexes: vec![open],
        unknown_attributes: UnknownAttributes::Reject,
        ..testing::model(Vec::new())
    }
}

fn number(text: &str) -> Value {
    Value::N(text.parse().unwrap())
}

fn save(fields: &[(&str, Value)]) -> Result<Checked, Vec<String>> {
    check_item(&orders(), map(fields), "item", MAX_DEPTH, NOW).map_err(|error| match error {
        CheckError::Invalid(faults) => faults.sorted(&["item"]).iter().map(Fault::to_string).collect(),
        other => panic!("{other:?}"),
    })
}

fn key(fields: &[(&str, Value)]) -> Result<Item, Vec<String>> {
    check_key(&orders(), map(fields), "key")
        .map(|key| key.item())
        .map_err(|faults| faults.sorted(&["key"]).iter().map(Fault::to_string).collect())
}

#[test]
fn a_save_builds_keys_from_parts() {
    let checked = save(&[("user", text("Ann")), ("number", number("42"))]).unwrap();
    let expected = map(&[
        ("pk", text("USER#Ann")),
        ("sk", text("ORDER#00042")),
        ("status", text("open")),
        ("open_pk", text("OPEN#ann")),
    ]);
    assert_eq!(checked.generated, expected);
    assert_eq!(checked.item["kind"], text("ORDER"));
    assert_eq!(
        Key::from_request(&orders(), &checked.item).unwrap().item()["p"],
        text("USER#Ann")
    );
}

#[test]
fn a_save_takes_missing_parts_from_the_keys() {
    let checked = save(&[("pk", text("USER#Ann")), ("sk", text("ORDER#00042"))]).unwrap();
    assert_eq!(
        (&checked.item["user"], &checked.item["number"]),
        (&text("Ann"), &number("42"))
    );
}

#[test]
fn keys_and_parts_that_disagree_are_refused() {
    assert_eq!(
        save(&[
            ("pk", text("USER#Bob")),
            ("user", text("Ann")),
            ("number", number("1"))
        ])
        .unwrap_err(),
        ["item.pk: must be what its template USER#{user} makes of the other attributes"]
    );
    assert_eq!(
        save(&[("pk", text("Ann")), ("sk", text("ORDER#42"))]).unwrap_err(),
        [
            "item.pk: must match its template USER#{user}",
            "item.sk: must match its template ORDER#{number:05}",
            "item.user: is required",
        ]
    );
    assert_eq!(
        save(&[("user", text("a#b")), ("number", number("1.5"))]).unwrap_err(),
        [
            "item.number: must be a whole number from 0, of at most 5 digits: it is part of a key",
            "item.user: must not contain `#`, the delimiter of a key",
        ]
    );
}

#[test]
fn a_missing_part_is_named_once() {
    assert_eq!(
        save(&[]).unwrap_err(),
        ["item.number: is required", "item.user: is required"]
    );
    let wrong = [("user", Value::Bool(true)), ("number", number("1"))];
    assert_eq!(
        save(&wrong).unwrap_err(),
        ["item.user: must be a string, got a boolean"]
    );
}

#[test]
fn read_change_save_rebuilds_the_keys_of_indexes() {
    let read = [
        ("pk", text("USER#Ann")),
        ("sk", text("ORDER#00042")),
        ("user", text("Ann")),
        ("number", number("42")),
        ("status", text("closed")),
        ("open_pk", text("OPEN#ann")),
    ];
    let checked = save(&read).unwrap();
    assert!(
        !checked.item.contains_key("open_pk"),
        "closed orders leave the index"
    );
    assert!(checked.generated.is_empty());
}

#[test]
fn constants_cannot_be_changed() {
    let order = [("user", text("Ann")), ("number", number("1"))];
    let with = |kind: Value| save(&[order[0].clone(), order[1].clone(), ("kind", kind)]);
    assert!(with(text("ORDER")).is_ok());
    assert_eq!(with(text("INVOICE")).unwrap_err(), ["item.kind: must be ORDER"]);
}

#[test]
fn index_keys_are_checked_before_dynamodb_does() {
    let model = Model {
        indexes: vec![index("by_email", "email", "age")],
        ..model()
    };
    let faults = |fields: &[(&str, Value)]| match check_item(&model, item(fields), "item", MAX_DEPTH, NOW) {
        Err(CheckError::Invalid(faults)) => faults.sorted(&["item"]).iter().map(Fault::to_string).collect(),
        Err(other) => panic!("{other:?}"),
        Ok(_) => Vec::new(),
    };
    assert_eq!(
        faults(&[("email", text("")), ("age", Value::Null)]),
        [
            "item.age: must not be null: it is a key of the index by_email",
            "item.email: must not be empty: it is a key of the index by_email",
        ]
    );
    assert_eq!(
        faults(&[("email", text(&"x".repeat(2049)))]),
        ["item.email: must have at most 2048 bytes: it is a key of the index by_email"]
    );
    assert_eq!(
        faults(&[("age", text("1"))]),
        ["item.age: must be a number, got a string"]
    );
    assert_eq!(faults(&[]), Vec::<String>::new());
}

#[test]
fn a_key_is_given_as_attributes_or_as_parts() {
    let expected = map(&[("p", text("USER#Ann")), ("sk", text("ORDER#00042"))]);
    let whole = [("pk", text("USER#Ann")), ("sk", text("ORDER#00042"))];
    let parts = [("user", text("Ann")), ("number", number("4.2E+1"))];
    assert_eq!(key(&whole), Ok(expected.clone()));
    assert_eq!(key(&parts), Ok(expected.clone()));
    assert_eq!(key(&[whole[0].clone(), parts[1].clone()]), Ok(expected.clone()));
    assert_eq!(key(&[&whole[..], &parts[..]].concat()), Ok(expected));
    assert_eq!(
        key(&[("pk", text("USER#Bob")), parts[0].clone(), parts[1].clone()]).unwrap_err(),
        ["key.pk: must be what its template USER#{user} makes of the other attributes"]
    );
    assert_eq!(key(&parts[..1]).unwrap_err(), ["key.number: is required"]);
    assert_eq!(
        key(&[("status", text("open"))]).unwrap_err(),
        [
            "key.number: is required",
            "key.status: is not a key attribute of User",
            "key.user: is required",
        ]
    );
    assert_eq!(
        key(&[("user", number("1")), parts[1].clone()]).unwrap_err(),
        ["key.user: must be a string, got a number"]
    );
}

#[test]
fn a_discriminator_is_the_models_own() {
    let model = Model {
        discriminator: Some(Discriminator {
            attribute: "type".to_owned(),
            value: "Dog".to_owned(),
        }),
        ..model()
    };
    let save = |fields: &[(&str, Value)]| check_item(&model, item(fields), "item", MAX_DEPTH, NOW);
    assert_eq!(save(&[]).unwrap().item["type"], text("Dog"));
    assert_eq!(save(&[("type", text("Dog"))]).unwrap().item["type"], text("Dog"));
    let Err(CheckError::Invalid(faults)) = save(&[("type", text("Cat"))]) else {
        panic!("not rejected")
    };
    assert_eq!(
        faults[0].to_string(),
        "item.type: must be \"Dog\" in items of User"
    );
}
