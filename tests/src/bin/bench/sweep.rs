//! A sweep of 100,000 objects with planted orphans, danglers and stray uploads, while 200 writers go on: what it finds, how
//! long it takes, and the memory of the process, in which the gateway, its engines and the writers run.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use futures::StreamExt as _;
use tollgate_proto::v1;
use tollgate_proto::v1::admin_service_client::AdminServiceClient;
use tollgate_proto::v1::sweep_response::Event;
use tollgate_tests::aged::Aged;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::stores::RawStores;
use tollgate_tests::values::{document, save};
use tollgate_tests::wiretap::Wiretap;

use super::Plan;
use super::process::{peak_mib, resident_mib};
use super::table::{Table, at_most};

/// Above the memory before the sweep.
const GOAL_MIB: f64 = 64.0;
const BUCKET: &str = "my-bucket";
const WRITERS: usize = 200;
/// Writers that have a call in flight.
const CALLS: usize = 32;
const ORPHANS: usize = 5_000;
const STRAYS: usize = 100;
const DANGLERS: usize = 100;

/// What was planted.
#[derive(Default)]
struct Planted {
    orphans: BTreeSet<String>,
    strays: BTreeSet<String>,
    dangling: BTreeSet<String>,
}

pub(crate) async fn measure(plan: &Plan) {
    let objects = if plan.rounds > 2 { 100_000 } else { 5_000 };
    let aged = Aged::default();
    let wiretap = Wiretap::counting().with_aged(&aged);
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = Gateway::with(Setup {
        data: Some(folder.path().to_owned()),
        wiretap: Some(wiretap.clone()),
        settings: vec![
            ("TOLLGATE_EMBEDDED__SYNCHRONOUS", "normal".to_owned()),
            ("TOLLGATE_SWEEP__RATE", "1000".to_owned()),
        ],
        ..Setup::default()
    })
    .await;
    let planted = plant(&gateway, wiretap.stores(), &aged, objects).await;
    let (stop, writes) = (AtomicBool::new(false), AtomicU64::new(0));
    let me = std::process::id();
    let before = resident_mib(me);
    // the peak counts from now
    std::fs::write("/proc/self/clear_refs", "5").expect("the peak can be reset");
    let sweeps = async {
        let mut rows = Vec::new();
        for is_dry_run in [true, false] {
            let begun = Instant::now();
            let (found, sums) = sweep(&gateway, is_dry_run).await;
            let is_exact = found.orphans == planted.orphans
                && found.strays == planted.strays
                && found.dangling == planted.dangling;
            rows.push((is_dry_run, begun.elapsed().as_secs_f64(), sums, is_exact));
        }
        stop.store(true, Ordering::SeqCst);
        rows
    };
    let writers = futures::stream::iter(0..WRITERS)
        .for_each_concurrent(CALLS, |number| write(&gateway, number, &stop, &writes));
    let (rows, ()) = tokio::join!(sweeps, writers);
    let above = peak_mib(me) - before;
    let mut table = Table::new(&[
        "sweep",
        "objects",
        "orphans",
        "stray uploads",
        "dangling",
        "exact",
        "deleted",
        "seconds",
        "MiB above",
        "goal",
    ]);
    for (is_dry_run, seconds, sums, is_exact) in rows {
        table.row([
            if is_dry_run { "dry run" } else { "deletes" }.to_owned(),
            sums.objects.to_string(),
            sums.orphans.to_string(),
            sums.stray_uploads.to_string(),
            sums.dangling.to_string(),
            is_exact.to_string(),
            sums.deleted.to_string(),
            format!("{seconds:.1}"),
            format!("{above:.1}"),
            at_most(GOAL_MIB, above),
        ]);
    }
    table.print(&format!(
        "A sweep beside {WRITERS} writers, {} writes in all; the memory includes theirs",
        writes.load(Ordering::SeqCst)
    ));
    gateway.stop().await;
}

fn ulid(number: usize) -> String {
    format!("{number:026}")
}

async fn plant(gateway: &Gateway, stores: &RawStores, aged: &Aged, objects: usize) -> Planted {
    let mut planted = Planted::default();
    let saves = (0..objects).map(|number| async move {
        let partition = format!("P{number}");
        gateway
            .save(save("Document", document(&partition, vec![7; 100])))
            .await
            .ok();
    });
    futures::stream::iter(saves)
        .buffer_unordered(CALLS)
        .collect::<()>()
        .await;
    for number in 0..ORPHANS.min(objects / 20) {
        let (partition, key) = (
            format!("P{number}"),
            format!("docs/P{number}/V1/{}/n", ulid(number)),
        );
        let put = stores.s3.put_object().bucket(BUCKET).key(&key);
        let put = put
            .metadata("tollgate-table", "documents")
            .metadata("tollgate-partition", partition);
        put.metadata("tollgate-sort", "V1")
            .body(vec![1; 100].into())
            .send()
            .await
            .expect("stored");
        planted.orphans.insert(key);
    }
    for number in 0..STRAYS {
        let key = format!("docs/P{number}/V1/{}/big", ulid(number));
        let begun = stores.s3.create_multipart_upload().bucket(BUCKET).key(&key);
        begun.send().await.expect("begun");
        planted.strays.insert(key);
    }
    for number in 0..DANGLERS {
        let partition = format!("P{}", objects - 1 - number);
        let item = stores.item("documents", &partition, "V1").await.expect("an item");
        let pointer = item["content"].as_m().expect("a pointer");
        let key = pointer["key"].as_s().expect("a key").clone();
        stores.delete_object(BUCKET, &key).await;
        planted.dangling.insert(key);
    }
    for key in stores
        .objects(BUCKET)
        .await
        .into_iter()
        .chain(planted.strays.iter().cloned())
    {
        aged.add(key);
    }
    planted
}

/// Saves items of the middle of the table again and again, whose old objects it deletes.
async fn write(gateway: &Gateway, number: usize, stop: &AtomicBool, writes: &AtomicU64) {
    let partition = format!("P{}", 2_000 + number);
    while !stop.load(Ordering::SeqCst) {
        gateway
            .save(save("Document", document(&partition, vec![8; 100])))
            .await
            .ok();
        // one of the others has its turn
        if writes.fetch_add(1, Ordering::SeqCst) % 50 == 49 && number + CALLS < WRITERS {
            break;
        }
    }
}

async fn sweep(gateway: &Gateway, dry_run: bool) -> (Planted, v1::SweepProgress) {
    let mut client = AdminServiceClient::new(gateway.channel());
    let request = v1::SweepRequest {
        dry_run,
        ..v1::SweepRequest::default()
    };
    let mut events = client.sweep(request).await.expect("it begins").into_inner();
    let (mut found, mut sums) = (Planted::default(), v1::SweepProgress::default());
    while let Some(message) = events.message().await.expect("it succeeds") {
        match message.event.expect("an event") {
            Event::Orphan(orphan) => found.orphans.insert(orphan.key),
            Event::StrayUpload(upload) => found.strays.insert(upload.key),
            Event::Dangling(pointer) => found.dangling.insert(pointer.key),
            Event::Progress(_) => false,
            Event::Finished(finished) => {
                sums = finished;
                false
            }
        };
    }
    (found, sums)
}
