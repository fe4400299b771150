//! The KMS key in a response, compared with the key that the request named.

use super::*;

/// A data key of 32 zero bytes under a key of another account.
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
async fn rejects_a_response_that_names_a_different_key() {
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
    // the alias that seemed to be moved was looked up once
    let lookups = faulty
        .take_sent()
        .into_iter()
        .filter(|operation| operation == "DescribeKey");
    assert_eq!(lookups.count(), 1);
}

#[tokio::test]
async fn rejects_a_data_key_of_a_different_key() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    faulty.inject("GenerateDataKey", Fault::Body(FOREIGN));
    let context = BTreeMap::new();
    let made = faulty.stores.kms.generate_data_key(&call, KEY_ARN, &context);
    assert_eq!(made.await.err().unwrap().kind, Kind::IncorrectKey);
}

#[tokio::test]
async fn looks_up_a_moved_alias_once() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    let wrapped = wrapped_key(&faulty).await;
    faulty.stores.kms.aliases.remember(KEY_ID, KEY_ARN);
    assert_eq!(kind_of_decrypt(&faulty, &call, KEY_ID, &wrapped).await, None);
    assert_eq!(kind_of_decrypt(&faulty, &call, KEY_ID, &wrapped).await, None);
    assert_eq!(faulty.take_sent(), ["Decrypt", "DescribeKey", "Decrypt"]);
    assert_eq!(call.bill().kms_calls, 2);
}

#[tokio::test]
async fn trusts_kms_without_permission_to_look_up_an_alias() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    let wrapped = wrapped_key(&faulty).await;
    faulty.stores.kms.aliases.remember(KEY_ID, KEY_ARN);
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
    // the embedded KMS agrees, for an existing and for a missing key
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
