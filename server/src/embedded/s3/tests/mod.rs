//! The engine behind a real SDK client, in memory and in a folder.

mod checksums;
mod crashes;
mod keys;
mod lists;
mod multipart;
mod objects;
mod part_checksums;
mod part_copies;
mod refusals;

use std::path::Path;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use aws_smithy_types::retry::RetryConfig;
use tempfile::TempDir;

use super::super::connector::http_client;
use super::{S3, open};
use crate::embedded::place::{Place, Synchronous};

const BUCKET: &str = "my-bucket";
const MIB: usize = 1024 * 1024;

/// An SDK client of an engine, configured as in the program, except that it uses the SDK's default checksums.
fn client(engine: Arc<S3>) -> Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .http_client(http_client(engine))
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .allow_no_auth()
        .auth_scheme_preference([AuthSchemeId::from("noAuth")])
        .build();
    Client::from_conf(config)
}

fn in_folder(path: &Path) -> Client {
    client(open(&Place::Folder(path.to_owned()), Synchronous::Full).unwrap())
}

async fn with_bucket(client: Client) -> Client {
    client.create_bucket().bucket(BUCKET).send().await.unwrap();
    client
}

/// A client of an engine in memory and one of an engine in a folder, each with a bucket. The folder exists as long as the
/// result.
async fn both() -> (TempDir, [Client; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let memory = client(open(&Place::Memory, Synchronous::Full).unwrap());
    let clients = [
        with_bucket(memory).await,
        with_bucket(in_folder(folder.path())).await,
    ];
    (folder, clients)
}

async fn put(client: &Client, key: &str, body: &[u8]) {
    let body = ByteStream::from(body.to_vec());
    client
        .put_object()
        .bucket(BUCKET)
        .key(key)
        .body(body)
        .send()
        .await
        .unwrap();
}

async fn get(client: &Client, key: &str) -> Vec<u8> {
    let output = client.get_object().bucket(BUCKET).key(key).send().await.unwrap();
    output.body.collect().await.unwrap().to_vec()
}

/// The error code and the HTTP status of a refused request.
fn refusal<T: std::fmt::Debug, E: ProvideErrorMetadata>(result: Result<T, SdkError<E>>) -> (String, u16) {
    let error = result.expect_err("must be refused");
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16())
        .unwrap_or_default();
    (error.code().unwrap_or_default().to_owned(), status)
}

/// Bytes without repetition, so that a swapped or shifted block is detected.
fn bytes(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The number of body files in the folder of the store.
fn body_files(data: &Path) -> usize {
    let mut count = 0;
    let mut folders = vec![data.join("s3/objects"), data.join("s3/unfinished")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                count += 1;
            }
        }
    }
    count
}

/// Waits until the store has this number of body files: they are removed after the response.
async fn wait_for_body_files(data: &Path, files: usize) {
    for _ in 0..500 {
        if body_files(data) == files {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(body_files(data), files);
}
