//! Pages that the store limits to 1 MB: their items, counts and cost.

use tollgate_proto::v1;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::values::{expression, key, query, s, save, scan};

const ITEMS: usize = 12;

/// A partition of 12 items of 300 KB: four fill a page, the fourth passes the limit.
async fn large_items() -> Gateway {
    let gateway = Gateway::start().await;
    for number in 0..ITEMS {
        let mut item = key("A", &format!("S#{number:02}"));
        item.insert("name".to_owned(), s("x".repeat(300 * 1024)));
        gateway.save(save("User", item)).await.ok();
    }
    gateway
}

fn counts(pages: impl IntoIterator<Item = (u32, u32)>) -> (u32, u32) {
    pages.into_iter().fold((0, 0), |(count, scanned), page| {
        assert_eq!(
            page.0, page.1,
            "without a filter all that is evaluated is returned"
        );
        (count + page.0, scanned + page.1)
    })
}

#[tokio::test]
async fn both_counts_of_a_page_agree_without_a_filter() {
    differs_on!(Moto, "page-bytes");
    let gateway = large_items().await;
    for (limit, page_size) in [(0, 0), (0, 5), (0, 4), (7, 0)] {
        let request = v1::QueryRequest {
            limit,
            page_size,
            ..query("User", "A")
        };
        let response = gateway.query(request).await;
        let expected = if limit == 0 { ITEMS as u32 } else { limit };
        if page_size != 4 && limit == 0 {
            assert_eq!(response.bill.count("tollgate-dynamodb-calls"), 3);
            // four items of 307,213 bytes are 301 units of 4 KiB, half a read unit each
            assert_eq!(response.bill.decimal("tollgate-rcu"), 451.5);
        }
        let pages = response.ok();
        assert_eq!(
            pages.iter().map(|page| page.results.len()).sum::<usize>(),
            expected as usize
        );
        let totals = counts(pages.iter().map(|page| (page.count, page.scanned_count)));
        assert_eq!(
            totals,
            (expected, expected),
            "limit {limit}, page size {page_size}"
        );
    }
    let request = v1::ScanRequest {
        parallelism: 1,
        ..scan("User")
    };
    let pages = gateway.scan(request).await.ok();
    let totals = counts(pages.iter().map(|page| (page.count, page.scanned_count)));
    assert_eq!(totals, (ITEMS as u32, ITEMS as u32));
}

#[tokio::test]
async fn a_filter_leaves_the_scanned_count_of_a_page_as_it_is() {
    differs_on!(Moto | DynamoDbLocal, "page-bytes");
    let gateway = large_items().await;
    let request = v1::QueryRequest {
        filter: expression("attribute_exists(email)", []),
        ..query("User", "A")
    };
    let response = gateway.query(request).await;
    assert_eq!(response.bill.decimal("tollgate-rcu"), 451.5);
    let pages = response.ok();
    assert_eq!(pages.iter().map(|page| page.count).sum::<u32>(), 0);
    assert_eq!(
        pages.iter().map(|page| page.scanned_count).sum::<u32>(),
        ITEMS as u32
    );
}
