//! The engine behind a real SDK client: helpers of the tests.

mod api;
mod stored;

use std::path::Path;
use std::sync::Arc;

use aws_sdk_kms::Client;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::{BehaviorVersion, Region};
use aws_sdk_kms::primitives::Blob as Bytes;
use aws_sdk_kms::types::DataKeySpec;
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use zeroize::Zeroizing;

use super::super::connector::http_client;
use super::super::error::Error;
use super::super::keys::Key;
use super::super::place::Place;
use super::{Kms, open};

const ALIAS: &str = "alias/my-app-key";

fn client(engine: Arc<Kms>) -> Client {
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .http_client(http_client(engine))
        .allow_no_auth()
        .auth_scheme_preference([AuthSchemeId::from("noAuth")])
        .build();
    Client::from_conf(config)
}

fn root_key(byte: u8) -> Key {
    Zeroizing::new([byte; 32])
}

fn in_folder(path: &Path) -> Result<Client, Error> {
    open(&Place::Folder(path.to_path_buf()), &root_key(1)).map(client)
}

/// A client of an engine with one key, and the id of the key.
async fn with_key() -> (Client, String) {
    let client = client(open(&Place::Memory, &root_key(1)).unwrap());
    let id = create_key(&client).await;
    client
        .create_alias()
        .alias_name(ALIAS)
        .target_key_id(&id)
        .send()
        .await
        .unwrap();
    (client, id)
}

async fn create_key(client: &Client) -> String {
    client
        .create_key()
        .description("created by a test")
        .send()
        .await
        .unwrap()
        .key_metadata
        .unwrap()
        .key_id
}

async fn data_key(client: &Client, key: &str, tenant: &str) -> (Bytes, Bytes) {
    let made = client
        .generate_data_key()
        .key_id(key)
        .key_spec(DataKeySpec::Aes256);
    let made = made.encryption_context("tenant", tenant).send().await.unwrap();
    (made.ciphertext_blob.unwrap(), made.plaintext.unwrap())
}
