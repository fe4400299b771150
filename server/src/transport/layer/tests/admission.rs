//! Which calls are admitted, billed, and with which trailers.

use std::future::ready;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tollgate_proto::metadata;
use tonic::body::Body;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::super::{CallLayer, Settings};
use super::*;
use crate::billing::TrailerChoice;
use crate::call::Call;
use crate::figure::Bill;

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_and_billed() {
    let fixture = Fixture::with(1, Duration::from_secs(30));
    let first = fixture.call(request(&[]), one_kms_call).await;
    let refused = fixture
        .call(request(&[(metadata::REQUEST_ID, "late")]), one_kms_call)
        .await;
    assert_eq!(refused.headers()["grpc-status"], "8");
    assert_eq!(reason(refused.headers()), "TOO_MANY_CALLS");
    assert_eq!(refused.headers()[metadata::REQUEST_ID], "late");
    assert_eq!(fixture.finished("late").code, Code::ResourceExhausted);
    assert_eq!(trailers_of(first).await["grpc-status"], "0");
    let third = fixture.call(request(&[]), one_kms_call).await;
    assert_eq!(trailers_of(third).await["grpc-status"], "0");
    assert_eq!((fixture.total().calls, fixture.total().failed_calls), (3, 1));
}

#[tokio::test]
async fn a_drain_waits_for_calls_and_admits_none() {
    let fixture = Fixture::new();
    let in_flight = fixture.layer.in_flight();
    let first = fixture.call(request(&[]), one_kms_call).await;
    assert_eq!(in_flight.count(), 1);
    let drain = tokio::spawn(async move { in_flight.idle().await });
    tokio::task::yield_now().await;
    let late = fixture
        .call(request(&[(metadata::REQUEST_ID, "late")]), one_kms_call)
        .await;
    assert_eq!(reason(late.headers()), "SHUTTING_DOWN");
    assert_eq!(fixture.finished("late").code, Code::Unavailable);
    assert!(!drain.is_finished());
    assert_eq!(trailers_of(first).await["grpc-status"], "0");
    drain.await.unwrap();
}

#[tokio::test]
async fn invalid_names_are_refused_and_billed_to_no_session() {
    let fixture = Fixture::new();
    let wrong = [(metadata::SESSION, "a b"), (metadata::REQUEST_ID, "c d")];
    let response = fixture.call(request(&wrong), one_kms_call).await;
    assert_eq!(response.headers()["grpc-status"], "3");
    let status = Status::from_header_map(response.headers()).unwrap();
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<&str> = violations
        .iter()
        .map(|violation| violation.field.as_str())
        .collect();
    assert_eq!(fields, [metadata::REQUEST_ID, metadata::SESSION]);
    let request_id = response.headers()[metadata::REQUEST_ID]
        .to_str()
        .unwrap()
        .to_owned();
    let finished = fixture.finished(&request_id);
    assert_eq!((finished.session, finished.code), (None, Code::InvalidArgument));
    assert_eq!(fixture.total().kms_calls, 0, "the handler was not called");
}

#[tokio::test]
async fn other_services_are_not_billed() {
    let fixture = Fixture::with(1, Duration::from_millis(10));
    let respond = |request: Request<Body>| {
        assert!(request.extensions().get::<Call>().is_none());
        ready(streamed(vec![message(), end(&Status::ok(""))]))
    };
    let path = "/tollgate.v1.MetricsService/GetTotalMetrics";
    let trailers = trailers_of(fixture.call(to(path, &[]), respond).await).await;
    assert_eq!(trailers[metadata::REQUEST_ID], "r");
    assert!(!trailers.contains_key(metadata::KMS_CALLS));
    let response = fixture
        .call(to("/nowhere.Service/Nope", &[]), |_| {
            ready(Status::unimplemented("").into_http())
        })
        .await;
    assert_eq!(reason(response.headers()), "UNIMPLEMENTED");
    assert_eq!(response.headers()[metadata::REQUEST_ID], "r");
    assert_eq!(fixture.total(), Bill::default());
}

#[tokio::test]
async fn the_settings_select_the_trailers() {
    let fixture = Fixture::new();
    let trailers = TrailerChoice {
        call: true,
        session: false,
        orca: false,
        server_timing: false,
    };
    let settings = Settings {
        trailers,
        ..fixture.layer.0.settings.clone()
    };
    let layer = CallLayer::new(Arc::clone(&fixture.accounting), settings);
    let fixture = Fixture { layer, ..fixture };
    let trailers = trailers_of(
        fixture
            .call(request(&[(metadata::SESSION, "job")]), one_kms_call)
            .await,
    )
    .await;
    assert_eq!(trailers[metadata::KMS_CALLS], "1");
    for absent in [metadata::SESSION_CALLS, metadata::ORCA, metadata::SERVER_TIMING] {
        assert!(!trailers.contains_key(absent), "{absent}");
    }
}
