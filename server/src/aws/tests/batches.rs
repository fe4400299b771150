//! BatchGetItem, BatchWriteItem and transactions: what they return, and what they cost.

use super::super::{
    BatchGetItem, BatchWrite, GetItem, Kind, PutItem, Refusal, TableKeys, TransactItem, TransactKey,
};
use super::*;

fn batch_put(partition: &str) -> BatchWrite {
    BatchWrite::Put {
        table: "users".into(),
        item: item(partition, "note"),
    }
}

fn keys(partitions: &[&str]) -> BatchGetItem {
    BatchGetItem {
        tables: vec![TableKeys {
            table: "users".into(),
            keys: partitions
                .iter()
                .map(|partition| key(partition).into_iter().collect())
                .collect(),
            consistent_read: true,
            ..TableKeys::default()
        }],
        uncounted: false,
    }
}

fn on(partition: &str, condition: &str) -> TransactKey {
    TransactKey {
        table: "users".into(),
        key: key(partition),
        condition: Some(condition.into()),
        ..TransactKey::default()
    }
}

#[tokio::test]
async fn batches_are_written_read_and_billed() {
    let faulty = FaultyStores::new(&models()).await;
    let dynamodb = &faulty.stores.dynamodb;
    let call = Call::for_test();
    let writes = vec![batch_put("a"), batch_put("b")];
    assert!(dynamodb.batch_write_item(&call, writes).await.unwrap().is_empty());
    let bill = call.bill();
    assert_eq!(
        (bill.batch_write_count, bill.dynamodb_calls, bill.write_milliunits),
        (1, 1, 2000)
    );
    let call = Call::for_test();
    let got = dynamodb
        .batch_get_item(&call, keys(&["a", "b", "c"]))
        .await
        .unwrap();
    assert_eq!((got.items[0].1.len(), got.unprocessed.len()), (2, 0));
    let bill = call.bill();
    assert_eq!((bill.batch_get_count, bill.items), (1, 2));
    assert_eq!(bill.read_milliunits, 3000, "a missing item costs a unit too");
    let call = Call::for_test();
    let delete = BatchWrite::Delete {
        table: "users".into(),
        key: key("a"),
    };
    dynamodb.batch_write_item(&call, vec![delete]).await.unwrap();
    assert!(dynamodb.get_item(&call, get("a")).await.unwrap().is_none());
}

#[tokio::test]
async fn unprocessed_items_are_returned() {
    let faulty = FaultyStores::new(&models()).await;
    let dynamodb = &faulty.stores.dynamodb;
    let call = Call::for_test();
    let body = r#"{"UnprocessedItems":{"users":[{"PutRequest":{"Item":{"pk":{"S":"b"},"sk":{"S":"1"}}}}]}}"#;
    faulty.inject("BatchWriteItem", Fault::Body(body));
    let writes = vec![batch_put("a"), batch_put("b")];
    let left = dynamodb.batch_write_item(&call, writes).await.unwrap();
    assert_eq!((left.len(), left[0].table()), (1, "users"));
    assert!(*left[0].item() == key("b"));
    let body = r#"{"Responses":{},"UnprocessedKeys":{"users":{"Keys":[{"pk":{"S":"b"},"sk":{"S":"1"}}]}}}"#;
    faulty.inject("BatchGetItem", Fault::Body(body));
    let got = dynamodb.batch_get_item(&call, keys(&["a", "b"])).await.unwrap();
    assert!(got.unprocessed == [("users".to_owned(), key("b"))] && got.items.is_empty());
}

#[tokio::test]
async fn a_transaction_is_billed_twofold_and_its_repeat_as_a_read() {
    let faulty = FaultyStores::new(&models()).await;
    let dynamodb = &faulty.stores.dynamodb;
    let operations = || {
        vec![
            TransactItem::Put(put(item("a", "x"))),
            TransactItem::Put(put(item("b", "x"))),
        ]
    };
    let token = Some("token".to_owned());
    let call = Call::for_test();
    dynamodb
        .transact_write_items(&call, operations(), token.clone())
        .await
        .unwrap();
    let bill = call.bill();
    assert_eq!((bill.transact_write_count, bill.write_milliunits), (1, 4000));
    let call = Call::for_test();
    dynamodb
        .transact_write_items(&call, operations(), token.clone())
        .await
        .unwrap();
    let bill = call.bill();
    assert_eq!((bill.write_milliunits, bill.read_milliunits), (0, 4000));
    let other = vec![TransactItem::Delete(on("a", "attribute_exists(pk)"))];
    let refused = dynamodb
        .transact_write_items(&call, other, token)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, Kind::TokenMismatch);
}

#[tokio::test]
async fn a_lost_response_of_a_transaction_is_no_conflict_and_is_billed_as_aws_reports_it() {
    let faulty = FaultyStores::new(&models()).await;
    let dynamodb = &faulty.stores.dynamodb;
    let call = Call::for_test();
    faulty.inject("TransactWriteItems", Fault::LoseResponse);
    let create = || PutItem {
        condition: Some("attribute_not_exists(pk)".into()),
        ..put(item("a", "x"))
    };
    dynamodb
        .transact_write_items(&call, vec![TransactItem::Put(create())], None)
        .await
        .unwrap();
    let bill = call.bill();
    assert_eq!((bill.transact_write_count, bill.retries), (2, 1));
    assert_eq!((bill.write_milliunits, bill.read_milliunits), (0, 2000));
}

#[tokio::test]
async fn a_cancelled_transaction_names_each_reason_and_costs_no_capacity() {
    let faulty = FaultyStores::new(&models()).await;
    let dynamodb = &faulty.stores.dynamodb;
    let call = Call::for_test();
    dynamodb.put_item(&call, put(item("a", "x"))).await.unwrap();
    let before = call.bill();
    let operations = vec![
        TransactItem::Put(put(item("b", "x"))),
        TransactItem::Check(on("a", "attribute_not_exists(pk)")),
        TransactItem::Delete(on("c", "attribute_exists(pk)")),
    ];
    let refused = dynamodb
        .transact_write_items(&call, operations, None)
        .await
        .unwrap_err();
    let Kind::TransactionCancelled { reasons } = refused.kind else {
        panic!("{:?}", refused.kind);
    };
    assert_eq!(reasons.len(), 3);
    assert_eq!(reasons[0], None);
    assert!(matches!(
        &reasons[1],
        Some(Refusal::ConditionFailed { item: Some(_) })
    ));
    assert_eq!(reasons[2], Some(Refusal::ConditionFailed { item: None }));
    assert_eq!(call.bill().all_write_milliunits(), before.all_write_milliunits());
    assert!(dynamodb.get_item(&call, get("b")).await.unwrap().is_none());
}

#[tokio::test]
async fn transactional_reads_are_in_order_and_billed_twofold() {
    let faulty = FaultyStores::new(&models()).await;
    let dynamodb = &faulty.stores.dynamodb;
    let call = Call::for_test();
    dynamodb.put_item(&call, put(item("b", "x"))).await.unwrap();
    let gets = ["a", "b"].map(|partition| GetItem {
        consistent_read: false,
        ..get(partition)
    });
    let call = Call::for_test();
    let items = dynamodb.transact_get_items(&call, gets.to_vec()).await.unwrap();
    assert!(items[0].is_none() && items[1].is_some());
    let bill = call.bill();
    assert_eq!(
        (bill.transact_get_count, bill.items, bill.read_milliunits),
        (1, 1, 4000)
    );
}
