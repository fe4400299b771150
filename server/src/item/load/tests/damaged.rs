//! Ciphertexts that were damaged, moved, or do not match their attribute.

use super::*;

fn forged(attribute: &str) -> (String, CiphertextProblem) {
    (
        attribute.to_owned(),
        CiphertextProblem::Envelope(OpenError::Authentication),
    )
}

#[tokio::test]
async fn refuses_a_ciphertext_moved_to_another_place() {
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

    // the table is in the encryption context, so KMS refuses
    let elsewhere = Model {
        table: "others".to_owned(),
        ..secure_user()
    };
    let refused = problem(&keyring, &elsewhere, stored).await;
    assert_eq!(refused, ("ssn".to_owned(), CiphertextProblem::DataKey));
}

#[tokio::test]
async fn refuses_a_damaged_ciphertext() {
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
async fn refuses_a_decrypted_value_of_another_type() {
    let keyring = keyring().await;
    let as_number = model(vec![encrypted("ssn", AttributeType::Number)]);
    let stored = sealed(&keyring, &as_number, item("U#1", &[("ssn", number("1"))])).await;
    let refused = problem(&keyring, &secure_user(), stored).await;
    assert_eq!(refused, ("ssn".to_owned(), CiphertextProblem::Type));
}

#[tokio::test]
async fn requests_an_invalid_data_key_once() {
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
async fn refuses_a_ciphertext_without_key_attributes() {
    let keyring = keyring().await;
    let mut stored = sealed(&keyring, &secure_user(), whole_user("U#1")).await;
    stored.remove("sk");
    assert!(matches!(
        opened(&keyring, &secure_user(), stored).await.0,
        Err(LoadError::Key { .. })
    ));
    let plain = Item::from([("note".to_owned(), text("x"))]);
    assert!(
        opened(&keyring, &secure_user(), plain.clone())
            .await
            .0
            .unwrap()
            .item
            == plain
    );
}
