//! Objects within transactions: uploaded before the commit, and never lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::Notify;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_proto::v1::get_result::Result as GetOutcome;
use tollgate_proto::v1::transact_result::Result as Done;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{CallResult, Gateway, Setup};
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{
    AttributeValue, Item, delete, document, expression, get, get_content, key, object, s, save, update,
};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;
use tonic::transport::Channel;
use tonic_types::RpcStatusExt as _;

use super::{checking, creating, deleting, failures, saving, transaction, updated, updating, write};

const BUCKET: &str = "my-bucket";

fn replacing(partition: &str, content: &'static str) -> v1::UpdateRequest {
    let values = [(":o", object(content))];
    update("Document", key(partition, "V1"), "SET content = :o", values)
}

async fn saved(wiretap: &Wiretap, partitions: &[&str]) -> Gateway {
    let gateway = Gateway::tapped(wiretap).await;
    for partition in partitions {
        let old = document(partition, format!("old {partition}"));
        gateway.save(save("Document", old)).await.ok();
    }
    wiretap.clear();
    gateway
}

async fn content(gateway: &Gateway, partition: &str) -> Option<String> {
    let item = gateway.get(get_content(partition)).await.ok().item;
    let data = object_of(item.get("content")?).data.clone();
    Some(String::from_utf8(data.expect("its content").to_vec()).expect("text"))
}

fn object_of(value: &AttributeValue) -> &v1::Object {
    match &value.kind {
        Some(Kind::Object(object)) => object,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn objects_are_replaced_together_and_the_old_ones_deleted() {
    differs_on!(DynamoDbLocal, "missing-keys");
    let wiretap = Wiretap::counting();
    let gateway = saved(&wiretap, &["A", "B", "C"]).await;
    let operations = vec![
        saving(save("Document", document("A", "new A"))),
        updating(replacing("B", "new B")),
        deleting(delete("Document", key("C", "V1"))),
        saving(save("Document", document("D", "new D"))),
        creating("U#1"),
    ];
    let answer = write(&gateway, transaction(operations)).await;
    assert_eq!(wiretap.count("BatchGetItem"), 1, "the old pointers");
    assert_eq!(wiretap.count("TransactWriteItems"), 1);
    assert_eq!(
        (wiretap.count("PutObject"), wiretap.count("DeleteObject")),
        (3, 3)
    );
    assert_eq!(answer.bill.count("tollgate-dynamodb-calls"), 2);
    assert_eq!(answer.bill.count("tollgate-s3-calls"), 6);
    assert_eq!(answer.bill.count("tollgate-items"), 0, "nothing was returned");
    assert!(answer.bill.decimal("tollgate-rcu") >= 4.0, "{:?}", answer.bill);
    let results = answer.ok().results;
    let Some(Done::Saved(saved)) = &results[0].result else {
        panic!("{results:?}")
    };
    let mut live = [
        object_of(&saved.generated["content"]).key.clone(),
        object_of(&updated(&results[1]).generated["content"]).key.clone(),
    ]
    .to_vec();
    for partition in ["A", "B", "D"] {
        assert_eq!(
            content(&gateway, partition).await,
            Some(format!("new {partition}"))
        );
    }
    let objects = wiretap.stores().objects(BUCKET).await;
    live.retain(|key| objects.contains(key));
    assert_eq!((live.len(), objects.len()), (2, 3));
    let gone = gateway.get(get("Document", key("C", "V1"))).await.status();
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test]
async fn a_refused_transaction_leaves_only_the_live_objects() {
    let wiretap = Wiretap::counting();
    let gateway = saved(&wiretap, &["A", "B"]).await;
    let operations = vec![
        saving(save("Document", document("A", "new A"))),
        updating(v1::UpdateRequest {
            condition: expression("name = :x OR name = :y", [(":x", s("x")), (":y", s("y"))]),
            ..replacing("B", "new B")
        }),
    ];
    let status = write(&gateway, transaction(operations)).await.status();
    assert_eq!(Refusal::of_status(&status).reason, "TRANSACTION_CANCELLED");
    let failures = failures(&status);
    assert_eq!((failures.len(), failures[0].index), (1, 1));
    assert_eq!(wiretap.stores().objects(BUCKET).await.len(), 2);
    assert_eq!(content(&gateway, "A").await.as_deref(), Some("old A"));
    assert_eq!(content(&gateway, "B").await.as_deref(), Some("old B"));
    assert_eq!(wiretap.count("TransactWriteItems"), 1, "no race was lost");
}

/// A gateway whose `times` first transactions find that another call replaced the object of document A.
async fn racing(times: u64) -> (Wiretap, Gateway) {
    let writer: Arc<OnceLock<DataServiceClient<Channel>>> = Arc::default();
    let (sent, of_hook) = (AtomicU64::new(0), writer.clone());
    let wiretap = Wiretap::before(move |operation| {
        let number = match operation {
            "TransactWriteItems" => sent.fetch_add(1, Ordering::SeqCst),
            _ => return async {}.boxed(),
        };
        let writer = of_hook.get().cloned().filter(|_| number < times);
        async move {
            let Some(mut writer) = writer else { return };
            let other = document("A", format!("other {number}"));
            writer
                .save(save("Document", other))
                .await
                .expect("the writer is served");
        }
        .boxed()
    });
    let gateway = saved(&wiretap, &["A", "B"]).await;
    writer.set(gateway.data()).expect("it is set once");
    (wiretap, gateway)
}

#[tokio::test]
async fn a_lost_race_is_read_and_tried_again() {
    for operation in [
        saving(save("Document", document("A", "new A"))),
        updating(v1::UpdateRequest {
            condition: expression("attribute_exists(pk) OR name = :y", [(":y", s("y"))]),
            ..replacing("A", "new A")
        }),
    ] {
        let (wiretap, gateway) = racing(2).await;
        let operations = vec![operation, updating(replacing("B", "new B"))];
        let answer = write(&gateway, transaction(operations)).await;
        assert_eq!(wiretap.count("TransactWriteItems"), 3);
        assert_eq!(
            wiretap.count("BatchGetItem"),
            3,
            "read first, and after each lost race"
        );
        assert!(answer.bill.decimal("tollgate-rcu") >= 6.0, "the reads are billed");
        answer.ok();
        assert_eq!(content(&gateway, "A").await.as_deref(), Some("new A"));
        assert_eq!(content(&gateway, "B").await.as_deref(), Some("new B"));
        assert_eq!(
            wiretap.stores().objects(BUCKET).await.len(),
            2,
            "no object is left behind"
        );
    }
}

#[tokio::test]
async fn races_lost_until_the_deadline_are_aborted() {
    let (wiretap, gateway) = racing(u64::MAX).await;
    let operations = vec![deleting(delete("Document", key("A", "V1"))), creating("U#1")];
    let mut request = tonic::Request::new(transaction(operations));
    request.set_timeout(Duration::from_millis(1500));
    let answer = CallResult::from_response(gateway.data().transact_write(request).await);
    let status = answer.status();
    assert!(wiretap.count("TransactWriteItems") > 1);
    if status.details().is_empty() {
        return; // the client's own timer was earlier than the response
    }
    let refusal = Refusal::of_status(&status);
    match refusal.reason.as_str() {
        "OBJECT_CHANGED" => {
            assert_eq!(refusal.code, Code::Aborted);
            assert_eq!(failures(&status)[0].reason, "OBJECT_CHANGED");
        }
        reason => assert_eq!(reason, "DEADLINE_EXCEEDED"),
    }
}

#[tokio::test]
async fn an_object_sent_back_as_it_was_read_is_kept() {
    let wiretap = Wiretap::counting();
    let gateway = saved(&wiretap, &["A"]).await;
    let mut kept = gateway.get(get("Document", key("A", "V1"))).await.ok().item;
    kept.insert("name".to_owned(), s("renamed"));
    let in_transaction = |item: &Item| transaction(vec![saving(save("Document", item.clone()))]);
    write(&gateway, in_transaction(&kept)).await.ok();
    assert_eq!(content(&gateway, "A").await.as_deref(), Some("old A"));
    assert_eq!(wiretap.count("DeleteObject"), 0);
    let mut altered = kept.clone();
    if let Some(Kind::Object(object)) = altered.get_mut("content").and_then(|value| value.kind.as_mut()) {
        object.name = "another.pdf".to_owned();
    }
    let refusal = Refusal::of(write(&gateway, in_transaction(&altered)).await);
    refusal.is("INVALID_FIELD", &["operations[0].save.item.content.name"]);
    gateway.save(save("Document", document("A", "newer"))).await.ok();
    let status = write(&gateway, in_transaction(&kept)).await.status();
    assert_eq!(Refusal::of_status(&status).reason, "OBJECT_CHANGED");
    assert_eq!(content(&gateway, "A").await.as_deref(), Some("newer"));
}

fn failing(fate: Fate) -> Wiretap {
    Wiretap::new(move |operation| match operation {
        "TransactWriteItems" => fate,
        _ => Fate::Pass,
    })
}

fn both() -> v1::TransactWriteRequest {
    transaction(vec![
        saving(save("Document", document("A", "new A"))),
        updating(replacing("B", "new B")),
    ])
}

#[tokio::test]
async fn a_lost_response_is_settled_by_what_the_items_point_to() {
    let wiretap = failing(Fate::LoseResponse);
    let gateway = saved(&wiretap, &["A", "B"]).await;
    write(&gateway, both()).await.ok();
    for partition in ["A", "B"] {
        assert_eq!(
            content(&gateway, partition).await,
            Some(format!("new {partition}"))
        );
    }
    assert_eq!(
        wiretap.stores().objects(BUCKET).await.len(),
        2,
        "the old objects were deleted"
    );
}

#[tokio::test]
async fn a_transaction_that_was_not_applied_leaves_no_object_behind() {
    let wiretap = failing(Fate::Error500);
    let gateway = saved(&wiretap, &["A", "B"]).await;
    let refusal = Refusal::of(write(&gateway, both()).await);
    assert_eq!(refusal.reason, "STORE_UNAVAILABLE");
    for partition in ["A", "B"] {
        assert_eq!(
            content(&gateway, partition).await,
            Some(format!("old {partition}"))
        );
    }
    assert_eq!(wiretap.stores().objects(BUCKET).await.len(), 2);
}

#[tokio::test]
async fn a_failed_upload_commits_nothing() {
    let wiretap = Wiretap::new(|operation| match operation {
        "PutObject" => Fate::Respond(403, "<Error><Code>AccessDenied</Code></Error>"),
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    let refusal = Refusal::of(write(&gateway, both()).await);
    assert_eq!(refusal.code, Code::FailedPrecondition);
    assert_eq!(wiretap.count("TransactWriteItems"), 0);
    assert_eq!(wiretap.count("BatchGetItem"), 0);
}

fn getting(requests: Vec<v1::GetRequest>) -> v1::TransactGetRequest {
    v1::TransactGetRequest {
        requests,
        validate_only: false,
    }
}

fn text_of(result: &v1::GetResult) -> String {
    match &result.result {
        Some(GetOutcome::Found(found)) => {
            let data = object_of(&found.item["content"]).data.clone();
            String::from_utf8(data.expect("its content").to_vec()).expect("text")
        }
        other => panic!("{other:?}"),
    }
}

fn reason_of(result: &v1::GetResult) -> String {
    match &result.result {
        Some(GetOutcome::Error(error)) => error.get_details_error_info().expect("its reason").reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn content_is_read_with_the_items_of_one_moment() {
    let wiretap = Wiretap::counting();
    let gateway = saved(&wiretap, &["A", "B"]).await;
    let requests = vec![
        get_content("A"),
        get("Document", key("B", "V1")),
        get_content("none"),
    ];
    let answer = CallResult::from_response(gateway.data().transact_get(getting(requests)).await);
    assert_eq!(
        (wiretap.count("TransactGetItems"), wiretap.count("GetObject")),
        (1, 1)
    );
    assert_eq!(answer.bill.count("tollgate-items"), 2);
    let results = answer.ok().results;
    assert_eq!(text_of(&results[0]), "old A");
    assert_eq!(reason_of(&results[2]), "ITEM_NOT_FOUND");
    let lost = wiretap.stores().objects(BUCKET).await;
    wiretap.stores().delete_object(BUCKET, &lost[0]).await;
    wiretap.clear();
    let requests = vec![get_content("A"), get_content("B")];
    let answer = CallResult::from_response(gateway.data().transact_get(getting(requests)).await);
    assert_eq!(
        wiretap.count("TransactGetItems"),
        2,
        "the pointer may have changed"
    );
    assert_eq!(answer.bill.count("tollgate-items"), 2);
    let results = answer.ok().results;
    assert_eq!(reason_of(&results[0]), "OBJECT_INVALID");
    assert_eq!(text_of(&results[1]), "old B");
}

#[tokio::test]
async fn items_whose_objects_are_replaced_meanwhile_are_read_again_together() {
    let writer: Arc<OnceLock<DataServiceClient<Channel>>> = Arc::default();
    let (sent, of_hook) = (AtomicU64::new(0), writer.clone());
    let wiretap = Wiretap::before(move |operation| {
        let is_first = operation == "GetObject" && sent.fetch_add(1, Ordering::SeqCst) == 0;
        let writer = of_hook.get().cloned().filter(|_| is_first);
        async move {
            let Some(mut writer) = writer else { return };
            let operations = ["A", "B"]
                .map(|partition| saving(save("Document", document(partition, format!("new {partition}")))));
            let written = writer.transact_write(transaction(operations.into())).await;
            written.expect("the writer is served");
        }
        .boxed()
    });
    let gateway = saved(&wiretap, &["A", "B"]).await;
    writer.set(gateway.data()).expect("it is set once");
    let requests = vec![get_content("A"), get_content("B")];
    let answer = CallResult::from_response(gateway.data().transact_get(getting(requests)).await);
    assert_eq!(wiretap.count("TransactGetItems"), 2);
    assert_eq!(answer.bill.count("tollgate-items"), 2);
    let results = answer.ok().results;
    assert_eq!(
        (text_of(&results[0]), text_of(&results[1])),
        ("new A".into(), "new B".into())
    );
}

#[tokio::test]
async fn content_that_does_not_fit_in_the_response_is_an_error_in_its_place() {
    let gateway = Gateway::with(Setup {
        settings: vec![("TOLLGATE_LIMITS__MESSAGE_BYTES", "1MiB".to_owned())],
        ..Setup::default()
    })
    .await;
    for partition in ["A", "B", "C"] {
        let content = vec![7; if partition == "C" { 10_000 } else { 600_000 }];
        gateway
            .save(save("Document", document(partition, content)))
            .await
            .ok();
    }
    let requests = ["A", "B", "C"].map(get_content).into();
    let answer = CallResult::from_response(gateway.data().transact_get(getting(requests)).await);
    let results = answer.ok().results;
    assert_eq!(text_of(&results[0]).len(), 600_000);
    assert_eq!(reason_of(&results[1]), "MESSAGE_TOO_LARGE");
    assert_eq!(text_of(&results[2]).len(), 10_000);
}

#[tokio::test]
async fn objects_of_an_attempt_that_may_still_be_applied_are_left_behind() {
    let sent = AtomicU64::new(0);
    let wiretap = Wiretap::new(move |operation| match operation {
        "TransactWriteItems" if sent.fetch_add(1, Ordering::SeqCst) == 0 => Fate::LoseResponse,
        _ => Fate::Pass,
    });
    let gateway = saved(&wiretap, &["A"]).await;
    let operations = vec![
        saving(save("Document", document("A", "new A"))),
        checking("U#9", "attribute_exists(pk)"),
    ];
    let status = write(&gateway, transaction(operations)).await.status();
    assert_eq!(Refusal::of_status(&status).reason, "TRANSACTION_CANCELLED");
    assert_eq!(content(&gateway, "A").await.as_deref(), Some("old A"));
    let objects = wiretap.stores().objects(BUCKET).await;
    assert_eq!(objects.len(), 2, "the live one, and one for the sweeper");
}

#[tokio::test]
async fn a_caller_that_leaves_during_the_commit_does_not_stop_it() {
    let (begun, left) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (of_begun, of_left) = (Arc::clone(&begun), Arc::clone(&left));
    let wiretap = Wiretap::before(move |operation| {
        if operation != "TransactWriteItems" {
            return async {}.boxed();
        }
        let (begun, left) = (Arc::clone(&of_begun), Arc::clone(&of_left));
        async move {
            begun.notify_one();
            left.notified().await;
        }
        .boxed()
    });
    let gateway = saved(&wiretap, &["A", "B"]).await;
    let mut client = gateway.data();
    let call = tokio::spawn(async move { client.transact_write(both()).await.map(drop) });
    begun.notified().await;
    call.abort();
    assert!(call.await.is_err_and(|error| error.is_cancelled()));
    left.notify_one();
    until("the old objects are gone", async || {
        wiretap.count("DeleteObject") == 2
    })
    .await;
    for partition in ["A", "B"] {
        assert_eq!(
            content(&gateway, partition).await,
            Some(format!("new {partition}"))
        );
    }
    until("both are", async || {
        wiretap.stores().objects(BUCKET).await.len() == 2
    })
    .await;
}
