//! Objects: put, get, copy and delete, also concurrently.

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::types::{ChecksumMode, Delete, MetadataDirective, ObjectIdentifier};

use super::*;
use crate::embedded::s3::receive::INLINE_BYTES;

/// Sizes around each boundary: empty, inline, one block, several blocks.
const SIZES: [usize; 7] = [
    0,
    1,
    INLINE_BYTES,
    INLINE_BYTES + 1,
    256 * 1024,
    256 * 1024 + 1,
    3 * MIB + 17,
];

#[tokio::test]
async fn returns_the_stored_body() {
    let (_folder, clients) = both().await;
    for client in clients {
        for size in SIZES {
            let body = bytes(size, size as u64);
            put(&client, "key", &body).await;
            assert!(get(&client, "key").await == body, "{size}");
            let head = client
                .head_object()
                .bucket(BUCKET)
                .key("key")
                .send()
                .await
                .unwrap();
            assert_eq!(head.content_length(), Some(size as i64));
            put(&client, "key", b"over").await;
            assert_eq!(get(&client, "key").await, b"over");
        }
    }
}

#[tokio::test]
async fn returns_headers_and_metadata() {
    let (_folder, clients) = both().await;
    for client in clients {
        let put = client
            .put_object()
            .bucket(BUCKET)
            .key("key")
            .body(ByteStream::from_static(b"body"))
            .content_type("text/plain; charset=utf-8")
            .content_encoding("gzip")
            .content_language("de")
            .cache_control("no-store")
            .content_disposition("attachment; filename=\"a b\"")
            .expires(aws_smithy_types::DateTime::from_secs(1_900_000_000))
            .metadata("item", "users/42")
            .metadata("accent", "Grüße")
            .send()
            .await
            .unwrap();
        assert_eq!(put.e_tag(), Some("\"841a2d689ad86bd1611447453c22c6fc\""));
        let output = client
            .get_object()
            .bucket(BUCKET)
            .key("key")
            .send()
            .await
            .unwrap();
        assert_eq!(output.content_type(), Some("text/plain; charset=utf-8"));
        assert_eq!(output.content_encoding(), Some("gzip"));
        assert_eq!(output.content_language(), Some("de"));
        assert_eq!(output.cache_control(), Some("no-store"));
        assert_eq!(output.content_disposition(), Some("attachment; filename=\"a b\""));
        assert_eq!(output.expires_string(), Some("Sun, 17 Mar 2030 17:46:40 GMT"));
        assert_eq!(output.metadata().unwrap()["item"], "users/42");
        assert_eq!(output.e_tag(), put.e_tag());
        assert!(output.last_modified().unwrap().secs() > 1_700_000_000);
        let head = client
            .head_object()
            .bucket(BUCKET)
            .key("key")
            .send()
            .await
            .unwrap();
        assert_eq!(head.metadata(), output.metadata());
        assert_eq!(head.content_type(), output.content_type());
        let large = client
            .put_object()
            .bucket(BUCKET)
            .key("key")
            .metadata("large", "v".repeat(3000))
            .send()
            .await;
        assert_eq!(refusal(large), ("MetadataTooLarge".into(), 400));
    }
}

#[tokio::test]
async fn returns_the_requested_range() {
    let (_folder, clients) = both().await;
    for client in clients {
        for size in [10, 600 * 1024] {
            let body = bytes(size, 7);
            put(&client, "key", &body).await;
            let cases = [
                ("bytes=0-0".to_owned(), 0..1),
                ("bytes=3-".to_owned(), 3..size),
                ("bytes=-4".to_owned(), size - 4..size),
                (format!("bytes=1-{}", size - 2), 1..size - 1),
                (format!("bytes=2-{}", size * 10), 2..size),
                (format!("bytes=-{}", size * 10), 0..size),
            ];
            for (range, expected) in cases {
                let output = client
                    .get_object()
                    .bucket(BUCKET)
                    .key("key")
                    .range(&range)
                    .send()
                    .await
                    .unwrap();
                let content_range = format!("bytes {}-{}/{size}", expected.start, expected.end - 1);
                assert_eq!(output.content_range(), Some(content_range.as_str()), "{range}");
                assert_eq!(output.content_length(), Some(expected.len() as i64));
                assert!(
                    output.body.collect().await.unwrap().to_vec() == body[expected],
                    "{range}"
                );
            }
            let beyond = client
                .get_object()
                .bucket(BUCKET)
                .key("key")
                .range(format!("bytes={size}-"))
                .send()
                .await;
            assert_eq!(refusal(beyond), ("InvalidRange".into(), 416));
        }
    }
}

#[tokio::test]
async fn deletion_removes_the_object_and_its_file() {
    let (folder, clients) = both().await;
    for client in clients {
        for (key, size) in [("small", 10), ("large", MIB), ("other", MIB)] {
            put(&client, key, &bytes(size, 3)).await;
        }
        client
            .delete_object()
            .bucket(BUCKET)
            .key("small")
            .send()
            .await
            .unwrap();
        client
            .delete_object()
            .bucket(BUCKET)
            .key("small")
            .send()
            .await
            .unwrap();
        let identifier = |key: &str| ObjectIdentifier::builder().key(key).build().unwrap();
        let stale = ObjectIdentifier::builder()
            .key("other")
            .e_tag("\"none\"")
            .build()
            .unwrap();
        let delete = Delete::builder()
            .objects(identifier("large"))
            .objects(identifier("none"))
            .objects(stale);
        let output = client
            .delete_objects()
            .bucket(BUCKET)
            .delete(delete.build().unwrap())
            .send()
            .await
            .unwrap();
        let deleted: Vec<_> = output
            .deleted()
            .iter()
            .filter_map(|deleted| deleted.key())
            .collect();
        assert_eq!(deleted, ["large", "none"]);
        assert_eq!(output.errors()[0].code(), Some("PreconditionFailed"));
        assert_eq!(output.errors()[0].key(), Some("other"));
        let large = client
            .get_object()
            .bucket(BUCKET)
            .key("large")
            .send()
            .await
            .unwrap_err()
            .into_service_error();
        assert_eq!(large.code(), Some("NoSuchKey"));
    }
    wait_for_body_files(folder.path(), 1).await;
}

#[tokio::test]
async fn copies_are_independent_objects() {
    let (_folder, clients) = both().await;
    for client in clients {
        for size in [10, MIB] {
            let body = bytes(size, 9);
            let source = client
                .put_object()
                .bucket(BUCKET)
                .key("dir/quelle ü")
                .metadata("a", "1")
                .content_type("text/x");
            let put = source.body(ByteStream::from(body.clone())).send().await.unwrap();
            let copy = || {
                client
                    .copy_object()
                    .bucket(BUCKET)
                    .copy_source(format!("{BUCKET}/dir/quelle%20%C3%BC"))
            };
            let copied = copy().key("copy").send().await.unwrap();
            assert_eq!(copied.copy_object_result().unwrap().e_tag(), put.e_tag());
            copy()
                .key("replaced")
                .metadata_directive(MetadataDirective::Replace)
                .metadata("b", "2")
                .send()
                .await
                .unwrap();
            assert_eq!(
                refusal(copy().key("dir/quelle ü").send().await),
                ("InvalidRequest".into(), 400)
            );
            assert_eq!(
                refusal(copy().key("c").copy_source_if_match("\"none\"").send().await).1,
                412
            );
            client
                .delete_object()
                .bucket(BUCKET)
                .key("dir/quelle ü")
                .send()
                .await
                .unwrap();
            assert_eq!(refusal(copy().key("c").send().await), ("NoSuchKey".into(), 404));
            assert!(get(&client, "copy").await == body);
            let head = client
                .head_object()
                .bucket(BUCKET)
                .key("copy")
                .send()
                .await
                .unwrap();
            assert_eq!(
                (head.metadata().unwrap()["a"].as_str(), head.content_type()),
                ("1", Some("text/x"))
            );
            let head = client
                .head_object()
                .bucket(BUCKET)
                .key("replaced")
                .send()
                .await
                .unwrap();
            assert_eq!(head.metadata().unwrap().len(), 1);
            assert_eq!(head.metadata().unwrap()["b"], "2");
        }
    }
}

#[tokio::test]
async fn a_reader_sees_one_version_while_the_object_is_replaced() {
    let (folder, clients) = both().await;
    for client in clients {
        let old = bytes(2 * MIB, 1);
        put(&client, "key", &old).await;
        let mut output = client
            .get_object()
            .bucket(BUCKET)
            .key("key")
            .send()
            .await
            .unwrap();
        let mut read = output.body.next().await.unwrap().unwrap().to_vec();
        put(&client, "key", &bytes(2 * MIB, 2)).await;
        client
            .delete_object()
            .bucket(BUCKET)
            .key("key")
            .send()
            .await
            .unwrap();
        while let Some(block) = output.body.next().await {
            read.extend_from_slice(&block.unwrap());
        }
        assert!(read == old);
        drop(output);
    }
    wait_for_body_files(folder.path(), 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_puts_leave_one_complete_object() {
    let (folder, clients) = both().await;
    for client in clients {
        let bodies: Vec<Vec<u8>> = (0..12)
            .map(|seed| bytes(64 * 1024 + seed as usize, seed))
            .collect();
        let writes = bodies.iter().map(|body| put(&client, "key", body));
        let reads = (0..24).map(|_| async {
            let output = client
                .get_object()
                .bucket(BUCKET)
                .key("key")
                .checksum_mode(ChecksumMode::Enabled)
                .send()
                .await;
            match output {
                Ok(output) => bodies.contains(&output.body.collect().await.unwrap().to_vec()),
                Err(error) => error.into_service_error().is_no_such_key(),
            }
        });
        let (_, seen) = tokio::join!(
            futures::future::join_all(writes),
            futures::future::join_all(reads)
        );
        assert!(seen.into_iter().all(|whole| whole));
        let last = get(&client, "key").await;
        assert!(bodies.contains(&last));
    }
    wait_for_body_files(folder.path(), 1).await;
}
