//! Which key KMS says that it used, against the one that was named.

use super::*;

/// 32 zero bytes, under a key of another account.
const FOREIGN: &str = r#"{"Plaintext":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","CiphertextBlob":"AAAA",
    "KeyId":"arn:aws:kms:us-east-1:444455556666:key/11111111-2222-4333-8444-555555555555"}"#;
const NAMELESS: &str =
    r#"{"Plaintext":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","CiphertextBlob":"AAAA"}"#;
const KEY_ARN: &str = "arn:aws:kms:us-east-1:000000000000:key/0a0a0a0a-2222-4333-8444-555555555555";

async fn kind_of_decrypt(faulty: &FaultyStores, call: &Call, key_id: &str, wrapped: &[u8]) -> Option<Kind> {
    let context = BTreeMap::new();
    let decrypted = faulty.stores.kms.decrypt(call, key_id, wrapped, &context);
    decrypted.await.err().map(|error| error.kind)
}

async fn wrapped_key(faulty: &FaultyStores) -> Vec<u8> {
    let (call, context) = (Call::for_test(), BTreeMap::new());
    let generated = faulty.stores.kms.generate_data_key(&call, KEY_ID, &context);
    let wrapped = generated.await.unwrap().wrapped;
    faulty.take_sent();
    wrapped
}

#[tokio::test]
async fn a_response_that_names_another_key_opens_nothing() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    for body in [FOREIGN, NAMELESS] {
        for key_id in [KEY_ID, KEY_ARN, "0a0a0a0a-2222-4333-8444-555555555555"] {
            faulty.inject("Decrypt", Fault::Body(body));
            let kind = kind_of_decrypt(&faulty, &call, key_id, b"wrapped").await;
            assert_eq!(kind, Some(Kind::IncorrectKey), "{key_id}");
        }
    }
    assert_eq!(call.bill().kms_calls, 6);
    // the alias that seems to have moved was looked up, once
    let lookups = faulty
        .take_sent()
        .into_iter()
        .filter(|operation| operation == "DescribeKey");
    assert_eq!(lookups.count(), 1);
}

#[tokio::test]
async fn a_data_key_of_another_key_is_not_used() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    faulty.inject("GenerateDataKey", Fault::Body(FOREIGN));
    let context = BTreeMap::new();
    let made = faulty.stores.kms.generate_data_key(&call, KEY_ARN, &context);
    assert_eq!(made.await.err().unwrap().kind, Kind::IncorrectKey);
}

#[tokio::test]
async fn an_alias_that_moved_is_looked_up_once() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    let wrapped = wrapped_key(&faulty).await;
    faulty.stores.kms.aliases.note(KEY_ID, KEY_ARN);
    assert_eq!(kind_of_decrypt(&faulty, &call, KEY_ID, &wrapped).await, None);
    assert_eq!(kind_of_decrypt(&faulty, &call, KEY_ID, &wrapped).await, None);
    assert_eq!(faulty.take_sent(), ["Decrypt", "DescribeKey", "Decrypt"]);
    assert_eq!(call.bill().kms_calls, 2);
}

#[tokio::test]
async fn without_leave_to_look_an_alias_up_kms_is_trusted() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    let wrapped = wrapped_key(&faulty).await;
    faulty.stores.kms.aliases.note(KEY_ID, KEY_ARN);
    faulty.inject("DescribeKey", Fault::Respond(400, "AccessDeniedException"));
    assert_eq!(kind_of_decrypt(&faulty, &call, KEY_ID, &wrapped).await, None);
    faulty.inject("DescribeKey", Fault::Respond(400, "KMSInvalidStateException"));
    assert_eq!(kind_of_decrypt(&faulty, &call, KEY_ID, &wrapped).await, None);
}

#[tokio::test]
async fn each_state_of_a_key_has_its_kind() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    let missing = Kind::Missing {
        what: Resource::Key,
        name: KEY_ID.to_owned(),
    };
    for (code, kind) in [
        ("NotFoundException", missing),
        ("IncorrectKeyException", Kind::IncorrectKey),
        ("InvalidCiphertextException", Kind::InvalidCiphertext),
        ("DisabledException", Kind::KeyUnusable),
        ("KMSInvalidStateException", Kind::KeyUnusable),
        ("InvalidKeyUsageException", Kind::KeyUnusable),
    ] {
        faulty.inject("Decrypt", Fault::Respond(400, code));
        let found = kind_of_decrypt(&faulty, &call, KEY_ID, b"wrapped").await;
        assert_eq!(found, Some(kind), "{code}");
    }
    // and the embedded KMS says the same of a key that is there, and of one that is not
    let wrapped = wrapped_key(&faulty).await;
    assert_eq!(
        kind_of_decrypt(&faulty, &call, "alias/test", &wrapped).await,
        None
    );
    assert!(matches!(
        kind_of_decrypt(&faulty, &call, "alias/nobody", &wrapped).await,
        Some(Kind::Missing { .. })
    ));
}
