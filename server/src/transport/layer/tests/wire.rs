//! The layer between a real client and a real server, over a pipe: trailers arrive, and at the deadline this layer
//! responds, not the timeout of tonic outside of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{self, StreamExt as _};
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_proto::{metadata, v1};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::service_fn;
use tower::util::BoxCloneService;

use super::super::{CallLayer, Settings};
use crate::billing::{Accounting, Bounds, Owner, Prices, TrailerChoice};
use crate::capacity::CallerLimits;

/// Stands in for DataService: `Get` returns an empty message, `Query` one message and no end, other RPCs nothing.
#[derive(Clone)]
struct Stub;

impl NamedService for Stub {
    const NAME: &'static str = "tollgate.v1.DataService";
}

impl tower::Service<Request<Body>> for Stub {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(async move {
            match request.uri().path().rsplit('/').next() {
                Some("Get") => Ok(super::empty_message()),
                Some("Query") => Ok(super::stuck()),
                _ => futures::future::pending().await,
            }
        })
    }
}

/// Plain HTTP/2, because a tonic channel would time out at the same instant as the server.
type Http2 = BoxCloneService<Request<Body>, Response<Incoming>, hyper::Error>;

struct Wire {
    accounting: Arc<Accounting>,
    client: DataServiceClient<Http2>,
}

async fn wire() -> Wire {
    let accounting = Arc::new(Accounting::new(Bounds::default(), Prices::shipped()));
    let deadline = Duration::from_secs(30);
    let trailers = TrailerChoice::default();
    let settings = Settings {
        in_flight: 100,
        in_flight_per_connection: 100,
        adaptive: false,
        callers: CallerLimits::default(),
        memory: 1 << 30,
        message_bytes: 1 << 20,
        deadline,
        deadline_max: deadline,
        stream_deadline_max: deadline,
        receive: deadline,
        slow: deadline,
        trailers,
    };
    let (near, far) = tokio::io::duplex(64 * 1024);
    let incoming = stream::iter([Ok::<_, std::io::Error>(far)]).chain(stream::pending());
    let layer = CallLayer::new(Arc::clone(&accounting), settings);
    tokio::spawn(
        Server::builder()
            .layer(layer)
            .add_service(Stub)
            .serve_with_incoming(incoming),
    );
    let connected = http2::handshake(TokioExecutor::new(), TokioIo::new(near)).await;
    let (sender, connection) = connected.unwrap();
    tokio::spawn(connection);
    let send = service_fn(move |request| sender.clone().send_request(request));
    let origin = Uri::from_static("http://pipe");
    Wire {
        accounting,
        client: DataServiceClient::with_origin(BoxCloneService::new(send), origin),
    }
}

fn with_timeout<T>(message: T, timeout: &'static str) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request
        .metadata_mut()
        .insert("grpc-timeout", timeout.parse().unwrap());
    request
        .metadata_mut()
        .insert(metadata::REQUEST_ID, "r".parse().unwrap());
    request
}

fn assert_from_this_layer(status: &Status) {
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(
        status.get_details_error_info().unwrap().reason,
        "DEADLINE_EXCEEDED",
        "an error of tonic has no details"
    );
    assert_eq!(status.metadata().get(metadata::REQUEST_ID).unwrap(), "r");
    assert!(status.metadata().contains_key(metadata::COST_USD));
}

#[tokio::test]
async fn trailers_of_a_success_arrive() {
    let mut wire = wire().await;
    let response = wire.client.get(v1::GetRequest::default()).await.unwrap();
    assert_eq!(response.metadata().get(metadata::KMS_CALLS).unwrap(), "0");
    let request_id = response
        .metadata()
        .get(metadata::REQUEST_ID)
        .unwrap()
        .to_str()
        .unwrap();
    assert_eq!(
        wire.accounting
            .finished(Owner::EVERYONE, request_id)
            .unwrap()
            .code,
        Code::Ok
    );
}

#[tokio::test]
async fn at_the_deadline_this_layer_responds() {
    let mut wire = wire().await;
    for timeout in ["20m", "100m", "5m", "900u"] {
        let status = wire
            .client
            .save(with_timeout(v1::SaveRequest::default(), timeout))
            .await
            .unwrap_err();
        assert_from_this_layer(&status);
        assert_eq!(
            wire.accounting.finished(Owner::EVERYONE, "r").unwrap().code,
            Code::DeadlineExceeded
        );
    }
}

#[tokio::test]
async fn at_the_deadline_a_stream_ends_with_its_bill() {
    let mut wire = wire().await;
    let response = wire
        .client
        .query(with_timeout(v1::QueryRequest::default(), "50m"))
        .await
        .unwrap();
    let mut pages = response.into_inner();
    assert_eq!(pages.message().await.unwrap(), Some(v1::QueryResponse::default()));
    assert_from_this_layer(&pages.message().await.unwrap_err());
}
