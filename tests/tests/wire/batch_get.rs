//! BatchGet: every read has one result, whatever the store leaves unprocessed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tollgate_proto::v1;
use tollgate_proto::v1::get_result::Result as GetOutcome;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{CallResult, Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{document, get, get_content, item, key, n, s, save, secure_user, user};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;

fn batch(requests: Vec<v1::GetRequest>) -> v1::BatchGetRequest {
    v1::BatchGetRequest {
        requests,
        validate_only: false,
    }
}

/// The results in the order of the request, each once.
async fn read(gateway: &Gateway, requests: Vec<v1::GetRequest>) -> Vec<GetOutcome> {
    let count = requests.len();
    let stream = gateway.data().batch_get(batch(requests)).await;
    let parts = CallResult::read_stream(stream).await.ok();
    let mut outcomes: Vec<Option<GetOutcome>> = vec![None; count];
    for result in parts.into_iter().flat_map(|part| part.results) {
        let place = &mut outcomes[result.index as usize];
        assert!(place.is_none(), "two results for {}", result.index);
        *place = result.result;
    }
    outcomes
        .into_iter()
        .map(|outcome| outcome.expect("each read has a result"))
        .collect()
}

fn found(outcome: &GetOutcome) -> &v1::GetResponse {
    match outcome {
        GetOutcome::Found(found) => found,
        GetOutcome::Error(error) => panic!("{error:?}"),
    }
}

fn code(outcome: &GetOutcome) -> Code {
    match outcome {
        GetOutcome::Found(_) => Code::Ok,
        GetOutcome::Error(error) => Code::from_i32(error.code),
    }
}

#[tokio::test]
async fn reads_across_models_with_duplicates_and_missing_items() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    gateway.save(save("User", user("U#1", "1"))).await.ok();
    gateway
        .save(save("SecureUser", secure_user("S#1", "A")))
        .await
        .ok();
    gateway
        .save(save("Document", document("D#1", "content")))
        .await
        .ok();
    wiretap.clear();
    let requests = vec![
        get("User", key("U#1", "PROFILE")),
        get("SecureUser", key("S#1", "A")),
        get("User", key("U#1", "PROFILE")),
        get("User", key("U#2", "PROFILE")),
        get_content("D#1"),
        v1::GetRequest {
            fields: vec!["name".to_owned()],
            ..get("User", key("U#1", "PROFILE"))
        },
    ];
    let outcomes = read(&gateway, requests).await;
    assert_eq!(found(&outcomes[0]), found(&outcomes[2]));
    assert_eq!(found(&outcomes[0]).item.len(), user("U#1", "1").len());
    assert_eq!(found(&outcomes[1]).item, secure_user("S#1", "A"));
    assert_eq!(code(&outcomes[3]), Code::NotFound);
    assert!(found(&outcomes[4]).item.contains_key("content"));
    assert_eq!(found(&outcomes[5]).item.len(), 1);
    assert_eq!(
        wiretap.count("BatchGetItem"),
        2,
        "one request, and one for the other projection"
    );
    assert_eq!(wiretap.count("Decrypt"), 2, "one for each item");
}

#[tokio::test]
async fn reads_of_many_keys_are_made_in_chunks_of_100() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    let requests = (0..250).map(|number| get("User", key("P", &format!("S#{number}"))));
    let outcomes = read(&gateway, requests.collect()).await;
    assert!(outcomes.iter().all(|outcome| code(outcome) == Code::NotFound));
    assert_eq!(wiretap.count("BatchGetItem"), 3);
}

#[tokio::test]
async fn unprocessed_keys_are_read_again_after_a_backoff() {
    const UNPROCESSED: &str =
        r#"{"Responses":{},"UnprocessedKeys":{"users":{"Keys":[{"pk":{"S":"U#1"},"sk":{"S":"PROFILE"}}]}}}"#;
    let asked = Arc::new(AtomicU64::new(0));
    let wiretap = Wiretap::new(move |operation| match operation {
        "BatchGetItem" if asked.fetch_add(1, Ordering::Relaxed) < 2 => Fate::Respond(200, UNPROCESSED),
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    gateway.save(save("User", user("U#1", "1"))).await.ok();
    let request = batch(vec![get("User", key("U#1", "PROFILE"))]);
    let stream = gateway.data().batch_get(request).await;
    let answer = CallResult::read_stream(stream).await;
    assert_eq!(wiretap.count("BatchGetItem"), 3);
    let totals = gateway.totals("").await.total.unwrap();
    assert!(totals.backoff_ms > 0.0, "{totals:?}");
    let parts = answer.ok();
    assert!(matches!(parts[0].results[0].result, Some(GetOutcome::Found(_))));
}

#[tokio::test]
async fn keys_that_stay_unprocessed_until_the_deadline_are_unavailable_each_for_itself() {
    const UNPROCESSED: &str = r#"{"Responses":{"users":[{"pk":{"S":"U#1"},"sk":{"S":"A"}}]},"UnprocessedKeys":{"users":{"Keys":[{"pk":{"S":"U#1"},"sk":{"S":"B"}}]}}}"#;
    const STILL: &str =
        r#"{"Responses":{},"UnprocessedKeys":{"users":{"Keys":[{"pk":{"S":"U#1"},"sk":{"S":"B"}}]}}}"#;
    let asked = Arc::new(AtomicU64::new(0));
    let wiretap = Wiretap::new(move |operation| match operation {
        "BatchGetItem" if asked.fetch_add(1, Ordering::Relaxed) == 0 => Fate::Respond(200, UNPROCESSED),
        "BatchGetItem" => Fate::Respond(200, STILL),
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    let requests = vec![get("User", key("U#1", "A")), get("User", key("U#1", "B"))];
    let mut request = tonic::Request::new(batch(requests));
    request.set_timeout(Duration::from_secs(2));
    let stream = gateway.data().batch_get(request).await;
    let parts = CallResult::read_stream(stream).await.ok();
    let mut results: Vec<_> = parts.into_iter().flat_map(|part| part.results).collect();
    results.sort_by_key(|result| result.index);
    assert_eq!(results.len(), 2);
    assert_eq!(code(results[0].result.as_ref().unwrap()), Code::Ok);
    assert_eq!(code(results[1].result.as_ref().unwrap()), Code::Unavailable);
}

#[tokio::test]
async fn faults_of_all_reads_are_reported_together_and_cost_nothing() {
    let gateway = Gateway::start().await;
    let inner = v1::GetRequest {
        validate_only: true,
        ..get("User", key("U#1", "PROFILE"))
    };
    let requests = vec![
        get("User", key("U#1", "PROFILE")),
        get("User", tollgate_tests::values::item([])),
        inner,
    ];
    let answer = CallResult::read_stream(gateway.data().batch_get(batch(requests)).await).await;
    assert_eq!(answer.bill.count("tollgate-dynamodb-calls"), 0);
    let refusal = Refusal::of_status(&answer.status());
    assert_eq!(refusal.reason, "INVALID_FIELD");
    assert_eq!(
        refusal.fields,
        [
            "requests[1].key.pk",
            "requests[1].key.sk",
            "requests[2].validate_only"
        ]
    );
    let answer = CallResult::read_stream(gateway.data().batch_get(batch(Vec::new())).await).await;
    assert_eq!(Refusal::of_status(&answer.status()).fields, ["requests"]);
    let unknown = batch(vec![get("Nobody", key("U#1", "PROFILE"))]);
    let answer = CallResult::read_stream(gateway.data().batch_get(unknown).await).await;
    assert_eq!(Refusal::of_status(&answer.status()).reason, "UNKNOWN_MODEL");
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
async fn equal_number_keys_are_read_once_however_they_are_written() {
    differs_on!(DynamoDbLocal, "missing-keys");
    differs_on!(Moto, "capacity");
    let gateway = Gateway::of_models(READING, Setup::default()).await;
    let at = |time: &str| item([("sensor", s("S")), ("at", n(time))]);
    let mut reading = at("1000");
    reading.insert("value".to_owned(), n(7));
    gateway.save(save("Reading", reading)).await.ok();
    let requests = ["1000", "1e3", "1000.0", "1001"].map(|time| get("Reading", at(time)));
    let stream = gateway.data().batch_get(batch(requests.into())).await;
    let answer = CallResult::read_stream(stream).await;
    assert_eq!(answer.bill.count("tollgate-dynamodb-calls"), 1);
    assert!(
        (answer.bill.decimal("tollgate-rcu") - 1.0).abs() < f64::EPSILON,
        "two keys: {:?}",
        answer.bill
    );
    let mut results: Vec<_> = answer.ok().into_iter().flat_map(|part| part.results).collect();
    results.sort_by_key(|result| result.index);
    let outcomes: Vec<_> = results.into_iter().filter_map(|result| result.result).collect();
    for outcome in &outcomes[..3] {
        assert_eq!(found(outcome).item["value"], n(7));
    }
    assert_eq!((outcomes.len(), code(&outcomes[3])), (4, Code::NotFound));
}

#[tokio::test]
async fn a_batch_reads_up_to_10000_keys() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    gateway.save(save("User", user("U#1", "1"))).await.ok();
    let many = |count: usize| {
        let rest = (1..count).map(|number| get("User", key("P", &format!("S#{number}"))));
        std::iter::once(get("User", key("U#1", "PROFILE")))
            .chain(rest)
            .collect()
    };
    let refused = CallResult::read_stream(gateway.data().batch_get(batch(many(10_001))).await).await;
    let refusal = Refusal::of(refused);
    refusal.is("INVALID_FIELD", &["requests"]);
    refusal.cost_nothing();
    let mut request = tonic::Request::new(batch(many(10_000)));
    request.set_timeout(Duration::from_secs(120));
    let parts = CallResult::read_stream(gateway.data().batch_get(request).await)
        .await
        .ok();
    let mut results: Vec<_> = parts.into_iter().flat_map(|part| part.results).collect();
    results.sort_by_key(|result| result.index);
    assert!(results.iter().map(|result| result.index).eq(0..10_000));
    let is_found = |result: &v1::GetResult| matches!(result.result, Some(GetOutcome::Found(_)));
    assert!(is_found(&results[0]) && !results[1..].iter().any(is_found));
    assert_eq!(wiretap.count("BatchGetItem"), 100);
}
