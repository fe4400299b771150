//! The memory of pages and their content is reserved before they are fetched, no matter how much callers read.

use futures::future::join_all;
use h2::Reason;
use tollgate_proto::v1;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_tests::gateway::{CallResult, Gateway, Setup, connect};
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::streams::{Call, End, Http2};
use tollgate_tests::values::{document, key, query, s, save, scan};
use tollgate_tests::wiretap::{Fate, Wiretap};

const QUERY: &str = "/tollgate.v1.DataService/Query";
const SCAN: &str = "/tollgate.v1.DataService/Scan";
const MIB: usize = 1024 * 1024;

async fn gateway(memory: &str, wiretap: Option<&Wiretap>) -> Gateway {
    Gateway::with(Setup {
        settings: vec![("TOLLGATE_LIMITS__MEMORY", memory.to_owned())],
        wiretap: wiretap.cloned(),
        ..Setup::default()
    })
    .await
}

fn hanging(operation: &'static str) -> Wiretap {
    Wiretap::new(move |requested| match requested == operation {
        true => Fate::Hang,
        false => Fate::Pass,
    })
}

/// So many calls on each of four connections, none of which is read, until all have ended; the most bytes that were
/// reserved meanwhile.
async fn unread<M: prost::Message>(
    gateway: &Gateway,
    path: &str,
    timeout: &str,
    messages: impl Fn(u32) -> M,
    calls_each: usize,
) -> (Vec<End>, usize) {
    let (mut connections, mut calls): (Vec<Http2>, Vec<Call>) = Default::default();
    for number in 0..4 {
        let mut connection = Http2::connect(gateway, 65_535).await;
        for _ in 0..calls_each {
            let metadata = [("grpc-timeout", timeout)];
            calls.push(connection.call(path, &metadata, &messages(number)).await);
        }
        connections.push(connection);
    }
    let ends = join_all(calls.into_iter().map(|call| call.unread()));
    watched(gateway, ends).await
}

fn reasons(ends: Vec<End>) -> Vec<String> {
    ends.into_iter()
        .map(|end| match end {
            End::Status(status) => Refusal::of_status(&status).reason,
            End::Reset(reason, _) => panic!("reset: {reason}"),
        })
        .collect()
}

/// Runs calls to their end; the most bytes that were reserved meanwhile.
async fn watched<T>(gateway: &Gateway, calls: impl Future<Output = T>) -> (T, usize) {
    let mut most = 0;
    tokio::pin!(calls);
    loop {
        tokio::select! {
            outcome = &mut calls => return (outcome, most),
            () = tokio::task::yield_now() => most = most.max(gateway.capacity().reserved_bytes()),
        }
    }
}

/// A partition of items of 300 KB: four fill a page.
async fn save_large_items(gateway: &Gateway, count: usize) {
    for number in 0..count {
        let mut item = key("A", &format!("S#{number:02}"));
        item.insert("name".to_owned(), s("x".repeat(300 * 1024)));
        gateway.save(save("User", item)).await.ok();
    }
}

/// Documents of one partition, all with content of so many bytes.
async fn save_documents(gateway: &Gateway, count: usize, bytes: usize) {
    for number in 0..count {
        let mut written = document("A", vec![7; bytes]);
        written.extend(key("A", &format!("V{number:02}")));
        gateway.save(save("Document", written)).await.ok();
    }
}

fn query_content() -> v1::QueryRequest {
    v1::QueryRequest {
        include_objects: vec!["content".to_owned()],
        ..query("Document", "A")
    }
}

#[tokio::test]
async fn pages_have_their_memory_before_they_are_fetched() {
    let hangs = hanging("Query");
    let gateway = gateway("64 MiB", Some(&hangs)).await;
    let (ends, most) = unread(&gateway, QUERY, "3S", |_| query("User", "A"), 10).await;
    let reasons = reasons(ends);
    let count = |wanted: &str| reasons.iter().filter(|reason| *reason == wanted).count();
    // a page of 1 MiB is counted four times, and the last quarter is for connections that hold little
    let under_way = hangs.most_under_way("Query");
    assert!((6..=12).contains(&under_way), "{under_way} pages at a time");
    assert_eq!(
        count("DEADLINE_EXCEEDED") + count("OUT_OF_MEMORY"),
        40,
        "{reasons:?}"
    );
    assert!(count("OUT_OF_MEMORY") >= 20, "{reasons:?}");
    assert!((24 * MIB..=64 * MIB).contains(&most), "{} MiB", most / MIB);
    until("all is free", async || gateway.capacity().reserved_bytes() == 0).await;
    gateway.stop().await;
}

#[tokio::test]
async fn pages_that_nobody_reads_stay_within_the_limit() {
    let gateway = gateway("32 MiB", None).await;
    save_large_items(&gateway, 12).await;
    let message = |number| v1::ScanRequest {
        parallelism: 1 + 2 * number,
        ..scan("User")
    };
    let (ends, most) = unread(&gateway, SCAN, "2S", message, 20).await;
    assert!(
        ends.iter()
            .any(|end| matches!(end, End::Reset(Reason::CANCEL, _)))
    );
    assert!((4 * MIB..=32 * MIB).contains(&most), "{} MiB", most / MIB);
    until("all is free", async || gateway.capacity().reserved_bytes() == 0).await;
    gateway.stop().await;
}

#[tokio::test]
async fn parallel_scans_proceed_with_little_memory() {
    let gateway = gateway("2 MiB", None).await;
    for number in 0..16 {
        let mut item = key(&format!("A{number}"), "1");
        item.insert("name".to_owned(), s("x".repeat(100 * 1024)));
        gateway.save(save("User", item)).await.ok();
    }
    let scans = (0..6).map(async |_| {
        let mut data = DataServiceClient::new(connect(gateway.address()).await);
        let message = v1::ScanRequest {
            parallelism: 16,
            page_size: 2,
            ..scan("User")
        };
        CallResult::read_stream(data.scan(message).await).await.ok()
    });
    let (scans, most) = watched(&gateway, join_all(scans)).await;
    for pages in scans {
        let items: usize = pages.iter().map(|page| page.results.len()).sum();
        assert_eq!(items, 16);
    }
    assert!(most >= MIB / 2, "{} KiB", most / 1024);
    until("all is free", async || gateway.capacity().reserved_bytes() == 0).await;
    gateway.stop().await;
}

#[tokio::test]
async fn content_of_pages_has_its_memory_before_it_is_fetched() {
    let hangs = hanging("GetObject");
    let gateway = gateway("64 MiB", Some(&hangs)).await;
    save_documents(&gateway, 3, MIB - 4096).await;
    let (ends, most) = unread(&gateway, QUERY, "3S", |_| query_content(), 10).await;
    for reason in reasons(ends) {
        assert!(
            ["OUT_OF_MEMORY", "DEADLINE_EXCEEDED"].contains(&reason.as_str()),
            "{reason}"
        );
    }
    // three of 1 MiB per stream, counted twice each, in three quarters of 64 MiB
    let under_way = hangs.most_under_way("GetObject");
    assert!((3..=24).contains(&under_way), "{under_way} objects at a time");
    assert!((6 * MIB..=64 * MIB).contains(&most), "{} MiB", most / MIB);
    until("all is free", async || gateway.capacity().reserved_bytes() == 0).await;
    gateway.stop().await;
}

#[tokio::test]
async fn pages_with_content_do_not_wait_for_each_other() {
    let gateway = gateway("24 MiB", None).await;
    save_documents(&gateway, 6, MIB).await;
    // larger than a message, and than half of the memory
    let mut large = document("A", vec![7; 13 * MIB]);
    large.extend(key("A", "V03"));
    gateway.save(save("Document", large)).await.ok();
    let queries = (0..6).map(async |_| {
        let data = DataServiceClient::new(connect(gateway.address()).await);
        let mut data = data.max_decoding_message_size(32 * MIB);
        CallResult::read_stream(data.query(query_content()).await)
            .await
            .ok()
    });
    let (queries, most) = watched(&gateway, join_all(queries)).await;
    for pages in queries {
        let results: Vec<_> = pages.into_iter().flat_map(|page| page.results).collect();
        assert_eq!(results.len(), 6);
        assert!(results.iter().all(|result| result.error.is_none()), "{results:?}");
    }
    assert!(most <= 40 * MIB, "{} MiB", most / MIB);
    until("all is free", async || gateway.capacity().reserved_bytes() == 0).await;
    gateway.stop().await;
}
