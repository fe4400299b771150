//! Reads that race with writes: an outdated pointer leads to the new object; only an unchanged pointer to a missing object
//! is data loss.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use futures::FutureExt as _;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{
    delete, document, expression, get_content, key, object, query, s, save, scan, update,
};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;
use tonic::transport::Channel;
use tonic_types::RpcStatusExt as _;

/// What happens to the item while it is being read.
#[derive(Clone, Copy)]
enum Meanwhile {
    Overwritten,
    LosesItsObject,
    Deleted,
}

/// A gateway, whose `times` first requests for an object wait until the item of that object changed.
async fn racing(meanwhile: Meanwhile, times: u64) -> (Wiretap, Gateway) {
    let writer: Arc<OnceLock<DataServiceClient<Channel>>> = Arc::default();
    let (asked, of_hook) = (AtomicU64::new(0), writer.clone());
    let wiretap = Wiretap::before(move |operation| {
        let number = match operation {
            "GetObject" => asked.fetch_add(1, Ordering::SeqCst),
            _ => return async {}.boxed(),
        };
        let writer = of_hook.get().cloned().filter(|_| number < times);
        async move {
            let Some(mut writer) = writer else { return };
            match meanwhile {
                Meanwhile::Overwritten => {
                    let content = format!("new {number}");
                    writer
                        .save(save("Document", document("A", content)))
                        .await
                        .map(drop)
                }
                Meanwhile::LosesItsObject => {
                    let mut without = key("A", "V1");
                    without.insert("name".to_owned(), s("no content"));
                    writer.save(save("Document", without)).await.map(drop)
                }
                Meanwhile::Deleted => writer.delete(delete("Document", key("A", "V1"))).await.map(drop),
            }
            .expect("the writer is served");
        }
        .boxed()
    });
    let gateway = Gateway::tapped(&wiretap).await;
    gateway.save(save("Document", document("A", "old"))).await.ok();
    writer.set(gateway.data()).expect("it is set once");
    wiretap.clear();
    (wiretap, gateway)
}

fn content(item: &std::collections::HashMap<String, v1::AttributeValue>) -> &[u8] {
    match &item["content"].kind {
        Some(Kind::Object(object)) => object.data.as_deref().expect("its content"),
        other => panic!("{other:?}"),
    }
}

fn with_content() -> Vec<String> {
    vec!["content".to_owned()]
}

#[tokio::test]
async fn a_get_during_an_overwrite_returns_the_new_object() {
    differs_on!(Moto, "capacity");
    let (wiretap, gateway) = racing(Meanwhile::Overwritten, 1).await;
    let got = gateway.get(get_content("A")).await;
    // the two reads, the first one eventually consistent, the second one not; two requests for objects
    assert_eq!(got.bill.count("tollgate-dynamodb-calls"), 2);
    assert_eq!(got.bill.decimal("tollgate-rcu"), 1.5);
    assert_eq!(got.bill.count("tollgate-s3-calls"), 2);
    assert_eq!(got.bill.count("tollgate-items"), 1);
    let item = got.ok().item;
    assert_eq!(content(&item), b"new 0");
    assert_eq!(item["name"], s("report"));
    assert_eq!(wiretap.count("GetObject"), 2);
}

#[tokio::test]
async fn only_the_fields_asked_for_are_read_again() {
    differs_on!(Moto, "capacity");
    let (_wiretap, gateway) = racing(Meanwhile::Overwritten, 1).await;
    let request = v1::GetRequest {
        fields: vec!["sk".to_owned()],
        consistent_read: true,
        ..get_content("A")
    };
    let got = gateway.get(request).await;
    assert_eq!(got.bill.decimal("tollgate-rcu"), 2.0);
    let item = got.ok().item;
    let mut names: Vec<_> = item.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        (names.as_slice(), content(&item)),
        (["content", "sk"].as_slice(), b"new 0".as_slice())
    );
}

#[tokio::test]
async fn pages_also_follow_overwrites() {
    let (_wiretap, gateway) = racing(Meanwhile::Overwritten, 2).await;
    let request = v1::QueryRequest {
        include_objects: with_content(),
        ..query("Document", "A")
    };
    let queried = gateway.query(request).await;
    assert_eq!(
        queried.bill.count("tollgate-dynamodb-calls"),
        3,
        "one page, two looks"
    );
    assert_eq!(queried.bill.count("tollgate-items"), 1);
    let results = &queried.ok()[0].results;
    assert_eq!(
        (results.len(), content(&results[0].item)),
        (1, b"new 1".as_slice())
    );
    let (_wiretap, gateway) = racing(Meanwhile::Overwritten, 1).await;
    let request = v1::ScanRequest {
        include_objects: with_content(),
        ..scan("Document")
    };
    let scanned = gateway.scan(request).await.ok();
    assert_eq!(content(&scanned[0].results[0].item), b"new 0");
}

#[tokio::test]
async fn an_item_whose_object_was_removed_during_a_read_is_returned_without_it() {
    let (_wiretap, gateway) = racing(Meanwhile::LosesItsObject, 1).await;
    let item = gateway.get(get_content("A")).await.ok().item;
    assert_eq!(item["name"], s("no content"));
    assert!(!item.contains_key("content"));
}

#[tokio::test]
async fn an_item_deleted_during_a_read_is_not_found() {
    let (_wiretap, gateway) = racing(Meanwhile::Deleted, 1).await;
    Refusal::of(gateway.get(get_content("A")).await).is("ITEM_NOT_FOUND", &[]);
    let (_wiretap, gateway) = racing(Meanwhile::Deleted, 1).await;
    let request = v1::QueryRequest {
        include_objects: with_content(),
        ..query("Document", "A")
    };
    let pages = gateway.query(request).await.ok();
    let result = &pages[0].results[0];
    let error = result.error.as_ref().expect("the item is gone");
    assert_eq!(error.code, Code::NotFound as i32);
    let info = error.get_details_error_info().expect("its reason");
    assert_eq!(info.reason, "ITEM_NOT_FOUND");
    assert_eq!(result.item, key("A", "V1"));
}

#[tokio::test]
async fn a_read_gives_up_after_repeated_overwrites() {
    let (wiretap, gateway) = racing(Meanwhile::Overwritten, u64::MAX).await;
    let refusal = Refusal::of(gateway.get(get_content("A")).await);
    refusal.is("OBJECT_CHANGED", &[]);
    assert!(refusal.details.retry_info().is_some());
    assert_eq!(wiretap.count("GetObject"), 5);
}

#[tokio::test]
async fn an_unchanged_pointer_to_a_missing_object_is_data_loss() {
    differs_on!(Moto, "capacity");
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    gateway.save(save("Document", document("A", "old"))).await.ok();
    let objects = wiretap.stores().objects("my-bucket").await;
    wiretap.stores().delete_object("my-bucket", &objects[0]).await;
    let refusal = Refusal::of(gateway.get(get_content("A")).await);
    refusal.is("OBJECT_INVALID", &[]);
    assert_eq!(
        refusal.bill.count("tollgate-dynamodb-calls"),
        2,
        "it was looked at again"
    );
    assert_eq!(refusal.bill.decimal("tollgate-rcu"), 1.5);
    assert_eq!(refusal.bill.count("tollgate-s3-calls"), 1);
}

/// A gateway where the response to the first request of an operation is lost, and another caller saves document A before
/// the next request for an item.
async fn losing_a_race(operation: &'static str) -> (Wiretap, Gateway) {
    let writer: Arc<OnceLock<DataServiceClient<Channel>>> = Arc::default();
    let (lost, of_hook) = (Arc::new(AtomicU64::new(0)), writer.clone());
    let (is_lost, has_written) = (lost.clone(), AtomicU64::new(0));
    let judge = move |name: &str| match name == operation && lost.fetch_add(1, Ordering::SeqCst) == 0 {
        true => Fate::LoseResponse,
        false => Fate::Pass,
    };
    let wiretap = Wiretap::new(judge).and_before(move |name| {
        let sent = is_lost.load(Ordering::SeqCst);
        let is_next = sent > u64::from(name == operation) && (name == "GetItem" || name == operation);
        let is_now = is_next && has_written.fetch_add(1, Ordering::SeqCst) == 0;
        let writer = of_hook.get().cloned().filter(|_| is_now);
        async move {
            let Some(mut writer) = writer else { return };
            let other = save("Document", document("A", "other"));
            writer.save(other).await.expect("the writer is served");
        }
        .boxed()
    });
    let gateway = Gateway::tapped(&wiretap).await;
    writer.set(gateway.data()).expect("it is set once");
    (wiretap, gateway)
}

/// Document A has this content, and no other object is left than the one that nobody can know the outcome of.
async fn reads_alone(wiretap: &Wiretap, gateway: &Gateway, content: &str) {
    let found = gateway.get(get_content("A")).await.ok().item;
    let Some(Kind::Object(found)) = &found["content"].kind else {
        panic!("no object")
    };
    assert_eq!(found.data.as_deref(), Some(content.as_bytes()));
    let objects = wiretap.stores().objects("my-bucket").await;
    assert!(objects.contains(&found.key), "{objects:?}");
}

#[tokio::test]
async fn a_commit_without_a_response_never_restores_objects_that_another_writer_deleted() {
    let create = expression("attribute_not_exists(pk)", []);
    for condition in [None, create] {
        let (wiretap, gateway) = losing_a_race("PutItem").await;
        let request = v1::SaveRequest {
            condition,
            ..save("Document", document("A", "first"))
        };
        Refusal::of(gateway.save(request).await).is("OUTCOME_UNKNOWN", &[]);
        assert_eq!(wiretap.count("PutItem"), 2, "one of each writer");
        reads_alone(&wiretap, &gateway, "other").await;
    }
    let (wiretap, gateway) = losing_a_race("UpdateItem").await;
    let set = update(
        "Document",
        key("A", "V1"),
        "SET content = :c",
        [(":c", object("first"))],
    );
    Refusal::of(gateway.update(set).await).is("OUTCOME_UNKNOWN", &[]);
    assert_eq!(wiretap.count("UpdateItem"), 1);
    reads_alone(&wiretap, &gateway, "other").await;
}
