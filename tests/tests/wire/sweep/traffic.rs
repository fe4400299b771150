//! Sweeps beside writers.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt as _;
use tokio::sync::Semaphore;
use tollgate_proto::v1;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::values::{delete, document, get_content, key, save};

use super::{BUCKET, OWNER, begin_upload, dry_run, pointed_at, put, saved, start, sweep_all, ulid};

/// Writes items until `stop`, each with objects that it replaces and deletes, and returns the last content.
async fn write(gateway: &Gateway, slots: &Semaphore, number: usize, stop: &AtomicBool) -> Option<Vec<u8>> {
    let partition = format!("writer{number}");
    let mut last = None;
    for round in 0_u32.. {
        let _slot = slots.acquire().await.expect("it stays open");
        if stop.load(Ordering::SeqCst) {
            break;
        }
        let content = format!("{number}-{round}").into_bytes();
        let written = gateway
            .save(save("Document", document(&partition, content.clone())))
            .await;
        written.ok();
        last = Some(content);
        if round % 5 == 4 {
            gateway
                .delete(delete("Document", key(&partition, "V1")))
                .await
                .ok();
            last = None;
        }
    }
    last
}

/// 2,000 objects of 200 writers' items and others, with planted orphans, danglers and stray uploads.
#[tokio::test]
async fn finds_exactly_what_was_planted_while_200_writers_go_on() {
    differs_on!(Moto, "old-items");
    differs_on!(DynamoDbLocal, "many-writers");
    const WRITERS: usize = 200;
    /// Calls in flight, so that none of them waits for its deadline.
    const CALLS: usize = 8;
    let (gateway, wiretap, aged) = start().await;
    let stores = wiretap.stores();
    let (mut orphans, mut strays, mut dangling) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let partitions: Vec<String> = (0..WRITERS)
        .map(|number| format!("writer{number}"))
        .chain((0..1600).map(|number| format!("P{number}")))
        .collect();
    let saves = partitions
        .iter()
        .map(|partition| saved(&gateway, stores, partition));
    let live: Vec<String> = futures::stream::iter(saves).buffer_unordered(16).collect().await;
    for number in 0..150 {
        let orphan = format!("docs/P{number}/V1/{}/n", ulid(number));
        let partition = format!("P{number}");
        let owner = [OWNER[0], ("tollgate-partition", &partition), OWNER[2]];
        put(stores, &orphan, &owner).await;
        orphans.insert(orphan);
    }
    for number in 0..20 {
        let stray = format!("docs/P{number}/V1/{}/big", ulid(number));
        begin_upload(stores, &stray).await;
        strays.insert(stray);
        let lost = pointed_at(stores, &format!("P{}", 1000 + number))
            .await
            .expect("a pointer");
        stores.delete_object(BUCKET, &lost).await;
        dangling.insert(lost);
    }
    for key in live.iter().chain(&orphans).chain(&strays) {
        aged.add(key);
    }
    let (stop, slots) = (AtomicBool::new(false), Semaphore::new(CALLS));
    let writers =
        futures::future::join_all((0..WRITERS).map(|number| write(&gateway, &slots, number, &stop)));
    let sweeps = async {
        let found = dry_run(&gateway).await;
        let done = sweep_all(&gateway).await;
        stop.store(true, Ordering::SeqCst);
        (found, done)
    };
    let (contents, (found, done)) = tokio::join!(writers, sweeps);
    for report in [&found, &done] {
        assert_eq!(report.orphans, orphans);
        assert_eq!(report.strays, strays);
        assert_eq!(report.dangling, dangling);
    }
    assert_eq!((done.sums.deleted, done.sums.aborted), (150, 20));
    for (number, content) in contents.into_iter().enumerate() {
        let Some(content) = content else { continue };
        let item = gateway
            .get(get_content(&format!("writer{number}")))
            .await
            .ok()
            .item;
        let Some(v1::attribute_value::Kind::Object(object)) = &item["content"].kind else {
            panic!("no object")
        };
        assert_eq!(object.data.as_deref(), Some(content.as_slice()));
    }
    let after = dry_run(&gateway).await;
    assert!(after.orphans.is_empty() && after.strays.is_empty());
}
