//! KMS keys and formats that an attribute accepts, and attributes that other models encrypt.

use super::*;
use crate::crypto::testing::{OTHER_KEY_ID, two_keys};
use crate::model::testing::KEY_ID;

#[tokio::test]
async fn reads_sealed_always_and_pydynox_if_accepted() {
    let pydynox = of_format(strings(), EncryptionFormat::Pydynox);
    let accepting = ["ssn", "phone"].iter().fold(strings(), |model, name| {
        with(model, name, |encryption| {
            encryption.accept_formats = vec![EncryptionFormat::Pydynox];
        })
    });
    let plain = item("U#1", &[("ssn", text("1")), ("phone", text("2"))]);
    let keyring = keyring().await;
    for (writer, reader) in [
        (&pydynox, &accepting),
        (&pydynox, &pydynox),
        (&strings(), &pydynox),
        (&strings(), &accepting),
    ] {
        let stored = sealed(&keyring, writer, plain.clone()).await;
        let (opened, kms_calls) = opened(&keyring, reader, stored).await;
        assert!(opened.unwrap().item == plain);
        assert_eq!(kms_calls, 1);
    }
}

#[tokio::test]
async fn refuses_pydynox_in_a_sealed_attribute() {
    let keyring = keyring().await;
    let pydynox = of_format(strings(), EncryptionFormat::Pydynox);
    let stored = sealed(&keyring, &pydynox, item("U#1", &[("ssn", text("1"))])).await;
    let adopting = with(strings(), "ssn", |encryption| encryption.allow_plaintext = true);
    for model in [strings(), adopting] {
        let refused = problem(&keyring, &model, stored.clone()).await;
        assert_eq!(refused, ("ssn".to_owned(), CiphertextProblem::Format));
        assert_eq!(opened(&keyring, &model, stored.clone()).await.1, 0);
    }
    // the option of another attribute has no effect
    let other_accepts = with(strings(), "phone", |encryption| {
        encryption.accept_formats = vec![EncryptionFormat::Pydynox];
    });
    let refused = problem(&keyring, &other_accepts, stored).await;
    assert_eq!(refused, ("ssn".to_owned(), CiphertextProblem::Format));
}

#[tokio::test]
async fn opens_a_value_only_under_keys_of_its_attribute() {
    let keyring = two_keys().await;
    let under = |key_id: &str, accepts: &[&str]| {
        with(strings(), "ssn", |encryption| {
            encryption.key_id = key_id.to_owned();
            encryption.accepts = accepts.iter().map(|&key_id| key_id.to_owned()).collect();
        })
    };
    let plain = item("U#1", &[("ssn", text("1"))]);
    let stored = sealed(&keyring, &under(OTHER_KEY_ID, &[]), plain.clone()).await;
    let cases: [(&[&str], u64); 3] = [
        (&[OTHER_KEY_ID], 2),
        (&["alias/nobody", OTHER_KEY_ID], 3),
        (&[OTHER_KEY_ID, "alias/nobody"], 2),
    ];
    for (accepts, calls) in cases {
        let (opened, kms_calls) = opened(&keyring, &under(KEY_ID, accepts), stored.clone()).await;
        assert!(opened.unwrap().item == plain, "{accepts:?}");
        assert_eq!(kms_calls, calls, "{accepts:?}");
    }
    let (refused, kms_calls) = opened(&keyring, &under(KEY_ID, &[]), stored.clone()).await;
    assert!(
        matches!(&refused, Err(LoadError::KeyNotAccepted { attribute, tried }) if attribute == "ssn" && *tried == [KEY_ID])
    );
    assert_eq!(kms_calls, 1);
    // a missing key may be the one that encrypted the value
    let (refused, kms_calls) = opened(&keyring, &under(KEY_ID, &["alias/nobody"]), stored).await;
    assert!(matches!(refused, Err(LoadError::Kms(error)) if matches!(error.kind, aws::Kind::Missing { .. })));
    assert_eq!(kms_calls, 2);
}

#[tokio::test]
async fn refuses_a_key_that_only_another_attribute_accepts() {
    let keyring = two_keys().await;
    let with_keys = |phone_accepts: &[&str]| {
        let model = of_format(strings(), EncryptionFormat::Pydynox);
        let model = with(model, "ssn", |encryption| {
            encryption.key_id = OTHER_KEY_ID.to_owned();
        });
        with(model, "phone", |encryption| {
            encryption.accepts = phone_accepts.iter().map(|&key_id| key_id.to_owned()).collect();
        })
    };
    let mut stored = sealed(&keyring, &with_keys(&[]), item("U#1", &[("ssn", text("1"))])).await;
    stored.insert("phone".to_owned(), stored["ssn"].clone());
    let (refused, kms_calls) = opened(&keyring, &with_keys(&[]), stored.clone()).await;
    assert!(matches!(refused, Err(LoadError::KeyNotAccepted { attribute, .. }) if attribute == "phone"));
    assert_eq!(kms_calls, 2, "the same wrapped key, with other accepted keys");
    let (read, kms_calls) = opened(&keyring, &with_keys(&[OTHER_KEY_ID]), stored).await;
    assert_eq!(read.unwrap().item["phone"], text("1"));
    assert_eq!(kms_calls, 3);
}

#[tokio::test]
async fn withholds_attributes_that_other_models_encrypt() {
    let keyring = keyring().await;
    let stored = sealed(&keyring, &strings(), item("U#1", &[("ssn", text("1"))])).await;
    let mut other = model(vec![attribute("note", AttributeType::String)]);
    other.sealed_by_others = vec!["phone".to_owned(), "ssn".to_owned()];
    let (read, kms_calls) = opened(&keyring, &other, stored.clone()).await;
    let read = read.unwrap();
    assert_eq!((read.withheld, kms_calls), (vec!["ssn".to_owned()], 0));
    assert!(read.item == item("U#1", &[]));
    // also withholds plaintext, and does not list a null
    let plain = item("U#1", &[("ssn", text("1")), ("phone", Value::Null)]);
    assert_eq!(
        opened(&keyring, &other, plain).await.0.unwrap().withheld,
        vec!["ssn".to_owned()]
    );
}
