//! Uploads that are refused: nothing is committed, and nothing is left behind.

use futures::stream::{self, StreamExt as _};
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_proto::v1::upload_request::Message;
use tollgate_tests::gateway::{CallResult, Gateway};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{AttributeValue, Item, item, key, n, s, save, update};
use tollgate_tests::wiretap::Wiretap;
use v1::transact_operation::Operation;

use super::{BUCKET, album, announced, chunk, chunks, content_of, last, message, saving, serving, upload};

/// SHA-256 of `abc`.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// The refusal of an Upload, after which nothing is stored.
async fn refused(gateway: &Gateway, wiretap: &Wiretap, messages: Vec<v1::UploadRequest>) -> Refusal {
    let refusal = Refusal::of(upload(gateway, stream::iter(messages)).await);
    assert_eq!(content_of(gateway, "Album", "photo").await, None);
    assert_eq!(wiretap.stores().objects(BUCKET).await, [""; 0], "{refusal:?}");
    assert_eq!(wiretap.stores().open_uploads(BUCKET).await, 0, "{refusal:?}");
    assert_eq!(wiretap.count("PutItem"), 0);
    refusal
}

fn photo_of(object: AttributeValue) -> Item {
    let mut album = key("A", "1");
    album.insert("photo".to_owned(), object);
    album
}

fn changed(object: AttributeValue, change: impl FnOnce(&mut v1::Object)) -> AttributeValue {
    match object.kind {
        Some(Kind::Object(mut object)) => {
            change(&mut object);
            AttributeValue {
                kind: Some(Kind::Object(object)),
            }
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_first_message_is_refused_before_any_chunk() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    let long = item([("text", s("x".repeat(21))), ("photo", announced(0, ""))]);
    let with = |change: fn(&mut v1::Object)| photo_of(changed(announced(0, ""), change));
    let updating = |text: &str| {
        let values = [(":p", announced(0, ""))];
        message(Message::Update(update("Album", key("A", "1"), text, values)))
    };
    let cases: Vec<(v1::UploadRequest, &str, &[&str])> = vec![
        (v1::UploadRequest::default(), "INVALID_FIELD", &["message"]),
        (chunk("photo", b"x"), "INVALID_FIELD", &["message"]),
        (
            message(Message::Save(save("", album(&["photo"])))),
            "INVALID_FIELD",
            &["save.model"],
        ),
        (
            message(Message::Save(save("Nope", album(&["photo"])))),
            "UNKNOWN_MODEL",
            &[],
        ),
        (
            saving(long),
            "INVALID_FIELD",
            &["save.item.pk", "save.item.sk", "save.item.text"],
        ),
        (
            saving(with(|object| object.sha256 = "ABC".to_owned())),
            "INVALID_FIELD",
            &["save.item.photo.sha256"],
        ),
        (
            saving(with(|object| object.etag = "x".to_owned())),
            "INVALID_FIELD",
            &["save.item.photo.etag"],
        ),
        (
            saving(with(|object| object.size = (5 << 40) + 1)),
            "INVALID_FIELD",
            &["save.item.photo.size"],
        ),
        (
            updating("SET photo = :p, scan = :p"),
            "INVALID_FIELD",
            &["update.update.values.:p"],
        ),
        (
            updating("SET text = :p"),
            "INVALID_EXPRESSION",
            &["update.update.values.:p"],
        ),
    ];
    for (first, reason, fields) in cases {
        // the caller waits: the response does not need the rest
        let messages = stream::iter([first]).chain(stream::pending());
        let refusal = Refusal::of(upload(&gateway, messages).await);
        refusal.is(reason, fields);
        refusal.cost_nothing();
    }
    let nothing = Refusal::of(upload(&gateway, stream::empty()).await);
    nothing.is("INVALID_FIELD", &["message"]);
}

#[tokio::test]
async fn chunks_are_refused_that_do_not_fit_the_first_message() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[("TOLLGATE_S3__IN_FLIGHT", "1")]).await;
    let photo = || saving(album(&["photo"]));
    let both = || saving(album(&["photo", "scan"]));
    let large = vec![7; 6_000_000];
    let cases: Vec<(Vec<v1::UploadRequest>, &[&str])> = vec![
        (vec![photo()], &["save.item.photo"]),
        (vec![photo(), chunk("photo", b"a")], &["save.item.photo"]),
        (vec![photo(), chunk("photo", &large)], &["save.item.photo"]),
        (vec![both(), last("photo", b"a", "")], &["save.item.scan"]),
        (vec![both()], &["save.item.photo", "save.item.scan"]),
        (vec![photo(), chunk("scan", b"a")], &["chunk.attribute"]),
        (vec![photo(), chunk("", b"a")], &["chunk.attribute"]),
        (
            vec![photo(), last("photo", b"a", ""), chunk("photo", b"b")],
            &["chunk.attribute"],
        ),
        (
            vec![photo(), last("photo", b"a", ""), last("photo", b"", "")],
            &["chunk.attribute"],
        ),
        (
            vec![both(), chunk("photo", b"a"), chunk("scan", b"b")],
            &["chunk.attribute"],
        ),
        (vec![photo(), last("photo", b"a", ""), photo()], &["save"]),
        (
            vec![photo(), last("photo", b"a", ""), v1::UploadRequest::default()],
            &["chunk"],
        ),
        (vec![photo(), last("photo", b"a", "AB")], &["chunk.sha256"]),
        (
            vec![
                photo(),
                message(Message::Chunk(v1::ObjectChunk {
                    attribute: "photo".to_owned(),
                    sha256: ABC.to_owned(),
                    ..v1::ObjectChunk::default()
                })),
            ],
            &["chunk.sha256"],
        ),
        (
            vec![saving(key("A", "1")), chunk("photo", b"a")],
            &["chunk.attribute"],
        ),
    ];
    for (messages, fields) in cases {
        refused(&gateway, &wiretap, messages)
            .await
            .is("INVALID_FIELD", fields);
    }
}

#[tokio::test]
async fn contents_that_are_not_as_announced_are_never_completed() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    let large = vec![1; 11_000_000];
    let other = ABC.replace('b', "c");
    let cases = [
        (announced(4, ""), b"abc" as &[u8], "", "size"),
        (announced(2, ""), b"abc", "", "size"),
        (announced(3, &other), b"abc", "", "sha256"),
        (announced(0, &other), b"abc", ABC, "sha256"),
        (announced(0, ""), b"abc", &other, "sha256"),
        (announced(0, ABC), &large, "", "sha256"),
        (announced(12_000_000, ""), &large, "", "size"),
        (announced(6_000_000, ""), &large, "", "size"),
    ];
    for (object, content, sha256, field) in cases {
        let mut messages = vec![saving(photo_of(object))];
        let pieces = content.chunks(1_000_000);
        messages.extend(pieces.map(|data| chunk("photo", data)));
        messages.push(last("photo", b"", sha256));
        refused(&gateway, &wiretap, messages)
            .await
            .is("CHECKSUM_MISMATCH", &[&format!("save.item.photo.{field}")]);
    }
    assert_eq!(wiretap.count("CompleteMultipartUpload"), 0);
    assert_eq!(wiretap.count("PutObject"), 0);
    let values = [(":p", announced(1, ""))];
    let request = update("Album", key("A", "1"), "SET photo = :p", values);
    let messages = vec![message(Message::Update(request)), last(":p", b"abc", "")];
    refused(&gateway, &wiretap, messages)
        .await
        .is("CHECKSUM_MISMATCH", &["update.update.values.:p.size"]);
    for object in [announced(3, ABC), announced(3, ""), announced(0, ABC)] {
        let mut item = photo_of(object);
        let stored = gateway
            .get(tollgate_tests::values::get("Album", key("A", "1")))
            .await;
        if let Ok(stored) = stored.outcome {
            item.insert("rev".to_owned(), stored.item["rev"].clone());
        }
        let messages = stream::iter([saving(item), last("photo", b"abc", ABC)]);
        upload(&gateway, messages).await.ok();
    }
}

#[tokio::test]
async fn whole_contents_are_compared_before_anything_is_spent() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    let whole =
        |size: u64, sha256: &str| changed(announced(size, sha256), |object| object.data = Some("abc".into()));
    let other = ABC.replace('b', "c");
    let wrong = || whole(4, &other);
    let saved = gateway.save(save("Album", photo_of(wrong()))).await;
    let refusal = Refusal::of(saved);
    refusal.is("CHECKSUM_MISMATCH", &["item.photo.sha256", "item.photo.size"]);
    refusal.cost_nothing();
    let values = || [(":p", wrong())];
    let updating = update("Album", key("A", "1"), "SET photo = :p", values());
    let refusal = Refusal::of(gateway.update(updating.clone()).await);
    refusal.is(
        "CHECKSUM_MISMATCH",
        &["update.values.:p.sha256", "update.values.:p.size"],
    );
    refusal.cost_nothing();
    let operation = |operation| v1::TransactOperation {
        operation: Some(operation),
    };
    let transaction = v1::TransactWriteRequest {
        operations: vec![operation(Operation::Save(save(
            "Album",
            photo_of(whole(0, &other)),
        )))],
        ..v1::TransactWriteRequest::default()
    };
    let outcome = gateway.data().transact_write(transaction).await;
    let refusal = Refusal::of(CallResult::from_response(outcome));
    refusal.is("CHECKSUM_MISMATCH", &["operations[0].save.item.photo.sha256"]);
    refusal.cost_nothing();
    let writes = [
        v1::batch_write_request::Write::Save(save("Album", photo_of(wrong()))),
        v1::batch_write_request::Write::Update(updating),
    ];
    let writes = writes.map(|write| v1::BatchWriteRequest { write: Some(write) });
    let mut results = DataServiceClient::new(gateway.channel())
        .batch_write(stream::iter(writes))
        .await
        .expect("a stream")
        .into_inner();
    let mut refusals = 0;
    while let Some(result) = results.next().await {
        let Some(v1::batch_write_response::Result::Error(error)) = result.expect("a result").result else {
            panic!("not refused")
        };
        assert!(error.message.contains("another"), "{error:?}");
        refusals += 1;
    }
    assert_eq!(refusals, 2);
    assert!(wiretap.counts().is_empty(), "{:?}", wiretap.counts());
    gateway.save(save("Album", photo_of(whole(3, ABC)))).await.ok();
    assert_eq!(content_of(&gateway, "Album", "photo").await.unwrap(), b"abc");
}

#[tokio::test]
async fn sizes_and_media_types_are_limited() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    let scan = |change: fn(&mut v1::Object)| {
        let mut album = key("A", "1");
        album.insert("scan".to_owned(), changed(announced(0, ""), change));
        album
    };
    let too_large = [vec![saving(scan(|_| {}))], chunks("scan", &vec![1; 6_000_001])];
    refused(&gateway, &wiretap, too_large.concat())
        .await
        .is("INVALID_FIELD", &["save.item.scan"]);
    type Change = fn(&mut v1::Object);
    let cases: [(Change, &str); 4] = [
        (|object| object.size = 6_000_001, "size"),
        (
            |object| object.content_type = "text/html".to_owned(),
            "content_type",
        ),
        (|object| object.content_type.clear(), "content_type"),
        (|object| object.data = Some(vec![1; 6_000_001].into()), "data"),
    ];
    for (change, field) in cases {
        let refusal = Refusal::of(upload(&gateway, stream::iter([saving(scan(change))])).await);
        refusal.is("INVALID_FIELD", &[&format!("save.item.scan.{field}")]);
        refusal.cost_nothing();
        let values = [(":s", changed(announced(0, ""), change))];
        let request = update("Album", key("A", "1"), "SET scan = :s", values);
        let messages = stream::iter([message(Message::Update(request))]);
        let refusal = Refusal::of(upload(&gateway, messages).await);
        refusal.is("INVALID_EXPRESSION", &["update.update.values.:s"]);
        refusal.cost_nothing();
    }
    for content_type in ["IMAGE/JPEG", "application/pdf; x=1"] {
        let mut item = scan(|_| {});
        let object = changed(announced(0, ""), |object| {
            object.content_type = content_type.to_owned();
            object.data = Some("x".into());
        });
        item.insert("scan".to_owned(), object);
        item.insert("sk".to_owned(), s(content_type));
        gateway.save(save("Album", item)).await.ok();
    }
}

#[tokio::test]
async fn conditions_and_versions_are_judged_at_the_commit() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    let mut item = album(&["photo"]);
    item.insert("rev".to_owned(), n(3));
    let messages = [vec![saving(item)], chunks("photo", b"abc")];
    let refusal = Refusal::of(upload(&gateway, stream::iter(messages.concat())).await);
    refusal.is("VERSION_MISMATCH", &[]);
    assert_eq!(refusal.bill.count("tollgate-s3-calls"), 2, "stored, and deleted");
    assert_eq!(wiretap.stores().objects(BUCKET).await, [""; 0]);
}
