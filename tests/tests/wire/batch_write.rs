//! BatchWrite: every write has one result, writes to one item keep their order, and a bad write fails alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{StreamExt as _, stream};
use tollgate_proto::v1;
use tollgate_proto::v1::batch_write_request::Write;
use tollgate_proto::v1::batch_write_response::Result as Written;
use tollgate_tests::gateway::{CallResult, Gateway, Setup};
use tollgate_tests::polling::until;
use tollgate_tests::values::{delete, document, expression, get, item, key, n, s, save, secure_user, user};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;

fn saving(request: v1::SaveRequest) -> v1::BatchWriteRequest {
    v1::BatchWriteRequest {
        write: Some(Write::Save(request)),
    }
}

fn deleting(request: v1::DeleteRequest) -> v1::BatchWriteRequest {
    v1::BatchWriteRequest {
        write: Some(Write::Delete(request)),
    }
}

/// The results in the order of the writes, each once.
async fn write(gateway: &Gateway, writes: Vec<v1::BatchWriteRequest>) -> Vec<Written> {
    let count = writes.len();
    let stream = gateway.data().batch_write(stream::iter(writes)).await;
    let results = CallResult::read_stream(stream).await.ok();
    let mut written: Vec<Option<Written>> = vec![None; count];
    for result in results {
        let place = &mut written[result.index as usize];
        assert!(place.is_none(), "two results for {}", result.index);
        *place = result.result;
    }
    written
        .into_iter()
        .map(|written| written.expect("each write has a result"))
        .collect()
}

fn code(written: &Written) -> Code {
    match written {
        Written::Saved(_) | Written::Updated(_) | Written::Deleted(_) => Code::Ok,
        Written::Error(error) => Code::from_i32(error.code),
    }
}

fn numbered(partition: usize, number: usize) -> v1::BatchWriteRequest {
    let mut item = key(&format!("P#{partition}"), "S");
    item.insert("age".to_owned(), n(number));
    saving(save("User", item))
}

#[tokio::test]
async fn plain_writes_go_in_chunks_and_each_has_a_result() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    let writes = (0..60).map(|number| numbered(number, 1)).collect();
    let written = write(&gateway, writes).await;
    assert!(written.iter().all(|written| code(written) == Code::Ok));
    assert_eq!(wiretap.count("PutItem"), 0);
    let chunks = wiretap.count("BatchWriteItem");
    assert!((3..60).contains(&chunks), "{chunks}");
    gateway.get(get("User", key("P#59", "S"))).await.ok();
}

#[tokio::test]
async fn writes_to_one_item_keep_their_order() {
    let gateway = Gateway::start().await;
    let mut writes: Vec<_> = (0..40).map(|number| numbered(0, number)).collect();
    writes.push(deleting(delete("User", key("P#0", "S"))));
    writes.push(numbered(0, 41));
    writes.push(v1::BatchWriteRequest {
        write: Some(Write::Update(v1::UpdateRequest {
            model: "User".to_owned(),
            key: key("P#0", "S"),
            update: expression("SET age = age + :one", [(":one", n(1))]),
            ..v1::UpdateRequest::default()
        })),
    });
    let written = write(&gateway, writes).await;
    assert!(written.iter().all(|written| code(written) == Code::Ok));
    let found = gateway.get(get("User", key("P#0", "S"))).await.ok();
    assert_eq!(found.item["age"], n(42));
}

#[tokio::test]
async fn conditional_writes_and_objects_are_single_calls_and_a_bad_write_fails_alone() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    gateway.save(save("User", user("U#1", "1"))).await.ok();
    wiretap.clear();
    let conditional = v1::SaveRequest {
        condition: expression("attribute_not_exists(pk)", []),
        ..save("User", user("U#1", "2"))
    };
    let returning = v1::DeleteRequest {
        return_values: v1::ReturnValues::AllOld as i32,
        ..delete("User", key("U#1", "PROFILE"))
    };
    let only_checked = v1::SaveRequest {
        validate_only: true,
        ..save("User", user("U#3", "1"))
    };
    let writes = vec![
        saving(conditional),
        saving(save("SecureUser", secure_user("S#1", "A"))),
        saving(save("Document", document("D#1", "content"))),
        saving(save("Nobody", user("U#2", "1"))),
        saving(save("User", tollgate_tests::values::item([]))),
        v1::BatchWriteRequest { write: None },
        saving(only_checked),
        deleting(returning),
    ];
    let written = write(&gateway, writes).await;
    let codes: Vec<Code> = written.iter().map(code).collect();
    assert_eq!(
        codes,
        [
            Code::FailedPrecondition,
            Code::Ok,
            Code::Ok,
            Code::NotFound,
            Code::InvalidArgument,
            Code::InvalidArgument,
            Code::InvalidArgument,
            Code::Ok,
        ]
    );
    let Written::Deleted(deleted) = &written[7] else {
        panic!("a deletion has the result of a deletion");
    };
    assert_eq!(deleted.old_item["name"], user("U#1", "1")["name"]);
    assert_eq!(wiretap.count("PutItem"), 2);
    assert_eq!(wiretap.count("GenerateDataKey"), 2, "one for each encrypted item");
    assert!(gateway.get(get("SecureUser", key("S#1", "A"))).await.ok().item == secure_user("S#1", "A"));
}

#[tokio::test]
async fn unprocessed_writes_are_repeated() {
    const UNPROCESSED: &str =
        r#"{"UnprocessedItems":{"users":[{"PutRequest":{"Item":{"pk":{"S":"P#0"},"sk":{"S":"S"}}}}]}}"#;
    let asked = Arc::new(AtomicU64::new(0));
    let wiretap = Wiretap::new(move |operation| match operation {
        "BatchWriteItem" if asked.fetch_add(1, Ordering::Relaxed) < 2 => Fate::Respond(200, UNPROCESSED),
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    let written = write(&gateway, vec![numbered(0, 7)]).await;
    assert_eq!(code(&written[0]), Code::Ok);
    assert_eq!(wiretap.count("BatchWriteItem"), 3);
    let found = gateway.get(get("User", key("P#0", "S"))).await.ok();
    assert_eq!(found.item["age"], n(7));
}

#[tokio::test]
async fn an_empty_stream_has_no_results() {
    let gateway = Gateway::start().await;
    assert!(write(&gateway, Vec::new()).await.is_empty());
}

const READING: &str = "
name: Reading
table: readings
partition_key: sensor
sort_key: at
attributes:
  sensor: { type: string }
  at: { type: number }
  value: { type: number }
";

#[tokio::test]
async fn equal_number_keys_are_one_item_and_keep_their_order() {
    let gateway = Gateway::of_models(READING, Setup::default()).await;
    let at = |time: &str| item([("sensor", s("S")), ("at", n(time))]);
    let written_at = |time: &str, value: usize| {
        let mut reading = at(time);
        reading.insert("value".to_owned(), n(value));
        saving(save("Reading", reading))
    };
    let mut writes = Vec::new();
    for round in 0..10 {
        writes.push(written_at("1000", round * 3));
        writes.push(written_at("1e3", round * 3 + 1));
        writes.push(deleting(delete("Reading", at("1000.0"))));
    }
    writes.push(written_at("1.0E3", 99));
    let written = write(&gateway, writes).await;
    assert!(written.iter().all(|written| code(written) == Code::Ok));
    let found = gateway.get(get("Reading", at("1000"))).await.ok();
    assert_eq!(found.item["value"], n(99));
}

#[tokio::test]
async fn writes_that_stay_unprocessed_until_the_deadline_are_unavailable_each_for_itself() {
    const UNPROCESSED: &str =
        r#"{"UnprocessedItems":{"users":[{"PutRequest":{"Item":{"pk":{"S":"P#0"},"sk":{"S":"S"}}}}]}}"#;
    let wiretap = Wiretap::new(|operation| match operation {
        "BatchWriteItem" => Fate::Respond(200, UNPROCESSED),
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    let mut request = tonic::Request::new(stream::iter(vec![numbered(0, 1), numbered(1, 1)]));
    request.set_timeout(Duration::from_secs(2));
    let mut results = CallResult::read_stream(gateway.data().batch_write(request).await)
        .await
        .ok();
    results.sort_by_key(|result| result.index);
    let codes: Vec<Code> = results
        .iter()
        .map(|result| code(result.result.as_ref().expect("a result")))
        .collect();
    assert_eq!(codes, [Code::Unavailable, Code::Ok]);
    assert!(wiretap.count("BatchWriteItem") > 2);
    let totals = gateway.totals("").await.total.unwrap();
    assert!(totals.backoff_ms > 0.0, "{totals:?}");
}

/// Writes of the test of the buffer; far more than the buffers of both sides and of HTTP/2 hold.
const MANY: u64 = 40_000;

#[tokio::test]
async fn a_caller_that_does_not_read_results_is_not_read_from_either() {
    let gateway = Gateway::start().await;
    let sent = Arc::new(AtomicU64::new(0));
    let of_stream = Arc::clone(&sent);
    // refused at once: nobody serves this model
    let refused = || saving(save("Nobody", item([("note", s("x".repeat(1000)))])));
    let writes = stream::iter(0..MANY).map(move |_| {
        of_stream.fetch_add(1, Ordering::SeqCst);
        refused()
    });
    let mut request = tonic::Request::new(writes);
    request.set_timeout(Duration::from_secs(300));
    let response = gateway.data().batch_write(request).await;
    until("the buffer is full", async || {
        sent.load(Ordering::SeqCst) >= 10_000
    })
    .await;
    let (mut last, mut still) = (0, 0);
    until("no more is read", async || {
        let now = sent.load(Ordering::SeqCst);
        still = if now == last { still + 1 } else { 0 };
        last = now;
        still > 2000
    })
    .await;
    assert!(last < MANY, "the results of all writes wait for nobody");
    let results = CallResult::read_stream(response).await.ok();
    assert_eq!(results.len() as u64, MANY);
    assert_eq!(sent.load(Ordering::SeqCst), MANY);
}
