//! UploadPartCopy: parts that are ranges of another object.

use aws_sdk_s3::operation::upload_part_copy::builders::UploadPartCopyFluentBuilder;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedPart};

use super::multipart::{PART, complete};
use super::*;

/// Stores the source, and returns its ETag.
async fn store_source(client: &Client, body: &[u8]) -> String {
    put(client, "source", body).await;
    let head = client.head_object().bucket(BUCKET).key("source");
    head.send().await.unwrap().e_tag.unwrap()
}

async fn create(client: &Client, algorithm: Option<ChecksumAlgorithm>) -> String {
    let create = client.create_multipart_upload().bucket(BUCKET).key("key");
    let output = create.set_checksum_algorithm(algorithm).send().await.unwrap();
    output.upload_id().unwrap().to_owned()
}

fn copy(client: &Client, id: &str, number: i32) -> UploadPartCopyFluentBuilder {
    client
        .upload_part_copy()
        .bucket(BUCKET)
        .key("key")
        .upload_id(id)
        .part_number(number)
        .copy_source(format!("{BUCKET}/source"))
}

async fn copied(copy: UploadPartCopyFluentBuilder, number: i32) -> CompletedPart {
    let result = copy.send().await.unwrap().copy_part_result.unwrap();
    assert!(result.last_modified.is_some());
    CompletedPart::builder()
        .part_number(number)
        .set_e_tag(result.e_tag)
        .set_checksum_crc32(result.checksum_crc32)
        .build()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranges_of_an_object_become_parts() {
    let (_folder, clients) = both().await;
    let source = bytes(2 * PART + 77, 1);
    for client in clients {
        let etag = store_source(&client, &source).await;
        for algorithm in [None, Some(ChecksumAlgorithm::Crc32)] {
            let id = create(&client, algorithm.clone()).await;
            let ranges = [(0, PART - 1), (PART, 2 * PART - 1), (2 * PART, 2 * PART + 76)];
            let mut parts = Vec::new();
            for (number, (first, last)) in (1..).zip(ranges) {
                let copy = copy(&client, &id, number).copy_source_if_match(&etag);
                let copy = copy.copy_source_range(format!("bytes={first}-{last}"));
                parts.push(copied(copy, number).await);
            }
            let sums = parts.iter().filter(|part| part.checksum_crc32().is_some());
            assert_eq!(sums.count(), if algorithm.is_some() { 3 } else { 0 });
            complete(&client, "key", &id, parts).send().await.unwrap();
            assert!(get(&client, "key").await == source);
        }
        // without a range: all of it
        let id = create(&client, None).await;
        let parts = vec![copied(copy(&client, &id, 3), 3).await];
        complete(&client, "key", &id, parts).send().await.unwrap();
        assert!(get(&client, "key").await == source);
    }
}

#[tokio::test]
async fn what_cannot_be_copied_is_refused() {
    let (_folder, clients) = both().await;
    for client in clients {
        let etag = store_source(&client, b"0123456789").await;
        store_source(&client, b"9876543210").await;
        let id = create(&client, None).await;
        let copy = |number| copy(&client, &id, number);
        for (copy, refused) in [
            (copy(0), ("InvalidArgument", 400)),
            (copy(1).copy_source_if_match(etag), ("PreconditionFailed", 412)),
            (copy(1).copy_source_range("bytes=0-10"), ("InvalidArgument", 400)),
            (copy(1).copy_source_range("bytes=10-10"), ("InvalidRange", 416)),
            (copy(1).copy_source_range("bytes=5-"), ("InvalidArgument", 400)),
            (copy(1).copy_source(format!("{BUCKET}/none")), ("NoSuchKey", 404)),
            (copy(1).copy_source("no-bucket/none"), ("NoSuchBucket", 404)),
            (copy(1).upload_id("none"), ("NoSuchUpload", 404)),
        ] {
            let (code, status) = refusal(copy.send().await);
            assert_eq!((code.as_str(), status), refused);
        }
    }
}
