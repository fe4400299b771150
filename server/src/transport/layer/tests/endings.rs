//! How calls end, other than by their deadline: each has exactly one record.

use std::future::{pending, ready};
use std::sync::Arc;

use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::Notify;
use tollgate_proto::{Reason, metadata};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer as _, Service as _, service_fn};

use super::super::super::status;
use super::*;
use crate::billing::{Owner, Scope};
use crate::figure::{AwsOperation, Rpc};

#[tokio::test]
async fn a_success_has_its_bill_in_the_trailers() {
    let fixture = Fixture::new();
    let response = fixture
        .call(request(&[(metadata::SESSION, "job")]), one_kms_call)
        .await;
    assert!(
        fixture.accounting.finished(Owner::EVERYONE, "r").is_none(),
        "not before the body ends"
    );
    assert_eq!(fixture.permits(), 1);
    let trailers = trailers_of(response).await;
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers[metadata::REQUEST_ID], "r");
    assert_eq!(trailers[metadata::KMS_CALLS], "1");
    assert_eq!(trailers[metadata::SESSION_CALLS], "1");
    assert_eq!(trailers[metadata::COST_USD], "0.000003");
    let finished = fixture.finished("r");
    assert_eq!(
        (finished.code, finished.rpc, finished.model.as_deref()),
        (Code::Ok, Rpc::Get, Some("User"))
    );
    assert_eq!(fixture.total().calls, 1);
    assert_eq!(fixture.permits(), 2);
}

#[tokio::test]
async fn an_error_of_a_handler_has_its_bill_in_the_head() {
    let fixture = Fixture::new();
    let fail = |request: Request<Body>| {
        call_of(&request).attempt(AwsOperation::Decrypt).finish();
        ready(status::status(Reason::ItemNotFound, "no such item").into_http())
    };
    let response = fixture.call(request(&[]), fail).await;
    assert_eq!(response.headers()["grpc-status"], "5");
    assert_eq!(response.headers()[metadata::KMS_CALLS], "1");
    assert_eq!(reason(response.headers()), "ITEM_NOT_FOUND");
    assert!(
        trailers_of(response).await.is_empty(),
        "Trailers-Only has no other trailers"
    );
    assert_eq!(fixture.finished("r").code, Code::NotFound);
    assert_eq!((fixture.total().calls, fixture.total().failed_calls), (1, 1));
}

#[tokio::test]
async fn an_error_in_a_stream_has_its_bill_in_the_trailers() {
    let fixture = Fixture::new();
    let broken = |_| {
        ready(streamed(vec![
            message(),
            end(&Status::internal("Unexpected EOF decoding stream.")),
        ]))
    };
    let trailers = trailers_of(fixture.call(request(&[]), broken).await).await;
    assert_eq!(trailers["grpc-status"], "3");
    assert_eq!(reason(&trailers), "UNDECODABLE_MESSAGE");
    assert_eq!(trailers[metadata::KMS_CALLS], "0");
    assert_eq!(fixture.finished("r").code, Code::InvalidArgument);
    assert_eq!(fixture.total().calls, 1);
}

#[tokio::test]
async fn an_unknown_method_is_billed_as_unknown() {
    let fixture = Fixture::new();
    let unknown = |_| ready(Status::unimplemented("").into_http());
    let response = fixture
        .call(to("/tollgate.v1.DataService/Nope", &[]), unknown)
        .await;
    assert_eq!(response.headers()["grpc-status"], "12");
    assert_eq!(reason(response.headers()), "UNIMPLEMENTED");
    assert_eq!(response.headers()[metadata::DYNAMODB_CALLS], "0");
    assert_eq!(fixture.finished("r").rpc, Rpc::Unknown);
}

#[tokio::test]
async fn reports_a_message_too_large_with_its_reason() {
    let fixture = Fixture::new();
    let text = "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes";
    let response = fixture
        .call(request(&[]), move |_| {
            ready(Status::out_of_range(text).into_http())
        })
        .await;
    assert_eq!(response.headers()["grpc-status"], "8");
    assert_eq!(reason(response.headers()), "MESSAGE_TOO_LARGE");
    assert_eq!(fixture.finished("r").code, Code::ResourceExhausted);
}

#[tokio::test]
async fn a_caller_that_disconnects_midway_is_cancelled_and_billed() {
    let fixture = Fixture::new();
    let arrived = Arc::new(Notify::new());
    let called = {
        let arrived = Arc::clone(&arrived);
        move |request: Request<Body>| {
            let (call, arrived) = (call_of(&request), Arc::clone(&arrived));
            async move {
                let _in_progress = call.attempt(AwsOperation::GetItem);
                arrived.notify_one();
                pending().await
            }
        }
    };
    let call = fixture.call(request(&[(metadata::SESSION, "job")]), called);
    tokio::select! {
        _ = call => panic!("there is no response"),
        () = arrived.notified() => {}
    }
    let finished = fixture.finished("r");
    assert_eq!(
        (finished.code, finished.bill.dynamodb_calls),
        (Code::Cancelled, 1)
    );
    assert_eq!(
        (finished.bill.cancelled_calls, finished.bill.failed_calls),
        (1, 0)
    );
    let session = Scope {
        session: Some("job".to_owned()),
        model: None,
    };
    assert_eq!(
        fixture
            .accounting
            .totals(Owner::EVERYONE, &session)
            .unwrap()
            .total,
        finished.bill
    );
    assert_eq!(fixture.permits(), 2);
}

#[tokio::test]
async fn a_call_that_is_never_polled_is_cancelled() {
    let fixture = Fixture::new();
    let inner = service_fn(|request| async { Ok(one_kms_call(request).await) });
    drop(fixture.layer.layer(inner).call(request(&[])));
    assert_eq!(fixture.finished("r").code, Code::Cancelled);
}

#[tokio::test]
async fn a_stream_that_is_dropped_is_cancelled() {
    let fixture = Fixture::new();
    let mut body = fixture.call(request(&[]), |_| ready(stuck())).await.into_body();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    drop(body);
    assert_eq!(fixture.finished("r").code, Code::Cancelled);
    assert_eq!((fixture.total().calls, fixture.permits()), (1, 2));
}

#[tokio::test]
async fn a_body_that_ends_early_closes_the_call() {
    let fixture = Fixture::new();
    let torn = |_| ready(streamed(vec![message(), Err(Status::unavailable("torn"))]));
    let response = fixture.call(request(&[]), torn).await;
    assert!(response.into_body().collect().await.is_err());
    assert_eq!(fixture.finished("r").code, Code::Unavailable);
    let silent = |_| ready(streamed(vec![message()]));
    assert!(
        trailers_of(fixture.call(request(&[]), silent).await)
            .await
            .is_empty()
    );
    assert_eq!(fixture.finished("r").code, Code::Unknown);
    let empty = |_| ready(Response::new(Body::empty()));
    assert!(
        trailers_of(fixture.call(request(&[]), empty).await)
            .await
            .is_empty()
    );
    assert_eq!((fixture.total().calls, fixture.permits()), (3, 2));
}

#[tokio::test]
async fn a_request_that_breaks_off_is_cancelled_whatever_the_response() {
    let fixture = Fixture::new();
    for status in [
        Status::internal("h2 protocol error"),
        Status::invalid_argument("half"),
    ] {
        let torn = stream::iter([message(), Err(Status::unknown("reset"))]);
        let request = request(&[]).map(|_| Body::new(StreamBody::new(torn)));
        let read = move |request: Request<Body>| {
            let status = status.clone();
            async move {
                assert!(request.into_body().collect().await.is_err());
                status.into_http()
            }
        };
        let response = fixture.call(request, read).await;
        assert_eq!(reason(response.headers()), "CANCELLED");
        assert_eq!(fixture.finished("r").code, Code::Cancelled);
    }
    assert_eq!(
        (fixture.total().cancelled_calls, fixture.total().failed_calls),
        (2, 0)
    );
}

#[tokio::test]
async fn interrupted_calls_are_closed_once() {
    let fixture = Fixture::new();
    let mut body = fixture.call(request(&[]), |_| ready(stuck())).await.into_body();
    fixture.layer.in_flight().cut_off();
    let finished = fixture.finished("r");
    assert_eq!(
        (finished.code, finished.bill.failed_calls),
        (Code::Unavailable, 1)
    );
    assert!(body.frame().await.unwrap().unwrap().is_data());
    drop(body);
    assert_eq!(fixture.finished("r").code, Code::Unavailable);
    assert_eq!((fixture.total().calls, fixture.permits()), (1, 2));
    fixture.layer.in_flight().cut_off();
    assert_eq!(fixture.total().calls, 1);
}

#[tokio::test]
async fn logs_errors_of_the_grpc_library_with_the_request_id() {
    let fixture = Fixture::new();
    let lines = Lines::default();
    let written = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || written.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let broken = || Status::internal("the cause");
    let head = move |_| ready(broken().into_http());
    fixture.call(request(&[]), head).await;
    let late = request(&[(metadata::REQUEST_ID, "late")]);
    let trailers = move |_| ready(streamed(vec![message(), end(&broken())]));
    trailers_of(fixture.call(late, trailers).await).await;
    let other = to(
        "/tollgate.v1.MetricsService/ResetMetrics",
        &[(metadata::REQUEST_ID, "other")],
    );
    fixture.call(other, head).await;
    let text = lines.text();
    let warnings: Vec<&str> = text.lines().filter(|line| line.contains("the cause")).collect();
    assert_eq!(warnings.len(), 3, "{text}");
    for (line, id) in warnings.iter().zip(["r", "late", "other"]) {
        assert!(line.contains(&format!("request_id={id:?}")), "{line}");
    }
}
