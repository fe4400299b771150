//! What cancels or refuses a transaction, and what that costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tollgate_proto::v1;
use tollgate_proto::v1::transact_operation::Operation;
use tollgate_proto::v1::transact_result::Result as Done;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{CallResult, Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{AttributeValue, Item, b, delete, get, item, n, s, save, update, user};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;

use super::{checking, creating, deleting, failures, operation, saving, transaction, updating, write};

const READING: &str = "
name: Reading
table: readings
partition_key: sensor
sort_key: at
attributes:
  sensor: { type: string }
  at: { type: number }
  value: { type: number }
  raw: { type: binary }
  secret: { type: binary, encrypted: { key_id: alias/my-app-key } }
";

async fn readings(wiretap: &Wiretap) -> Gateway {
    Gateway::of_models(READING, Setup::tapped(wiretap)).await
}

fn at(time: &str) -> Item {
    item([("sensor", s("S")), ("at", n(time))])
}

fn reading(time: &str, name: &str, value: AttributeValue) -> Item {
    let mut reading = at(time);
    reading.insert(name.to_owned(), value);
    reading
}

#[tokio::test]
async fn two_operations_on_one_item_are_refused_however_its_number_is_written() {
    let gateway = readings(&Wiretap::counting()).await;
    let check = v1::CheckRequest {
        model: "Reading".to_owned(),
        key: at("1000.0"),
        condition: tollgate_tests::values::expression("attribute_exists(sensor)", []),
        return_values: 0,
    };
    let operations = vec![
        saving(save("Reading", reading("1000", "value", n(1)))),
        deleting(delete("Reading", at("1e3"))),
        updating(update("Reading", at("1.0E+3"), "SET value = :v", [(":v", n(2))])),
        operation(Operation::Check(check)),
        saving(save("Reading", reading("1001", "value", n(1)))),
    ];
    let refusal = Refusal::of(write(&gateway, transaction(operations)).await);
    refusal.is(
        "INVALID_FIELD",
        &[
            "operations[1].delete",
            "operations[2].update",
            "operations[3].check",
        ],
    );
    refusal.cost_nothing();
    let twice = v1::TransactGetRequest {
        requests: vec![get("Reading", at("1000")), get("Reading", at("1e3"))],
        validate_only: false,
    };
    let refusal = Refusal::of(CallResult::from_response(
        gateway.data().transact_get(twice).await,
    ));
    refusal.is("INVALID_FIELD", &["requests[1].key"]);
    refusal.cost_nothing();
}

#[tokio::test]
async fn more_than_4_mb_are_refused_before_anything_is_called() {
    let gateway = readings(&Wiretap::counting()).await;
    let large = |time: usize, name| {
        let bytes = vec![7; 390 * 1024];
        saving(save("Reading", reading(&time.to_string(), name, b(bytes))))
    };
    let operations = (0..11).map(|time| large(time, "secret")).collect();
    let refusal = Refusal::of(write(&gateway, transaction(operations)).await);
    refusal.is("INVALID_FIELD", &["operations"]);
    refusal.cost_nothing();
    let operations = (0..10).map(|time| large(time, "raw")).collect();
    write(&gateway, transaction(operations)).await.ok();
}

#[tokio::test]
async fn an_item_that_is_too_large_once_it_is_encrypted_is_named() {
    let gateway = readings(&Wiretap::counting()).await;
    // it fits without its envelope
    let large = reading("7", "secret", b(vec![7; 409_560]));
    let operations = vec![
        saving(save("Reading", reading("1", "value", n(1)))),
        saving(save("Reading", large)),
    ];
    let refusal = Refusal::of(write(&gateway, transaction(operations)).await);
    refusal.is("INVALID_FIELD", &["operations[1].save"]);
    assert_eq!(refusal.bill.count("tollgate-dynamodb-calls"), 0);
}

#[tokio::test]
async fn return_values_fill_failures_only() {
    let gateway = Gateway::start().await;
    gateway.save(save("User", user("U#1", "1"))).await.ok();
    let all_old = v1::ReturnValues::AllOld as i32;
    let deletion = v1::DeleteRequest {
        return_values: all_old,
        ..delete("User", super::key("U#1", "PROFILE"))
    };
    let change = v1::UpdateRequest {
        return_values: all_old,
        ..update(
            "User",
            super::key("U#2", "PROFILE"),
            "SET age = :a",
            [(":a", n(1))],
        )
    };
    let operations = vec![deleting(deletion), updating(change), creating("U#3")];
    let results = write(&gateway, transaction(operations)).await.ok().results;
    assert!(matches!(&results[0].result, Some(Done::Deleted(deleted)) if deleted.old_item.is_empty()));
    assert!(matches!(&results[1].result, Some(Done::Updated(one)) if one.old_item.is_empty()));
    assert!(matches!(&results[2].result, Some(Done::Saved(saved)) if saved.old_item.is_empty()));
    let refused = vec![checking("U#9", "attribute_exists(pk)"), creating("U#3")];
    let status = write(&gateway, transaction(refused)).await.status();
    let failures = failures(&status);
    assert!(failures[0].item.is_empty(), "it was not requested");
    assert_eq!(failures[1].item["name"], user("U#3", "1")["name"]);
    // the ciphertext was opened for the caller
    assert_eq!(failures[1].item["ssn"], s("1"));
}

#[tokio::test]
async fn throttled_operations_are_unavailable() {
    const THROTTLED: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"Transaction cancelled","CancellationReasons":[{"Code":"None"},{"Code":"ProvisionedThroughputExceeded"}]}"#;
    const MIXED: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"Transaction cancelled","CancellationReasons":[{"Code":"TransactionConflict"},{"Code":"ConditionalCheckFailed"}]}"#;
    const TOO_LARGE: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"Transaction cancelled","CancellationReasons":[{"Code":"None"},{"Code":"ValidationError","Message":"Item size to update has exceeded the maximum allowed size"}]}"#;
    for (body, code, reason, of_operations) in [
        (
            THROTTLED,
            Code::Unavailable,
            "THROTTLED",
            ["THROTTLED"].as_slice(),
        ),
        (
            MIXED,
            Code::FailedPrecondition,
            "TRANSACTION_CANCELLED",
            &["TRANSACTION_CONFLICT", "CONDITION_FAILED"],
        ),
        (
            TOO_LARGE,
            Code::FailedPrecondition,
            "TRANSACTION_CANCELLED",
            &["ITEM_TOO_LARGE"],
        ),
    ] {
        let wiretap = Wiretap::new(move |operation| match operation {
            "TransactWriteItems" => Fate::Respond(400, body),
            _ => Fate::Pass,
        });
        let gateway = Gateway::tapped(&wiretap).await;
        let answer = write(&gateway, transaction(vec![creating("U#1"), creating("U#2")])).await;
        assert!(answer.bill.decimal("tollgate-wcu").abs() < f64::EPSILON);
        let status = answer.status();
        let refusal = Refusal::of_status(&status);
        assert_eq!((refusal.code, refusal.reason.as_str()), (code, reason));
        let reasons: Vec<_> = failures(&status).into_iter().map(|one| one.reason).collect();
        assert_eq!(reasons, of_operations);
    }
}

#[tokio::test]
async fn the_repeat_of_a_transaction_that_was_done_costs_read_units() {
    differs_on!(DynamoDbLocal, "repeat-units");
    differs_on!(Moto, "transaction-tokens");
    let asked = Arc::new(AtomicU64::new(0));
    let wiretap = Wiretap::new(move |operation| match operation {
        "TransactWriteItems" if asked.fetch_add(1, Ordering::SeqCst) == 0 => Fate::LoseResponse,
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    let answer = write(&gateway, transaction(vec![creating("U#1"), creating("U#2")])).await;
    assert_eq!(answer.bill.count("tollgate-retries"), 1);
    assert!(
        answer.bill.decimal("tollgate-wcu").abs() < f64::EPSILON,
        "{:?}",
        answer.bill
    );
    assert!(answer.bill.decimal("tollgate-rcu") >= 4.0, "{:?}", answer.bill);
    answer.ok();
}
