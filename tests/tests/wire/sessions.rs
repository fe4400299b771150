//! Sessions and bills: which calls begin a session, which evict one, and which bill a request id returns.

use tollgate_proto::v1;
use tollgate_tests::gateway::{Gateway, Setup, in_session};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{get, key, s, save, user};
use tonic::{Code, Request};

fn checked(session: &str) -> Request<v1::SaveRequest> {
    let checked = v1::SaveRequest {
        validate_only: true,
        ..save("User", user("A", "1"))
    };
    in_session(checked, session)
}

async fn total_calls(gateway: &Gateway, session: &str) -> Option<u64> {
    let request = v1::GetTotalMetricsRequest {
        session: session.to_owned(),
        model: String::new(),
    };
    match gateway.metrics().get_total_metrics(request).await {
        Ok(totals) => totals.into_inner().total.map(|total| total.call_count),
        Err(status) => {
            Refusal::of_status(&status).is("UNKNOWN_SESSION", &[]);
            None
        }
    }
}

/// Calls that are refused at the door, each for another reason.
async fn refusals(gateway: &Gateway, session: &str) -> Vec<Refusal> {
    let mut wrong_field = user("A", "1");
    wrong_field.insert("age".to_owned(), s("old"));
    let mut wrong_id = in_session(get("User", key("A", "B")), session);
    wrong_id
        .metadata_mut()
        .insert("tollgate-request-id", "a b".parse().expect("ASCII"));
    let mut huge = user("A", "1");
    huge.insert("name".to_owned(), s("x".repeat(1024 * 1024)));
    vec![
        Refusal::of(gateway.save(in_session(save("User", wrong_field), session)).await),
        Refusal::of(
            gateway
                .get(in_session(get("Nobody", key("A", "B")), session))
                .await,
        ),
        Refusal::of(gateway.get(wrong_id).await),
        Refusal::of(gateway.save(in_session(save("User", huge), session)).await),
    ]
}

#[tokio::test]
async fn refused_calls_neither_open_nor_evict_a_session() {
    let gateway = Gateway::with(Setup {
        settings: vec![
            ("TOLLGATE_SESSIONS__MAX", "2".to_owned()),
            ("TOLLGATE_LIMITS__MESSAGE_BYTES", "512KiB".to_owned()),
        ],
        ..Setup::default()
    })
    .await;
    for session in ["one", "two"] {
        gateway.save(checked(session)).await.ok();
    }
    for number in 0..4 {
        let session = format!("foreign-{number}");
        for refusal in refusals(&gateway, &session).await {
            refusal.cost_nothing();
            assert!(!refusal.bill.has("tollgate-session-calls"), "there is no session");
        }
        assert_eq!(total_calls(&gateway, &session).await, None);
    }
    assert_eq!(total_calls(&gateway, "one").await, Some(1));
    assert_eq!(total_calls(&gateway, "two").await, Some(1));
    let billed = refusals(&gateway, "two").await;
    assert_eq!(billed[1].bill.count("tollgate-session-calls"), 3);
    assert_eq!(total_calls(&gateway, "two").await, Some(1 + billed.len() as u64));
    let server = gateway.totals("").await.total.expect("a total");
    assert_eq!((server.call_count, server.failed_call_count), (2 + 20, 20));
    // the refused calls were no use of "two": "one" is not the older one
    gateway.save(checked("one")).await.ok();
    gateway.save(checked("three")).await.ok();
    assert_eq!(total_calls(&gateway, "two").await, None);
    assert_eq!(total_calls(&gateway, "one").await, Some(2));
}

fn named<T>(message: T, request_id: &str) -> Request<T> {
    let mut request = Request::new(message);
    let value = request_id.parse().expect("ASCII");
    request.metadata_mut().insert("tollgate-request-id", value);
    request
}

#[tokio::test]
async fn a_refused_call_replaces_no_bill() {
    let gateway = Gateway::with(Setup {
        settings: vec![("TOLLGATE_FINISHED_CALLS", "10".to_owned())],
        ..Setup::default()
    })
    .await;
    gateway
        .save(named(save("User", user("A", "1")), "mine"))
        .await
        .ok();
    for number in 0..30 {
        let request_id = if number % 2 == 0 {
            "mine".to_owned()
        } else {
            format!("other-{number}")
        };
        let refused = gateway
            .get(named(get("Nobody", key("A", "B")), &request_id))
            .await;
        assert_eq!(refused.status().code(), Code::NotFound);
    }
    let bill = |request_id: &str| {
        let request_id = request_id.to_owned();
        let mut metrics = gateway.metrics();
        async move {
            metrics
                .get_call_metrics(v1::GetCallMetricsRequest { request_id })
                .await
        }
    };
    let mine = bill("mine").await.expect("it is kept").into_inner();
    assert_eq!((mine.rpc.as_str(), mine.code), ("Save", 0));
    assert_eq!(mine.metrics.expect("a bill").put_count, 1);
    let refused = bill("other-29").await.expect("it is the last").into_inner();
    assert_eq!(
        (refused.rpc.as_str(), refused.code),
        ("Get", Code::NotFound as u32)
    );
    // a call that passes its checks replaces the one before, also if it fails then
    let missing = gateway.get(named(get("User", key("Z", "Z")), "mine")).await;
    assert_eq!(missing.status().code(), Code::NotFound);
    assert_eq!(bill("mine").await.expect("it is kept").into_inner().rpc, "Get");
}

#[tokio::test]
async fn two_names_in_one_call_are_refused() {
    let gateway = Gateway::start().await;
    for header in ["tollgate-session", "tollgate-request-id"] {
        let mut request = Request::new(get("User", key("A", "B")));
        for value in ["one", "two"] {
            request
                .metadata_mut()
                .append(header, value.parse().expect("ASCII"));
        }
        let refusal = Refusal::of(gateway.get(request).await);
        refusal.is("INVALID_FIELD", &[header]);
        refusal.cost_nothing();
        let mut request = Request::new(get("User", key("A", "B")));
        for value in ["same", "same"] {
            request
                .metadata_mut()
                .append(header, value.parse().expect("ASCII"));
        }
        Refusal::of(gateway.get(request).await).is("ITEM_NOT_FOUND", &[]);
    }
    assert_eq!(total_calls(&gateway, "one").await, None);
    assert_eq!(total_calls(&gateway, "same").await, Some(1));
}
