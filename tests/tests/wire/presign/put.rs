//! URLs that upload an object, and writes that take the upload up.

use tollgate_proto::v1;
use tollgate_proto::v1::PresignMethod;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{CallResult, Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::urls::{follow, send};
use tollgate_tests::values::{expression, get_content, item, key, s, save};
use tollgate_tests::wiretap::Wiretap;

use super::{presign, store, taken_up, upload, uploaded, uploads, url, with_upload, with_urls};

/// The content of document `partition` as the gateway returns it.
async fn read(gateway: &Gateway, partition: &str) -> v1::Object {
    let found = gateway.get(get_content(partition)).await.ok();
    match &found.item["content"].kind {
        Some(Kind::Object(object)) => (**object).clone(),
        other => panic!("{other:?}"),
    }
}

fn data(object: &v1::Object) -> &[u8] {
    object.data.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn a_content_uploaded_by_url_is_taken_up_by_a_save() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let wiretap = Wiretap::counting();
    let gateway = with_urls(Some(&wiretap)).await;
    store(&gateway, "A", b"old").await;
    for content in [Vec::new(), b"new".to_vec(), vec![7; 6_000_000]] {
        wiretap.clear();
        let presigned = presign(&gateway, upload("A", &content)).await;
        assert_eq!(presigned.bill.count("tollgate-dynamodb-calls"), 0);
        assert_eq!(presigned.bill.count("tollgate-s3-calls"), 0);
        assert!(wiretap.counts().is_empty());
        let presigned = presigned.ok();
        assert_eq!(presigned.headers["content-type"], "application/pdf");
        assert_eq!(presigned.headers["content-length"], content.len().to_string());
        assert!(presigned.headers.contains_key("x-amz-checksum-sha256"));
        let response = follow("PUT", &presigned, content.clone()).await;
        assert_eq!(response.status, 200, "{response:?}");
        assert_eq!(uploads(&wiretap).await.len(), 1);

        let saved = gateway
            .save(save("Document", with_upload("A", &presigned.upload_token)))
            .await;
        for (operation, count) in [
            ("HeadObject", 1),
            ("CopyObject", 1),
            ("PutItem", 1),
            // the old object and the upload
            ("DeleteObject", 2),
        ] {
            assert_eq!(wiretap.count(operation), count, "{operation}");
        }
        assert_eq!(saved.bill.count("tollgate-s3-calls"), 4);
        saved.ok();
        let object = read(&gateway, "A").await;
        assert!(data(&object) == content);
        assert_eq!(object.size, content.len() as u64);
        assert_eq!(object.sha256, upload("A", &content).sha256);
        assert_eq!(
            (object.name.as_str(), object.content_type.as_str()),
            ("scan 1.pdf", "application/pdf")
        );
        assert_eq!(object.metadata["author"], "me");
        assert!(
            object.key.starts_with("docs/A/V1/") && object.key.ends_with("/scan%201.pdf"),
            "{}",
            object.key
        );
        assert!(uploads(&wiretap).await.is_empty());
        let stored = wiretap.stores().objects("my-bucket").await;
        assert_eq!(stored, [object.key], "nothing is left behind");
    }
}

#[tokio::test]
async fn updates_batches_and_transactions_take_uploads_up() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let wiretap = Wiretap::counting();
    let gateway = with_urls(Some(&wiretap)).await;
    store(&gateway, "A", b"old").await;

    let token = uploaded(&gateway, "A", b"updated").await;
    let update = v1::UpdateRequest {
        model: "Document".to_owned(),
        key: key("A", "V1"),
        update: expression("SET content = :c", [(":c", taken_up(&token))]),
        return_values: v1::ReturnValues::AllNew.into(),
        ..v1::UpdateRequest::default()
    };
    gateway.update(update).await.ok();
    assert_eq!(data(&read(&gateway, "A").await), b"updated");

    let token = uploaded(&gateway, "A", b"transacted").await;
    let transaction = v1::TransactWriteRequest {
        operations: vec![v1::TransactOperation {
            operation: Some(v1::transact_operation::Operation::Save(save(
                "Document",
                with_upload("A", &token),
            ))),
        }],
        ..v1::TransactWriteRequest::default()
    };
    CallResult::from_response(gateway.data().transact_write(transaction).await).ok();
    assert_eq!(data(&read(&gateway, "A").await), b"transacted");

    let token = uploaded(&gateway, "A", b"batched").await;
    let write = v1::BatchWriteRequest {
        write: Some(v1::batch_write_request::Write::Save(save(
            "Document",
            with_upload("A", &token),
        ))),
    };
    let written = gateway.data().batch_write(tokio_stream::iter([write])).await;
    let written = CallResult::read_stream(written).await.ok();
    assert_eq!(written.len(), 1);
    assert_eq!(data(&read(&gateway, "A").await), b"batched");
    assert!(uploads(&wiretap).await.is_empty());
    assert_eq!(wiretap.stores().objects("my-bucket").await.len(), 1);
}

/// The headers of a URL with other values; without those whose value is empty.
fn with_changed(presigned: &v1::PresignResponse, changed: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = presigned.headers.clone().into_iter().collect();
    for (name, value) in changed {
        headers.retain(|(other, _)| other != name);
        if !value.is_empty() {
            headers.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    headers
}

#[tokio::test]
async fn only_the_presigned_content_can_be_uploaded() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let wiretap = Wiretap::counting();
    let gateway = with_urls(Some(&wiretap)).await;
    store(&gateway, "A", b"secret").await;
    let presigned = presign(&gateway, upload("A", b"content")).await.ok();
    let secret = read(&gateway, "A").await.key;
    let copy: &'static str = Box::leak(format!("/my-bucket/{secret}").into_boxed_str());
    for (method, changed, content, status, code) in [
        ("PUT", vec![], &b"CONTENT"[..], 400, "BadDigest"),
        (
            "PUT",
            vec![("content-length", "8")],
            b"content!",
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "PUT",
            vec![("content-type", "text/html")],
            b"content",
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "PUT",
            vec![("content-type", "")],
            b"content",
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "PUT",
            vec![("x-amz-checksum-sha256", "")],
            b"content",
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "PUT",
            vec![("x-amz-copy-source", copy)],
            b"content",
            403,
            "AccessDenied",
        ),
        (
            "PUT",
            vec![("x-amz-meta-tollgate-table", "users")],
            b"content",
            403,
            "AccessDenied",
        ),
        ("GET", vec![], b"content", 403, "SignatureDoesNotMatch"),
    ] {
        let headers = with_changed(&presigned, &changed);
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        let response = send(method, &presigned.url, &headers, content).await;
        assert_eq!(
            (response.status.as_u16(), response.code().as_str()),
            (status, code),
            "{method} {changed:?} {response:?}"
        );
        assert!(uploads(&wiretap).await.is_empty(), "{changed:?}");
    }
    assert_eq!(follow("PUT", &presigned, "content").await.status, 200);
}

#[tokio::test]
async fn a_missing_upload_and_a_spent_token_are_refused() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let wiretap = Wiretap::counting();
    let gateway = with_urls(Some(&wiretap)).await;
    store(&gateway, "A", b"old").await;
    let presigned = presign(&gateway, upload("A", b"new")).await.ok();
    let taking = || save("Document", with_upload("A", &presigned.upload_token));

    let refusal = Refusal::of(gateway.save(taking()).await);
    assert_eq!(refusal.reason, "UPLOAD_MISSING");
    assert_eq!(data(&read(&gateway, "A").await), b"old");

    assert_eq!(follow("PUT", &presigned, "new").await.status, 200);
    gateway.save(taking()).await.ok();
    let refusal = Refusal::of(gateway.save(taking()).await);
    assert_eq!(refusal.reason, "UPLOAD_MISSING");
    assert_eq!(data(&read(&gateway, "A").await), b"new");
    assert_eq!(wiretap.stores().objects("my-bucket").await.len(), 1);

    // the URL is still valid: the content can be uploaded once more, and the token is good for it
    assert_eq!(follow("PUT", &presigned, "new").await.status, 200);
    gateway.save(taking()).await.ok();
    assert!(uploads(&wiretap).await.is_empty());
}

#[tokio::test]
async fn a_token_is_bound_to_its_item_and_attribute() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let wiretap = Wiretap::counting();
    let gateway = with_urls(Some(&wiretap)).await;
    let token = uploaded(&gateway, "A", b"content").await;
    let mut edited = token.clone().into_bytes();
    edited[30] = if edited[30] == b'A' { b'B' } else { b'A' };
    let edited = String::from_utf8(edited).expect("ASCII");
    wiretap.clear();
    for (partition, token) in [
        ("B", token.as_str()),
        ("A", edited.as_str()),
        ("A", "x"),
        ("A", &token[..token.len() - 1]),
    ] {
        let refusal = Refusal::of(
            gateway
                .save(save("Document", with_upload(partition, token)))
                .await,
        );
        assert_eq!(refusal.reason, "INVALID_FIELD");
        assert_eq!(refusal.fields, ["item.content.upload_token"]);
        assert!(!refusal.message.contains(token));
        let update = v1::UpdateRequest {
            model: "Document".to_owned(),
            key: key(partition, "V1"),
            update: expression("SET content = :c", [(":c", taken_up(token))]),
            ..v1::UpdateRequest::default()
        };
        let refusal = Refusal::of(gateway.update(update).await);
        assert_eq!(refusal.fields, ["update.values.:c.upload_token"]);
    }
    assert!(wiretap.counts().is_empty(), "{:?}", wiretap.counts());
    assert_eq!(uploads(&wiretap).await.len(), 1, "the upload is still there");
    gateway
        .save(save("Document", with_upload("A", &token)))
        .await
        .ok();
}

#[tokio::test]
async fn what_the_token_says_cannot_be_changed() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let gateway = with_urls(None).await;
    let token = uploaded(&gateway, "A", b"content").await;
    let with = |change: fn(&mut v1::Object)| {
        let mut item = with_upload("A", &token);
        if let Some(Kind::Object(object)) = item.get_mut("content").and_then(|value| value.kind.as_mut()) {
            change(object);
        }
        item
    };
    for (change, field) in [
        (
            (|object| object.name = "other.pdf".to_owned()) as fn(&mut v1::Object),
            "name",
        ),
        (
            |object| object.content_type = "text/html".to_owned(),
            "content_type",
        ),
        (|object| object.size = 8, "size"),
        (|object| object.sha256 = "0".repeat(64), "sha256"),
        (|object| object.bucket = "b".to_owned(), "bucket"),
        (|object| object.data = Some("content".into()), "upload_token"),
    ] {
        let refusal = Refusal::of(gateway.save(save("Document", with(change))).await);
        assert_eq!(refusal.fields, [format!("item.content.{field}")]);
    }
    let same = with(|object| {
        object.name = "scan 1.pdf".to_owned();
        object.size = 7;
    });
    gateway.save(save("Document", same)).await.ok();
}

#[tokio::test]
async fn an_upload_with_another_content_is_refused() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let wiretap = Wiretap::counting();
    let gateway = with_urls(Some(&wiretap)).await;
    store(&gateway, "A", b"old").await;
    for planted in [&b"CONTENT"[..], b"longer than it"] {
        let token = uploaded(&gateway, "A", b"content").await;
        let place = uploads(&wiretap).await.pop().expect("the upload");
        wiretap
            .stores()
            .put_object("my-bucket", &place, planted.to_vec())
            .await;
        let refusal = Refusal::of(gateway.save(save("Document", with_upload("A", &token))).await);
        assert_eq!(refusal.reason, "CHECKSUM_MISMATCH");
        assert_eq!(refusal.fields, ["item.content"]);
        assert_eq!(data(&read(&gateway, "A").await), b"old");
        let stored = wiretap.stores().objects("my-bucket").await;
        assert_eq!(stored.len(), 2, "the old object and the upload: {stored:?}");
        wiretap.stores().delete_object("my-bucket", &place).await;
    }
}

#[tokio::test]
async fn a_refused_write_leaves_the_upload() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let wiretap = Wiretap::counting();
    let gateway = with_urls(Some(&wiretap)).await;
    store(&gateway, "A", b"old").await;
    let token = uploaded(&gateway, "A", b"new").await;
    let refused = v1::SaveRequest {
        condition: expression("attribute_not_exists(pk)", []),
        ..save("Document", with_upload("A", &token))
    };
    assert_eq!(
        Refusal::of(gateway.save(refused).await).reason,
        "CONDITION_FAILED"
    );
    assert_eq!(uploads(&wiretap).await.len(), 1);
    assert_eq!(wiretap.stores().objects("my-bucket").await.len(), 2);
    gateway
        .save(save("Document", with_upload("A", &token)))
        .await
        .ok();
    assert_eq!(data(&read(&gateway, "A").await), b"new");
    assert_eq!(wiretap.stores().objects("my-bucket").await.len(), 1);
}

#[tokio::test]
async fn tokens_outlive_a_restart() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let folder = tempfile::tempdir().expect("a folder");
    let start = || {
        Gateway::with(Setup {
            data: Some(folder.path().join("data")),
            settings: vec![("TOLLGATE_EMBEDDED__HTTP", "127.0.0.1:0".to_owned())],
            ..Setup::default()
        })
    };
    let gateway = start().await;
    let token = uploaded(&gateway, "A", b"content").await;
    gateway.stop().await;
    let gateway = start().await;
    gateway
        .save(save("Document", with_upload("A", &token)))
        .await
        .ok();
    assert_eq!(data(&read(&gateway, "A").await), b"content");
    gateway.stop().await;
}

#[tokio::test]
async fn bad_requests_for_uploads_cost_nothing() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let wiretap = Wiretap::counting();
    let gateway = with_urls(Some(&wiretap)).await;
    let good = || upload("A", b"content");
    for (request, fields) in [
        (url("A", PresignMethod::Put), vec!["sha256"]),
        (v1::PresignRequest { size: 0, ..good() }, vec!["size"]),
        (
            v1::PresignRequest {
                size: (5 << 30) + 1,
                sha256: good().sha256.to_uppercase(),
                ..good()
            },
            vec!["sha256", "size"],
        ),
        (
            v1::PresignRequest {
                name: "x".repeat(256),
                content_type: "text/\nplain".to_owned(),
                ..good()
            },
            vec!["content_type", "name"],
        ),
        (
            v1::PresignRequest {
                key: item([("pk", s("A"))]),
                ..good()
            },
            vec!["key.sk"],
        ),
    ] {
        let refusal = Refusal::of(presign(&gateway, request).await);
        assert_eq!(refusal.fields, fields);
    }
    let checked = v1::PresignRequest {
        validate_only: true,
        ..good()
    };
    assert_eq!(
        presign(&gateway, checked).await.ok(),
        v1::PresignResponse::default()
    );
    assert!(wiretap.counts().is_empty());
}
