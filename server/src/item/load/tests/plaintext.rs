//! Values that are not ciphertexts: plaintext and pointers.

use super::*;

#[tokio::test]
async fn refuses_plaintext_unless_allowed() {
    let keyring = keyring().await;
    let stored = item("U#1", &[("ssn", text("123"))]);
    let refused = problem(&keyring, &secure_user(), stored.clone()).await;
    assert_eq!(
        refused,
        (
            "ssn".to_owned(),
            CiphertextProblem::Envelope(OpenError::NotEncrypted)
        )
    );

    let adopting = with(secure_user(), "ssn", |encryption| {
        encryption.allow_plaintext = true;
    });
    let (unchanged, kms_calls) = opened(&keyring, &adopting, stored.clone()).await;
    assert!(unchanged.unwrap().item == stored);
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
            "no KMS call for a malformed ciphertext"
        );
        assert_eq!(problem(&keyring, &adopting, bad).await.0, "ssn");
    }
}

#[tokio::test]
async fn allowed_plaintext_may_start_with_an_unknown_format_id() {
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
async fn does_not_check_the_type_of_plaintext() {
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
async fn converts_valid_pointers_to_objects() {
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
