//! Multipart uploads: complete or without effect.

use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use super::*;
use crate::embedded::s3::complete::PART_BYTES;

pub(super) const PART: usize = PART_BYTES as usize;

async fn create(client: &Client, key: &str) -> String {
    let output = client
        .create_multipart_upload()
        .bucket(BUCKET)
        .key(key)
        .content_type("text/x")
        .metadata("a", "1");
    output.send().await.unwrap().upload_id().unwrap().to_owned()
}

async fn upload(client: &Client, key: &str, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let part = client
        .upload_part()
        .bucket(BUCKET)
        .key(key)
        .upload_id(id)
        .part_number(number);
    let output = part.body(ByteStream::from(body)).send().await.unwrap();
    CompletedPart::builder()
        .part_number(number)
        .set_e_tag(output.e_tag)
        .build()
}

pub(super) fn complete(
    client: &Client,
    key: &str,
    id: &str,
    parts: Vec<CompletedPart>,
) -> CompleteMultipartUploadFluentBuilder {
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    client
        .complete_multipart_upload()
        .bucket(BUCKET)
        .key(key)
        .upload_id(id)
        .multipart_upload(parts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_parts_form_one_object() {
    let (folder, clients) = both().await;
    for client in clients {
        let id = create(&client, "key").await;
        let bodies = [bytes(PART, 1), bytes(PART + 1, 2), bytes(100, 3)];
        put(&client, "key", b"before").await;
        let parts = bodies
            .iter()
            .zip([2, 5, 9])
            .map(|(body, number)| upload(&client, "key", &id, number, body.clone()));
        let parts = futures::future::join_all(parts).await;
        upload(&client, "key", &id, 7, bytes(MIB, 8)).await;
        assert_eq!(get(&client, "key").await, b"before");
        let output = complete(&client, "key", &id, parts).send().await.unwrap();
        let etag = output.e_tag().unwrap().to_owned();
        assert!(etag.ends_with("-3\""), "{etag}");
        let whole = bodies.concat();
        assert!(get(&client, "key").await == whole);
        let head = client
            .head_object()
            .bucket(BUCKET)
            .key("key")
            .send()
            .await
            .unwrap();
        assert_eq!(
            (head.e_tag(), head.content_type()),
            (Some(etag.as_str()), Some("text/x"))
        );
        assert_eq!(head.metadata().unwrap()["a"], "1");
        let border = PART - 10..PART + PART + 20;
        let range = format!("bytes={}-{}", border.start, border.end - 1);
        let output = client
            .get_object()
            .bucket(BUCKET)
            .key("key")
            .range(range)
            .send()
            .await
            .unwrap();
        assert!(output.body.collect().await.unwrap().to_vec() == whole[border]);
        let part = client
            .get_object()
            .bucket(BUCKET)
            .key("key")
            .part_number(9)
            .send()
            .await
            .unwrap();
        assert_eq!(part.parts_count(), Some(3));
        assert!(part.body.collect().await.unwrap().to_vec() == bodies[2]);
        let again = client
            .abort_multipart_upload()
            .bucket(BUCKET)
            .key("key")
            .upload_id(&id)
            .send()
            .await;
        assert_eq!(refusal(again), ("NoSuchUpload".into(), 404));
    }
    wait_for_body_files(folder.path(), 2).await;
}

#[tokio::test]
async fn an_invalid_completion_is_refused_and_can_be_corrected() {
    let (folder, clients) = both().await;
    for client in clients {
        let id = create(&client, "key").await;
        let first = upload(&client, "key", &id, 1, bytes(PART, 1)).await;
        let second = upload(&client, "key", &id, 2, bytes(PART - 1, 2)).await;
        let third = upload(&client, "key", &id, 3, b"end".to_vec()).await;
        let complete = |parts: Vec<CompletedPart>| complete(&client, "key", &id, parts).send();
        let code = |result| refusal(result).0;
        let wrong = CompletedPart::builder()
            .part_number(1)
            .e_tag("\"841a2d689ad86bd1611447453c22c6fc\"")
            .build();
        assert_eq!(code(complete(vec![wrong]).await), "InvalidPart");
        let absent = CompletedPart::builder()
            .part_number(4)
            .set_e_tag(first.e_tag.clone())
            .build();
        assert_eq!(code(complete(vec![first.clone(), absent]).await), "InvalidPart");
        let unnamed = CompletedPart::builder().part_number(1).build();
        assert_eq!(code(complete(vec![unnamed]).await), "InvalidPart");
        assert_eq!(
            code(complete(vec![third.clone(), first.clone()]).await),
            "InvalidPartOrder"
        );
        assert_eq!(
            code(complete(vec![first.clone(), first.clone()]).await),
            "InvalidPartOrder"
        );
        assert_eq!(
            code(complete(vec![first.clone(), second.clone(), third.clone()]).await),
            "EntityTooSmall"
        );
        assert_eq!(code(complete(Vec::new()).await), "MalformedXML");
        assert_eq!(
            refusal(client.get_object().bucket(BUCKET).key("key").send().await).0,
            "NoSuchKey"
        );
        let other_key = super::multipart::complete(&client, "other", &id, vec![first.clone()])
            .send()
            .await;
        assert_eq!(refusal(other_key), ("NoSuchUpload".into(), 404));
        let second = upload(&client, "key", &id, 2, bytes(PART, 2)).await;
        complete(vec![first, second, third]).await.unwrap();
        assert!(get(&client, "key").await == [bytes(PART, 1), bytes(PART, 2), b"end".to_vec()].concat());
    }
    wait_for_body_files(folder.path(), 2).await;
}

#[tokio::test]
async fn checks_conditions_at_completion() {
    let (_folder, clients) = both().await;
    for client in clients {
        let id = create(&client, "key").await;
        let part = upload(&client, "key", &id, 1, b"part".to_vec()).await;
        put(&client, "key", b"old").await;
        let refused = complete(&client, "key", &id, vec![part.clone()])
            .if_none_match("*")
            .send()
            .await;
        assert_eq!(refusal(refused), ("PreconditionFailed".into(), 412));
        assert_eq!(get(&client, "key").await, b"old");
        complete(&client, "key", &id, vec![part]).send().await.unwrap();
        assert_eq!(get(&client, "key").await, b"part");
    }
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing_behind() {
    let (folder, clients) = both().await;
    for client in clients {
        let id = create(&client, "key").await;
        upload(&client, "key", &id, 1, bytes(MIB, 1)).await;
        client
            .abort_multipart_upload()
            .bucket(BUCKET)
            .key("key")
            .upload_id(&id)
            .send()
            .await
            .unwrap();
        let part = client
            .upload_part()
            .bucket(BUCKET)
            .key("key")
            .upload_id(&id)
            .part_number(1);
        let late = part.body(ByteStream::from(bytes(MIB, 1))).send().await;
        assert_eq!(refusal(late), ("NoSuchUpload".into(), 404));
        let parts = client
            .list_parts()
            .bucket(BUCKET)
            .key("key")
            .upload_id(&id)
            .send()
            .await;
        assert_eq!(refusal(parts), ("NoSuchUpload".into(), 404));
        assert!(
            client
                .list_multipart_uploads()
                .bucket(BUCKET)
                .send()
                .await
                .unwrap()
                .uploads()
                .is_empty()
        );
    }
    wait_for_body_files(folder.path(), 0).await;
}

#[tokio::test]
async fn lists_parts_and_uploads_in_pages() {
    let (_folder, clients) = both().await;
    for client in clients {
        let ids = [
            create(&client, "a/1").await,
            create(&client, "a/1").await,
            create(&client, "b").await,
        ];
        for number in [3, 1, 2] {
            upload(&client, "b", &ids[2], number, vec![0; number as usize]).await;
        }
        let mut pages = client
            .list_parts()
            .bucket(BUCKET)
            .key("b")
            .upload_id(&ids[2])
            .into_paginator()
            .page_size(2)
            .send();
        let mut parts = Vec::new();
        while let Some(page) = pages.next().await {
            parts.extend(
                page.unwrap()
                    .parts()
                    .iter()
                    .map(|part| (part.part_number().unwrap(), part.size().unwrap())),
            );
        }
        assert_eq!(parts, [(1, 1), (2, 2), (3, 3)]);
        let (mut key, mut id, mut seen) = (None, None, Vec::new());
        loop {
            let list = client.list_multipart_uploads().bucket(BUCKET).max_uploads(1);
            let page = list
                .set_key_marker(key)
                .set_upload_id_marker(id)
                .send()
                .await
                .unwrap();
            seen.extend(
                page.uploads()
                    .iter()
                    .map(|upload| upload.upload_id().unwrap().to_owned()),
            );
            if page.is_truncated() != Some(true) {
                break;
            }
            (key, id) = (page.next_key_marker, page.next_upload_id_marker);
        }
        let mut expected = ids.to_vec();
        expected.sort_unstable();
        seen.sort_unstable();
        assert_eq!(seen, expected);
        let page = client
            .list_multipart_uploads()
            .bucket(BUCKET)
            .prefix("a/")
            .send()
            .await
            .unwrap();
        assert_eq!(page.uploads().len(), 2);
        let page = client
            .list_multipart_uploads()
            .bucket(BUCKET)
            .key_marker("a/1")
            .send()
            .await
            .unwrap();
        assert_eq!(page.uploads().len(), 1);
    }
}

#[tokio::test]
async fn a_part_that_does_not_match_its_checksum_is_not_stored() {
    let (folder, clients) = both().await;
    for client in clients {
        let id = create(&client, "key").await;
        let old = upload(&client, "key", &id, 1, bytes(MIB, 1)).await;
        let part = client
            .upload_part()
            .bucket(BUCKET)
            .key("key")
            .upload_id(&id)
            .part_number(1);
        let bad = part
            .checksum_crc32("AAAAAA==")
            .body(ByteStream::from(bytes(MIB, 2)))
            .send()
            .await;
        assert_eq!(refusal(bad), ("BadDigest".into(), 400));
        for number in [0, 10_001] {
            let part = client
                .upload_part()
                .bucket(BUCKET)
                .key("key")
                .upload_id(&id)
                .part_number(number);
            assert_eq!(refusal(part.send().await), ("InvalidArgument".into(), 400));
        }
        complete(&client, "key", &id, vec![old]).send().await.unwrap();
        assert!(get(&client, "key").await == bytes(MIB, 1));
    }
    wait_for_body_files(folder.path(), 1).await;
}
