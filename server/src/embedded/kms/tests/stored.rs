//! The key file: its content, the files that are refused, and the formats that must stay readable.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use aws_sdk_kms::error::ProvideErrorMetadata;
use aws_sdk_kms::primitives::Blob as Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::super::super::place::Place;
use super::super::super::private_file::replace_file;
use super::super::open;
use super::super::store::Store;
use super::{ALIAS, client, create_key, data_key, in_folder, root_key};

/// Written by a tollgate with format 1: `root_key`, the whole `kms.json`, and a blob with its context and plaintext.
const GOLDEN: &str = include_str!("../../golden/kms-1.json");

#[tokio::test]
async fn keys_and_aliases_survive_a_restart_and_the_file_has_no_plaintext_key() {
    let folder = tempfile::tempdir().unwrap();
    let (blob, plaintext, id) = {
        let client = in_folder(folder.path()).unwrap();
        let id = create_key(&client).await;
        client
            .create_alias()
            .alias_name(ALIAS)
            .target_key_id(&id)
            .send()
            .await
            .unwrap();
        client
            .create_alias()
            .alias_name("alias/second")
            .target_key_id(&id)
            .send()
            .await
            .unwrap();
        let (blob, plaintext) = data_key(&client, ALIAS, "one").await;
        (blob, plaintext, id)
    };
    let file = folder.path().join("kms.json");
    assert_eq!(
        std::fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let engine = open(&Place::Folder(folder.path().to_path_buf()), &root_key(1)).unwrap();
    let state = engine.store.state();
    let material = state.find(ALIAS).unwrap().material().unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&STANDARD.encode(material)));

    let client = client(Arc::clone(&engine));
    let opened = client
        .decrypt()
        .ciphertext_blob(blob)
        .encryption_context("tenant", "one")
        .send()
        .await
        .unwrap();
    assert_eq!(opened.plaintext.unwrap(), plaintext);
    let mut pages = client
        .list_aliases()
        .key_id(&id)
        .limit(1)
        .into_paginator()
        .items()
        .send();
    let mut names = Vec::new();
    while let Some(alias) = pages.next().await {
        names.push(alias.unwrap().alias_name.unwrap());
    }
    assert_eq!(names, [ALIAS, "alias/second"]);
}

#[tokio::test]
async fn refuses_a_damaged_key_file_and_another_root_key() {
    let folder = tempfile::tempdir().unwrap();
    let client = in_folder(folder.path()).unwrap();
    create_key(&client).await;
    let place = Place::Folder(folder.path().to_path_buf());
    let error = open(&place, &root_key(2)).err().unwrap().to_string();
    assert!(error.contains("restore the root.key"), "{error}");

    let path = folder.path().join("kms.json");
    let good = std::fs::read_to_string(&path).unwrap();
    for (bad, expected) in [
        (
            good.replace("\"format\": 1", "\"format\": 2"),
            "use a newer tollgate",
        ),
        (
            good.replace("\"aliases\": {}", "\"aliases\": {\"alias/a\": \"nothing\"}"),
            "does not exist",
        ),
        (good[..good.len() - 9].to_owned(), "not a valid key file"),
        (
            good.replace("\"wrapped\": \"A", "\"wrapped\": \"B"),
            "cannot be unwrapped",
        ),
    ] {
        assert_ne!(bad, good);
        replace_file(&path, bad.as_bytes()).unwrap();
        let error = open(&place, &root_key(1)).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
    replace_file(&path, good.as_bytes()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(
        open(&place, &root_key(1))
            .err()
            .unwrap()
            .to_string()
            .contains("chmod 600")
    );
}

#[tokio::test]
async fn a_change_that_cannot_be_written_fails_and_has_no_effect() {
    let folder = tempfile::tempdir().unwrap();
    let client = in_folder(folder.path()).unwrap();
    let id = create_key(&client).await;
    // a folder in place of the new file
    std::fs::create_dir(folder.path().join("kms.json.new")).unwrap();
    let refused = client
        .create_alias()
        .alias_name(ALIAS)
        .target_key_id(&id)
        .send()
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Some("KMSInternalException"));
    assert!(client.describe_key().key_id(ALIAS).send().await.is_err());
}

#[test]
fn debug_output_contains_no_key_material() {
    let store = Store::open(&Place::Memory, &root_key(1)).unwrap();
    let key = store.create_key("secret plans".to_owned()).unwrap();
    assert_eq!(
        format!("{key:?}"),
        format!("MasterKey {{ id: {:?}, .. }}", key.id)
    );
}

#[tokio::test]
async fn reads_the_golden_file() {
    let golden: serde_json::Value = serde_json::from_str(GOLDEN).unwrap();
    let bytes = |name: &str| STANDARD.decode(golden[name].as_str().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    replace_file(
        &folder.path().join("kms.json"),
        golden["kms_json"].to_string().as_bytes(),
    )
    .unwrap();
    let root_key = Zeroizing::new(bytes("root_key").try_into().unwrap());
    let client = client(open(&Place::Folder(folder.path().to_path_buf()), &root_key).unwrap());
    let mut decrypt = client
        .decrypt()
        .key_id(ALIAS)
        .ciphertext_blob(Bytes::new(bytes("blob")));
    for (name, value) in golden["context"].as_object().unwrap() {
        decrypt = decrypt.encryption_context(name, value.as_str().unwrap());
    }
    assert_eq!(
        decrypt.send().await.unwrap().plaintext.unwrap().into_inner(),
        bytes("plaintext")
    );
}
