//! Transactions and batches of protected items.

use super::*;
use tollgate_proto::v1;
use tollgate_proto::v1::batch_write_request::Write;
use tollgate_proto::v1::transact_operation::Operation;
use tollgate_tests::values::delete;

fn operations(operations: impl IntoIterator<Item = Operation>) -> v1::TransactWriteRequest {
    let operations = operations.into_iter().map(|operation| v1::TransactOperation {
        operation: Some(operation),
    });
    v1::TransactWriteRequest {
        operations: operations.collect(),
        ..Default::default()
    }
}

fn both() -> v1::TransactWriteRequest {
    operations([
        Operation::Save(save("Card", card("B"))),
        Operation::Update(update(
            "Note",
            key("A", "1"),
            "SET count = count + :v",
            [(":v", n(1))],
        )),
        Operation::Update(update("Card", key("A", "1"), "SET ssn = :v", [(":v", s("0"))])),
    ])
}

async fn with_both(wiretap: &Wiretap) -> Gateway {
    let gateway = protecting(wiretap).await;
    gateway.save(save("Card", card("A"))).await.ok();
    gateway.save(save("Note", note("A"))).await.ok();
    gateway
}

#[tokio::test]
async fn a_transaction_saves_and_updates_protected_items() {
    let wiretap = Wiretap::counting();
    let gateway = with_both(&wiretap).await;
    wiretap.clear();
    gateway
        .data()
        .transact_write(both())
        .await
        .expect("it is applied");
    assert_eq!(
        [wiretap.count("BatchGetItem"), wiretap.count("TransactWriteItems")],
        [1, 1]
    );
    assert_eq!(read(&gateway, "Card", "B").await, card("B"));
    assert_eq!(read(&gateway, "Note", "A").await["count"], n(6));
    assert_eq!(read(&gateway, "Card", "A").await["ssn"], s("0"));
}

#[tokio::test]
async fn a_transaction_does_not_seal_what_was_changed_in_the_store() {
    let wiretap = Wiretap::counting();
    let gateway = with_both(&wiretap).await;
    let mut changed = stored(&wiretap, "notes", "A").await;
    changed.insert("text".to_owned(), Raw::S("forged".to_owned()));
    wiretap.stores().put("notes", changed).await;
    let refused = CallResult::from_response(gateway.data().transact_write(both()).await);
    is_lost(refused, "forged");
    assert!(wiretap.stores().item("cards", "B", "1").await.is_none());
}

#[tokio::test]
async fn concurrent_transactions_are_all_applied() {
    let gateway = with_both(&Wiretap::counting()).await;
    let add = || {
        operations([Operation::Update(update(
            "Note",
            key("A", "1"),
            "SET count = count + :v",
            [(":v", n(1))],
        ))])
    };
    let writes = (0..5).map(|_| {
        let mut data = gateway.data();
        async move { data.transact_write(add()).await }
    });
    let applied = futures::future::join_all(writes).await;
    let applied = applied.iter().filter(|result| result.is_ok()).count();
    assert_eq!(read(&gateway, "Note", "A").await["count"], n(5 + applied));
}

#[tokio::test]
async fn a_lost_response_of_a_transaction_is_settled() {
    differs_on!(Moto, "transaction-tokens");
    let wiretap = once("TransactWriteItems", Fate::LoseResponse);
    let gateway = with_both(&wiretap).await;
    gateway
        .data()
        .transact_write(both())
        .await
        .expect("it was applied");
    assert_eq!(read(&gateway, "Note", "A").await["count"], n(6), "once");
}

#[tokio::test]
async fn a_batch_saves_updates_and_deletes_protected_items() {
    let gateway = with_both(&Wiretap::counting()).await;
    let writes = [
        Write::Save(save("Card", card("B"))),
        Write::Update(update("Note", key("A", "1"), "SET text = :v", [(":v", s("x"))])),
        Write::Delete(delete("Card", key("A", "1"))),
    ];
    let requests = writes.map(|write| v1::BatchWriteRequest { write: Some(write) });
    let results = gateway.data().batch_write(futures::stream::iter(requests)).await;
    let results = CallResult::read_stream(results).await.ok();
    assert_eq!(results.len(), 3);
    assert_eq!(read(&gateway, "Card", "B").await, card("B"));
    assert_eq!(read(&gateway, "Note", "A").await["text"], s("x"));
    let request = v1::BatchGetRequest {
        requests: vec![get("Card", key("B", "1")), get("Note", key("A", "1"))],
        ..Default::default()
    };
    let read = CallResult::read_stream(gateway.data().batch_get(request).await)
        .await
        .ok();
    let found = read
        .iter()
        .flat_map(|part| &part.results)
        .filter(|result| matches!(result.result, Some(v1::get_result::Result::Found(_))));
    assert_eq!(found.count(), 2);
}
