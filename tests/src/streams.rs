//! Calls as single HTTP/2 streams: requests that do not end, and responses that nobody reads.

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tonic::Status;

use crate::gateway::Gateway;

/// One connection.
pub struct Http2 {
    send: SendRequest<Bytes>,
    connection: JoinHandle<()>,
}

/// A call that was begun.
pub struct Call {
    /// The way of its request's bytes.
    pub request: SendStream<Bytes>,
    response: ResponseFuture,
}

/// How a call ended.
#[derive(Debug)]
pub enum End {
    /// With this status.
    Status(Status),
    /// The stream was reset, after so many bytes of the response.
    Reset(Reason, usize),
}

impl Http2 {
    /// Opens a connection; responses may have so many bytes that are not taken.
    pub async fn connect(gateway: &Gateway, window_bytes: u32) -> Http2 {
        let socket = TcpStream::connect(gateway.address()).await.expect("it listens");
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(window_bytes)
            .initial_connection_window_size(1 << 30);
        let (send, connection) = builder.handshake(socket).await.expect("HTTP/2");
        // how it ends is seen by its streams
        let connection = tokio::spawn(async move { drop(connection.await) });
        Http2 { send, connection }
    }

    /// Sends the head of a call, such as of `/tollgate.v1.DataService/Get`.
    pub async fn begin(&mut self, path: &str, metadata: &[(&str, &str)]) -> Call {
        let mut head = http::Request::post(format!("http://tollgate{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in metadata {
            head = head.header(*name, *value);
        }
        let head = head.body(()).expect("a head");
        let mut send = self.send.clone().ready().await.expect("the connection is open");
        let (response, request) = send.send_request(head, false).expect("a stream");
        Call { request, response }
    }

    /// Makes a call whose request is whole.
    pub async fn call(&mut self, path: &str, metadata: &[(&str, &str)], message: &impl Message) -> Call {
        let mut call = self.begin(path, metadata).await;
        let bytes = framed(&message.encode_to_vec());
        call.request.send_data(bytes, true).expect("the stream is open");
        call
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl Call {
    /// Waits for the head of the response.
    pub async fn response(self) -> http::Response<RecvStream> {
        self.response.await.expect("a response")
    }

    /// Waits for the end of the call without taking any byte of its response.
    pub async fn unread(self) -> End {
        // kept, so that the caller is still there
        let _request = self.request;
        match self.response.await {
            Ok(response) => {
                let (head, body) = response.into_parts();
                match Status::from_header_map(&head.headers) {
                    Some(status) => End::Status(status),
                    None => end_of(body).await,
                }
            }
            Err(error) => End::Reset(error.reason().expect("a reset stream"), 0),
        }
    }

    /// Sends as much of this as the gateway takes, and returns how much that was so far.
    pub async fn send(&mut self, mut bytes: Bytes, sent: impl Fn(usize)) {
        while !bytes.is_empty() {
            self.request.reserve_capacity(bytes.len());
            let capacity = std::future::poll_fn(|context| self.request.poll_capacity(context)).await;
            let Some(Ok(capacity)) = capacity else { return };
            let part = bytes.split_to(capacity.min(bytes.len()));
            sent(part.len());
            if self.request.send_data(part, false).is_err() {
                return;
            }
        }
    }
}

async fn end_of(mut body: RecvStream) -> End {
    let mut taken = 0;
    loop {
        match body.data().await {
            // not released: the window stays as full as it is
            Some(Ok(bytes)) => taken += bytes.len(),
            Some(Err(error)) => return End::Reset(error.reason().expect("a reset stream"), taken),
            None => break,
        }
    }
    match body.trailers().await {
        Ok(trailers) => End::Status(of_trailers(&trailers.unwrap_or_default())),
        Err(error) => End::Reset(error.reason().expect("a reset stream"), taken),
    }
}

fn of_trailers(trailers: &HeaderMap) -> Status {
    Status::from_header_map(trailers).expect("a status")
}

/// A message in gRPC's framing.
pub fn framed(message: &[u8]) -> Bytes {
    [&prefix(message.len()), message].concat().into()
}

/// What precedes a message of so many bytes.
pub fn prefix(length: usize) -> [u8; 5] {
    let [a, b, c, d] = u32::try_from(length).expect("a message").to_be_bytes();
    [0, a, b, c, d]
}
