//! The layer around small services that stand in for the routes.

#![expect(
    clippy::disallowed_methods,
    reason = "stands for the responses of tonic itself"
)]

mod admission;
mod deadlines;
mod endings;
mod wire;

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tollgate_proto::metadata;
use tonic::Status;
use tonic::body::Body;
use tonic_types::StatusExt as _;
use tower::{Layer as _, Service as _, service_fn};

use super::{CallLayer, Settings};
use crate::billing::{Accounting, Bounds, FinishedCall, Owner, Prices, Scope, TrailerChoice};
use crate::call::Call;
use crate::capacity::CallerLimits;
use crate::figure::{AwsOperation, Bill};

type Frames = Vec<Result<Frame<Bytes>, Status>>;

struct Fixture {
    accounting: Arc<Accounting>,
    layer: CallLayer,
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
            adaptive: false,
            callers: CallerLimits::default(),
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
            layer: CallLayer::new(Arc::clone(&accounting), settings),
            accounting,
        }
    }

    /// Calls a service through the layer.
    async fn call<F, A>(&self, request: Request<Body>, service: F) -> Response<Body>
    where
        F: FnMut(Request<Body>) -> A + Clone + Send + 'static,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let mut service = service;
        let inner = service_fn(move |request| {
            let response = service(request);
            async move { Ok(response.await) }
        });
        let Ok(response) = self.layer.layer(inner).call(request).await;
        response
    }

    fn finished(&self, request_id: &str) -> FinishedCall {
        self.accounting
            .finished(Owner::EVERYONE, request_id)
            .expect("the call is closed")
    }

    fn total(&self) -> Bill {
        self.accounting
            .totals(Owner::EVERYONE, &Scope::default())
            .unwrap()
            .total
    }

    fn permits(&self) -> usize {
        self.layer.0.settings.in_flight - self.layer.0.in_flight()
    }
}

/// Captures log lines.
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

/// One message, then nothing.
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
        .expect("the layer adds the call to every request")
        .clone()
}

/// A successful response that cost one KMS call.
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
