//! `adopt`: objects for pointers that were copied in.

use std::sync::{Arc, OnceLock};

use tollgate_proto::v1;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::stores::{RawStores, text};
use tollgate_tests::values::{delete, get_content, key};
use tollgate_tests::wiretap::{Fate, Wiretap};

use super::{BUCKET, dry_run, pointed_at, saved, start, sweep};

/// Copies an item under another key, as a script does.
async fn copy_item(stores: &RawStores, from: &str, to: &str) {
    let mut item = stores.item("documents", from, "V1").await.expect("an item");
    item.insert("pk".to_owned(), text(to));
    stores.put("documents", item).await;
}

#[tokio::test]
async fn adopts_objects_of_copied_items() {
    let (gateway, wiretap, _) = start().await;
    let stores = wiretap.stores();
    let original = saved(&gateway, stores, "original").await;
    copy_item(stores, "original", "copy").await;
    let counted = dry_run(&gateway).await.sums;
    assert_eq!((counted.pointers, counted.foreign, counted.adopted), (2, 1, 0));
    let adopt = v1::SweepRequest {
        adopt: true,
        ..v1::SweepRequest::default()
    };
    let done = sweep(&gateway, adopt).await.expect("it succeeds").sums;
    assert_eq!((done.foreign, done.adopted, done.deleted), (0, 1, 0));
    let copied = pointed_at(stores, "copy").await.expect("a pointer");
    assert!(copied.starts_with("docs/copy/V1/"), "{copied}");
    let metadata = stores.object_metadata(BUCKET, &copied).await.expect("the copy");
    assert_eq!(
        (&*metadata["tollgate-table"], &*metadata["tollgate-partition"]),
        ("documents", "copy")
    );
    assert_eq!(sweep(&gateway, adopt).await.expect("it succeeds").sums.adopted, 0);
    // each item owns its content now
    gateway
        .delete(delete("Document", key("original", "V1")))
        .await
        .ok();
    assert_eq!(stores.objects(BUCKET).await, [copied]);
    let item = gateway.get(get_content("copy")).await.ok().item;
    let Some(v1::attribute_value::Kind::Object(object)) = &item["content"].kind else {
        panic!("no object")
    };
    assert_eq!(object.data.as_deref(), Some(&[7; 10][..]));
    assert_ne!(original, object.key);
}

#[tokio::test]
async fn a_pointer_that_moves_while_its_object_is_copied_stays_as_it_is() {
    let stores: Arc<OnceLock<RawStores>> = Arc::default();
    let raw = stores.clone();
    let wiretap = Wiretap::before(move |operation| {
        let (raw, is_commit) = (raw.clone(), operation == "UpdateItem");
        Box::pin(async move {
            if let Some(stores) = raw.get().filter(|_| is_commit) {
                let mut item = stores.item("documents", "copy", "V1").await.expect("an item");
                item.remove("content");
                stores.put("documents", item).await;
            }
        })
    });
    let gateway = Gateway::tapped(&wiretap).await;
    let original = saved(&gateway, wiretap.stores(), "original").await;
    copy_item(wiretap.stores(), "original", "copy").await;
    stores.set(wiretap.stores().clone()).expect("set once");
    let adopt = v1::SweepRequest {
        adopt: true,
        ..v1::SweepRequest::default()
    };
    let done = sweep(&gateway, adopt).await.expect("it succeeds").sums;
    assert_eq!((done.adopted, done.foreign), (0, 1));
    assert_eq!(wiretap.stores().objects(BUCKET).await, [original]);
    assert!(pointed_at(wiretap.stores(), "copy").await.is_none());
}

#[tokio::test]
async fn an_adoption_whose_response_was_lost_is_found_done() {
    let wiretap = Wiretap::new(|operation| match operation {
        "UpdateItem" => Fate::LoseResponse,
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    saved(&gateway, wiretap.stores(), "original").await;
    copy_item(wiretap.stores(), "original", "copy").await;
    let adopt = v1::SweepRequest {
        adopt: true,
        ..v1::SweepRequest::default()
    };
    let done = sweep(&gateway, adopt).await.expect("it succeeds").sums;
    assert_eq!((done.adopted, done.foreign), (1, 0));
    assert_eq!(wiretap.stores().objects(BUCKET).await.len(), 2);
}
