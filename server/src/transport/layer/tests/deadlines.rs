//! How deadlines end calls and streams.

use std::future::{pending, ready};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream;
use http::{Request, Response};
use http_body_util::StreamBody;
use tokio::sync::Notify;
use tollgate_proto::metadata;
use tonic::Code;
use tonic::body::Body;

use super::*;
use crate::figure::AwsOperation;

#[tokio::test]
async fn the_deadline_ends_a_call_without_a_response() {
    let fixture = Fixture::new();
    let stuck = |request: Request<Body>| {
        let call = call_of(&request);
        async move {
            let _in_progress = call.attempt(AwsOperation::GetItem);
            pending().await
        }
    };
    let started = Instant::now();
    let response = fixture.call(request(&[("grpc-timeout", "50m")]), stuck).await;
    assert!(started.elapsed() >= Duration::from_millis(45));
    assert_eq!(response.headers()["grpc-status"], "4");
    assert_eq!(reason(response.headers()), "DEADLINE_EXCEEDED");
    assert_eq!(response.headers()[metadata::DYNAMODB_CALLS], "1");
    assert_ne!(
        response.headers()[metadata::DYNAMODB_DURATION_MS],
        "0.000",
        "the attempt was dropped and timed"
    );
    assert_eq!(fixture.finished("r").bill.cancelled_calls, 1);
}

#[tokio::test]
async fn the_deadline_ends_a_stream() {
    let fixture = Fixture::with(2, Duration::from_millis(40));
    let trailers = trailers_of(fixture.call(request(&[]), |_| ready(stuck())).await).await;
    assert_eq!(trailers["grpc-status"], "4");
    assert_eq!(reason(&trailers), "DEADLINE_EXCEEDED");
    assert_eq!(trailers[metadata::REQUEST_ID], "r");
    assert_eq!(fixture.finished("r").code, Code::DeadlineExceeded);
    assert_eq!(fixture.total().calls, 1);
}

#[tokio::test]
async fn attempts_in_progress_at_the_deadline_are_billed() {
    let fixture = Fixture::with(2, Duration::from_millis(40));
    let paging = |request: Request<Body>| {
        let attempt = call_of(&request).attempt(AwsOperation::Query);
        let pages = stream::StreamExt::map(stream::pending::<()>(), move |()| {
            let _held = &attempt;
            message()
        });
        ready(Response::new(Body::new(StreamBody::new(pages))))
    };
    let trailers = trailers_of(fixture.call(request(&[]), paging).await).await;
    assert_eq!(trailers["grpc-status"], "4");
    assert_eq!(trailers[metadata::DYNAMODB_CALLS], "1");
    assert_ne!(
        trailers[metadata::DYNAMODB_DURATION_MS],
        "0.000",
        "the attempt was dropped and timed"
    );
}

#[tokio::test]
async fn a_caller_that_does_not_read_holds_its_permit_until_the_deadline() {
    let fixture = Fixture::with(1, Duration::from_millis(40));
    let unread = fixture.call(request(&[]), one_kms_call).await;
    assert_eq!(fixture.permits(), 0);
    tokio::time::sleep(Duration::from_millis(80)).await;
    assert_eq!(fixture.permits(), 1);
    assert_eq!(fixture.finished("r").code, Code::DeadlineExceeded);
    assert_eq!(trailers_of(unread).await["grpc-status"], "4");
    assert_eq!(fixture.total().calls, 1);
}

#[tokio::test]
async fn work_after_the_deadline_is_billed_to_its_call() {
    let fixture = Fixture::new();
    let done = Arc::new(Notify::new());
    let spawning = {
        let done = Arc::clone(&done);
        move |request: Request<Body>| {
            let (call, done) = (call_of(&request), Arc::clone(&done));
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(60)).await;
                call.attempt(AwsOperation::DeleteObject).finish();
                done.notify_one();
            });
            pending()
        }
    };
    let response = fixture.call(request(&[("grpc-timeout", "20m")]), spawning).await;
    assert_eq!(response.headers()[metadata::S3_CALLS], "0");
    done.notified().await;
    assert_eq!(fixture.finished("r").bill.s3_calls, 1);
    assert_eq!((fixture.total().s3_calls, fixture.total().calls), (1, 1));
}
