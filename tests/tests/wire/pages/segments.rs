//! Parallel scans: segments return every item once, resume, and wait for a slow reader.

use std::collections::BTreeSet;

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::values::{get, key, s, save, scan};
use tollgate_tests::wiretap::Wiretap;

use super::{save_users, sort, sort_of};

/// Users of many partitions; the names of all.
async fn spread() -> (Gateway, BTreeSet<String>) {
    let gateway = Gateway::start().await;
    let mut names = BTreeSet::new();
    for partition in 0..15 {
        let partition = format!("P#{partition}");
        save_users(&gateway, &partition, 4).await;
        names.extend((0..4).map(|number| format!("{partition}/{}", sort_of(number))));
    }
    (gateway, names)
}

fn names(pages: &[v1::ScanResponse]) -> Vec<String> {
    let results = pages.iter().flat_map(|page| &page.results);
    let partition = |result: &v1::ItemResult| match &result.item["pk"].kind {
        Some(Kind::S(partition)) => partition.clone(),
        other => panic!("{other:?}"),
    };
    results
        .map(|result| format!("{}/{}", partition(result), sort(result)))
        .collect()
}

fn once_each(read: Vec<String>, expected: &BTreeSet<String>) {
    assert_eq!(read.len(), expected.len());
    assert_eq!(&read.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[tokio::test]
async fn parallel_segments_return_every_item_once() {
    let (gateway, expected) = spread().await;
    for parallelism in [0, 1, 2, 7, 64] {
        for page_size in [0, 3] {
            let request = v1::ScanRequest {
                parallelism,
                page_size,
                ..scan("User")
            };
            let pages = gateway.scan(request).await.ok();
            assert_eq!(pages.last().unwrap().next_page_token, "");
            once_each(names(&pages), &expected);
        }
    }
    let mut read = Vec::new();
    for segment in 0..5 {
        let request = v1::ScanRequest {
            segment,
            total_segments: 5,
            page_size: 2,
            ..scan("User")
        };
        read.extend(names(&gateway.scan(request).await.ok()));
    }
    once_each(read, &expected);
}

#[tokio::test]
async fn parallel_segments_can_be_resumed() {
    let (gateway, expected) = spread().await;
    for (parallelism, page_size, limit) in [(4, 2, 7), (4, 0, 1), (3, 5, 13), (0, 4, 9), (8, 1, 60)] {
        let request = v1::ScanRequest {
            parallelism,
            page_size,
            limit,
            ..scan("User")
        };
        let (mut read, mut page_token) = (Vec::new(), String::new());
        loop {
            let pages = gateway
                .scan(v1::ScanRequest {
                    page_token,
                    ..request.clone()
                })
                .await
                .ok();
            let names = names(&pages);
            assert!(names.len() <= limit as usize, "{names:?}");
            read.extend(names);
            page_token = pages.last().unwrap().next_page_token.clone();
            if page_token.is_empty() {
                break;
            }
            assert!(read.len() <= expected.len(), "items come twice");
        }
        once_each(read, &expected);
    }
    // from the token of any message
    let request = v1::ScanRequest {
        parallelism: 4,
        page_size: 3,
        ..scan("User")
    };
    let pages = gateway.scan(request.clone()).await.ok();
    for read in 1..pages.len() {
        let page_token = pages[read - 1].next_page_token.clone();
        let rest = gateway
            .scan(v1::ScanRequest {
                page_token,
                ..request.clone()
            })
            .await
            .ok();
        once_each([names(&pages[..read]), names(&rest)].concat(), &expected);
    }
}

#[tokio::test]
async fn segments_that_nobody_reads_wait_before_they_fetch() {
    const SEGMENTS: u32 = 16;
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    for number in 0..60 {
        let mut written = key(&format!("P#{number}"), "A");
        written.insert("name".to_owned(), s("x".repeat(300_000)));
        gateway.save(save("User", written)).await.ok();
    }
    let request = v1::ScanRequest {
        parallelism: SEGMENTS,
        ..scan("User")
    };
    let mut pages = gateway.data().scan(request).await.unwrap().into_inner();
    // many other calls later no more is fetched
    let (mut fetched, mut before) = (wiretap.count("Scan"), 0);
    while fetched == 0 || fetched > before {
        before = fetched;
        for _ in 0..100 {
            let checked = v1::GetRequest {
                validate_only: true,
                ..get("User", key("A", "B"))
            };
            gateway.get(checked).await.ok();
        }
        fetched = wiretap.count("Scan");
    }
    // pages of 900 KB: 4 MiB are held, and HTTP/2 holds the messages that it took
    assert!(
        fetched <= 10,
        "{fetched} pages were fetched for none that was read"
    );
    let mut read = 0;
    while let Some(page) = pages.message().await.unwrap() {
        read += page.results.len();
    }
    assert_eq!(read, 60);
    let most = wiretap.most_under_way("Scan");
    assert!((2..=4).contains(&most), "{most} pages of up to 1 MiB at a time");
}
