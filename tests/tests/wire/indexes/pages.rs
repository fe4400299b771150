//! Pages of indexes: resumption, counts and their bill.

use tollgate_proto::v1;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::in_session;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{expression, item, s, save, scan};

use super::{by_total, of_status, order, orders, supports_key_lists, text, texts};

#[tokio::test]
async fn a_token_resumes_within_equal_keys_of_an_index() {
    let gateway = orders().await;
    for number in 0..11 {
        let customer = if number % 2 == 0 { "A" } else { "B" };
        let written = order(customer, &format!("{number:02}"), "open", "5");
        gateway.save(save("Order", written)).await.ok();
    }
    for limit in [1, 2, 3, 10, 11] {
        for page_size in [0, 1, 4] {
            for descending in [false, true] {
                let mut seen = Vec::new();
                let mut page_token = String::new();
                loop {
                    let request = v1::QueryRequest {
                        limit,
                        page_size,
                        descending,
                        page_token: page_token.clone(),
                        ..of_status("by_status", "open")
                    };
                    let pages = gateway.query(request).await.ok();
                    seen.extend(texts(&pages, "id"));
                    page_token.clone_from(&pages.last().expect("a page").next_page_token);
                    if page_token.is_empty() {
                        break;
                    }
                    assert!(seen.len() <= 11, "it never ends: {seen:?}");
                }
                seen.sort();
                let expected: Vec<_> = (0..11).map(|number| format!("{number:02}")).collect();
                assert_eq!(
                    seen, expected,
                    "limit {limit}, page_size {page_size}, {descending}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_filtered_scan_of_an_index_loses_nothing_when_resumed() {
    let gateway = orders().await;
    for number in 0..12 {
        let written = order("A", &format!("{number:02}"), "open", &number.to_string());
        gateway.save(save("Order", written)).await.ok();
    }
    // items without the key of an index are not in it
    gateway
        .save(save("Order", item([("customer", s("A")), ("id", s("sparse"))])))
        .await
        .ok();
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = v1::ScanRequest {
            index: "by_note".to_owned(),
            filter: expression("id <> :a AND customer = :c", [(":a", s("03")), (":c", s("A"))]),
            limit: 2,
            page_size: 3,
            page_token: page_token.clone(),
            ..scan("Order")
        };
        let pages = gateway.scan(request).await.ok();
        seen.extend(
            pages
                .iter()
                .flat_map(|page| &page.results)
                .map(|result| text(result, "id")),
        );
        page_token.clone_from(&pages.last().expect("a page").next_page_token);
        if page_token.is_empty() {
            break;
        }
        assert!(seen.len() <= 12, "it never ends: {seen:?}");
    }
    seen.sort();
    let expected: Vec<_> = (0..12)
        .filter(|number| *number != 3)
        .map(|number| format!("{number:02}"))
        .collect();
    assert_eq!(seen, expected);
    let parallel = v1::ScanRequest {
        index: "by_status".to_owned(),
        parallelism: 3,
        ..scan("Order")
    };
    let pages = gateway.scan(parallel).await.ok();
    assert_eq!(pages.iter().map(|page| page.count).sum::<u32>(), 12);
}

#[tokio::test]
async fn a_token_of_one_index_is_refused_by_another() {
    let gateway = orders().await;
    for id in ["1", "2"] {
        gateway
            .save(save("Order", order("A", id, "open", "5")))
            .await
            .ok();
    }
    let limited = v1::QueryRequest {
        limit: 1,
        ..of_status("by_status", "open")
    };
    let pages = gateway.query(limited).await.ok();
    let page_token = pages[0].next_page_token.clone();
    let other = v1::QueryRequest {
        page_token,
        ..of_status("by_note", "open")
    };
    Refusal::of(gateway.query(other).await).is("INVALID_PAGE_TOKEN", &["page_token"]);
}

#[tokio::test]
async fn an_index_is_counted_page_by_page_and_billed_exactly() {
    differs_on!(Moto, "capacity");
    let gateway = orders().await;
    for number in 0..7 {
        let written = order("A", &number.to_string(), "open", &number.to_string());
        gateway.save(save("Order", written)).await.ok();
    }
    let request = v1::QueryRequest {
        select: v1::Select::Count as i32,
        page_size: 3,
        fields: vec!["id".to_owned()],
        ..of_status("by_status", "open")
    };
    let counted = gateway.query(request.clone()).await;
    assert_eq!(counted.bill.count("tollgate-kms-calls"), 0);
    assert_eq!(counted.bill.count("tollgate-dynamodb-calls"), 3);
    assert_eq!(counted.bill.decimal("tollgate-rcu"), 1.5);
    let pages = counted.ok();
    let counts: Vec<_> = pages
        .iter()
        .map(|page| (page.count, page.scanned_count))
        .collect();
    assert_eq!(counts, [(3, 3), (3, 3), (1, 1)]);
    let limited = v1::QueryRequest {
        limit: 4,
        page_size: 0,
        ..request
    };
    let limited = gateway.query(limited).await;
    assert_eq!(limited.bill.count("tollgate-kms-calls"), 0);
    let pages = limited.ok();
    assert_eq!(pages.iter().map(|page| page.count).sum::<u32>(), 4);
    assert!(pages.iter().all(|page| page.results.is_empty()));
    assert!(!pages.last().expect("a page").next_page_token.is_empty());
}

#[tokio::test]
async fn the_bills_of_index_reads_add_up_to_the_session() {
    differs_on!(Moto, "capacity");
    let gateway = orders().await;
    for number in 0..9 {
        let written = order("A", &number.to_string(), "open", &number.to_string());
        gateway.save(save("Order", written)).await.ok();
    }
    let mut units = 0.0;
    let mut calls = 0;
    let both = supports_key_lists().then_some(("by_both", 3));
    let scans = [("by_status", 0), ("by_status", 2), ("by_note", 4)];
    for (index, page_size) in scans.into_iter().chain(both) {
        let request = v1::ScanRequest {
            index: index.to_owned(),
            page_size,
            ..scan("Order")
        };
        let bill = gateway.scan(in_session(request, "indexes")).await.bill;
        units += bill.decimal("tollgate-rcu");
        calls += bill.count("tollgate-dynamodb-calls");
    }
    let local = v1::QueryRequest {
        fields: vec!["status".to_owned()],
        page_size: 4,
        ..by_total("A")
    };
    let bill = gateway.query(in_session(local, "indexes")).await.bill;
    // three pages of the index, and half a unit for each item of the table
    assert_eq!(bill.decimal("tollgate-rcu"), 6.0);
    units += bill.decimal("tollgate-rcu");
    calls += bill.count("tollgate-dynamodb-calls");
    let total = gateway.totals("indexes").await.total.expect("a total");
    assert_eq!(total.total_rcu, units);
    assert_eq!(total.operation_count, calls);
}
