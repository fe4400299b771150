//! Operations, contexts, errors and limits, through the SDK.

use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::primitives::Blob as Bytes;
use aws_sdk_kms::types::{DataKeySpec, KeyState};

use super::{ALIAS, create_key, data_key, with_key};

#[tokio::test]
async fn decrypts_data_keys_under_every_name_of_their_key() {
    let (client, id) = with_key().await;
    let arn = format!("arn:aws:kms:us-east-1:000000000000:key/{id}");
    let alias_arn = format!("arn:aws:kms:us-east-1:000000000000:{ALIAS}");
    for name in [id.as_str(), &arn, ALIAS, &alias_arn] {
        let (blob, plaintext) = data_key(&client, name, "one").await;
        assert_eq!(plaintext.as_ref().len(), 32);
        let opened = client
            .decrypt()
            .ciphertext_blob(blob)
            .encryption_context("tenant", "one");
        let opened = opened.key_id(name).send().await.unwrap();
        assert_eq!(opened.plaintext.unwrap(), plaintext);
        assert_eq!(opened.key_id.as_deref(), Some(arn.as_str()));
        let described = client
            .describe_key()
            .key_id(name)
            .send()
            .await
            .unwrap()
            .key_metadata
            .unwrap();
        assert_eq!(described.key_id, id);
        assert_eq!(described.key_state, Some(KeyState::Enabled));
    }
    let small = client
        .generate_data_key()
        .key_id(ALIAS)
        .key_spec(DataKeySpec::Aes128)
        .send()
        .await
        .unwrap();
    assert_eq!(small.plaintext.unwrap().as_ref().len(), 16);
}

#[tokio::test]
async fn rejects_another_context_and_any_damage_as_invalid_ciphertext() {
    let (client, _) = with_key().await;
    let (blob, _) = data_key(&client, ALIAS, "one").await;
    let contexts = [
        vec![],
        vec![("tenant", "two")],
        vec![("tenant", "one"), ("more", "")],
        vec![("Tenant", "one")],
    ];
    for context in contexts {
        let mut decrypt = client.decrypt().ciphertext_blob(blob.clone());
        for (name, value) in &context {
            decrypt = decrypt.encryption_context(*name, *value);
        }
        let refused = decrypt.send().await.unwrap_err();
        assert_eq!(refused.raw_response().unwrap().status().as_u16(), 400);
        assert!(
            refused.into_service_error().is_invalid_ciphertext_exception(),
            "{context:?}"
        );
    }
    for position in 0..blob.as_ref().len() {
        let mut damaged = blob.clone().into_inner();
        damaged[position] ^= 0x10;
        for bytes in [damaged, blob.as_ref()[..position].to_vec()] {
            if bytes.is_empty() {
                continue;
            }
            let decrypt = client
                .decrypt()
                .ciphertext_blob(Bytes::new(bytes))
                .encryption_context("tenant", "one");
            let refused = decrypt.send().await.unwrap_err().into_service_error();
            assert!(
                refused.is_invalid_ciphertext_exception(),
                "{position}: {refused:?}"
            );
        }
    }
}

/// An encoding that joins names and values with `=` and `,` would not distinguish these two contexts.
#[tokio::test]
async fn distinguishes_similar_contexts() {
    let (client, _) = with_key().await;
    let sealed = client.encrypt().key_id(ALIAS).plaintext(Bytes::new("secret"));
    let sealed = sealed
        .encryption_context("a", "1,b=2")
        .send()
        .await
        .unwrap()
        .ciphertext_blob
        .unwrap();
    let other = client.decrypt().ciphertext_blob(sealed.clone());
    let other = other
        .encryption_context("a", "1")
        .encryption_context("b", "2")
        .send()
        .await
        .unwrap_err();
    assert!(other.into_service_error().is_invalid_ciphertext_exception());
    let same = client
        .decrypt()
        .ciphertext_blob(sealed)
        .encryption_context("a", "1,b=2")
        .send()
        .await
        .unwrap();
    assert_eq!(same.plaintext.unwrap().as_ref(), b"secret");
}

#[tokio::test]
async fn re_encrypts_under_another_key_and_context() {
    let (client, id) = with_key().await;
    let other = create_key(&client).await;
    let (blob, plaintext) = data_key(&client, ALIAS, "one").await;
    let moved = client
        .re_encrypt()
        .ciphertext_blob(blob.clone())
        .source_encryption_context("tenant", "one");
    let moved = moved
        .destination_key_id(&other)
        .destination_encryption_context("tenant", "two");
    let moved = moved.send().await.unwrap();
    assert!(moved.source_key_id.unwrap().ends_with(&id));
    let moved = moved.ciphertext_blob.unwrap();
    let opened = client
        .decrypt()
        .ciphertext_blob(moved.clone())
        .encryption_context("tenant", "two");
    assert_eq!(opened.send().await.unwrap().plaintext.unwrap(), plaintext);
    let wrong_key = client
        .decrypt()
        .ciphertext_blob(moved)
        .encryption_context("tenant", "two")
        .key_id(ALIAS);
    assert!(
        wrong_key
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_incorrect_key_exception()
    );
    let wrong = client
        .re_encrypt()
        .ciphertext_blob(blob)
        .destination_key_id(&other)
        .send()
        .await
        .unwrap_err();
    assert!(wrong.into_service_error().is_invalid_ciphertext_exception());
}

#[tokio::test]
async fn returns_the_errors_of_kms_for_invalid_names() {
    let (client, id) = with_key().await;
    for name in ["alias/missing", "00000000-0000-4000-8000-000000000000", "my-key"] {
        let missing = client
            .generate_data_key()
            .key_id(name)
            .key_spec(DataKeySpec::Aes256)
            .send()
            .await;
        let missing = missing.unwrap_err();
        assert_eq!(missing.raw_response().unwrap().status().as_u16(), 400);
        assert!(missing.into_service_error().is_not_found_exception(), "{name}");
    }
    let taken = client
        .create_alias()
        .alias_name(ALIAS)
        .target_key_id(&id)
        .send()
        .await
        .unwrap_err();
    assert!(taken.into_service_error().is_already_exists_exception());
    let misnamed = client
        .create_alias()
        .alias_name("my-key")
        .target_key_id(&id)
        .send()
        .await
        .unwrap_err();
    assert!(misnamed.into_service_error().is_invalid_alias_name_exception());
    let untargeted = client
        .create_alias()
        .alias_name("alias/b")
        .target_key_id("nothing")
        .send()
        .await
        .unwrap_err();
    assert!(untargeted.into_service_error().is_not_found_exception());
    let unknown = client.list_keys().send().await.unwrap_err();
    assert_eq!(unknown.code(), Some("UnknownOperationException"));
}

#[tokio::test]
async fn a_disabled_key_cannot_be_used() {
    let (client, id) = with_key().await;
    let (blob, _) = data_key(&client, ALIAS, "one").await;
    client.disable_key().key_id(&id).send().await.unwrap();
    let disabled = client
        .decrypt()
        .ciphertext_blob(blob.clone())
        .encryption_context("tenant", "one");
    assert!(
        disabled
            .send()
            .await
            .unwrap_err()
            .into_service_error()
            .is_disabled_exception()
    );
    let disabled = client
        .generate_data_key()
        .key_id(ALIAS)
        .number_of_bytes(32)
        .send()
        .await
        .unwrap_err();
    assert!(disabled.into_service_error().is_disabled_exception());
    client.enable_key().key_id(&id).send().await.unwrap();
    client
        .decrypt()
        .ciphertext_blob(blob)
        .encryption_context("tenant", "one")
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn enforces_the_limits_of_kms() {
    let (client, _) = with_key().await;
    for (bytes, fits) in [(0, false), (1, true), (4096, true), (4097, false)] {
        let encrypted = client
            .encrypt()
            .key_id(ALIAS)
            .plaintext(Bytes::new(vec![7; bytes]))
            .send()
            .await;
        match encrypted {
            Ok(encrypted) => {
                assert!(fits, "{bytes}");
                let opened = client
                    .decrypt()
                    .ciphertext_blob(encrypted.ciphertext_blob.unwrap())
                    .send()
                    .await;
                assert_eq!(opened.unwrap().plaintext.unwrap().as_ref().len(), bytes);
            }
            Err(refused) => {
                assert!(!fits, "{bytes}");
                assert_eq!(refused.code(), Some("ValidationException"));
            }
        }
    }
    for (bytes, fits) in [(0, false), (1, true), (1024, true), (1025, false), (-1, false)] {
        let made = client
            .generate_data_key()
            .key_id(ALIAS)
            .number_of_bytes(bytes)
            .send()
            .await;
        assert_eq!(made.is_ok(), fits, "{bytes}");
    }
    let both = client
        .generate_data_key()
        .key_id(ALIAS)
        .number_of_bytes(32)
        .key_spec(DataKeySpec::Aes256);
    assert_eq!(both.send().await.unwrap_err().code(), Some("ValidationException"));
    let neither = client.generate_data_key().key_id(ALIAS).send().await.unwrap_err();
    assert_eq!(neither.code(), Some("ValidationException"));
    let large = client
        .decrypt()
        .ciphertext_blob(Bytes::new(vec![1; 6145]))
        .send()
        .await
        .unwrap_err();
    assert_eq!(large.code(), Some("ValidationException"));
}
