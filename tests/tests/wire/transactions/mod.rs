//! TransactWrite and TransactGet: all or none, a reason for each refused operation, and exact bills.

mod objects;
mod refusals;
mod updates;

use prost::Message as _;
use tollgate_proto::v1;
use tollgate_proto::v1::get_result::Result as GetOutcome;
use tollgate_proto::v1::transact_operation::Operation;
use tollgate_proto::v1::transact_result::Result as Done;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{CallResult, Gateway};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{delete, expression, get, item, key, n, save, secure_user, update, user};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::{Code, Status};

fn operation(operation: Operation) -> v1::TransactOperation {
    v1::TransactOperation {
        operation: Some(operation),
    }
}

fn saving(request: v1::SaveRequest) -> v1::TransactOperation {
    operation(Operation::Save(request))
}

fn updating(request: v1::UpdateRequest) -> v1::TransactOperation {
    operation(Operation::Update(request))
}

fn deleting(request: v1::DeleteRequest) -> v1::TransactOperation {
    operation(Operation::Delete(request))
}

/// The result of an update.
fn updated(result: &v1::TransactResult) -> &v1::UpdateResponse {
    match &result.result {
        Some(Done::Updated(updated)) => updated,
        other => panic!("{other:?}"),
    }
}

fn creating(partition: &str) -> v1::TransactOperation {
    saving(v1::SaveRequest {
        condition: expression("attribute_not_exists(pk)", []),
        return_values: v1::ReturnValues::AllOld as i32,
        ..save("User", user(partition, "1"))
    })
}

fn checking(partition: &str, condition: &str) -> v1::TransactOperation {
    operation(Operation::Check(v1::CheckRequest {
        model: "User".to_owned(),
        key: key(partition, "PROFILE"),
        condition: expression(condition, []),
        return_values: 0,
    }))
}

fn transaction(operations: Vec<v1::TransactOperation>) -> v1::TransactWriteRequest {
    v1::TransactWriteRequest {
        operations,
        ..v1::TransactWriteRequest::default()
    }
}

async fn write(
    gateway: &Gateway,
    request: v1::TransactWriteRequest,
) -> CallResult<v1::TransactWriteResponse> {
    CallResult::from_response(gateway.data().transact_write(request).await)
}

/// The refused operations of an error.
fn failures(status: &Status) -> Vec<v1::OperationFailure> {
    let status = tonic_types::Status::decode(status.details()).expect("a status");
    let detail = status
        .details
        .iter()
        .find(|detail| detail.type_url.ends_with("tollgate.v1.TransactionFailure"));
    let failure = v1::TransactionFailure::decode(detail.expect("the refused operations").value.as_slice())
        .expect("a failure");
    failure.failures
}

#[tokio::test]
async fn all_operations_are_applied_and_billed_twofold() {
    differs_on!(Moto, "capacity");
    let gateway = Gateway::start().await;
    gateway.save(save("User", user("U#1", "1"))).await.ok();
    gateway.save(save("User", user("U#2", "1"))).await.ok();
    let operations = vec![
        creating("U#3"),
        saving(save("SecureUser", secure_user("S#1", "A"))),
        deleting(delete("User", key("U#1", "PROFILE"))),
        checking("U#2", "attribute_exists(pk)"),
    ];
    let answer = write(&gateway, transaction(operations)).await;
    assert_eq!(answer.bill.count("tollgate-dynamodb-calls"), 1);
    assert_eq!(
        answer.bill.count("tollgate-kms-calls"),
        2,
        "one data key for each encrypted item"
    );
    assert!(answer.bill.decimal("tollgate-wcu") >= 8.0, "{:?}", answer.bill);
    let results = answer.ok().results;
    assert!(matches!(results[0].result, Some(Done::Saved(_))));
    assert!(matches!(results[2].result, Some(Done::Deleted(_))));
    assert!(matches!(results[3].result, Some(Done::Checked(_))));
    gateway.get(get("User", key("U#3", "PROFILE"))).await.ok();
    let found = gateway.get(get("SecureUser", key("S#1", "A"))).await.ok();
    assert_eq!(found.item, secure_user("S#1", "A"));
    let gone = gateway.get(get("User", key("U#1", "PROFILE"))).await.status();
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test]
async fn one_refused_operation_cancels_all_and_costs_no_write_capacity() {
    let gateway = Gateway::start().await;
    gateway.save(save("User", user("U#1", "1"))).await.ok();
    let operations = vec![
        saving(save("User", user("U#9", "1"))),
        creating("U#1"),
        checking("U#8", "attribute_exists(pk)"),
    ];
    let answer = write(&gateway, transaction(operations)).await;
    assert!(answer.bill.decimal("tollgate-wcu").abs() < f64::EPSILON);
    let status = answer.status();
    let refusal = Refusal::of_status(&status);
    assert_eq!(refusal.reason, "TRANSACTION_CANCELLED");
    let failures = failures(&status);
    let reasons: Vec<_> = failures
        .iter()
        .map(|failure| (failure.index, failure.reason.as_str()))
        .collect();
    assert_eq!(reasons, [(1, "CONDITION_FAILED"), (2, "CONDITION_FAILED")]);
    assert_eq!(failures[0].item["name"], user("U#1", "1")["name"]);
    assert!(failures[1].item.is_empty());
    let absent = gateway.get(get("User", key("U#9", "PROFILE"))).await.status();
    assert_eq!(absent.code(), Code::NotFound);
}

#[tokio::test]
async fn a_conflict_is_aborted_and_safe_to_retry() {
    const CONFLICT: &str = r#"{"__type":"com.amazonaws.dynamodb.v20120810#TransactionCanceledException","Message":"Transaction cancelled","CancellationReasons":[{"Code":"TransactionConflict"},{"Code":"None"}]}"#;
    let wiretap = Wiretap::new(|operation| match operation {
        "TransactWriteItems" => Fate::Respond(400, CONFLICT),
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    let request = transaction(vec![creating("U#1"), creating("U#2")]);
    let status = write(&gateway, request).await.status();
    let refusal = Refusal::of_status(&status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::Aborted, "TRANSACTION_CONFLICT")
    );
    assert!(refusal.details.retry_info().is_some());
    let failures = failures(&status);
    assert_eq!(
        (failures.len(), failures[0].reason.as_str()),
        (1, "TRANSACTION_CONFLICT")
    );
}

#[tokio::test]
async fn everything_is_checked_before_anything_is_sent() {
    let gateway = Gateway::start().await;
    let inner = v1::SaveRequest {
        validate_only: true,
        return_values: v1::ReturnValues::AllNew as i32,
        ..save("User", user("U#4", "1"))
    };
    let operations = vec![
        creating("U#1"),
        checking("U#1", "attribute_exists(pk)"),
        saving(save("User", item([]))),
        saving(inner),
        updating(v1::UpdateRequest {
            return_values: v1::ReturnValues::UpdatedNew as i32,
            ..update("User", key("U#5", "PROFILE"), "SET age = :a", [(":a", n(1))])
        }),
        v1::TransactOperation { operation: None },
    ];
    let answer = write(&gateway, transaction(operations)).await;
    assert_eq!(answer.bill.count("tollgate-dynamodb-calls"), 0);
    let refusal = Refusal::of_status(&answer.status());
    assert_eq!(refusal.reason, "INVALID_FIELD");
    for field in [
        "operations[1].check",
        "operations[2].save.item.pk",
        "operations[3].save.return_values",
        "operations[3].save.validate_only",
        "operations[4].update.return_values",
        "operations[5].operation",
    ] {
        assert!(
            refusal.fields.iter().any(|one| one == field),
            "{field}: {refusal:?}"
        );
    }
    let many = (0..101).map(|number| creating(&format!("U#{number}"))).collect();
    let refusal = Refusal::of_status(&write(&gateway, transaction(many)).await.status());
    assert_eq!(refusal.fields, ["operations"]);
    let checked = v1::TransactWriteRequest {
        validate_only: true,
        ..transaction(vec![creating("U#1")])
    };
    let answer = write(&gateway, checked).await;
    assert_eq!(answer.bill.count("tollgate-dynamodb-calls"), 0);
    assert!(answer.ok().results.is_empty());
}

#[tokio::test]
async fn a_request_id_makes_a_transaction_idempotent() {
    differs_on!(Moto, "transaction-tokens");
    let gateway = Gateway::start().await;
    let request = |partition: &str| v1::TransactWriteRequest {
        request_id: "order-1".to_owned(),
        ..transaction(vec![saving(v1::SaveRequest {
            condition: expression("attribute_not_exists(pk)", []),
            ..save("User", key(partition, "PROFILE"))
        })])
    };
    write(&gateway, request("U#1")).await.ok();
    let repeated = write(&gateway, request("U#1")).await;
    assert!(repeated.bill.decimal("tollgate-wcu").abs() < f64::EPSILON);
    assert!(repeated.bill.decimal("tollgate-rcu") > 0.0, "{:?}", repeated.bill);
    repeated.ok();
    let other = Refusal::of_status(&write(&gateway, request("U#2")).await.status());
    assert_eq!(other.reason, "IDEMPOTENCY_MISMATCH");
    let sealed = v1::TransactWriteRequest {
        request_id: "order-2".to_owned(),
        ..transaction(vec![saving(save("SecureUser", secure_user("S#1", "A")))])
    };
    let refused = Refusal::of_status(&write(&gateway, sealed).await.status());
    assert_eq!(refused.fields, ["request_id"]);
}

#[tokio::test]
async fn a_lost_response_is_settled_by_the_repeat() {
    differs_on!(Moto, "transaction-tokens");
    let asked = std::sync::atomic::AtomicU64::new(0);
    let wiretap = Wiretap::new(move |operation| match operation {
        "TransactWriteItems" if asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 => {
            Fate::LoseResponse
        }
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    let answer = write(&gateway, transaction(vec![creating("U#1")])).await;
    assert_eq!(answer.bill.count("tollgate-retries"), 1);
    answer.ok();
}

#[tokio::test]
async fn transactional_reads_are_in_order_and_a_missing_item_is_not_found_in_its_place() {
    differs_on!(Moto, "capacity");
    let gateway = Gateway::start().await;
    gateway.save(save("User", user("U#1", "1"))).await.ok();
    gateway
        .save(save("SecureUser", secure_user("S#1", "A")))
        .await
        .ok();
    let request = v1::TransactGetRequest {
        requests: vec![
            get("User", key("U#0", "PROFILE")),
            get("SecureUser", key("S#1", "A")),
            get("User", key("U#1", "PROFILE")),
        ],
        validate_only: false,
    };
    let answer = CallResult::from_response(gateway.data().transact_get(request).await);
    assert_eq!(answer.bill.count("tollgate-dynamodb-calls"), 1);
    assert!(
        (answer.bill.decimal("tollgate-rcu") - 6.0).abs() < f64::EPSILON,
        "{:?}",
        answer.bill
    );
    let results = answer.ok().results;
    let indexes: Vec<_> = results.iter().map(|result| result.index).collect();
    assert_eq!(indexes, [0, 1, 2]);
    assert!(
        matches!(&results[0].result, Some(GetOutcome::Error(error)) if error.code == Code::NotFound as i32)
    );
    assert!(
        matches!(&results[1].result, Some(GetOutcome::Found(found)) if found.item == secure_user("S#1", "A"))
    );
    let twice = v1::TransactGetRequest {
        requests: vec![
            get("User", key("U#1", "PROFILE")),
            get("User", key("U#1", "PROFILE")),
        ],
        validate_only: false,
    };
    let refused = CallResult::from_response(gateway.data().transact_get(twice).await).status();
    assert_eq!(Refusal::of_status(&refused).fields, ["requests[1].key"]);
}
