//! ADD and DELETE on sets: members are compared by value, and a set that another program stored as NULL can be repaired.

use aws_sdk_dynamodb::types::AttributeValue as StoredValue;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::gateway::{CallResult, Gateway};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::{Stored, text};
use tollgate_tests::values::{AttributeValue, expression, get, key, s, update};
use tollgate_tests::wiretap::Wiretap;
use v1::transact_operation::Operation;

use super::gateway_of;

const POST: &str = "
name: Post
table: posts
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  tags: { type: string_set, alias: t, null_sets: repair }
  scores: { type: number_set, null_sets: repair }
  groups: { type: string_set }
  note: { type: string }
";

fn strings(members: &[&str]) -> AttributeValue {
    let values = members.iter().map(|member| (*member).to_owned()).collect();
    AttributeValue {
        kind: Some(Kind::Ss(v1::StringSet { values })),
    }
}

fn numbers(members: &[&str]) -> AttributeValue {
    let values = members.iter().map(|member| (*member).to_owned()).collect();
    AttributeValue {
        kind: Some(Kind::Ns(v1::NumberSet { values })),
    }
}

fn change<const N: usize>(text: &str, values: [(&str, AttributeValue); N]) -> v1::UpdateRequest {
    update("Post", key("A", "1"), text, values)
}

/// An item whose sets another program stored as NULL.
async fn with_nulls(wiretap: &Wiretap) -> Gateway {
    let gateway = gateway_of(wiretap, POST).await;
    let mut item: Stored = [("pk", "A"), ("sk", "1")]
        .map(|(name, value)| (name.to_owned(), text(value)))
        .into();
    for name in ["t", "scores", "groups"] {
        item.insert(name.to_owned(), StoredValue::Null(true));
    }
    wiretap.stores().put("posts", item).await;
    wiretap.clear();
    gateway
}

async fn read(gateway: &Gateway, name: &str) -> Option<AttributeValue> {
    gateway
        .get(get("Post", key("A", "1")))
        .await
        .ok()
        .item
        .remove(name)
}

#[tokio::test]
async fn number_sets_compare_members_by_value() {
    let wiretap = Wiretap::counting();
    let gateway = gateway_of(&wiretap, POST).await;
    for members in [&["1"], &["1.0"], &["1E0"], &["1.00e+0"]] {
        gateway
            .update(change("ADD scores :n", [(":n", numbers(members))]))
            .await
            .ok();
        assert_eq!(read(&gateway, "scores").await, Some(numbers(&["1"])));
    }
    gateway
        .update(change("DELETE scores :n", [(":n", numbers(&["1.0"]))]))
        .await
        .ok();
    assert_eq!(read(&gateway, "scores").await, None);
}

#[tokio::test]
async fn a_set_stored_as_null_reads_as_absent_and_is_written_anew() {
    let wiretap = Wiretap::counting();
    let gateway = with_nulls(&wiretap).await;
    assert_eq!(read(&gateway, "tags").await, None);
    gateway
        .update(change("ADD tags :t", [(":t", strings(&["a"]))]))
        .await
        .ok();
    // the condition that failed returned the item
    assert_eq!((wiretap.count("UpdateItem"), wiretap.count("GetItem")), (2, 1));
    assert_eq!(read(&gateway, "tags").await, Some(strings(&["a"])));
    wiretap.clear();
    gateway
        .update(change("ADD tags :t", [(":t", strings(&["b"]))]))
        .await
        .ok();
    assert_eq!(wiretap.count("UpdateItem"), 1);
    assert_eq!(read(&gateway, "tags").await, Some(strings(&["a", "b"])));
    // DELETE has nothing to delete, and if_not_exists finds nothing
    let text = "SET note = :s DELETE scores :n";
    gateway
        .update(change(text, [(":s", s("x")), (":n", numbers(&["1"]))]))
        .await
        .ok();
    let stored = wiretap.stores().item("posts", "A", "1").await.expect("the item");
    assert!(!stored.contains_key("scores"), "{:?}", stored.keys());
    let gateway = with_nulls(&wiretap).await;
    gateway
        .update(change(
            "SET scores = if_not_exists(scores, :n)",
            [(":n", numbers(&["2"]))],
        ))
        .await
        .ok();
    assert_eq!(read(&gateway, "scores").await, Some(numbers(&["2"])));
    // the caller's condition still decides
    let refused = v1::UpdateRequest {
        condition: expression("attribute_exists(note)", []),
        ..change("ADD tags :t", [(":t", strings(&["a"]))])
    };
    Refusal::of(gateway.update(refused).await).is("CONDITION_FAILED", &[]);
}

#[tokio::test]
async fn a_transaction_repairs_sets_too() {
    let wiretap = Wiretap::counting();
    let gateway = with_nulls(&wiretap).await;
    let request = v1::TransactWriteRequest {
        operations: vec![v1::TransactOperation {
            operation: Some(Operation::Update(change(
                "ADD tags :t",
                [(":t", strings(&["a"]))],
            ))),
        }],
        ..v1::TransactWriteRequest::default()
    };
    CallResult::from_response(gateway.data().transact_write(request).await).ok();
    assert_eq!(read(&gateway, "tags").await, Some(strings(&["a"])));
}

#[tokio::test]
async fn without_the_option_the_error_says_how_to_repair_a_set() {
    let wiretap = Wiretap::counting();
    let gateway = with_nulls(&wiretap).await;
    let refusal = Refusal::of(
        gateway
            .update(change("ADD groups :t", [(":t", strings(&["a"]))]))
            .await,
    );
    assert_eq!(refusal.reason, "CONDITION_FAILED");
    assert!(refusal.message.contains("null_sets: repair"), "{refusal:?}");
    assert!(refusal.message.contains("SET it to a :value"), "{refusal:?}");
    gateway
        .update(change("SET groups = :t", [(":t", strings(&["a"]))]))
        .await
        .ok();
    gateway
        .update(change("ADD groups :t", [(":t", strings(&["b"]))]))
        .await
        .ok();
    assert_eq!(read(&gateway, "groups").await, Some(strings(&["a", "b"])));
}
