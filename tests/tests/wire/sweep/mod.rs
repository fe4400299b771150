//! `AdminService/Sweep`: exactly the orphans and stray uploads are removed, beside live traffic, and nothing of anybody else.

mod adoption;
mod traffic;
mod versions;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tollgate_proto::v1;
use tollgate_proto::v1::admin_service_client::AdminServiceClient;
use tollgate_proto::v1::sweep_response::Event;
use tollgate_tests::aged::Aged;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::polling::eventually;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::{RawStores, text};
use tollgate_tests::values::{document, save};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::{Code, Status};

const BUCKET: &str = "my-bucket";
const OWNER: [(&str, &str); 3] = [
    ("tollgate-table", "documents"),
    ("tollgate-partition", "P"),
    ("tollgate-sort", "V1"),
];

/// What a sweep reported.
#[derive(Debug, Default)]
struct Report {
    orphans: BTreeSet<String>,
    strays: BTreeSet<String>,
    dangling: BTreeSet<String>,
    sums: v1::SweepProgress,
}

/// Sweeps to the end.
async fn sweep(gateway: &Gateway, request: v1::SweepRequest) -> Result<Report, Status> {
    let mut client = AdminServiceClient::new(gateway.channel());
    let mut stream = client.sweep(request).await?.into_inner();
    let mut report = Report::default();
    let mut finished = None;
    while let Some(message) = stream.message().await? {
        match message.event.expect("an event") {
            Event::Orphan(orphan) => assert!(report.orphans.insert(orphan.key), "each once"),
            Event::StrayUpload(upload) => assert!(report.strays.insert(upload.key), "each once"),
            Event::Dangling(pointer) => assert!(report.dangling.insert(pointer.key), "each once"),
            Event::Progress(_) => {}
            Event::Finished(sums) => finished = Some(sums),
        }
    }
    report.sums = finished.expect("the sums come last");
    Ok(report)
}

async fn sweep_all(gateway: &Gateway) -> Report {
    let request = v1::SweepRequest {
        force: true,
        ..v1::SweepRequest::default()
    };
    sweep(gateway, request).await.expect("the sweep succeeds")
}

async fn dry_run(gateway: &Gateway) -> Report {
    let request = v1::SweepRequest {
        dry_run: true,
        ..v1::SweepRequest::default()
    };
    sweep(gateway, request).await.expect("the sweep succeeds")
}

/// A gateway in which lists report the keys of the second value as old.
async fn start() -> (Gateway, Wiretap, Aged) {
    let aged = Aged::default();
    let wiretap = Wiretap::counting().with_aged(&aged);
    let gateway = Gateway::tapped(&wiretap).await;
    (gateway, wiretap, aged)
}

fn ulid(number: usize) -> String {
    format!("{number:026}")
}

/// Saves an item with an object, and returns the key of the object.
async fn saved(gateway: &Gateway, stores: &RawStores, partition: &str) -> String {
    gateway
        .save(save("Document", document(partition, vec![7; 10])))
        .await
        .ok();
    pointed_at(stores, partition).await.expect("a pointer")
}

async fn pointed_at(stores: &RawStores, partition: &str) -> Option<String> {
    let item = stores.item("documents", partition, "V1").await?;
    Some(item.get("content")?.as_m().ok()?["key"].as_s().ok()?.clone())
}

/// Stores an object with this metadata.
async fn put(stores: &RawStores, key: &str, metadata: &[(&str, &str)]) {
    let mut put = stores.s3.put_object().bucket(BUCKET).key(key);
    for (name, value) in metadata {
        put = put.metadata(*name, *value);
    }
    put.body(vec![1; 100].into()).send().await.expect("stored");
}

/// Removes an item from its table, as DynamoDB's time to live does.
async fn remove_item(stores: &RawStores, partition: &str) {
    let removal = stores.dynamodb.delete_item().table_name("documents");
    let removal = removal.key("pk", text(partition)).key("sk", text("V1"));
    removal.send().await.expect("removed");
}

async fn begin_upload(stores: &RawStores, key: &str) {
    let begun = stores.s3.create_multipart_upload().bucket(BUCKET).key(key);
    let id = begun.send().await.expect("begun").upload_id.expect("an id");
    let part = stores.s3.upload_part().bucket(BUCKET).key(key).upload_id(id);
    part.part_number(1)
        .body(vec![2; 1000].into())
        .send()
        .await
        .expect("a part");
}

fn set<const N: usize>(keys: [&str; N]) -> BTreeSet<String> {
    keys.into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn removes_exactly_the_orphans_and_the_stray_uploads() {
    differs_on!(Moto | DynamoDbLocal, "upload-lists");
    let (gateway, wiretap, aged) = start().await;
    let stores = wiretap.stores();
    let live = saved(&gateway, stores, "live").await;
    let young = format!("docs/P/V1/{}/young", ulid(1));
    let orphan = format!("docs/P/V1/{}/n", ulid(2));
    let expired = saved(&gateway, stores, "A#ü").await;
    remove_item(stores, "A#ü").await;
    let no_metadata = format!("docs/P/V1/{}/n", ulid(3));
    let other_table = format!("docs/P/V1/{}/n", ulid(4));
    let other_item = format!("docs/Q/V1/{}/n", ulid(5));
    let upload = format!("docs/.uploads/{}", ulid(6));
    let others = ["docs/P/V1/x", "else/P/V1/00000000000000000000000009/n"];
    for key in [&young, &orphan, &other_item] {
        put(stores, key, &OWNER).await;
    }
    put(stores, &no_metadata, &[]).await;
    put(
        stores,
        &other_table,
        &[("tollgate-table", "users"), OWNER[1], OWNER[2]],
    )
    .await;
    for key in [others[0], others[1], &upload] {
        put(stores, key, &OWNER).await;
    }
    let stray = format!("docs/P/V1/{}/big", ulid(7));
    let young_stray = format!("docs/P/V1/{}/young", ulid(8));
    for key in [&stray, &young_stray, "docs/not-ours"] {
        begin_upload(stores, key).await;
    }
    let lost = saved(&gateway, stores, "lost").await;
    stores.delete_object(BUCKET, &lost).await;
    for key in stores.objects(BUCKET).await {
        aged.add(key);
    }
    for key in [stray.as_str(), "docs/not-ours"] {
        aged.add(key);
    }
    aged.remove(&young);
    let before = stores.objects(BUCKET).await;
    let found = dry_run(&gateway).await;
    assert_eq!(found.orphans, set([&orphan, &expired, &upload]));
    assert_eq!((found.strays, found.dangling), (set([&stray]), set([&lost])));
    assert_eq!(
        (found.sums.objects, found.sums.bytes, found.sums.deleted),
        (7, 100 + 10 + 100 + 1000, 0)
    );
    assert_eq!((found.sums.pointers, found.sums.aborted), (2, 0));
    assert_eq!(stores.objects(BUCKET).await, before, "a dry run deletes nothing");
    assert_eq!(stores.open_uploads(BUCKET).await, 3);
    let done = sweep_all(&gateway).await;
    assert_eq!(
        (done.sums.deleted, done.sums.aborted, done.sums.dangling),
        (3, 1, 1)
    );
    let mut left = before;
    left.retain(|key| ![&orphan, &expired, &upload].contains(&key));
    assert_eq!(stores.objects(BUCKET).await, left);
    assert!(left.contains(&live) && stores.open_uploads(BUCKET).await == 2);
    let again = sweep_all(&gateway).await;
    assert!(again.orphans.is_empty() && again.strays.is_empty(), "{again:?}");
    assert!(wiretap.count("DeleteObject") == 3);
}

#[tokio::test]
async fn objects_of_items_with_long_keys_are_found_by_their_metadata_or_a_scan() {
    let (gateway, wiretap, aged) = start().await;
    let stores = wiretap.stores();
    let mut gone = BTreeSet::new();
    // beyond 1,024 bytes a key is hashed; beyond 2 KB the metadata is too
    for bytes in [100, 1200, 2000] {
        for (name, stays) in [("a", true), ("b", false)] {
            // four times as long when encoded
            let partition = format!("{name}{}", "p".repeat(bytes));
            let key = saved(&gateway, stores, &partition).await;
            aged.add(&key);
            if !stays {
                remove_item(stores, &partition).await;
                gone.insert(key);
            }
        }
    }
    let emptied = format!("c{}", "p".repeat(2000));
    let replaced = saved(&gateway, stores, &emptied).await;
    aged.add(&replaced);
    let mut item = stores
        .item("documents", &emptied, "V1")
        .await
        .expect("it is there");
    item.remove("content");
    stores.put("documents", item).await;
    gone.insert(replaced);
    let found = dry_run(&gateway).await;
    assert_eq!((found.orphans, found.sums.objects), (gone.clone(), 7));
    let done = sweep_all(&gateway).await;
    assert_eq!((done.orphans, done.sums.deleted), (gone, 4));
    assert_eq!(stores.objects(BUCKET).await.len(), 3);
}

#[tokio::test]
async fn more_than_a_tenth_of_orphans_stops_it() {
    let (gateway, wiretap, aged) = start().await;
    let stores = wiretap.stores();
    for number in 0..10 {
        aged.add(saved(&gateway, stores, &format!("live{number}")).await);
    }
    for number in 0..2 {
        let key = format!("docs/P/V1/{}/n", ulid(number));
        put(stores, &key, &OWNER).await;
        aged.add(key);
    }
    let status = sweep(&gateway, v1::SweepRequest::default()).await.unwrap_err();
    let refusal = Refusal::of_status(&status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::FailedPrecondition, "SWEEP_STOPPED")
    );
    assert!(refusal.message.starts_with("2 of 12 objects"), "{refusal:?}");
    assert_eq!(wiretap.count("DeleteObject"), 0);
    assert_eq!(sweep_all(&gateway).await.sums.deleted, 2);
}

#[tokio::test]
async fn a_table_that_is_not_active_stops_it() {
    let aged = Aged::default();
    let restoring = Arc::new(AtomicBool::new(false));
    let is_restoring = restoring.clone();
    let body = r#"{"Table":{"TableName":"documents","TableStatus":"CREATING"}}"#;
    let wiretap = Wiretap::new(move |operation| {
        match operation == "DescribeTable" && is_restoring.load(Ordering::SeqCst) {
            true => Fate::Respond(200, body),
            false => Fate::Pass,
        }
    });
    let gateway = Gateway::tapped(&wiretap.clone().with_aged(&aged)).await;
    restoring.store(true, Ordering::SeqCst);
    let status = sweep(&gateway, v1::SweepRequest::default()).await.unwrap_err();
    let refusal = Refusal::of_status(&status);
    assert_eq!(refusal.reason, "SWEEP_STOPPED");
    assert!(
        refusal.message.starts_with("table documents is CREATING"),
        "{refusal:?}"
    );
    assert_eq!(sweep_all(&gateway).await.sums.deleted, 0);
}

#[tokio::test]
async fn deleting_needs_a_grace_of_twice_the_longest_call() {
    let gateway = Gateway::start().await;
    let request = |dry_run, seconds| {
        let mut request = v1::SweepRequest {
            dry_run,
            grace: Some(Default::default()),
            ..v1::SweepRequest::default()
        };
        request.grace.iter_mut().for_each(|grace| grace.seconds = seconds);
        request
    };
    for (dry_run, seconds) in [(false, 7199), (true, -1)] {
        let status = sweep(&gateway, request(dry_run, seconds)).await.unwrap_err();
        let refusal = Refusal::of_status(&status);
        assert_eq!(
            (refusal.code, refusal.fields),
            (Code::InvalidArgument, vec!["grace".to_owned()])
        );
    }
    sweep(&gateway, request(false, 7200)).await.expect("long enough");
    sweep(&gateway, request(true, 0))
        .await
        .expect("nothing is deleted");
}

#[tokio::test]
async fn each_item_is_read_again_right_before_its_object_is_deleted() {
    let aged = Aged::default();
    let key = format!("docs/P/V1/{}/n", ulid(1));
    let reads = Arc::new(AtomicU64::new(0));
    let (counted, pointed) = (reads.clone(), key.clone());
    let stores: Arc<std::sync::OnceLock<RawStores>> = Arc::default();
    let raw = stores.clone();
    let wiretap = Wiretap::before(move |operation| {
        // the second consistent read is the one before the deletion
        let is_second = operation == "GetItem" && counted.fetch_add(1, Ordering::SeqCst) == 1;
        let (raw, key) = (raw.clone(), pointed.clone());
        Box::pin(async move {
            let Some(stores) = raw.get().filter(|_| is_second) else {
                return;
            };
            let pointer = [("bucket", text(BUCKET)), ("key", text(&key))];
            let pointer = pointer.map(|(name, value)| (name.to_owned(), value));
            let content = aws_sdk_dynamodb::types::AttributeValue::M(pointer.into());
            let item = [("pk", text("P")), ("sk", text("V1")), ("content", content)];
            let item = item.map(|(name, value)| (name.to_owned(), value));
            stores.put("documents", item.into()).await;
        })
    });
    let wiretap = wiretap.with_aged(&aged);
    let gateway = Gateway::tapped(&wiretap).await;
    put(wiretap.stores(), &key, &OWNER).await;
    aged.add(&key);
    stores.set(wiretap.stores().clone()).expect("set once");
    reads.store(0, Ordering::SeqCst);
    let done = sweep_all(&gateway).await;
    assert_eq!((done.sums.orphans, done.sums.deleted), (1, 0));
    assert_eq!(wiretap.stores().objects(BUCKET).await, [key]);
}

#[tokio::test]
async fn one_sweep_at_a_time_until_its_caller_leaves() {
    let wiretap = Wiretap::new(|operation| match operation {
        "ListMultipartUploads" => Fate::Hang,
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    let mut client = AdminServiceClient::new(gateway.channel());
    let mut first = client
        .sweep(v1::SweepRequest::default())
        .await
        .unwrap()
        .into_inner();
    first.message().await.expect("progress");
    let status = sweep(&gateway, v1::SweepRequest::default()).await.unwrap_err();
    let refusal = Refusal::of_status(&status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::Aborted, "REQUEST_IN_FLIGHT")
    );
}

#[tokio::test]
async fn it_runs_in_the_background() {
    let aged = Aged::default();
    let wiretap = Wiretap::counting().with_aged(&aged);
    let gateway = Gateway::with(Setup {
        wiretap: Some(wiretap.clone()),
        settings: vec![("TOLLGATE_SWEEP__EVERY", "1s".to_owned())],
        ..Setup::default()
    })
    .await;
    let stores = wiretap.stores();
    for number in 0..10 {
        saved(&gateway, stores, &format!("live{number}")).await;
    }
    let key = format!("docs/P/V1/{}/n", ulid(1));
    aged.add(&key);
    put(stores, &key, &OWNER).await;
    eventually(async || match stores.objects(BUCKET).await.contains(&key) {
        true => {
            // one round takes a second or two
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            Err("the orphan is still there".to_owned())
        }
        false => Ok(()),
    })
    .await;
    assert_eq!(stores.objects(BUCKET).await.len(), 10);
}
