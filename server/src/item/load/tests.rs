//! Round trips of whole items, and which attributes are opened.

mod damaged;
mod keys;
mod plaintext;

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::*;
use crate::call::Call;
use crate::crypto::Keyring;
use crate::crypto::testing::keyring;
use crate::item::store::seal;
use crate::model::testing::{attribute, encrypted, model};
use crate::model::{EncryptionFormat, EncryptionMode};

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

/// Opens an item in a separate call. Also returns the number of KMS calls.
async fn opened(keyring: &Keyring, model: &Model, stored: Item) -> (Result<Opened, LoadError>, u64) {
    let call = Call::for_test();
    let opened = open(model, stored, &keyring.for_call(&call), None, Extent::Whole).await;
    (opened, call.bill().kms_calls)
}

async fn problem(keyring: &Keyring, model: &Model, stored: Item) -> (String, CiphertextProblem) {
    match opened(keyring, model, stored).await.0 {
        Err(LoadError::Ciphertext { attribute, problem }) => (attribute, problem),
        other => panic!("expected a bad ciphertext, got {other:?}"),
    }
}

fn strings() -> Model {
    model(vec![
        encrypted("ssn", AttributeType::String),
        encrypted("phone", AttributeType::String),
    ])
}

#[tokio::test]
async fn opens_an_item_with_one_kms_call() {
    let keyring = keyring().await;
    let plain = whole_user("U#1");
    let stored = sealed(&keyring, &secure_user(), plain.clone()).await;
    let (opened, kms_calls) = opened(&keyring, &secure_user(), stored).await;
    let opened = opened.unwrap();
    assert!(opened.item == plain);
    assert_eq!((opened.withheld.len(), kms_calls), (0, 1));
}

#[tokio::test]
async fn opens_values_of_every_type() {
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

#[tokio::test]
async fn opens_each_pydynox_value_with_its_data_key() {
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
async fn withholds_write_only_attributes_without_a_kms_call() {
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
async fn opens_read_only_attributes() {
    let keyring = keyring().await;
    let stored = sealed(&keyring, &secure_user(), whole_user("U#1")).await;
    let model = with(secure_user(), "ssn", |encryption| {
        encryption.mode = EncryptionMode::ReadOnly;
    });
    assert!(opened(&keyring, &model, stored).await.0.unwrap().item == whole_user("U#1"));
}

#[tokio::test]
async fn opens_and_returns_only_wanted_attributes() {
    let keyring = keyring().await;
    let stored = sealed(
        &keyring,
        &secure_user(),
        item("U#1", &[("ssn", text("1")), ("note", text("plain"))]),
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
        let opened = open(
            &secure_user(),
            stored.clone(),
            &keys,
            Some(&wanted),
            Extent::Whole,
        )
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
async fn items_of_a_call_share_data_keys() {
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
    let opened = join_all(
        stored
            .into_iter()
            .map(|stored| open(&model, stored, &keys, None, Extent::Whole)),
    )
    .await;
    assert!(opened.iter().all(Result::is_ok));
    assert_eq!(call.bill().kms_calls, 1);
}
