//! Upload: what it stores, what it costs, how it is refused.

mod client;
mod ended;
mod faults;
mod idempotency;
mod refusals;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::Stream;
use futures::stream::{self, StreamExt as _};
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::upload_request::Message;
use tollgate_proto::v1::upload_response::Result as Done;
use tollgate_tests::gateway::{CallResult, Gateway, Setup};
use tollgate_tests::values::{AttributeValue, Item, get, key, s, save, update};
use tollgate_tests::wiretap::{Fate, Wiretap};

const MODELS: &str = "
name: Album
table: albums
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  text: { type: string, max_length: 20 }
  rev: { type: version }
  photo: { type: object, s3: { bucket: album-bucket, prefix: photos/ } }
  scan:
    type: object
    alias: sc
    s3: { bucket: album-bucket, prefix: scans/, max_size: 6000000, content_types: [image/*, application/pdf] }
---
name: Kept
table: kept
partition_key: pk
sort_key: sk
idempotency: item
attributes:
  pk: { type: string }
  sk: { type: string }
  photo: { type: object, s3: { bucket: kept-bucket } }
---
name: Marked
table: marked
partition_key: pk
sort_key: sk
idempotency: { table: markers }
attributes:
  pk: { type: string }
  sk: { type: string }
  photo: { type: object, s3: { bucket: marked-bucket } }
";
const BUCKET: &str = "album-bucket";
const PART_BYTES: usize = 5 * 1024 * 1024;
const CHUNK_BYTES: usize = 1024 * 1024;

async fn serving(wiretap: &Wiretap, settings: &[(&'static str, &str)]) -> Gateway {
    Gateway::of_models(
        MODELS,
        Setup {
            wiretap: Some(wiretap.clone()),
            settings: settings
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect(),
            ..Setup::default()
        },
    )
    .await
}

/// An object whose content follows.
fn announced(size: u64, sha256: &str) -> AttributeValue {
    let object = v1::Object {
        name: "a.png".to_owned(),
        content_type: "image/png".to_owned(),
        size,
        sha256: sha256.to_owned(),
        ..v1::Object::default()
    };
    AttributeValue {
        kind: Some(Kind::Object(Box::new(object))),
    }
}

/// An item whose objects with these names follow.
fn album(names: &[&str]) -> Item {
    let mut album = key("A", "1");
    album.extend(names.iter().map(|&name| (name.to_owned(), announced(0, ""))));
    album
}

fn saving(item: Item) -> v1::UploadRequest {
    message(Message::Save(save("Album", item)))
}

fn message(message: Message) -> v1::UploadRequest {
    v1::UploadRequest {
        message: Some(message),
    }
}

fn chunk(attribute: &str, data: &[u8]) -> v1::UploadRequest {
    message(Message::Chunk(v1::ObjectChunk {
        attribute: attribute.to_owned(),
        data: data.to_vec().into(),
        ..v1::ObjectChunk::default()
    }))
}

fn last(attribute: &str, data: &[u8], sha256: &str) -> v1::UploadRequest {
    message(Message::Chunk(v1::ObjectChunk {
        attribute: attribute.to_owned(),
        data: data.to_vec().into(),
        end: true,
        sha256: sha256.to_owned(),
    }))
}

/// A content in chunks of 1 MiB, and its end.
fn chunks(attribute: &str, content: &[u8]) -> Vec<v1::UploadRequest> {
    let mut chunks: Vec<_> = content
        .chunks(CHUNK_BYTES)
        .map(|data| chunk(attribute, data))
        .collect();
    chunks.push(last(attribute, b"", ""));
    chunks
}

async fn upload(
    gateway: &Gateway,
    messages: impl Stream<Item = v1::UploadRequest> + Send + 'static,
) -> CallResult<v1::UploadResponse> {
    CallResult::from_response(gateway.data().upload(messages).await)
}

/// Saves the photo of the album.
async fn upload_photo(gateway: &Gateway, content: &[u8]) -> CallResult<v1::UploadResponse> {
    let messages = [vec![saving(album(&["photo"]))], chunks("photo", content)].concat();
    upload(gateway, stream::iter(messages)).await
}

fn saved(response: v1::UploadResponse) -> v1::SaveResponse {
    match response.result {
        Some(Done::Saved(saved)) => saved,
        other => panic!("{other:?}"),
    }
}

fn object_of(item: &Item, name: &str) -> v1::Object {
    match item.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::Object(object)) => (**object).clone(),
        other => panic!("{name} is {other:?}"),
    }
}

/// The stored content of an object, which a read verifies.
async fn content_of(gateway: &Gateway, model: &str, name: &str) -> Option<Vec<u8>> {
    let request = v1::GetRequest {
        include_objects: vec![name.to_owned()],
        consistent_read: true,
        ..get(model, key("A", "1"))
    };
    let item = gateway.get(request).await.outcome.ok()?.item;
    item.get(name)?;
    object_of(&item, name).data.map(|data| data.to_vec())
}

/// Content in which no two places look alike.
fn numbered(bytes: usize) -> Vec<u8> {
    (0..bytes.div_ceil(4) as u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes())
        .take(bytes)
        .collect()
}

#[tokio::test]
async fn contents_of_all_sizes_are_stored_part_by_part() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    for bytes in [0, 1, CHUNK_BYTES, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 12] {
        let content = numbered(bytes);
        let mut item = album(&["photo"]);
        let rev = gateway.get(get("Album", key("A", "1"))).await.outcome;
        if let Ok(stored) = rev {
            item.insert("rev".to_owned(), stored.item["rev"].clone());
        }
        wiretap.clear();
        let messages = [vec![saving(item)], chunks("photo", &content)].concat();
        let response = upload(&gateway, stream::iter(messages)).await;
        let bill = response.bill.clone();
        let object = object_of(&saved(response.ok()).generated, "photo");
        assert_eq!((object.size, object.name.as_str()), (bytes as u64, "a.png"));
        assert_eq!(object.content_type, "image/png");
        let (puts, parts) = match bytes.div_ceil(PART_BYTES) {
            0 | 1 => (1, 0),
            parts => (0, parts as u64),
        };
        assert_eq!(wiretap.count("PutObject"), puts, "{bytes} bytes");
        assert_eq!(wiretap.count("UploadPart"), parts, "{bytes} bytes");
        assert_eq!(wiretap.count("PutItem"), 1);
        let calls: u64 = ["PutObject", "UploadPart", "CreateMultipartUpload"]
            .iter()
            .chain(&["CompleteMultipartUpload", "DeleteObject"])
            .map(|operation| wiretap.count(operation))
            .sum();
        assert_eq!(bill.count("tollgate-s3-calls"), calls);
        assert_eq!(bill.count("tollgate-s3-bytes-uploaded"), bytes as u64);
        assert_eq!(bill.count("tollgate-dynamodb-calls"), 1);
        assert!(content_of(&gateway, "Album", "photo").await.unwrap() == content);
        let stored = wiretap.stores().objects(BUCKET).await;
        assert_eq!(stored, [object.key], "the old object is deleted");
    }
}

#[tokio::test]
async fn contents_of_several_objects_interleave() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    let (photo, scan) = (numbered(7_000_000), numbered(5_500_000));
    let mut messages = vec![saving(album(&["photo", "scan"]))];
    for start in (0..photo.len()).step_by(300_000) {
        let piece = |content: &[u8]| {
            let end = content.len().min(start + 300_000);
            content.get(start..end).unwrap_or_default().to_vec()
        };
        messages.push(chunk("photo", &piece(&photo)));
        if start < scan.len() {
            messages.push(chunk("scan", &piece(&scan)));
        }
    }
    messages.extend([last("scan", b"", ""), last("photo", b"", "")]);
    upload(&gateway, stream::iter(messages)).await.ok();
    assert!(content_of(&gateway, "Album", "photo").await.unwrap() == photo);
    assert!(content_of(&gateway, "Album", "scan").await.unwrap() == scan);
    assert_eq!(wiretap.count("PutItem"), 1);
    assert_eq!(wiretap.stores().objects(BUCKET).await.len(), 2);
}

#[tokio::test]
async fn an_update_replaces_one_of_two_objects() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    let first = [
        vec![saving(album(&["photo", "scan"]))],
        chunks("photo", b"old photo"),
        chunks("scan", b"the scan"),
    ];
    upload(&gateway, stream::iter(first.concat())).await.ok();
    wiretap.clear();
    let values = [(":new", announced(0, "")), (":text", s("changed"))];
    let request = v1::UpdateRequest {
        version: 1,
        ..update("Album", key("A", "1"), "SET photo = :new, text = :text", values)
    };
    let messages = [
        vec![message(Message::Update(request))],
        chunks(":new", b"new photo"),
    ];
    let response = upload(&gateway, stream::iter(messages.concat())).await.ok();
    let Some(Done::Updated(updated)) = response.result else {
        panic!("{response:?}")
    };
    assert_eq!(object_of(&updated.generated, "photo").size, 9);
    assert_eq!(
        content_of(&gateway, "Album", "photo").await.unwrap(),
        b"new photo"
    );
    assert_eq!(content_of(&gateway, "Album", "scan").await.unwrap(), b"the scan");
    assert_eq!(wiretap.count("UpdateItem"), 1);
    assert_eq!(wiretap.stores().objects(BUCKET).await.len(), 2);
}

#[tokio::test]
async fn objects_with_data_are_complete() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    let mut item = album(&["photo"]);
    let mut whole = announced(0, "");
    if let Some(Kind::Object(object)) = &mut whole.kind {
        object.data = Some("the scan".into());
    }
    item.insert("scan".to_owned(), whole);
    let messages = [vec![saving(item)], chunks("photo", b"the photo")];
    let response = upload(&gateway, stream::iter(messages.concat())).await.ok();
    let kept = object_of(&saved(response).generated, "scan");
    assert_eq!(content_of(&gateway, "Album", "scan").await.unwrap(), b"the scan");
    // sent back as it was read, an object is kept
    let mut item = album(&["photo"]);
    item.insert("rev".to_owned(), tollgate_tests::values::n(1));
    let object = Kind::Object(Box::new(kept));
    item.insert("scan".to_owned(), AttributeValue { kind: Some(object) });
    let messages = [vec![saving(item)], chunks("photo", b"another")];
    upload(&gateway, stream::iter(messages.concat())).await.ok();
    assert_eq!(content_of(&gateway, "Album", "scan").await.unwrap(), b"the scan");
    assert_eq!(content_of(&gateway, "Album", "photo").await.unwrap(), b"another");
    // without any, an Upload is a Save
    let mut item = key("A", "1");
    item.insert("rev".to_owned(), tollgate_tests::values::n(2));
    upload(&gateway, stream::iter([saving(item)])).await.ok();
    assert_eq!(content_of(&gateway, "Album", "scan").await, None);
    assert_eq!(wiretap.stores().objects(BUCKET).await, [""; 0]);
}

#[tokio::test]
async fn validate_only_needs_no_chunks() {
    let wiretap = Wiretap::counting();
    let gateway = serving(&wiretap, &[]).await;
    let request = v1::SaveRequest {
        validate_only: true,
        ..save("Album", album(&["photo"]))
    };
    let messages = stream::iter([message(Message::Save(request))]).chain(stream::pending());
    let response = upload(&gateway, messages).await;
    assert_eq!(response.bill.text("tollgate-cost-usd"), "0");
    assert_eq!(saved(response.ok()), v1::SaveResponse::default());
    assert!(wiretap.counts().is_empty(), "{:?}", wiretap.counts());
}

#[tokio::test]
async fn a_content_is_not_held_in_memory() {
    let wiretap = Wiretap::new(|operation| match operation {
        "UploadPart" => Fate::Delay(Duration::from_millis(20)),
        _ => Fate::Pass,
    });
    let gateway = Arc::new(serving(&wiretap, &[]).await);
    let content = numbered(50_000_000);
    let most = Arc::new(AtomicUsize::new(0));
    let messages = [vec![saving(album(&["photo"]))], chunks("photo", &content)].concat();
    let (seen, watched) = (Arc::clone(&most), Arc::clone(&gateway));
    let messages = stream::iter(messages).inspect(move |_| {
        seen.fetch_max(watched.capacity().reserved_bytes(), Ordering::Relaxed);
    });
    let response = upload(&gateway, messages).await.ok();
    let stored = object_of(&saved(response).generated, "photo");
    assert_eq!(stored.size, content.len() as u64);
    let most = most.load(Ordering::Relaxed);
    assert!(most < 56 * 1024 * 1024, "{most} bytes");
    assert!(
        wiretap.most_under_way("UploadPart") > 1,
        "parts are sent in parallel"
    );
}
