//! Every way a call can end, against small services in place of the routes: exactly one record each.

#![expect(
    clippy::disallowed_methods,
    reason = "stands for what tonic answers by itself"
)]

use std::future::{Future, pending, ready};
use std::time::Instant;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::sync::Notify;
use tollgate_proto::metadata;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::{Layer as _, Service as _, service_fn};

use super::*;
use crate::billing::{Bounds, FinishedCall, Prices, Scope};
use crate::call::Call;
use crate::figure::{AwsOperation, Bill, Rpc};

type Frames = Vec<Result<Frame<Bytes>, Status>>;

struct Fixture {
    accounting: Arc<Accounting>,
    layer: GateLayer,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture::with(2, Duration::from_secs(30))
    }

    fn with(in_flight: usize, deadline: Duration) -> Fixture {
        let accounting = Arc::new(Accounting::new(Bounds::default(), Prices::shipped()));
        let trailers = TrailerChoice::default();
        let settings = Settings {
            in_flight,
            in_flight_per_connection: in_flight,
            memory: 1 << 30,
            message_bytes: 1 << 20,
            deadline,
            deadline_max: Duration::from_secs(300),
            stream_deadline_max: Duration::from_secs(3600),
            receive: Duration::from_secs(10),
            slow: Duration::from_millis(100),
            trailers,
        };
        Fixture {
            layer: GateLayer::new(Arc::clone(&accounting), settings),
            accounting,
        }
    }

    /// Calls a service through the gate.
    async fn call<F, A>(&self, request: Request<Body>, service: F) -> Response<Body>
    where
        F: FnMut(Request<Body>) -> A + Clone + Send + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let mut service = service;
        let inner = service_fn(move |request| {
            let answer = service(request);
            async move { Ok(answer.await) }
        });
        let Ok(response) = self.layer.layer(inner).call(request).await;
        response
    }

    fn finished(&self, request_id: &str) -> FinishedCall {
        self.accounting.finished(request_id).expect("the call is closed")
    }

    fn total(&self) -> Bill {
        self.accounting.totals(&Scope::default()).unwrap().total
    }

    fn permits(&self) -> usize {
        self.layer.0.settings.in_flight - self.layer.0.in_flight()
    }
}

/// What is logged.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn request(metadata: &[(&'static str, &str)]) -> Request<Body> {
    to("/tollgate.v1.DataService/Get", metadata)
}

fn to(path: &str, metadata: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = path.parse().unwrap();
    request
        .headers_mut()
        .insert(metadata::REQUEST_ID, HeaderValue::from_static("r"));
    for (name, value) in metadata {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    request
}

/// An empty message in gRPC's framing.
fn message() -> Result<Frame<Bytes>, Status> {
    Ok(Frame::data(Bytes::from_static(&[0; 5])))
}

fn end(status: &Status) -> Result<Frame<Bytes>, Status> {
    let mut trailers = HeaderMap::new();
    status.add_header(&mut trailers).unwrap();
    Ok(Frame::trailers(trailers))
}

fn streamed(frames: Frames) -> Response<Body> {
    Response::new(Body::new(StreamBody::new(stream::iter(frames))))
}

/// One message and success.
pub(super) fn empty_message() -> Response<Body> {
    streamed(vec![message(), end(&Status::ok(""))])
}

/// One message, and then nothing for ever.
pub(super) fn stuck() -> Response<Body> {
    let frames = stream::once(ready(message()));
    Response::new(Body::new(StreamBody::new(stream::StreamExt::chain(
        frames,
        stream::pending(),
    ))))
}

fn call_of(request: &Request<Body>) -> Call {
    request
        .extensions()
        .get::<Call>()
        .expect("the layer gives every request its call")
        .clone()
}

/// A successful answer that cost one KMS call.
async fn one_kms_call(request: Request<Body>) -> Response<Body> {
    let call = call_of(&request);
    call.set_model("User");
    call.attempt(AwsOperation::Decrypt).finish();
    empty_message()
}

async fn trailers_of(response: Response<Body>) -> HeaderMap {
    let collected = response.into_body().collect().await.unwrap();
    collected.trailers().cloned().unwrap_or_default()
}

fn reason(headers: &HeaderMap) -> String {
    Status::from_header_map(headers)
        .unwrap()
        .get_details_error_info()
        .unwrap()
        .reason
}

#[tokio::test]
async fn a_success_has_its_bill_in_the_trailers() {
    let fixture = Fixture::new();
    let response = fixture
        .call(request(&[(metadata::SESSION, "job")]), one_kms_call)
        .await;
    assert!(
        fixture.accounting.finished("r").is_none(),
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
        ready(status::status(Reason::ItemNotFound, "there is none").into_http())
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
async fn an_unknown_method_is_billed_under_no_name() {
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
async fn a_message_too_large_is_told_as_our_limit() {
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
async fn a_caller_that_leaves_midway_is_cancelled_and_billed() {
    let fixture = Fixture::new();
    let arrived = Arc::new(Notify::new());
    let called = {
        let arrived = Arc::clone(&arrived);
        move |request: Request<Body>| {
            let (call, arrived) = (call_of(&request), Arc::clone(&arrived));
            async move {
                let _under_way = call.attempt(AwsOperation::GetItem);
                arrived.notify_one();
                pending().await
            }
        }
    };
    let call = fixture.call(request(&[(metadata::SESSION, "job")]), called);
    tokio::select! {
        _ = call => panic!("nobody answers"),
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
    assert_eq!(fixture.accounting.totals(&session).unwrap().total, finished.bill);
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
async fn a_body_that_breaks_off_closes_the_call() {
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
async fn the_deadline_ends_a_call_that_does_not_answer() {
    let fixture = Fixture::new();
    let stuck = |request: Request<Body>| {
        let call = call_of(&request);
        async move {
            let _under_way = call.attempt(AwsOperation::GetItem);
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
async fn what_a_stream_has_under_way_at_the_deadline_is_billed() {
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
async fn a_caller_that_does_not_read_holds_its_place_until_the_deadline() {
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
async fn work_that_goes_on_after_the_deadline_is_billed_to_its_call() {
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

#[tokio::test]
async fn calls_past_the_limit_are_refused_and_billed() {
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
async fn a_request_that_breaks_off_is_cancelled_whatever_is_answered() {
    let fixture = Fixture::new();
    for answer in [
        Status::internal("h2 protocol error"),
        Status::invalid_argument("half"),
    ] {
        let torn = stream::iter([message(), Err(Status::unknown("reset"))]);
        let request = request(&[]).map(|_| Body::new(StreamBody::new(torn)));
        let read = move |request: Request<Body>| {
            let answer = answer.clone();
            async move {
                assert!(request.into_body().collect().await.is_err());
                answer.into_http()
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
async fn calls_that_are_cut_off_are_closed_once() {
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
async fn what_the_library_answers_is_logged_under_the_calls_id() {
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

#[tokio::test]
async fn wrong_names_are_refused_and_billed_to_no_session() {
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
    let answer = |request: Request<Body>| {
        assert!(request.extensions().get::<Call>().is_none());
        ready(streamed(vec![message(), end(&Status::ok(""))]))
    };
    let path = "/tollgate.v1.MetricsService/GetTotalMetrics";
    let trailers = trailers_of(fixture.call(to(path, &[]), answer).await).await;
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
async fn the_settings_choose_the_trailers() {
    let fixture = Fixture::new();
    let trailers = TrailerChoice {
        call: true,
        session: false,
        orca: false,
        server_timing: false,
    };
    let settings = Settings {
        trailers,
        ..fixture.layer.0.settings
    };
    let layer = GateLayer::new(Arc::clone(&fixture.accounting), settings);
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
