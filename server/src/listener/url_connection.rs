//! Serves one connection of the port for presigned URLs: HTTP/1.1, with bodies of any size. Knows nothing of what a URL is
//! for.
//!
//! | a connection | is closed |
//! |---|---|
//! | that does not send a request head within `handshake`, also after a response | at once |
//! | on which no byte moves for [`STALL_TIME`] | at once |
//! | older than `age` | after the response in progress, and at twice that age at once |

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::limits::Limits;

/// How long neither side may send anything.
const STALL_TIME: Duration = Duration::from_secs(60);
/// Bytes of a request's head, and of what is read ahead.
const MAX_BUFFER_BYTES: usize = 64 * 1024;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Responds to a request by URL.
pub(crate) type Respond = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// A port for presigned URLs that is bound but does not serve yet.
pub(crate) struct UrlPort {
    pub(crate) socket: TcpListener,
    pub(crate) respond: Respond,
}

/// Serves a connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    respond: Respond,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let moved = Arc::new(AtomicU64::new(0));
    let socket = Socket {
        stream,
        moved: Arc::clone(&moved),
    };
    let service = service_fn(move |request| {
        let responding = respond(request);
        async move { Ok::<_, Infallible>(responding.await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.handshake)
        .max_buf_size(MAX_BUFFER_BYTES)
        .serve_connection(TokioIo::new(socket), service);
    let mut serving = pin!(serving);
    let mut stalled = pin!(stalled(&moved));
    let mut aged = pin!(tokio::time::sleep_until(Instant::now() + limits.age));
    let mut is_ending = false;
    loop {
        tokio::select! {
            // an error concerns only the client of this connection
            _ = &mut serving => return,
            () = &mut stalled => return,
            () = &mut aged => {
                if is_ending {
                    return;
                }
                is_ending = true;
                serving.as_mut().graceful_shutdown();
                aged.as_mut().reset(Instant::now() + limits.age);
            }
            _ = stop.changed(), if !is_ending => {
                is_ending = true;
                serving.as_mut().graceful_shutdown();
            }
        }
    }
}

/// Returns once no byte has moved for [`STALL_TIME`], up to twice as late.
async fn stalled(moved: &AtomicU64) {
    loop {
        let before = moved.load(Ordering::Relaxed);
        tokio::time::sleep(STALL_TIME).await;
        if moved.load(Ordering::Relaxed) == before {
            return;
        }
    }
}

/// A socket that counts the bytes that move.
struct Socket {
    stream: TcpStream,
    moved: Arc<AtomicU64>,
}

impl Socket {
    fn count(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.count(buffer.filled().len() - before);
        polled
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.count(bytes);
        }
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        if let Poll::Ready(Ok(bytes)) = polled {
            self.count(bytes);
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Full};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn limits() -> Limits {
        Limits {
            connections: 4,
            connections_per_peer: 4,
            streams_per_connection: 1,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(600),
            age: Duration::from_secs(3600),
        }
    }

    /// A connection to a port that responds to everything with `hello`, once it has read the whole body.
    async fn connected() -> (TcpStream, watch::Sender<bool>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let respond: Respond = Arc::new(|request: Request<Incoming>| {
            Box::pin(async move {
                let _ = request.into_body().collect().await;
                let body = Full::new(Bytes::from_static(b"hello")).map_err(|never| match never {});
                Response::new(body.boxed_unsync())
            })
        });
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(stream, respond, limits(), stopped));
        (client, stop)
    }

    async fn rest(client: &mut TcpStream) -> String {
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test(start_paused = true)]
    async fn closes_a_connection_without_a_request() {
        let (mut client, _stop) = connected().await;
        client.write_all(b"GET /slow").await.unwrap();
        let begun = Instant::now();
        let response = rest(&mut client).await;
        assert!(!response.contains("hello"), "{response}");
        assert_eq!(begun.elapsed().as_secs(), limits().handshake.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn closes_a_connection_whose_body_stalls() {
        let (mut client, _stop) = connected().await;
        let head = b"PUT /k HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf";
        client.write_all(head).await.unwrap();
        let begun = Instant::now();
        assert_eq!(rest(&mut client).await, "");
        assert!(begun.elapsed() <= 2 * STALL_TIME, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn ends_an_idle_connection_at_shutdown() {
        let (mut client, stop) = connected().await;
        client
            .write_all(b"GET /k HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        let mut head = [0; 15];
        client.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200 OK");
        stop.send_replace(true);
        let begun = Instant::now();
        assert!(rest(&mut client).await.ends_with("hello"));
        assert_eq!(begun.elapsed().as_secs(), 0);
    }
}
