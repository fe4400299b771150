//! Contents that arrive in chunks and are stored encrypted or compressed.

use futures::stream;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::upload_request::Message;
use tollgate_tests::gateway::CallResult;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{key, s, save};

use super::{Archive, BUCKET, SEGMENT, content, lines};

fn message(message: Message) -> v1::UploadRequest {
    v1::UploadRequest {
        message: Some(message),
    }
}

fn chunk(attribute: &str, data: &[u8], end: bool) -> v1::UploadRequest {
    message(Message::Chunk(v1::ObjectChunk {
        attribute: attribute.to_owned(),
        data: data.to_vec().into(),
        end,
        ..v1::ObjectChunk::default()
    }))
}

/// Uploads the item `A` with one object, in chunks of this size.
async fn upload(
    archive: &Archive,
    attribute: &str,
    whole: &[u8],
    chunk_bytes: usize,
) -> CallResult<v1::UploadResponse> {
    let mut item = key("A", "1");
    item.insert("secret".to_owned(), s("a secret"));
    let announced = v1::AttributeValue {
        kind: Some(Kind::Object(Box::default())),
    };
    item.insert(attribute.to_owned(), announced);
    let mut messages = vec![message(Message::Save(save("Archive", item)))];
    messages.extend(
        whole
            .chunks(chunk_bytes)
            .map(|data| chunk(attribute, data, false)),
    );
    messages.push(chunk(attribute, b"", true));
    CallResult::from_response(archive.gateway.data().upload(stream::iter(messages)).await)
}

#[tokio::test]
async fn chunks_are_encrypted_and_compressed_on_their_way() {
    let archive = Archive::start().await;
    for (attribute, whole) in [
        ("scan", Vec::new()),
        ("scan", content(SEGMENT)),
        ("scan", content(300_001)),
        ("both", lines(300_000)),
        ("both", content(50_000)),
        ("zstd", lines(300_000)),
        ("lz4", lines(300_000)),
        ("gzip", lines(300_000)),
    ] {
        for chunk_bytes in [7_001, 100_000, 1_000_000] {
            let uploaded = upload(&archive, attribute, &whole, chunk_bytes).await;
            assert_eq!(uploaded.bill.count("tollgate-kms-calls"), 1, "{attribute}");
            let stored = archive.object(attribute).await;
            assert_eq!(
                uploaded.bill.count("tollgate-s3-bytes-uploaded"),
                stored.len() as u64
            );
            uploaded.ok();
            assert!(
                archive.content(attribute).await == whole,
                "{attribute} {chunk_bytes}"
            );
            let pointer = archive.pointer(attribute).await;
            let is_sealed = matches!(attribute, "scan" | "both");
            assert_eq!(pointer.contains_key("mac"), is_sealed, "{attribute}");
            assert_eq!(pointer.contains_key("sha256"), !is_sealed, "{attribute}");
        }
    }
    assert_eq!(archive.stores().objects(BUCKET).await.len(), 1);
}

#[tokio::test]
async fn parts_count_stored_bytes() {
    let archive = Archive::start().await;
    let whole = content(5 * 1024 * 1024);
    let uploaded = upload(&archive, "scan", &whole, 1 << 20).await;
    // the plaintext would fit into one PutObject
    assert_eq!(uploaded.bill.count("tollgate-s3-calls"), 2 + 2);
    uploaded.ok();
    assert!(archive.content("scan").await == whole);
}

#[tokio::test]
async fn an_offloaded_attribute_has_no_chunks() {
    let archive = Archive::start().await;
    let refused = Refusal::of(upload(&archive, "text", b"content", 10).await);
    assert_eq!(refused.reason, "INVALID_FIELD");
    assert!(archive.stores().objects(BUCKET).await.is_empty());
}
