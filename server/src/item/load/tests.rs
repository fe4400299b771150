mod keys;

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::*;
use crate::call::Call;
use crate::crypto::Keyring;
use crate::crypto::testing::keyring;
use crate::item::store::seal;
use crate::model::EncryptionFormat;
use crate::model::testing::{attribute, encrypted, model};

fn text(text: &str) -> Value {
    Value::S(text.to_owned())
}

fn number(text: &str) -> Value {
    Value::N(text.parse().unwrap())
}

fn map(fields: &[(&str, Value)]) -> HashMap<String, Value> {
    fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn item(partition: &str, fields: &[(&str, Value)]) -> Item {
    let mut item = map(&[("pk", text(partition)), ("sk", text("PROFILE"))]);
    item.extend(map(fields));
    item
}

fn secure_user() -> Model {
    model(vec![
        encrypted("ssn", AttributeType::String),
        encrypted("phone", AttributeType::String),
        encrypted("address", AttributeType::Map),
    ])
}

fn whole_user(partition: &str) -> Item {
    let address = Value::M(map(&[
        ("city", text("Lisbon")),
        ("lines", Value::L(vec![number("1"), Value::Null])),
    ]));
    item(
        partition,
        &[
            ("ssn", text("123-45-6789")),
            ("phone", text("555")),
            ("address", address),
        ],
    )
}

fn of_format(mut model: Model, format: EncryptionFormat) -> Model {
    for encryption in model
        .attributes
        .iter_mut()
        .filter_map(|attribute| attribute.encrypted.as_mut())
    {
        encryption.format = format;
    }
    model
}

fn with(mut model: Model, name: &str, change: impl FnOnce(&mut Encryption)) -> Model {
    let attribute = model
        .attributes
        .iter_mut()
        .find(|attribute| attribute.name == name)
        .unwrap();
    change(attribute.encrypted.as_mut().unwrap());
    model
}

async fn sealed(keyring: &Keyring, model: &Model, plain: Item) -> Item {
    seal(model, plain, &keyring.for_call(&Call::for_test()))
        .await
        .unwrap()
}

/// Opens in a call of its own; answers the KMS calls that it took.
async fn opened(keyring: &Keyring, model: &Model, stored: Item) -> (Result<Opened, LoadError>, u64) {
    let call = Call::for_test();
    let opened = open(model, stored, &keyring.for_call(&call), None).await;
    (opened, call.bill().kms_calls)
}

async fn problem(keyring: &Keyring, model: &Model, stored: Item) -> (String, CiphertextProblem) {
    match opened(keyring, model, stored).await.0 {
        Err(LoadError::Ciphertext { attribute, problem }) => (attribute, problem),
        other => panic!("expected a bad ciphertext, got {other:?}"),
    }
}

fn forged(attribute: &str) -> (String, CiphertextProblem) {
    (
        attribute.to_owned(),
        CiphertextProblem::Envelope(OpenError::Forged),
    )
}

#[tokio::test]
async fn an_item_comes_back_for_one_kms_call_however_many_fields() {
    let keyring = keyring().await;
    let plain = whole_user("U#1");
    let stored = sealed(&keyring, &secure_user(), plain.clone()).await;
    let (opened, kms_calls) = opened(&keyring, &secure_user(), stored).await;
    let opened = opened.unwrap();
    assert!(opened.item == plain);
    assert_eq!((opened.withheld.len(), kms_calls), (0, 1));
}

#[tokio::test]
async fn every_type_comes_back() {
    let values = [
        ("s", AttributeType::String, text("")),
        ("n", AttributeType::Number, number("-1.5")),
        (
            "b",
            AttributeType::Binary,
            Value::B(Bytes::from_static(&[0, 2, 255])),
        ),
        ("f", AttributeType::Boolean, Value::Bool(true)),
        (
            "l",
            AttributeType::List,
            Value::L(vec![Value::SS(BTreeSet::from(["x".to_owned()]))]),
        ),
        ("m", AttributeType::Map, Value::M(HashMap::new())),
    ];
    let keyring = keyring().await;
    let model = model(
        values
            .iter()
            .map(|(name, kind, _)| encrypted(name, *kind))
            .collect(),
    );
    let plain = item("U#1", &values.clone().map(|(name, _, value)| (name, value)));
    let stored = sealed(&keyring, &model, plain.clone()).await;
    assert!(opened(&keyring, &model, stored).await.0.unwrap().item == plain);
}

fn strings() -> Model {
    model(vec![
        encrypted("ssn", AttributeType::String),
        encrypted("phone", AttributeType::String),
    ])
}

#[tokio::test]
async fn fields_that_pydynox_wrote_have_a_data_key_each() {
    let model = of_format(
        model(vec![
            encrypted("a", AttributeType::String),
            encrypted("b", AttributeType::String),
        ]),
        EncryptionFormat::Pydynox,
    );
    let keyring = keyring().await;
    let mut stored = sealed(
        &keyring,
        &model,
        item("U#1", &[("a", text("1")), ("b", text("2"))]),
    )
    .await;
    let another = sealed(&keyring, &model, item("U#1", &[("b", text("3"))])).await;
    stored.insert("b".to_owned(), another["b"].clone());
    let (opened, kms_calls) = opened(&keyring, &model, stored).await;
    assert_eq!(opened.unwrap().item["b"], text("3"));
    assert_eq!(kms_calls, 2);
}

#[tokio::test]
async fn a_ciphertext_opens_nowhere_but_at_home() {
    let keyring = keyring().await;
    let model = secure_user();
    let stored = sealed(&keyring, &model, whole_user("U#1")).await;
    let other = sealed(&keyring, &model, whole_user("U#2")).await;

    let mut moved = other.clone();
    moved.insert("ssn".to_owned(), stored["ssn"].clone());
    assert_eq!(problem(&keyring, &model, moved).await, forged("ssn"));

    let mut renamed = stored.clone();
    renamed.insert("phone".to_owned(), stored["ssn"].clone());
    assert_eq!(problem(&keyring, &model, renamed).await, forged("phone"));

    let mut sorted = stored.clone();
    sorted.insert("sk".to_owned(), text("OTHER"));
    assert_eq!(problem(&keyring, &model, sorted).await, forged("ssn"));

    // the table is in the context, so that KMS itself refuses
    let elsewhere = Model {
        table: "others".to_owned(),
        ..secure_user()
    };
    let refused = problem(&keyring, &elsewhere, stored).await;
    assert_eq!(refused, ("ssn".to_owned(), CiphertextProblem::DataKey));
}

#[tokio::test]
async fn no_flipped_or_missing_byte_opens() {
    let keyring = keyring().await;
    let model = model(vec![encrypted("ssn", AttributeType::String)]);
    for format in [EncryptionFormat::Sealed, EncryptionFormat::Pydynox] {
        let model = of_format(model.clone(), format);
        let stored = sealed(&keyring, &model, item("U#1", &[("ssn", text("123"))])).await;
        let (Value::B(whole), is_text) = (match &stored["ssn"] {
            Value::S(text) => (Value::B(Bytes::from(text.clone())), true),
            other => (other.clone(), false),
        }) else {
            panic!("a ciphertext is B or S")
        };
        let as_stored = |bytes: Vec<u8>| match is_text {
            true => Value::S(String::from_utf8(bytes).unwrap()),
            false => Value::B(bytes.into()),
        };
        for at in 0..whole.len() {
            let mut flipped = whole.to_vec();
            flipped[at] ^= 1;
            for bad in [as_stored(flipped), as_stored(whole[..at].to_vec())] {
                let bad = item("U#1", &[("ssn", bad)]);
                assert_eq!(problem(&keyring, &model, bad).await.0, "ssn", "byte {at}");
            }
        }
    }
}

#[tokio::test]
async fn plaintext_in_a_ciphertexts_place_is_refused_unless_allowed() {
    let keyring = keyring().await;
    let stored = item("U#1", &[("ssn", text("123"))]);
    let refused = problem(&keyring, &secure_user(), stored.clone()).await;
    assert_eq!(
        refused,
        (
            "ssn".to_owned(),
            CiphertextProblem::Envelope(OpenError::NotSealed)
        )
    );

    let adopting = with(secure_user(), "ssn", |encryption| {
        encryption.allow_plaintext = true;
    });
    let (as_it_is, kms_calls) = opened(&keyring, &adopting, stored.clone()).await;
    assert!(as_it_is.unwrap().item == stored);
    assert_eq!(kms_calls, 0);

    for bad in [
        text("ENC:garbage"),
        Value::B(Bytes::from_static(&[2, 1, 0])),
        Value::B(Bytes::from_static(b"\x09x")),
    ] {
        let bad = item("U#1", &[("ssn", bad)]);
        assert_eq!(
            opened(&keyring, &adopting, bad.clone()).await.1,
            0,
            "nothing is spent on what cannot open"
        );
        assert_eq!(problem(&keyring, &adopting, bad).await.0, "ssn");
    }
}

#[tokio::test]
async fn bytes_in_clear_may_begin_with_another_format_id_where_allowed() {
    let keyring = keyring().await;
    let model = with(
        model(vec![encrypted("raw", AttributeType::Binary)]),
        "raw",
        |encryption| encryption.allow_plaintext = true,
    );
    for plain in [&b""[..], b"\x09x"] {
        let stored = item("U#1", &[("raw", Value::B(Bytes::from_static(plain)))]);
        assert!(opened(&keyring, &model, stored.clone()).await.0.unwrap().item == stored);
    }
}

#[tokio::test]
async fn a_value_of_another_type_is_refused() {
    let keyring = keyring().await;
    let as_number = model(vec![encrypted("ssn", AttributeType::Number)]);
    let stored = sealed(&keyring, &as_number, item("U#1", &[("ssn", number("1"))])).await;
    let refused = problem(&keyring, &secure_user(), stored).await;
    assert_eq!(refused, ("ssn".to_owned(), CiphertextProblem::Type));
}

#[tokio::test]
async fn write_only_attributes_are_withheld_for_nothing() {
    let keyring = keyring().await;
    let write_only = |model, name| {
        with(model, name, |encryption| {
            encryption.mode = EncryptionMode::WriteOnly;
        })
    };
    let model = write_only(write_only(secure_user(), "address"), "ssn");
    let stored = sealed(&keyring, &model, whole_user("U#1")).await;
    let (some, kms_calls) = opened(&keyring, &model, stored.clone()).await;
    let some = some.unwrap();
    assert_eq!(
        (some.withheld, kms_calls),
        (vec!["ssn".to_owned(), "address".to_owned()], 1)
    );
    assert_eq!(some.item["phone"], text("555"));
    assert_eq!(some.item.len(), 3);

    let all = write_only(model, "phone");
    let mut damaged = stored;
    damaged.insert("ssn".to_owned(), text("whatever"));
    damaged.insert("phone".to_owned(), Value::Null);
    let (none, kms_calls) = opened(&keyring, &all, damaged).await;
    assert_eq!(
        (none.unwrap().withheld, kms_calls),
        (vec!["ssn".to_owned(), "address".to_owned()], 0)
    );
}

#[tokio::test]
async fn read_only_attributes_are_opened() {
    let keyring = keyring().await;
    let stored = sealed(&keyring, &secure_user(), whole_user("U#1")).await;
    let model = with(secure_user(), "ssn", |encryption| {
        encryption.mode = EncryptionMode::ReadOnly;
    });
    assert!(opened(&keyring, &model, stored).await.0.unwrap().item == whole_user("U#1"));
}

#[tokio::test]
async fn only_what_is_wanted_is_opened_and_handed_out() {
    let keyring = keyring().await;
    let stored = sealed(
        &keyring,
        &secure_user(),
        item("U#1", &[("ssn", text("1")), ("note", text("clear"))]),
    )
    .await;
    let wants = [
        (vec!["note"], 0),
        (vec!["pk", "sk"], 0),
        (vec!["ssn"], 1),
        (vec!["nothing"], 0),
    ];
    for (names, kms_calls) in wants {
        let call = Call::for_test();
        let keys = keyring.for_call(&call);
        let wanted: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let opened = open(&secure_user(), stored.clone(), &keys, Some(&wanted))
            .await
            .unwrap();
        assert!(opened.item.keys().all(|name| wanted.contains(name)));
        assert_eq!(
            (call.bill().kms_calls, opened.item.len()),
            (kms_calls, names.len() - usize::from(names[0] == "nothing"))
        );
    }
}

#[tokio::test]
async fn a_data_key_that_does_not_open_is_asked_for_once() {
    let keyring = keyring().await;
    let stored = sealed(&keyring, &secure_user(), whole_user("U#1")).await;
    let other_context = ["ssn", "phone", "address"]
        .iter()
        .fold(secure_user(), |model, name| {
            with(model, name, |encryption| encryption.context.clear())
        });
    let (refused, kms_calls) = opened(&keyring, &other_context, stored).await;
    assert!(matches!(
        refused,
        Err(LoadError::Ciphertext {
            problem: CiphertextProblem::DataKey,
            ..
        })
    ));
    assert_eq!(kms_calls, 1);
}

#[tokio::test]
async fn items_of_one_call_share_what_they_can() {
    let keyring = keyring().await;
    let writer = keyring.for_call(&Call::for_test());
    let mut stored = Vec::new();
    for partition in ["U#1", "U#2", "U#3"] {
        stored.push(
            seal(&secure_user(), whole_user(partition), &writer)
                .await
                .unwrap(),
        );
    }
    let call = Call::for_test();
    let keys = keyring.for_call(&call);
    let model = secure_user();
    let opened = join_all(stored.into_iter().map(|stored| open(&model, stored, &keys, None))).await;
    assert!(opened.iter().all(Result::is_ok));
    assert_eq!(call.bill().kms_calls, 1);
}

#[tokio::test]
async fn a_ciphertext_without_its_key_attributes_is_told() {
    let keyring = keyring().await;
    let mut stored = sealed(&keyring, &secure_user(), whole_user("U#1")).await;
    stored.remove("sk");
    assert!(matches!(
        opened(&keyring, &secure_user(), stored).await.0,
        Err(LoadError::Key { .. })
    ));
    let clear = Item::from([("note".to_owned(), text("x"))]);
    assert!(
        opened(&keyring, &secure_user(), clear.clone())
            .await
            .0
            .unwrap()
            .item
            == clear
    );
}

#[tokio::test]
async fn reading_in_clear_is_lenient() {
    let keyring = keyring().await;
    let model = model(vec![
        attribute("age", AttributeType::Number),
        encrypted("ssn", AttributeType::String),
    ]);
    let stored = item(
        "U#1",
        &[
            ("age", text("seven")),
            ("ssn", Value::Null),
            ("unknown", Value::Null),
        ],
    );
    let opened = opened(&keyring, &model, stored).await.0.unwrap();
    assert!(opened.item == item("U#1", &[("age", text("seven")), ("unknown", Value::Null)]));
}

#[tokio::test]
async fn pointers_become_objects_and_nothing_else_does() {
    let keyring = keyring().await;
    let model = model(vec![attribute("content", AttributeType::Object)]);
    let pointer = Pointer {
        bucket: "b".into(),
        key: "k".into(),
        size_bytes: 7,
        etag: "e".into(),
        ..Pointer::default()
    };
    let stored = item("U#1", &[("content", pointer.to_value())]);
    let read = opened(&keyring, &model, stored).await.0.unwrap();
    assert!(read.item["content"] == Value::Object(Box::new(pointer.to_object())));
    for bad in [text("k"), Value::M(map(&[("bucket", text("b"))]))] {
        let refused = opened(&keyring, &model, item("U#1", &[("content", bad)])).await.0;
        assert!(matches!(refused, Err(LoadError::Pointer { attribute }) if attribute == "content"));
    }
    let null = item("U#1", &[("content", Value::Null)]);
    assert!(opened(&keyring, &model, null).await.0.unwrap().item == item("U#1", &[]));
}
