//! Download: what it returns, what it costs, how it is refused.

mod broken;
mod client;
mod races;

use futures::StreamExt as _;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::gateway::{Bill, Gateway, Setup};
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::text;
use tollgate_tests::values::{document, key, s, save};
use tollgate_tests::wiretap::Wiretap;
use tonic::{IntoRequest, Request, Status};

const BUCKET: &str = "my-bucket";
const MESSAGE_BYTES: usize = 1024 * 1024;

/// What a caller received, and how the call ended.
struct Received {
    object: Option<v1::Object>,
    /// The bytes of each message.
    sizes: Vec<usize>,
    content: Vec<u8>,
    outcome: Result<Bill, Status>,
}

impl Received {
    fn ok(&self) -> (&v1::Object, &Bill) {
        let bill = self
            .outcome
            .as_ref()
            .unwrap_or_else(|status| panic!("{status:?}"));
        (self.object.as_ref().expect("the object comes first"), bill)
    }

    fn refusal(self) -> Refusal {
        Refusal::of_status(&self.outcome.expect_err("the call fails"))
    }
}

/// The content of document `partition`.
fn download(partition: &str) -> v1::DownloadRequest {
    v1::DownloadRequest {
        model: "Document".to_owned(),
        key: key(partition, "V1"),
        attribute: "content".to_owned(),
        ..v1::DownloadRequest::default()
    }
}

fn range(offset: u64, length: u64) -> v1::DownloadRequest {
    v1::DownloadRequest {
        offset,
        length,
        ..download("A")
    }
}

async fn receive(gateway: &Gateway, request: impl IntoRequest<v1::DownloadRequest>) -> Received {
    let mut received = Received {
        object: None,
        sizes: Vec::new(),
        content: Vec::new(),
        outcome: Ok(Bill::default()),
    };
    let mut messages = match gateway.data().download(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => {
            received.outcome = Err(status);
            return received;
        }
    };
    while let Some(message) = messages.next().await {
        match message {
            Ok(message) if received.object.is_none() => {
                assert!(message.data.is_empty(), "the first message describes the object");
                received.object = message.object;
            }
            Ok(message) => {
                assert!(message.object.is_none() && !message.data.is_empty());
                received.sizes.push(message.data.len());
                received.content.extend_from_slice(&message.data);
            }
            Err(status) => received.outcome = Err(status),
        }
    }
    if received.outcome.is_ok() {
        let trailers = messages.trailers().await.expect("trailers").unwrap_or_default();
        received.outcome = Ok(Bill::from_metadata(&trailers));
    }
    received
}

/// Content in which no two places look alike.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes.div_ceil(4) as u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes())
        .take(bytes)
        .collect()
}

async fn store(gateway: &Gateway, content: &[u8]) -> v1::Object {
    let saved = gateway
        .save(save("Document", document("A", content.to_vec())))
        .await
        .ok();
    match &saved.generated["content"].kind {
        Some(Kind::Object(object)) => (**object).clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_whole_object_comes_in_bounded_messages() {
    let gateway = Gateway::start().await;
    for bytes in [0, 1, 1000, MESSAGE_BYTES, MESSAGE_BYTES + 1, 6_000_000] {
        let content = content(bytes);
        let stored = store(&gateway, &content).await;
        let received = receive(&gateway, download("A")).await;
        let (object, bill) = received.ok();
        assert_eq!(*object, stored);
        assert_eq!((object.size, object.data.as_ref()), (bytes as u64, None));
        assert!(received.content == content, "{bytes} bytes");
        assert!(received.sizes.iter().all(|bytes| *bytes <= MESSAGE_BYTES));
        assert_eq!(bill.count("tollgate-dynamodb-calls"), 1);
        assert_eq!(bill.decimal("tollgate-rcu"), 0.5);
        assert_eq!(bill.count("tollgate-items"), 1);
        assert_eq!(bill.count("tollgate-s3-calls"), 1);
        assert_eq!(bill.count("tollgate-s3-bytes-downloaded"), bytes as u64);
        assert_eq!(bill.count("tollgate-kms-calls"), 0);
    }
    let consistent = v1::DownloadRequest {
        consistent_read: true,
        ..download("A")
    };
    let received = receive(&gateway, consistent).await;
    assert_eq!(received.ok().1.decimal("tollgate-rcu"), 1.0);
    let totals = gateway.totals("").await;
    assert_eq!(totals.by_operation["Download"].call_count, 7);
    gateway.stop().await;
}

#[tokio::test]
async fn a_range_is_clipped_to_the_object() {
    let gateway = Gateway::start().await;
    let whole = content(2_000_000);
    let stored = store(&gateway, &whole).await;
    for (offset, length, expected) in [
        (0, 10, &whole[..10]),
        (5, 0, &whole[5..]),
        (1_999_999, 1, &whole[1_999_999..]),
        (1_999_990, 100, &whole[1_999_990..]),
        (1_999_990, u64::MAX, &whole[1_999_990..]),
        (300_000, 1_500_000, &whole[300_000..1_800_000]),
        (0, 2_000_000, &whole[..]),
        (0, u64::MAX, &whole[..]),
    ] {
        let received = receive(&gateway, range(offset, length)).await;
        let (object, bill) = received.ok();
        assert_eq!(*object, stored, "the first message describes the whole");
        assert!(received.content == expected, "{offset}, {length}");
        assert_eq!(bill.count("tollgate-s3-calls"), 1);
        assert_eq!(
            bill.count("tollgate-s3-bytes-downloaded"),
            expected.len() as u64,
            "only the range is read: {offset}, {length}"
        );
    }
    for length in [0, 1, u64::MAX] {
        let received = receive(&gateway, range(2_000_000, length)).await;
        let (object, bill) = received.ok();
        assert_eq!((object.size, received.content.len()), (2_000_000, 0));
        assert_eq!(bill.count("tollgate-s3-calls"), 0);
        for offset in [2_000_001, u64::MAX] {
            let refusal = receive(&gateway, range(offset, length)).await.refusal();
            refusal.is("INVALID_FIELD", &["offset"]);
            assert_eq!(refusal.bill.count("tollgate-s3-calls"), 0);
        }
    }
    gateway.stop().await;
}

#[tokio::test]
async fn an_empty_object_is_empty_in_every_range() {
    let gateway = Gateway::start().await;
    store(&gateway, b"").await;
    for length in [0, 1, u64::MAX] {
        let received = receive(&gateway, range(0, length)).await;
        assert_eq!(received.ok().0.size, 0);
        assert!(received.content.is_empty());
        let refusal = receive(&gateway, range(1, length)).await.refusal();
        refusal.is("INVALID_FIELD", &["offset"]);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn an_item_or_object_that_is_missing_is_not_found() {
    let gateway = Gateway::start().await;
    let refusal = receive(&gateway, download("A")).await.refusal();
    refusal.is("ITEM_NOT_FOUND", &[]);
    assert!(refusal.details.resource_info().is_some());
    let mut without = key("A", "V1");
    without.insert("name".to_owned(), s("no content"));
    gateway.save(save("Document", without)).await.ok();
    let refusal = receive(&gateway, download("A")).await.refusal();
    refusal.is("ITEM_NOT_FOUND", &[]);
    assert!(refusal.message.contains("content"), "{}", refusal.message);
    assert_eq!(refusal.bill.count("tollgate-dynamodb-calls"), 1);
    assert_eq!(refusal.bill.count("tollgate-s3-calls"), 0);
    gateway.stop().await;
}

#[tokio::test]
async fn a_faulty_request_calls_nothing() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    for (attribute, suggests) in [("", ""), ("contents", "content"), ("name", ""), ("pk", "")] {
        let request = v1::DownloadRequest {
            attribute: attribute.to_owned(),
            ..download("A")
        };
        let refusal = receive(&gateway, request).await.refusal();
        refusal.is("INVALID_FIELD", &["attribute"]);
        assert!(refusal.message.contains(suggests), "{}", refusal.message);
    }
    let mut both = download("A");
    both.attribute = "nothing".to_owned();
    both.key.remove("sk");
    let refusal = receive(&gateway, both).await.refusal();
    refusal.is("INVALID_FIELD", &["attribute", "key.sk"]);
    let unknown = v1::DownloadRequest {
        model: "Documents".to_owned(),
        ..download("A")
    };
    receive(&gateway, unknown)
        .await
        .refusal()
        .is("UNKNOWN_MODEL", &[]);
    let checked = v1::DownloadRequest {
        validate_only: true,
        ..download("A")
    };
    let received = receive(&gateway, checked).await;
    assert!(received.object.is_none() && received.content.is_empty());
    let bill = received.outcome.expect("it is valid");
    assert_eq!(bill.decimal("tollgate-cost-usd"), 0.0);
    assert!(wiretap.counts().is_empty(), "{:?}", wiretap.counts());
    gateway.stop().await;
}

#[tokio::test]
async fn if_match_is_compared_with_the_pointer_before_anything_else() {
    let gateway = Gateway::start().await;
    let whole = content(1000);
    let etag = store(&gateway, &whole).await.etag;
    let matching = |if_match: &str, offset| v1::DownloadRequest {
        if_match: if_match.to_owned(),
        ..range(offset, 0)
    };
    for if_match in [etag.as_str(), etag.trim_matches('"')] {
        for offset in [0, 500] {
            let received = receive(&gateway, matching(if_match, offset)).await;
            received.ok();
            assert!(received.content == whole[offset as usize..]);
        }
    }
    for offset in [0, 500, 2000] {
        let refusal = receive(&gateway, matching("another", offset)).await.refusal();
        refusal.is("ETAG_MISMATCH", &[]);
        let violations = refusal.details.precondition_failure().expect("details");
        assert_eq!(violations.violations[0].subject, "if_match");
        assert_eq!(refusal.bill.count("tollgate-dynamodb-calls"), 1);
        assert_eq!(refusal.bill.count("tollgate-s3-calls"), 0);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_foreign_pointer_is_not_followed() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    store(&gateway, b"content").await;
    let stores = wiretap.stores();
    let mut stored = stores.item("documents", "A", "V1").await.expect("it was saved");
    let mut pointer = stored["content"].as_m().expect("a pointer").clone();
    pointer.insert("table".to_owned(), text("documents_restored"));
    stored.insert(
        "content".to_owned(),
        aws_sdk_dynamodb::types::AttributeValue::M(pointer),
    );
    stores.put("documents", stored).await;
    for request in [range(0, 0), range(2, 3), range(7, 0)] {
        let refusal = receive(&gateway, request).await.refusal();
        refusal.is("FOREIGN_POINTER", &[]);
        assert_eq!(wiretap.count("GetObject"), 0);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn content_that_changed_in_the_store_never_arrives_whole() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    for bytes in [1000, 3_000_000] {
        let object = store(&gateway, &content(bytes)).await;
        let mut changed = content(bytes);
        changed[0] ^= 1;
        wiretap.stores().put_object(BUCKET, &object.key, changed).await;
        let received = receive(&gateway, download("A")).await;
        assert!(received.content.len() < bytes, "the last message is held back");
        assert!(received.content.is_empty() || bytes > MESSAGE_BYTES);
        let refusal = received.refusal();
        refusal.is("OBJECT_INVALID", &[]);
        assert_eq!(refusal.bill.count("tollgate-s3-calls"), 1);
        assert_eq!(refusal.bill.count("tollgate-s3-bytes-downloaded"), bytes as u64);
        let received = receive(&gateway, range(10, 20)).await;
        assert!(received.content.is_empty(), "the etag of the pointer is demanded");
        received.refusal().is("OBJECT_INVALID", &[]);
    }
    gateway.stop().await;
}

/// Twenty megabytes that nobody reads.
#[tokio::test]
async fn a_caller_that_does_not_read_holds_little_memory() {
    let gateway = Gateway::start().await;
    store(&gateway, &content(20_000_000)).await;
    until("the save is over", async || {
        gateway.capacity().reserved_bytes() == 0
    })
    .await;
    let mut request = Request::new(download("A"));
    let id = "01UNREAD".parse().expect("an ASCII id");
    request.metadata_mut().insert("tollgate-request-id", id);
    let mut messages = gateway
        .data()
        .download(request)
        .await
        .expect("it begins")
        .into_inner();
    let first = messages.message().await.expect("a message").expect("the first");
    assert_eq!(first.object.map(|object| object.size), Some(20_000_000));
    let mut most = 0;
    for _ in 0..5000 {
        most = most.max(gateway.capacity().reserved_bytes());
        tokio::task::yield_now().await;
    }
    assert!(most > 0 && most < 4 * MESSAGE_BYTES, "{most}");
    drop(messages);
    until("all is free", async || gateway.capacity().reserved_bytes() == 0).await;
    let asked = v1::GetCallMetricsRequest {
        request_id: "01UNREAD".to_owned(),
    };
    let bill = gateway.metrics().get_call_metrics(asked).await.expect("a bill");
    let metrics = bill.into_inner().metrics.expect("figures");
    assert_eq!((metrics.cancelled_call_count, metrics.s3_calls), (1, 1));
    assert!(metrics.s3_bytes_downloaded < 20_000_000, "the rest was not read");
    gateway.stop().await;
}

#[tokio::test]
async fn one_byte_fewer_than_the_pointer_says_is_data_loss() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::with(Setup {
        wiretap: Some(wiretap.clone()),
        ..Setup::default()
    })
    .await;
    let object = store(&gateway, &content(1000)).await;
    for changed in [content(999), content(1001), Vec::new()] {
        wiretap.stores().put_object(BUCKET, &object.key, changed).await;
        let received = receive(&gateway, download("A")).await;
        assert!(received.content.is_empty());
        received.refusal().is("OBJECT_INVALID", &[]);
    }
    wiretap.stores().delete_object(BUCKET, &object.key).await;
    for request in [range(0, 0), range(10, 20)] {
        let refusal = receive(&gateway, request).await.refusal();
        refusal.is("OBJECT_INVALID", &[]);
        assert_eq!(
            refusal.bill.count("tollgate-dynamodb-calls"),
            2,
            "it was read again"
        );
        assert_eq!(refusal.bill.decimal("tollgate-rcu"), 1.5);
    }
    gateway.stop().await;
}
