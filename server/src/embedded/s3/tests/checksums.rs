//! A body that does not match its declared length or checksum is not stored, and the old object stays.

use aws_sdk_s3::primitives::SdkBody;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumMode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body::Frame;
use http_body_util::StreamBody;

use super::*;
use crate::embedded::s3::digest::{Algorithm, md5};

fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// A body that the SDK cannot read in advance, so that it sends the checksum in a trailer.
fn streamed(body: &[u8]) -> ByteStream {
    let frames: Vec<_> = body
        .chunks(10_000)
        .map(|chunk| Ok::<_, std::io::Error>(Frame::data(Bytes::copy_from_slice(chunk))))
        .collect();
    ByteStream::new(SdkBody::from_body_1_x(StreamBody::new(futures::stream::iter(
        frames,
    ))))
}

const SDK_ALGORITHMS: [ChecksumAlgorithm; 5] = [
    ChecksumAlgorithm::Crc32,
    ChecksumAlgorithm::Crc32C,
    ChecksumAlgorithm::Crc64Nvme,
    ChecksumAlgorithm::Sha1,
    ChecksumAlgorithm::Sha256,
];

#[tokio::test]
async fn accepts_and_returns_every_checksum_in_headers_and_trailers() {
    let (_folder, clients) = both().await;
    for client in clients {
        for algorithm in SDK_ALGORITHMS {
            for size in [5, 100_000] {
                let body = bytes(size, 4);
                let put = || {
                    client
                        .put_object()
                        .bucket(BUCKET)
                        .key("key")
                        .checksum_algorithm(algorithm.clone())
                };
                put().body(ByteStream::from(body.clone())).send().await.unwrap();
                put()
                    .content_length(size as i64)
                    .body(streamed(&body))
                    .send()
                    .await
                    .unwrap();
                let get = client
                    .get_object()
                    .bucket(BUCKET)
                    .key("key")
                    .checksum_mode(ChecksumMode::Enabled);
                let output = get.send().await.unwrap();
                assert!(
                    output.content_encoding().is_none(),
                    "the framing is not part of the object"
                );
                let given = [
                    output.checksum_crc32(),
                    output.checksum_crc32_c(),
                    output.checksum_crc64_nvme(),
                    output.checksum_sha1(),
                    output.checksum_sha256(),
                ];
                let expected = Algorithm::from_name(algorithm.as_str()).unwrap();
                let expected = base64(expected.sum(&body));
                assert_eq!(
                    given.into_iter().flatten().collect::<Vec<_>>(),
                    [expected.as_str()],
                    "{algorithm:?}"
                );
                assert!(output.body.collect().await.unwrap().to_vec() == body);
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_does_not_match_its_checksum_changes_nothing() {
    let (folder, clients) = both().await;
    for client in clients {
        for (old_size, new_size) in [(10, 20), (10, MIB), (MIB, 20), (MIB, MIB)] {
            let old = bytes(old_size, 1);
            put(&client, "key", &old).await;
            let new = bytes(new_size, 2);
            for key in ["key", "new"] {
                Box::pin(refuses_wrong_checksums(&client, key, &new)).await;
            }
            assert!(get(&client, "key").await == old);
            assert_eq!(
                refusal(client.get_object().bucket(BUCKET).key("new").send().await),
                ("NoSuchKey".into(), 404)
            );
            let delete = client.delete_object().bucket(BUCKET).key("key");
            delete.send().await.unwrap();
        }
    }
    wait_for_body_files(folder.path(), 0).await;
}

async fn refuses_wrong_checksums(client: &Client, key: &str, body: &[u8]) {
    let wrong = |algorithm: Algorithm| base64(algorithm.sum(b"something else"));
    let put = || {
        let put = client.put_object().bucket(BUCKET).key(key);
        put.body(ByteStream::from(body.to_vec()))
    };
    let two_checksums = put()
        .checksum_crc32(base64(Algorithm::Crc32.sum(body)))
        .checksum_sha1(wrong(Algorithm::Sha1));
    let cases = [
        (put().checksum_crc32(wrong(Algorithm::Crc32)), "BadDigest"),
        (put().checksum_crc32_c(wrong(Algorithm::Crc32c)), "BadDigest"),
        (
            put().checksum_crc64_nvme(wrong(Algorithm::Crc64Nvme)),
            "BadDigest",
        ),
        (put().checksum_sha1(wrong(Algorithm::Sha1)), "BadDigest"),
        (put().checksum_sha256(wrong(Algorithm::Sha256)), "BadDigest"),
        (put().content_md5(base64(md5(b"something else"))), "BadDigest"),
        (put().content_md5("nonsense"), "InvalidDigest"),
        (put().checksum_crc32("nonsense"), "InvalidRequest"),
        (two_checksums, "InvalidRequest"),
    ];
    for (request, code) in cases {
        assert_eq!(refusal(request.send().await), (code.to_owned(), 400));
    }
}

#[tokio::test]
async fn accepts_a_matching_md5() {
    let (_folder, clients) = both().await;
    for client in clients {
        let body = bytes(MIB, 2);
        let put = client
            .put_object()
            .bucket(BUCKET)
            .key("key")
            .content_md5(base64(md5(&body)));
        put.body(ByteStream::from(body.clone())).send().await.unwrap();
        assert!(get(&client, "key").await == body);
    }
}

#[tokio::test]
async fn an_interrupted_body_changes_nothing() {
    let (folder, clients) = both().await;
    for client in clients {
        put(&client, "key", b"old").await;
        for size in [100, MIB] {
            let cut = client
                .put_object()
                .bucket(BUCKET)
                .key("key")
                .content_length(size as i64 + 1);
            assert!(cut.body(streamed(&bytes(size, 1))).send().await.is_err());
            let frames = [
                Ok(Frame::data(Bytes::from(bytes(size, 1)))),
                Err(std::io::Error::other("the source failed")),
            ];
            let broken = ByteStream::new(SdkBody::from_body_1_x(StreamBody::new(futures::stream::iter(
                frames,
            ))));
            let put = client
                .put_object()
                .bucket(BUCKET)
                .key("key")
                .content_length(size as i64 + 1);
            assert!(put.body(broken).send().await.is_err());
        }
        assert_eq!(get(&client, "key").await, b"old");
    }
    wait_for_body_files(folder.path(), 0).await;
}
