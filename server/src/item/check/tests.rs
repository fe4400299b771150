mod headers;
mod keys;
mod values;

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::*;
use crate::fault::Fault;
use crate::model::limits::MAX_DEPTH;
use crate::model::testing::{self, attribute, encryption};
use crate::model::{AttributeType, Checks, Encryption, EncryptionMode, Object, UnknownAttributes};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn encrypted(mode: EncryptionMode) -> Option<Encryption> {
    Some(Encryption {
        mode,
        ..encryption("alias/key")
    })
}

fn model() -> Model {
    let required = Attribute {
        required: true,
        ..attribute("email", AttributeType::String)
    };
    let age_checks = Checks {
        min: Some("0".parse().unwrap()),
        ..Checks::default()
    };
    let status_checks = Checks {
        one_of: vec![text("active"), text("closed")],
        ..Checks::default()
    };
    Model {
        attributes: vec![
            attribute("pk", AttributeType::String),
            Attribute {
                default: Some(text("PROFILE")),
                ..attribute("sk", AttributeType::String)
            },
            required,
            Attribute {
                checks: age_checks,
                ..attribute("age", AttributeType::Number)
            },
            Attribute {
                checks: status_checks,
                default: Some(text("active")),
                ..attribute("status", AttributeType::String)
            },
            attribute("address", AttributeType::Map),
            attribute("tags", AttributeType::List),
            attribute("raw", AttributeType::Binary),
            attribute("good", AttributeType::Boolean),
            Attribute {
                encrypted: encrypted(EncryptionMode::ReadOnly),
                ..attribute("legacy", AttributeType::String)
            },
            Attribute {
                encrypted: encrypted(EncryptionMode::WriteOnly),
                ..attribute("ssn", AttributeType::String)
            },
            testing::object("content", ""),
        ],
        unknown_attributes: UnknownAttributes::Reject,
        ..testing::model(Vec::new())
    }
}

fn text(text: &str) -> Value {
    Value::S(text.to_owned())
}

fn map(fields: &[(&str, Value)]) -> HashMap<String, Value> {
    fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

/// A valid item, extended by `fields`.
fn item(fields: &[(&str, Value)]) -> Item {
    let mut item = map(&[("pk", text("U#1")), ("email", text("a@b.example"))]);
    item.extend(map(fields));
    item
}

fn checked(fields: &[(&str, Value)]) -> Result<Checked, CheckError> {
    check_item(&model(), item(fields), "item", MAX_DEPTH, NOW)
}

fn faults(fields: &[(&str, Value)]) -> Vec<String> {
    match checked(fields) {
        Err(CheckError::Invalid(faults)) => faults.sorted(&["item"]).iter().map(Fault::to_string).collect(),
        other => panic!("expected faults, got {other:?}"),
    }
}

fn object(change: impl FnOnce(&mut Object)) -> Value {
    let mut object = Object {
        data: Some(Bytes::from_static(b"data")),
        ..Object::default()
    };
    change(&mut object);
    Value::Object(Box::new(object))
}

/// A scalar nested in lists, with this many levels in total.
fn nested(levels: usize) -> Value {
    (1..levels).fold(Value::Bool(true), |inner, _| Value::L(vec![inner]))
}

#[test]
fn accepts_a_valid_item_and_adds_defaults() {
    let given = [
        ("age", Value::N("1".parse().unwrap())),
        ("address", Value::M(map(&[("lines", Value::L(vec![text("")]))]))),
        ("raw", Value::B(Bytes::new())),
        ("good", Value::Null),
        ("ssn", text("1")),
        ("content", object(|_| {})),
    ];
    let checked = checked(&given).unwrap();
    assert_eq!(
        checked.generated,
        map(&[("sk", text("PROFILE")), ("status", text("active"))])
    );
    let mut expected = item(&given);
    expected.extend(checked.generated.clone());
    assert!(checked.item == expected);
}

#[test]
fn does_not_replace_given_values_by_defaults() {
    let checked = checked(&[("sk", text("OTHER")), ("status", Value::Null)]).unwrap();
    assert!(checked.generated.is_empty());
    assert_eq!(
        (&checked.item["sk"], &checked.item["status"]),
        (&text("OTHER"), &Value::Null)
    );
}

#[test]
fn reports_all_faults_with_their_paths() {
    let bad = map(&[
        ("sk", Value::Bool(true)),
        ("email", Value::Null),
        ("age", Value::N("-1".parse().unwrap())),
        ("status", text("gone")),
        (
            "address",
            Value::M(map(&[(
                "lines",
                Value::L(vec![Value::Null, Value::SS(BTreeSet::new())]),
            )])),
        ),
        ("raw", text("x")),
        ("a.b", Value::Null),
    ]);
    let Err(CheckError::Invalid(faults)) = check_item(&model(), bad, "item", MAX_DEPTH, NOW) else {
        panic!("not rejected")
    };
    let reported: Vec<String> = faults.sorted(&["item"]).iter().map(Fault::to_string).collect();
    assert_eq!(
        reported,
        [
            r#"item."a.b": is not an attribute of User"#,
            "item.address.lines[1]: must have at least one member",
            "item.age: must be at least 0",
            "item.email: is required",
            "item.pk: is required",
            "item.raw: must be binary, got a string",
            "item.sk: must be a string, got a boolean",
            "item.status: must be one of active, closed",
        ]
    );
}

#[test]
fn limits_the_size_of_keys() {
    assert!(checked(&[("pk", text(&"x".repeat(2048))), ("sk", text(&"x".repeat(1024)))]).is_ok());
    assert_eq!(
        faults(&[("pk", text(&"x".repeat(2049))), ("sk", text(&"ñ".repeat(513)))]),
        [
            "item.pk: must have at most 2048 bytes: it is a key",
            "item.sk: must have at most 1024 bytes: it is a key"
        ]
    );
    assert_eq!(
        faults(&[("pk", text(""))]),
        ["item.pk: must not be empty: it is a key"]
    );
    assert_eq!(faults(&[("pk", Value::Null)]), ["item.pk: is required"]);
}

#[test]
fn counts_depth_like_dynamodb() {
    let address = |levels: usize| Value::M(map(&[("deep", nested(levels - 1))]));
    assert!(checked(&[("address", address(32))]).is_ok());
    let reported = faults(&[("address", address(33))]);
    assert_eq!(
        reported,
        [format!(
            "item.address.deep{}: must not be nested deeper than 32 levels",
            "[0]".repeat(31)
        )]
    );
    let Err(CheckError::Invalid(reported)) =
        check_item(&model(), item(&[("tags", nested(4))]), "item", 3, NOW)
    else {
        panic!("not rejected")
    };
    assert_eq!(reported[0].field, "item.tags[0][0][0]");
    assert_eq!(faults(&[("tags", nested(1000))]).len(), 1);
}

#[test]
fn rejects_keeps_or_drops_unknown_attributes() {
    let unknown = item(&[("color", text("red")), ("deep", nested(2))]);
    let with = |unknown_attributes| Model {
        unknown_attributes,
        ..model()
    };
    let check = |mode, item: &Item| check_item(&with(mode), item.clone(), "item", MAX_DEPTH, NOW);
    assert!(
        matches!(check(UnknownAttributes::Reject, &unknown), Err(CheckError::Invalid(faults)) if faults.len() == 2)
    );
    assert_eq!(
        check(UnknownAttributes::Keep, &unknown).unwrap().item["color"],
        text("red")
    );
    assert!(
        !check(UnknownAttributes::Drop, &unknown)
            .unwrap()
            .item
            .contains_key("color")
    );

    let wrong = item(&[
        ("", text("x")),
        ("map", Value::M(map(&[("", text("x"))]))),
        ("file", object(|_| {})),
    ]);
    let Err(CheckError::Invalid(faults)) = check(UnknownAttributes::Keep, &wrong) else {
        panic!("not rejected")
    };
    let faults = faults.sorted(&["item"]);
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(fields, [r#"item."""#, "item.file", r#"item.map."""#]);
    assert!(check(UnknownAttributes::Drop, &wrong).is_ok());
}

#[test]
fn rejects_setting_read_only_attributes() {
    for value in [text("x"), Value::Null, Value::Bool(true)] {
        let Err(CheckError::Mode(reported)) = checked(&[("legacy", value)]) else {
            panic!("not rejected")
        };
        assert_eq!(
            reported[..],
            [Fault::new(
                "item.legacy",
                "is read_only: this server may not set it"
            )]
        );
    }
    let reported = faults(&[("legacy", text("x")), ("age", text("x"))]);
    assert_eq!(
        reported,
        [
            "item.age: must be a number, got a string",
            "item.legacy: is read_only: this server may not set it"
        ]
    );
}

#[test]
fn rejects_server_set_fields_of_objects() {
    let reported = faults(&[("content", object(|object| object.bucket = "theirs".to_owned()))]);
    assert_eq!(
        reported,
        ["item.content.bucket: is set by the server; send data instead"]
    );
    let pointer = object(|object| {
        object.data = None;
        object.key = "k".to_owned();
        object.size_bytes = 1;
        object.etag = "e".to_owned();
        object.version_id = "v".to_owned();
        object.sha256 = "s".to_owned();
    });
    let fields: Vec<_> = faults(&[("content", pointer)])
        .iter()
        .map(|fault| fault.split(':').next().unwrap().to_owned())
        .collect();
    let expected =
        ["data", "etag", "key", "sha256", "size", "version_id"].map(|field| format!("item.content.{field}"));
    assert_eq!(fields, expected);
    let both = object(|object| {
        object.etag = "e".to_owned();
        object.size_bytes = 4;
    });
    let reported = faults(&[("content", both)]);
    let expected = ["etag", "size"]
        .map(|field| format!("item.content.{field}: is set by the server; send data instead"));
    assert_eq!(reported, expected);
    let as_map = Value::M(map(&[("bucket", text("theirs")), ("key", text("k"))]));
    assert_eq!(
        faults(&[("content", as_map)]),
        ["item.content: must be an object, got a map"]
    );
}

#[test]
fn accepts_the_announced_size_and_hash_of_a_content() {
    let hash = "0f".repeat(32);
    let announced = object(|object| {
        object.size_bytes = 4;
        object.sha256.clone_from(&hash);
    });
    assert!(checked(&[("content", announced)]).is_ok());
    for invalid in ["0f", &hash.to_uppercase(), &format!("{hash}0"), &"g".repeat(64)] {
        let reported = faults(&[("content", object(|object| object.sha256 = invalid.to_owned()))]);
        assert_eq!(
            reported,
            ["item.content.sha256: must be 64 hexadecimal digits in lower case"]
        );
    }
}

#[test]
fn rejects_objects_outside_object_attributes() {
    let inside = Value::L(vec![object(|_| {})]);
    let expected = "must not be an object: the model has no object attribute here";
    assert_eq!(faults(&[("tags", inside)]), [format!("item.tags[0]: {expected}")]);
    assert_eq!(
        faults(&[("email", object(|_| {}))]),
        ["item.email: must be a string, got an object"]
    );
}

#[test]
fn rejects_an_item_that_is_too_large_before_encryption() {
    let large = checked(&[("email", text(&"x".repeat(MAX_ITEM_BYTES)))]);
    assert!(matches!(large, Err(CheckError::TooLarge { bytes }) if bytes > MAX_ITEM_BYTES));
}

#[test]
fn limits_faults_and_never_shows_values() {
    let many: Item = (0..1000)
        .map(|count| (format!("{count}{}", "n".repeat(1000)), text("secret")))
        .collect();
    let Err(CheckError::Invalid(reported)) = check_item(&model(), many, "item", MAX_DEPTH, NOW) else {
        panic!("not rejected")
    };
    assert_eq!(reported.len(), Faults::MAX);
    assert!(reported.iter().all(|fault| fault.field.len() <= 520));
    let secret = [
        ("age", text("secret")),
        ("status", text("secret")),
        ("good", text("secret")),
    ];
    assert!(faults(&secret).iter().all(|fault| !fault.contains("secret")));
}

#[test]
fn accepts_exactly_the_key_attributes_as_a_key() {
    let key = check_key(
        &model(),
        map(&[("pk", text("U#1")), ("sk", text("PROFILE"))]),
        "key",
    )
    .unwrap();
    assert_eq!(
        (key.partition(), key.sort()),
        (&text("U#1"), Some(&text("PROFILE")))
    );
    assert_eq!(key.item().len(), 2);

    let reported = |key: &[(&str, Value)]| -> Vec<String> {
        check_key(&model(), map(key), "key")
            .unwrap_err()
            .sorted(&["key"])
            .iter()
            .map(Fault::to_string)
            .collect()
    };
    // the sort key has a default
    assert_eq!(reported(&[]), ["key.pk: is required"]);
    assert_eq!(
        reported(&[("pk", text("")), ("sk", Value::Bool(true)), ("age", Value::Null)]),
        [
            "key.age: is not a key attribute of User",
            "key.pk: must not be empty: it is a key",
            "key.sk: must be a string, got a boolean",
        ]
    );
    assert_eq!(
        reported(&[("pk", Value::Null), ("sk", text("x"))]),
        ["key.pk: is required"]
    );
}
