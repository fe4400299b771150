//! Items that have expired but are still stored: reads leave them out, and count them as evaluated.

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::get_result::Result as GetOutcome;
use tollgate_tests::gateway::{CallResult, Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{expression, get, key, n, object, query, s, save, scan};
use tollgate_tests::wiretap::Wiretap;

const MODELS: &str = r#"
name: Session
table: sessions
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  user: { type: string }
  note: { type: string }
  expires: { type: ttl, hide_expired: true }
indexes:
  by_user: { partition_key: user, projection: [note] }
  by_expiry: { partition_key: user, sort_key: expires, projection: keys_only }
---
name: Lease
table: leases
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  file: { type: object, s3: { bucket: lease-files } }
  expires: { type: ttl, hide_expired: true }
  rev: { type: version }
---
name: Everything
table: sessions
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  user: { type: string }
  expires: { type: ttl }
"#;

/// Sessions 0 to 5: the even ones have expired.
async fn sessions() -> Gateway {
    let gateway = Gateway::of_models(MODELS, Setup::default()).await;
    for number in 0..6 {
        let mut session = key("P", &number.to_string());
        session.insert("user".to_owned(), s("ada"));
        let expires = if number % 2 == 0 {
            n(1000)
        } else {
            n(99_000_000_000_u64)
        };
        session.insert("expires".to_owned(), expires);
        gateway.save(save("Everything", session)).await.ok();
    }
    let mut lasting = key("P", "6");
    lasting.insert("user".to_owned(), s("ada"));
    gateway.save(save("Everything", lasting)).await.ok();
    gateway
}

fn sorts(pages: &[v1::QueryResponse]) -> Vec<String> {
    let results = pages.iter().flat_map(|page| &page.results);
    results
        .map(|result| match &result.item["sk"].kind {
            Some(Kind::S(sort)) => sort.clone(),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[tokio::test]
async fn expired_items_are_left_out_of_get_and_query_and_scan() {
    let gateway = sessions().await;
    Refusal::of(gateway.get(get("Session", key("P", "0"))).await).is("ITEM_NOT_FOUND", &[]);
    gateway.get(get("Session", key("P", "1"))).await.ok();
    let fields = v1::GetRequest {
        fields: vec!["user".to_owned()],
        ..get("Session", key("P", "2"))
    };
    Refusal::of(gateway.get(fields).await).is("ITEM_NOT_FOUND", &[]);
    gateway.get(get("Everything", key("P", "0"))).await.ok();
    let pages = gateway.query(query("Session", "P")).await.ok();
    assert_eq!(sorts(&pages), ["1", "3", "5", "6"]);
    assert_eq!((pages[0].count, pages[0].scanned_count), (4, 7));
    let filtered = v1::QueryRequest {
        filter: expression("user = :u OR user = :v", [(":u", s("ada")), (":v", s("eve"))]),
        fields: vec!["sk".to_owned()],
        ..query("Session", "P")
    };
    let pages = gateway.query(filtered).await.ok();
    assert_eq!(sorts(&pages), ["1", "3", "5", "6"]);
    assert_eq!(pages[0].results[0].item.len(), 1);
    let scanned = gateway.scan(scan("Session")).await.ok();
    assert_eq!((scanned[0].count, scanned[0].scanned_count), (4, 7));
    let whole = gateway.scan(scan("Everything")).await.ok();
    assert_eq!(whole[0].count, 7);
}

#[tokio::test]
async fn limits_and_counts_leave_out_expired_items_too() {
    let gateway = sessions().await;
    for index in ["", "by_user", "by_expiry"] {
        let condition = match index {
            "" => expression("pk = :p", [(":p", s("P"))]),
            _ => expression("user = :p", [(":p", s("ada"))]),
        };
        let request = v1::QueryRequest {
            index: index.to_owned(),
            key_condition: condition,
            ..query("Session", "P")
        };
        // an item without an expiry is not in the index that sorts by it
        let expected: &[&str] = match index {
            "by_expiry" => &["1", "3", "5"],
            _ => &["1", "3", "5", "6"],
        };
        for limit in [0, 1, 2, 3] {
            let (mut found, mut page_token) = (Vec::new(), String::new());
            loop {
                let resumed = v1::QueryRequest {
                    limit,
                    page_token,
                    ..request.clone()
                };
                let pages = gateway.query(resumed).await.ok();
                found.extend(sorts(&pages));
                page_token = pages.last().expect("a page").next_page_token.clone();
                if page_token.is_empty() {
                    break;
                }
                assert!(found.len() <= 4, "it never ends: {found:?}");
            }
            found.sort();
            assert_eq!(found, expected, "index {index:?}, limit {limit}");
        }
        let counted = v1::QueryRequest {
            select: v1::Select::Count as i32,
            ..request
        };
        let counted = gateway.query(counted).await.ok();
        let count: u32 = counted.iter().map(|page| page.count).sum();
        assert_eq!(count as usize, expected.len(), "index {index:?}");
    }
}

#[tokio::test]
async fn expired_items_are_left_out_of_batches_and_transactions() {
    let gateway = sessions().await;
    let requests: Vec<_> = ["0", "1", "2", "6"]
        .map(|sort| get("Session", key("P", sort)))
        .into();
    let batch = v1::BatchGetRequest {
        requests: requests.clone(),
        validate_only: false,
    };
    let parts = CallResult::read_stream(gateway.data().batch_get(batch).await)
        .await
        .ok();
    let mut batched: Vec<_> = parts.into_iter().flat_map(|part| part.results).collect();
    batched.sort_by_key(|result| result.index);
    let together = v1::TransactGetRequest {
        requests,
        validate_only: false,
    };
    let transacted = CallResult::from_response(gateway.data().transact_get(together).await);
    for results in [batched, transacted.ok().results] {
        let is_found = |result: &v1::GetResult| matches!(result.result, Some(GetOutcome::Found(_)));
        let found: Vec<bool> = results.iter().map(is_found).collect();
        assert_eq!(found, [false, true, false, true]);
    }
}

#[tokio::test]
async fn a_create_without_a_version_replaces_an_expired_item_and_its_objects() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::of_models(MODELS, Setup::tapped(&wiretap)).await;
    let lease = |expires: &str, content: &'static str| {
        let mut lease = key("P", "1");
        lease.insert("expires".to_owned(), n(expires));
        lease.insert("file".to_owned(), object(content));
        save("Lease", lease)
    };
    gateway.save(lease("1000", "old")).await.ok();
    Refusal::of(gateway.get(get("Lease", key("P", "1"))).await).is("ITEM_NOT_FOUND", &[]);
    let created = gateway.save(lease("99000000000", "new")).await.ok();
    assert_eq!(created.generated["rev"], n(1));
    assert_eq!(wiretap.stores().objects("lease-files").await.len(), 1);
    gateway.get(get("Lease", key("P", "1"))).await.ok();
    // one that has not expired is not replaced
    Refusal::of(gateway.save(lease("99000000000", "newer")).await).is("ALREADY_EXISTS", &[]);
    assert_eq!(wiretap.stores().objects("lease-files").await.len(), 1);
}
