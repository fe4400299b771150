//! Sweeps that are interrupted, that hold few orphans, and whose stores fail, over the embedded engines.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::aws::testing::{Fault, FaultyStores};
use crate::aws::{BatchWrite, Kind, Location};
use crate::call::Call;
use crate::model::{Item, Models, Value};

const OBJECTS: usize = 1_200;
const ORPHANS: usize = 30;

fn options() -> Options {
    Options {
        dry_run: false,
        grace: Duration::ZERO,
        least_grace: Duration::ZERO,
        force: false,
        adopt: false,
        rate: 100_000,
        held: MAX_HELD,
    }
}

fn sweep(stores: &FaultyStores, options: Options) -> Sweep {
    Sweep {
        stores: stores.stores.clone(),
        models: Models::examples(),
        options,
        call: Call::for_test(),
    }
}

fn object_key(number: usize) -> String {
    format!("docs/P{number:05}/V1/{number:026}/n")
}

/// Objects of which every so many belong to no item.
async fn planted() -> (FaultyStores, BTreeSet<String>) {
    let stores = FaultyStores::new(&Models::examples()).await;
    let call = Call::for_test();
    let (mut orphans, mut writes) = (BTreeSet::new(), Vec::new());
    for number in 0..OBJECTS {
        let key = object_key(number);
        let location = Location {
            bucket: "my-bucket",
            key: &key,
            region: None,
        };
        let partition = format!("P{number:05}");
        let metadata = [
            ("tollgate-table", "documents"),
            ("tollgate-partition", &partition),
            ("tollgate-sort", "V1"),
        ];
        let metadata = metadata
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let put = stores
            .stores
            .s3
            .put_object(&call, location, "x".into(), None, &metadata);
        put.await.unwrap();
        if number % (OBJECTS / ORPHANS) == 1 && orphans.len() < ORPHANS {
            orphans.insert(key);
            continue;
        }
        let text = |text: &str| Value::S(text.to_owned());
        let pointer = [
            ("bucket", text("my-bucket")),
            ("key", text(&key)),
            ("size", Value::N("1".parse().unwrap())),
            ("etag", text("e")),
        ];
        let pointer = pointer.map(|(name, value)| (name.to_owned(), value));
        let item = Item::from([
            ("pk".to_owned(), text(&partition)),
            ("sk".to_owned(), text("V1")),
            ("content".to_owned(), Value::M(pointer.into())),
        ]);
        writes.push(BatchWrite::Put {
            table: "documents".to_owned(),
            item,
        });
    }
    for batch in writes.chunks(crate::aws::MAX_WRITES) {
        let left = stores
            .stores
            .dynamodb
            .batch_write_item(&call, batch.to_vec())
            .await;
        assert!(left.unwrap().is_empty());
    }
    stores.take_sent();
    (stores, orphans)
}

async fn objects(stores: &FaultyStores) -> BTreeSet<String> {
    let call = Call::for_test();
    let mut keys = BTreeSet::new();
    let mut after = String::new();
    loop {
        let location = Location {
            bucket: "my-bucket",
            key: "docs/",
            region: None,
        };
        let page = stores
            .stores
            .s3
            .list_objects(&call, location, &after)
            .await
            .unwrap();
        keys.extend(page.objects.into_iter().map(|object| object.key));
        match (page.has_more, keys.last()) {
            (true, Some(last)) => last.clone_into(&mut after),
            (true, None) | (false, _) => return keys,
        }
    }
}

/// Runs until so many events were received; returns the outcome, the orphans up to the last mark, and the mark.
async fn run(
    sweep: &Sweep,
    from: Option<Mark>,
    events: usize,
) -> (Result<Counts, Error>, Vec<String>, Option<Mark>) {
    let (sender, mut receiver) = mpsc::channel(1);
    let watch = async move {
        let (mut marked, mut found, mut mark) = (Vec::new(), Vec::new(), None);
        for _ in 0..events {
            match receiver.recv().await {
                Some(Event::Found(Finding::Orphan { key, .. })) => found.push(key),
                Some(Event::Found(_)) => panic!("only orphans were planted"),
                Some(Event::Progress { mark: Some(at), .. }) => {
                    marked.append(&mut found);
                    mark = Some(*at);
                }
                Some(Event::Progress { mark: None, .. }) => {}
                None => {
                    marked.append(&mut found);
                    break;
                }
            }
        }
        (marked, mark)
    };
    let (outcome, (found, mark)) = tokio::join!(sweep.run(from, sender), watch);
    (outcome, found, mark)
}

#[tokio::test]
async fn orphans_beyond_what_fits_are_found_by_a_second_walk() {
    let (stores, orphans) = planted().await;
    let few = Options { held: 3, ..options() };
    let (outcome, found, _) = run(&sweep(&stores, few), None, usize::MAX).await;
    let counts = outcome.unwrap();
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), orphans);
    assert_eq!(
        (counts.objects, counts.orphans, counts.deleted),
        (OBJECTS as u64, ORPHANS as u64, ORPHANS as u64)
    );
    assert_eq!(counts.pointers, (OBJECTS - ORPHANS) as u64);
    assert!(objects(&stores).await.is_disjoint(&orphans));
    assert_eq!(objects(&stores).await.len(), OBJECTS - ORPHANS);
}

#[tokio::test]
async fn an_interrupted_sweep_goes_on_at_its_mark() {
    let (stores, orphans) = planted().await;
    let sweep = sweep(&stores, options());
    let (mut found, mut mark, mut runs) = (Vec::new(), None, 0);
    // it is stopped after ever more events, as a process that is killed again and again
    let counts = loop {
        runs += 1;
        let (outcome, some, at) = run(&sweep, mark.clone(), 2 * runs).await;
        found.extend(some);
        mark = at.or(mark);
        match outcome {
            Ok(counts) => break counts,
            Err(Error::Stopped) => {}
            Err(error) => panic!("{error}"),
        }
        assert!(runs < 200, "it makes progress");
    };
    assert!(runs > 3, "it was interrupted");
    assert_eq!(found.len(), ORPHANS, "each is reported once");
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), orphans);
    assert_eq!((counts.objects, counts.orphans), (OBJECTS as u64, ORPHANS as u64));
    assert_eq!(counts.pointers, (OBJECTS - ORPHANS) as u64);
    assert_eq!(objects(&stores).await.len(), OBJECTS - ORPHANS);
}

#[tokio::test]
async fn a_mark_is_of_one_sweep_alone() {
    let (stores, _) = planted().await;
    let (_, _, mark) = run(&sweep(&stores, options()), None, usize::MAX).await;
    let other = Options {
        dry_run: true,
        ..options()
    };
    let (outcome, ..) = run(&sweep(&stores, other), mark, usize::MAX).await;
    assert!(matches!(outcome, Err(Error::OtherSweep)));
}

#[tokio::test]
async fn a_failing_store_ends_it_and_nothing_wrong_is_deleted() {
    let (stores, orphans) = planted().await;
    let before = objects(&stores).await;
    for operation in ["BatchGetItem", "Head", "GetItem", "DeleteObject", "Scan"] {
        // more than the attempts of all requests in flight
        for _ in 0..100 {
            let code = if operation == "Head" || operation == "DeleteObject" {
                "InternalError"
            } else {
                "InternalServerError"
            };
            stores.inject(operation, Fault::Respond(500, code));
        }
        let (outcome, ..) = run(&sweep(&stores, options()), None, usize::MAX).await;
        let Err(Error::Store(error)) = outcome else {
            panic!("{operation}: {outcome:?}")
        };
        assert_eq!(error.kind, Kind::Unavailable, "{operation}");
        stores.heal();
    }
    let after = objects(&stores).await;
    assert!(before.difference(&after).all(|key| orphans.contains(key)));
    // one step after the deletions failed last
    assert_eq!(after.len(), OBJECTS - ORPHANS);
}
