//! Acknowledged writes survive restarts and kills; interrupted ones leave nothing behind.

#![expect(
    clippy::disallowed_methods,
    reason = "configures a child process through its environment"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use aws_sdk_s3::primitives::SdkBody;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures::StreamExt as _;
use http_body::Frame;
use http_body_util::StreamBody;

use super::*;
use crate::embedded::Error;
use crate::embedded::s3::schema;

/// Written by a tollgate with format 1: two buckets, an object in a row, an object in a row and a file, an upload.
const GOLDEN: &str = include_str!("golden_1.sql");

#[tokio::test]
async fn objects_and_uploads_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    for synchronous in [Synchronous::Full, Synchronous::Normal] {
        let reopen = || client(open(&Place::Folder(folder.path().to_owned()), synchronous).unwrap());
        let (small, large) = (bytes(100, 1), bytes(MIB, 2));
        let first = with_bucket(reopen()).await;
        put(&first, "small", &small).await;
        put(&first, "large", &large).await;
        let upload = first
            .create_multipart_upload()
            .bucket(BUCKET)
            .key("parts")
            .metadata("a", "1")
            .send()
            .await
            .unwrap();
        let id = upload.upload_id().unwrap().to_owned();
        let part = first
            .upload_part()
            .bucket(BUCKET)
            .key("parts")
            .upload_id(&id)
            .part_number(1);
        let part = part.body(ByteStream::from(large.clone())).send().await.unwrap();
        drop(first);

        let second = reopen();
        assert!(get(&second, "small").await == small);
        assert!(get(&second, "large").await == large);
        let listed = CompletedPart::builder()
            .part_number(1)
            .set_e_tag(part.e_tag)
            .build();
        let listed = CompletedMultipartUpload::builder().parts(listed).build();
        let complete = second
            .complete_multipart_upload()
            .bucket(BUCKET)
            .key("parts")
            .upload_id(&id);
        complete.multipart_upload(listed).send().await.unwrap();
        assert!(get(&second, "parts").await == large);
        drop(second);

        let third = reopen();
        assert!(get(&third, "parts").await == large);
        assert_eq!(body_files(folder.path()), 2);
    }
}

/// The environment variable with the folder for the process that is killed.
const FOLDER_TO_WRITE: &str = "S3_TEST_FOLDER_TO_WRITE";

#[test]
fn acknowledged_writes_survive_a_kill() {
    for synchronous in ["full", "normal"] {
        let folder = tempfile::tempdir().unwrap();
        let mut acknowledged = 0;
        for _ in 0..3 {
            acknowledged = kill_while_writing(folder.path(), synchronous).max(acknowledged);
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let client = in_folder(folder.path());
                for number in 0..=acknowledged {
                    let body = get(&client, &format!("key {number}")).await;
                    assert!(
                        body == written(number),
                        "{number} of {acknowledged}, {synchronous}"
                    );
                }
                let mut files = 0;
                let mut pages = client.list_objects_v2().bucket(BUCKET).into_paginator().send();
                while let Some(page) = pages.next().await {
                    for object in page.unwrap().contents() {
                        files += usize::from(object.size() > Some(32 * 1024));
                        assert_eq!(
                            get(&client, object.key().unwrap()).await.len() as i64,
                            object.size().unwrap()
                        );
                    }
                }
                assert_eq!(body_files(folder.path()), files);
            });
        }
        assert!(acknowledged > 10, "{acknowledged}");
    }
}

/// The body that the writer stores under a number: even numbers in a row, odd ones in a file.
fn written(number: u64) -> Vec<u8> {
    bytes(if number.is_multiple_of(2) { 1000 } else { 100_000 }, number)
}

/// Runs this test binary as a writer on the folder, kills it while it writes, and returns the last number that it
/// reported as written.
fn kill_while_writing(folder: &Path, synchronous: &str) -> u64 {
    let mut writer = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "--test-threads=1"])
        .arg(format!(
            "{}::writes_until_killed",
            module_path!().split_once("::").unwrap().1
        ))
        .env(FOLDER_TO_WRITE, folder)
        .env("S3_TEST_SYNCHRONOUS", synchronous)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
    let numbers = lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix("written ")?.parse::<u64>().ok());
    let mut last = 0;
    for (count, number) in numbers.enumerate() {
        last = last.max(number);
        if count == 40 {
            writer.kill().unwrap();
        }
    }
    writer.wait().unwrap();
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs only as the process that another test kills"]
async fn writes_until_killed() {
    let folder = std::env::var(FOLDER_TO_WRITE).unwrap();
    let synchronous = match std::env::var("S3_TEST_SYNCHRONOUS").unwrap().as_str() {
        "full" => Synchronous::Full,
        _ => Synchronous::Normal,
    };
    let client = with_bucket(client(open(&Place::Folder(folder.into()), synchronous).unwrap())).await;
    let before = client
        .list_objects_v2()
        .bucket(BUCKET)
        .send()
        .await
        .unwrap()
        .contents()
        .len() as u64;
    for number in before.. {
        put(&client, &format!("key {number}"), &written(number)).await;
        writeln!(std::io::stdout(), "written {number}").unwrap();
    }
}

#[tokio::test]
async fn removes_what_a_crash_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let first = with_bucket(in_folder(folder.path())).await;
    put(&first, "key", &bytes(MIB, 1)).await;
    drop(first);
    let id = ulid::Ulid::generate().to_string();
    let objects = folder.path().join("s3/objects").join(&id[24..]);
    std::fs::create_dir_all(&objects).unwrap();
    std::fs::write(objects.join(&id), b"renamed, never committed").unwrap();
    std::fs::write(folder.path().join("s3/unfinished").join(&id), b"half").unwrap();
    let second = in_folder(folder.path());
    assert_eq!(body_files(folder.path()), 1);
    assert!(get(&second, "key").await == bytes(MIB, 1));
}

#[tokio::test]
async fn an_abandoned_put_leaves_nothing_behind() {
    let (folder, clients) = both().await;
    for client in clients {
        put(&client, "key", b"old").await;
        let sent = futures::stream::iter([Ok::<_, std::io::Error>(Frame::data(Bytes::from(bytes(MIB, 1))))]);
        let body = SdkBody::from_body_1_x(StreamBody::new(sent.chain(futures::stream::pending())));
        let put = client
            .put_object()
            .bucket(BUCKET)
            .key("key")
            .content_length(2 * MIB as i64);
        let put = put.body(ByteStream::new(body)).send();
        assert!(
            tokio::time::timeout(Duration::from_millis(300), put)
                .await
                .is_err()
        );
        assert_eq!(get(&client, "key").await, b"old");
    }
    wait_for_body_files(folder.path(), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_put_abandoned_at_any_time_leaves_the_old_or_the_new_object() {
    let (folder, clients) = both().await;
    for client in &clients {
        let old = bytes(100_000, 0);
        put(client, "key", &old).await;
        for wait_us in (0..6000).step_by(300) {
            let body = bytes(100_000, wait_us);
            let put = client
                .put_object()
                .bucket(BUCKET)
                .key("key")
                .body(ByteStream::from(body.clone()))
                .send();
            tokio::time::timeout(Duration::from_micros(wait_us), put)
                .await
                .ok();
            let seen = get(client, "key").await;
            assert_eq!(seen.len(), 100_000);
        }
        let last = get(client, "key").await;
        assert!(last == old || (0..6000).step_by(300).any(|seed| last == bytes(100_000, seed)));
    }
    wait_for_body_files(folder.path(), 1).await;
}

#[tokio::test]
async fn a_missing_body_fails_the_read() {
    let folder = tempfile::tempdir().unwrap();
    let client = with_bucket(in_folder(folder.path())).await;
    put(&client, "key", &bytes(MIB, 1)).await;
    let objects = std::fs::read_dir(folder.path().join("s3/objects"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let file = std::fs::read_dir(objects)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::write(&file, vec![0; MIB / 2]).unwrap();
    let output = client
        .get_object()
        .bucket(BUCKET)
        .key("key")
        .send()
        .await
        .unwrap();
    assert!(output.body.collect().await.is_err());
    std::fs::remove_file(&file).unwrap();
    let output = client
        .get_object()
        .bucket(BUCKET)
        .key("key")
        .send()
        .await
        .unwrap();
    assert!(output.body.collect().await.is_err());
}

#[tokio::test]
async fn reads_a_store_of_format_1() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("s3");
    let body = root.join("objects/0B/01KAR8Z5V2Q7M4N8C6D9E1F30B");
    std::fs::create_dir_all(body.parent().unwrap()).unwrap();
    std::fs::write(body, bytes(40_000, 1)).unwrap();
    rusqlite::Connection::open(root.join("index.sqlite"))
        .unwrap()
        .execute_batch(GOLDEN)
        .unwrap();
    let client = in_folder(folder.path());
    assert_eq!(get(&client, "klein/ü").await, b"body");
    assert!(get(&client, "parts").await == [bytes(40_000, 1), b"end".to_vec()].concat());
    let head = client
        .head_object()
        .bucket(BUCKET)
        .key("klein/ü")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.content_type(), head.metadata().unwrap()["a"].as_str()),
        (Some("text/plain"), "b")
    );
    let upload = "01KAR8Z5V2Q7M4N8C6D9E1F3UP";
    let parts = client
        .list_parts()
        .bucket(BUCKET)
        .key("under way")
        .upload_id(upload)
        .send()
        .await
        .unwrap();
    assert_eq!(parts.parts()[0].part_number(), Some(2));
    for bucket in ["my-bucket", "other"] {
        client.head_bucket().bucket(bucket).send().await.unwrap();
    }
}

#[test]
fn format_1_does_not_change() {
    let tables = GOLDEN.split("-- rows").next().unwrap();
    assert_eq!(tables.trim(), schema::FORMAT_1.trim());
}

#[test]
fn an_invalid_index_is_reported_with_its_path() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("s3")).unwrap();
    std::fs::write(folder.path().join("s3/index.sqlite"), vec![b'x'; 8192]).unwrap();
    let error = open(&Place::Folder(folder.path().to_owned()), Synchronous::Full)
        .err()
        .unwrap();
    assert!(matches!(error, Error::Sqlite { .. }), "{error}");
    assert!(error.to_string().contains("index.sqlite"), "{error}");
}
