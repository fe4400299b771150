//! Query and Scan: every item once and in order, for any page size, filter, segment or resumption.

mod segments;

use std::time::Duration;

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::values::{document, expression, get, key, n, query, s, save, scan, secure_user, user};
use tollgate_tests::wiretap::{Fate, Wiretap};

const ITEMS: usize = 23;

/// A partition of `ITEMS` users, aged by their number.
async fn users() -> Gateway {
    let gateway = Gateway::start().await;
    save_users(&gateway, "A", ITEMS).await;
    gateway
}

async fn save_users(gateway: &Gateway, partition: &str, count: usize) {
    for number in 0..count {
        let mut written = key(partition, &sort_of(number));
        written.insert("age".to_owned(), n(number));
        gateway.save(save("User", written)).await.ok();
    }
}

fn sort_of(number: usize) -> String {
    format!("S#{number:02}")
}

fn sort(result: &v1::ItemResult) -> String {
    assert_eq!(result.error, None);
    match &result.item["sk"].kind {
        Some(Kind::S(sort)) => sort.clone(),
        other => panic!("{other:?}"),
    }
}

fn sorts(pages: &[v1::QueryResponse]) -> Vec<String> {
    pages.iter().flat_map(|page| &page.results).map(sort).collect()
}

fn all_sorts() -> Vec<String> {
    (0..ITEMS).map(sort_of).collect()
}

/// Calls again with the last token until there is none; the sort keys of each call.
async fn resumed(gateway: &Gateway, request: &v1::QueryRequest) -> Vec<Vec<String>> {
    let mut calls = Vec::new();
    let mut page_token = String::new();
    loop {
        let pages = gateway
            .query(v1::QueryRequest {
                page_token,
                ..request.clone()
            })
            .await
            .ok();
        for page in &pages {
            assert_eq!(page.count as usize, page.results.len());
        }
        calls.push(sorts(&pages));
        page_token = pages.last().expect("a page").next_page_token.clone();
        if page_token.is_empty() {
            return calls;
        }
        assert!(calls.len() <= 2 * ITEMS, "it never ends: {calls:?}");
    }
}

#[tokio::test]
async fn every_limit_and_page_size_returns_every_item_once_in_order() {
    let gateway = users().await;
    for limit in [0, 1, 2, 5, 10, 22, 23, 24] {
        for page_size in [0, 1, 4, 10] {
            for descending in [false, true] {
                let request = v1::QueryRequest {
                    limit,
                    page_size,
                    descending,
                    ..query("User", "A")
                };
                let calls = resumed(&gateway, &request).await;
                let mut expected = all_sorts();
                if descending {
                    expected.reverse();
                }
                assert_eq!(calls.concat(), expected, "limit {limit}, page_size {page_size}");
                let (last, whole) = calls.split_last().unwrap();
                let most = if limit == 0 { ITEMS } else { limit as usize };
                assert!(
                    whole.iter().all(|call| call.len() == most) && last.len() <= most,
                    "{calls:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn every_page_has_its_own_token() {
    let gateway = users().await;
    let request = v1::QueryRequest {
        page_size: 4,
        ..query("User", "A")
    };
    let pages = gateway.query(request.clone()).await.ok();
    assert!(pages.iter().all(|page| page.results.len() <= 4) && pages.len() >= 6);
    assert_eq!(
        pages.iter().map(|page| page.scanned_count).sum::<u32>(),
        ITEMS as u32
    );
    let mut read = Vec::new();
    for page in &pages {
        read.extend(page.results.iter().map(sort));
        if page.next_page_token.is_empty() {
            continue;
        }
        let rest = v1::QueryRequest {
            page_token: page.next_page_token.clone(),
            ..request.clone()
        };
        let rest = sorts(&gateway.query(rest).await.ok());
        assert_eq!([read.clone(), rest].concat(), all_sorts());
    }
    assert_eq!(pages.last().unwrap().next_page_token, "");
}

#[tokio::test]
async fn an_empty_page_does_not_end_the_query() {
    let gateway = users().await;
    let filter = |text: &str, age: usize| expression(text, [(":age", n(age))]);
    let request = v1::QueryRequest {
        page_size: 3,
        filter: filter("age = :age", 20),
        ..query("User", "A")
    };
    let pages = gateway.query(request.clone()).await.ok();
    assert_eq!(sorts(&pages), [sort_of(20)]);
    assert!(pages[0].results.is_empty() && !pages[0].next_page_token.is_empty());
    assert_eq!(
        pages.iter().map(|page| page.scanned_count).sum::<u32>(),
        ITEMS as u32
    );
    let first = v1::QueryRequest { limit: 1, ..request };
    let pages = gateway.query(first).await.ok();
    assert_eq!(sorts(&pages), [sort_of(20)], "the limit is of items that match");
    let scanned = v1::ScanRequest {
        page_size: 3,
        filter: filter("age > :age", 21),
        ..scan("User")
    };
    let pages = gateway.scan(scanned).await.ok();
    assert_eq!(
        pages
            .iter()
            .flat_map(|page| &page.results)
            .map(sort)
            .collect::<Vec<_>>(),
        [sort_of(22)]
    );
    let nothing = v1::QueryRequest {
        page_size: 3,
        filter: filter("age > :age", 99),
        ..query("User", "A")
    };
    let pages = gateway.query(nothing).await.ok();
    assert!(sorts(&pages).is_empty() && pages.last().unwrap().next_page_token.is_empty());
    let pages = gateway.query(query("User", "NOBODY")).await.ok();
    assert!(
        pages.len() == 1 && pages[0] == v1::QueryResponse::default(),
        "{pages:?}"
    );
}

#[tokio::test]
async fn a_filtered_limit_resumes_where_it_stopped() {
    let gateway = users().await;
    for limit in [1, 2, 3] {
        for page_size in [0, 2, 5] {
            let filter = expression("age <> :a AND age <> :b", [(":a", n(0)), (":b", n(7))]);
            let request = v1::QueryRequest {
                limit,
                page_size,
                filter,
                ..query("User", "A")
            };
            let expected: Vec<_> = (0..ITEMS)
                .filter(|age| ![0, 7].contains(age))
                .map(sort_of)
                .collect();
            assert_eq!(
                resumed(&gateway, &request).await.concat(),
                expected,
                "limit {limit}, page_size {page_size}"
            );
        }
    }
}

#[tokio::test]
async fn select_count_returns_only_counts() {
    let gateway = users().await;
    let select = v1::Select::Count as i32;
    let request = v1::QueryRequest {
        select,
        page_size: 5,
        ..query("User", "A")
    };
    let pages = gateway.query(request.clone()).await.ok();
    assert!(pages.iter().all(|page| page.results.is_empty()));
    assert_eq!(pages.iter().map(|page| page.count).sum::<u32>(), ITEMS as u32);
    let limited = v1::QueryRequest {
        limit: 8,
        ..request.clone()
    };
    let (mut counts, mut page_token) = (Vec::new(), String::new());
    loop {
        let pages = gateway
            .query(v1::QueryRequest {
                page_token,
                ..limited.clone()
            })
            .await
            .ok();
        counts.push(pages.iter().map(|page| page.count).sum::<u32>());
        page_token = pages.last().unwrap().next_page_token.clone();
        if page_token.is_empty() {
            break;
        }
    }
    counts.retain(|count| *count > 0);
    assert_eq!(counts, [8, 8, 7]);
    let filter = expression("age < :age", [(":age", n(6))]);
    let filtered = gateway
        .query(v1::QueryRequest {
            filter: filter.clone(),
            ..request
        })
        .await
        .ok();
    assert_eq!(filtered.iter().map(|page| page.count).sum::<u32>(), 6);
    for parallelism in [0, 3] {
        let request = v1::ScanRequest {
            select,
            page_size: 4,
            parallelism,
            filter: filter.clone(),
            ..scan("User")
        };
        let scanned = gateway.scan(request).await;
        assert_eq!(scanned.bill.count("tollgate-kms-calls"), 0);
        assert_eq!(scanned.ok().iter().map(|page| page.count).sum::<u32>(), 6);
    }
}

#[tokio::test]
async fn no_page_is_fetched_for_a_slow_reader() {
    const LARGE_ITEMS: u64 = 60;
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    for number in 0..LARGE_ITEMS {
        let mut written = key("A", &sort_of(number as usize));
        written.insert("name".to_owned(), s("x".repeat(200_000)));
        gateway.save(save("User", written)).await.ok();
    }
    let request = v1::QueryRequest {
        page_size: 1,
        ..query("User", "A")
    };
    let mut pages = gateway.data().query(request).await.unwrap().into_inner();
    pages.message().await.unwrap().unwrap();
    // many other calls later the server still waits for this reader: 12 MB do not fit into what HTTP/2 buffers
    let mut fetched = 0;
    while fetched < wiretap.count("Query") {
        fetched = wiretap.count("Query");
        for _ in 0..100 {
            let checked = v1::GetRequest {
                validate_only: true,
                ..get("User", key("A", "B"))
            };
            gateway.get(checked).await.ok();
        }
    }
    assert!(
        fetched < LARGE_ITEMS / 2,
        "{fetched} pages were fetched for one that was read"
    );
    let mut read = 1;
    while let Some(page) = pages.message().await.unwrap() {
        read += page.count as u64;
    }
    assert_eq!(read, LARGE_ITEMS);
}

#[tokio::test]
async fn objects_come_inline_in_messages_of_bounded_size() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    for (number, bytes) in [100, 1_000_000, 2_500_000, 4_500_000, 10, 0]
        .into_iter()
        .enumerate()
    {
        let mut written = document("A", vec![number as u8; bytes]);
        written.insert("sk".to_owned(), s(sort_of(number)));
        gateway.save(save("Document", written)).await.ok();
    }
    let include_objects = vec!["content".to_owned()];
    let request = v1::QueryRequest {
        include_objects,
        ..query("Document", "A")
    };
    let queried = gateway.query(request.clone()).await;
    assert_eq!(queried.bill.count("tollgate-s3-bytes-downloaded"), 8_000_110);
    let pages = queried.ok();
    for page in &pages {
        let bytes = prost::Message::encoded_len(page);
        assert!(
            bytes <= 3 * 1024 * 1024 || page.results.len() == 1,
            "{bytes} bytes in {}",
            page.results.len()
        );
    }
    // one page of the store in several messages: the last one has the counts
    let (last, parts) = pages.split_last().expect("a page");
    assert!(parts.len() >= 2);
    for part in parts {
        assert_eq!(
            (part.count, part.scanned_count, part.next_page_token.as_str()),
            (0, 0, "")
        );
    }
    assert_eq!(
        (last.count, last.scanned_count, last.next_page_token.as_str()),
        (6, 6, "")
    );
    for (number, result) in pages.iter().flat_map(|page| &page.results).enumerate() {
        let Some(Kind::Object(object)) = &result.item["content"].kind else {
            panic!("no object")
        };
        let data = object.data.as_deref().expect("its content");
        assert!(data.len() as u64 == object.size && data.iter().all(|byte| *byte as usize == number));
    }
    assert_eq!(sorts(&pages), (0..6).map(sort_of).collect::<Vec<_>>());
    let two = gateway
        .query(v1::QueryRequest {
            page_size: 3,
            ..request.clone()
        })
        .await
        .ok();
    let first = two
        .iter()
        .position(|part| part.count > 0)
        .expect("the end of a page");
    assert!(first > 0 && sorts(&two[..=first]).len() == 3);
    let rest = v1::QueryRequest {
        page_token: two[first].next_page_token.clone(),
        page_size: 3,
        ..request.clone()
    };
    let rest = sorts(&gateway.query(rest).await.ok());
    assert_eq!([sorts(&two[..=first]), rest].concat(), sorts(&pages));
    let plain = gateway.query(query("Document", "A")).await;
    assert_eq!(plain.bill.count("tollgate-s3-calls"), 0);
}

#[tokio::test]
async fn data_keys_are_decrypted_in_parallel_each_once() {
    const SECURE_ITEMS: u64 = 40;
    let wiretap = Wiretap::new(|operation| match operation {
        "Decrypt" => Fate::Delay(Duration::from_millis(10)),
        _ => Fate::Pass,
    });
    let settings = vec![("TOLLGATE_KMS__IN_FLIGHT", "5".to_owned())];
    let gateway = Gateway::with(Setup {
        settings,
        wiretap: Some(wiretap.clone()),
        ..Setup::default()
    })
    .await;
    for number in 0..SECURE_ITEMS {
        gateway
            .save(save("SecureUser", secure_user("ORG", &sort_of(number as usize))))
            .await
            .ok();
    }
    let queried = gateway
        .query(v1::QueryRequest {
            page_size: 15,
            ..query("SecureUser", "ORG")
        })
        .await;
    assert_eq!(queried.bill.count("tollgate-kms-calls"), SECURE_ITEMS);
    assert_eq!(
        wiretap.count("Decrypt"),
        SECURE_ITEMS,
        "one per item, not per field"
    );
    assert_eq!(
        wiretap.most_under_way("Decrypt"),
        5,
        "as many at a time as the setting says"
    );
    assert_eq!(sorts(&queried.ok()).len() as u64, SECURE_ITEMS);
    gateway.save(save("User", user("A", "1"))).await.ok();
}
