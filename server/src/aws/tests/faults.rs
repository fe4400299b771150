//! Counts and kinds of error when attempts fail, exceed the deadline, or are never sent.

use super::*;

#[tokio::test]
async fn counts_retries_and_backoff() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    faulty.inject("GetItem", SERVER_ERROR);
    faulty.inject("GetItem", THROTTLED);
    assert_eq!(
        faulty.stores.dynamodb.get_item(&call, get("a")).await.unwrap(),
        None
    );
    let bill = call.bill();
    assert_eq!((bill.get_count, bill.retries, bill.throttled), (3, 2, 1));
    assert!(bill.backoff_us > 0);
    assert_eq!(faulty.take_sent().len(), 3);
}

#[tokio::test]
async fn the_last_attempt_determines_the_kind() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    for _ in 0..3 {
        faulty.inject("PutItem", THROTTLED);
        faulty.inject("DeleteItem", SERVER_ERROR);
        faulty.inject("GetItem", SERVER_ERROR);
        faulty.inject("Query", Fault::LoseResponse);
    }
    let (throttled, unknown, read, lost) = tokio::join!(
        faulty.stores.dynamodb.put_item(&call, put(item("a", "x"))),
        faulty.stores.dynamodb.delete_item(
            &call,
            DeleteItem {
                table: "users".into(),
                key: key("a"),
                ..DeleteItem::default()
            }
        ),
        faulty.stores.dynamodb.get_item(&call, get("a")),
        faulty.stores.dynamodb.query(
            &call,
            Query {
                table: "users".into(),
                key_condition: "pk = pk".into(),
                ..Query::default()
            }
        ),
    );
    assert_eq!(throttled.unwrap_err().kind, Kind::Throttled);
    let unknown = unknown.unwrap_err();
    assert_eq!(
        (unknown.kind, unknown.doubt),
        (Kind::OutcomeUnknown, Doubt::Finished)
    );
    assert_eq!(read.unwrap_err().kind, Kind::Unavailable);
    assert_eq!(lost.unwrap_err().kind, Kind::Unavailable);
    let bill = call.bill();
    assert_eq!((bill.dynamodb_calls, bill.retries, bill.throttled), (12, 8, 3));
}

#[tokio::test]
async fn a_write_with_a_lost_response_stays_in_doubt() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    faulty.inject("PutItem", Fault::LoseResponse);
    let written = item("a", "x");
    let error = faulty
        .stores
        .dynamodb
        .put_item(&call, put_new(written.clone()))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.doubt),
        (Kind::ConditionFailed { item: Some(written) }, Doubt::Lost)
    );
    faulty.inject("PutItem", Fault::LoseRequest);
    faulty.inject("PutItem", THROTTLED);
    faulty.inject("PutItem", Fault::NoConnection);
    let error = faulty
        .stores
        .dynamodb
        .put_item(&call, put(item("b", "x")))
        .await
        .unwrap_err();
    assert_eq!((error.kind, error.doubt), (Kind::OutcomeUnknown, Doubt::Lost));
    let bill = call.bill();
    assert_eq!((bill.put_count, bill.retries), (4, 2));
}

#[tokio::test]
async fn does_not_count_attempts_without_a_connection() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    for _ in 0..3 {
        faulty.inject("PutItem", Fault::NoConnection);
    }
    faulty.inject("GetItem", Fault::NoConnection);
    let error = faulty
        .stores
        .dynamodb
        .put_item(&call, put(item("a", "x")))
        .await
        .unwrap_err();
    assert_eq!((error.kind, error.doubt), (Kind::Unavailable, Doubt::None));
    assert_eq!(call.bill().dynamodb_calls, 0);
    faulty.stores.dynamodb.get_item(&call, get("a")).await.unwrap();
    let bill = call.bill();
    assert_eq!(
        (bill.dynamodb_calls, bill.put_count, bill.get_count, bill.retries),
        (1, 0, 1, 0)
    );
    assert_eq!(faulty.take_sent(), ["GetItem"]);
}

#[tokio::test]
async fn the_deadline_ends_a_request_and_reports_whether_a_write_was_sent() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    faulty.inject("PutItem", Fault::Delay(Duration::from_secs(60)));
    faulty.inject("GetItem", Fault::Delay(Duration::from_secs(60)));
    let begun = Instant::now();
    let error = faulty
        .stores
        .dynamodb
        .put_item(&soon(&call), put(item("a", "x")))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.doubt),
        (Kind::Deadline { sent: true }, Doubt::Lost)
    );
    let error = faulty
        .stores
        .dynamodb
        .get_item(&soon(&call), get("a"))
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Deadline { sent: false });
    assert!(begun.elapsed() < Duration::from_secs(5));
    let error = faulty
        .stores
        .dynamodb
        .put_item(&call.with_deadline(begun), put(item("a", "x")))
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::Deadline { sent: false });
    let bill = call.bill();
    assert_eq!(
        (bill.put_count, bill.get_count),
        (1, 1),
        "nothing is sent after the deadline"
    );
    assert!(
        bill.dynamodb_us >= 250_000,
        "both waited until their deadlines: {}",
        bill.dynamodb_us
    );
}

#[tokio::test]
async fn a_deadline_between_two_attempts_leaves_no_doubt() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    // after two throttled attempts the backoff sometimes exceeds the deadline, while no attempt is in progress
    let mut cut_while_waiting = false;
    for _ in 0..40 {
        faulty.inject("PutItem", THROTTLED);
        faulty.inject("PutItem", THROTTLED);
        let brief = call.with_deadline(Instant::now() + Duration::from_millis(5));
        let Err(error) = faulty.stores.dynamodb.put_item(&brief, put(item("a", "x"))).await else {
            continue;
        };
        faulty
            .stores
            .dynamodb
            .put_item(&call, put(item("a", "x")))
            .await
            .ok();
        if error.kind == (Kind::Deadline { sent: false }) {
            cut_while_waiting = true;
            break;
        }
    }
    assert!(cut_while_waiting);
}

#[tokio::test]
async fn bills_the_requests_of_a_caller_that_disconnects() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    faulty.inject("PutItem", Fault::Delay(Duration::from_secs(60)));
    let left = tokio::time::timeout(
        Duration::from_millis(50),
        faulty.stores.dynamodb.put_item(&call, put(item("a", "x"))),
    );
    assert!(left.await.is_err());
    let bill = call.bill();
    assert_eq!((bill.dynamodb_calls, bill.put_count), (1, 1));
    assert!(bill.dynamodb_us >= 40_000);
    assert_eq!(call.close(tonic::Code::Cancelled).unwrap().bill.dynamodb_calls, 1);
}
