//! Messages and connections that no gRPC library would make.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Attackers call from another address than the ordinary caller, as they would.
const ATTACKER: &str = "127.0.0.2:0";
/// How long an attacker waits before it counts on getting nothing.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

/// One HTTP/2 connection of an attacker.
pub(crate) struct Connection {
    send: SendRequest<Bytes>,
    driver: JoinHandle<()>,
}

/// A call that was begun.
pub(crate) struct Begun {
    pub(crate) response: ResponseFuture,
    pub(crate) request: SendStream<Bytes>,
}

/// A TCP connection from the attacker's address.
pub(crate) async fn connect(server: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(ATTACKER.parse().expect("an address"))?;
    socket.connect(server).await
}

impl Connection {
    pub(crate) async fn open(server: SocketAddr) -> Connection {
        let stream = connect(server).await.expect("it listens");
        let (send, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        let driver = tokio::spawn(async move {
            // the server may well close it
            let _ = connection.await;
        });
        Connection { send, driver }
    }

    /// Begins a call: its headers are sent. None once the server admits no more streams on this connection.
    pub(crate) async fn begin(&mut self, path: &str, extra: &[(&str, &str)]) -> Option<Begun> {
        let ready = timeout(Duration::from_secs(1), self.send.clone().ready()).await;
        self.send = ready.ok()?.ok()?;
        let mut request = Request::post(format!("http://tollgate{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in extra {
            request = request.header(*name, *value);
        }
        let request = request.body(()).expect("a request");
        let (response, request) = self.send.send_request(request, false).ok()?;
        Some(Begun { response, request })
    }

    /// One call with a whole message; its status, and the message of the status. None if it got none in time.
    pub(crate) async fn call(&mut self, path: &str, message: &[u8]) -> Option<String> {
        let Begun {
            response,
            mut request,
        } = self.begin(path, &[]).await?;
        request.send_data(framed(message), true).ok()?;
        timeout(TIMEOUT, status(response)).await.ok()?
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// `grpc-status` of a response that is read to its end.
async fn status(response: ResponseFuture) -> Option<String> {
    let (head, body) = response.await.ok()?.into_parts();
    if let Some(status) = grpc_status(&head.headers) {
        return Some(status);
    }
    grpc_status(&read(body).await?)
}

async fn read(mut body: RecvStream) -> Option<HeaderMap> {
    while let Some(chunk) = body.data().await {
        let bytes = chunk.ok()?.len();
        body.flow_control().release_capacity(bytes).ok()?;
    }
    body.trailers().await.ok()?
}

fn grpc_status(headers: &HeaderMap) -> Option<String> {
    let status = headers.get("grpc-status")?;
    Some(status.to_str().expect("digits").to_owned())
}

/// A message with gRPC's five bytes before it.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("a message"));
    framed.put_slice(message);
    framed.freeze()
}

/// A field of the wire type 2: a message, a text or bytes.
pub(crate) fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend_from_slice(content);
    bytes
}
