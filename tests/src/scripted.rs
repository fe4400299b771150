//! Responses whose bodies end early, break or pause, with their original headers.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame};

/// A step of a scripted body.
enum Step {
    Chunk(io::Result<Bytes>),
    Pause(Pin<Box<tokio::time::Sleep>>),
}

/// A body that follows a script.
struct Scripted(VecDeque<Step>);

impl Body for Scripted {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(Step::Pause(sleep)) = self.0.front_mut() {
            ready!(sleep.as_mut().poll(context));
            self.0.pop_front();
        }
        match self.0.pop_front() {
            Some(Step::Chunk(chunk)) => Poll::Ready(Some(chunk.map(Frame::data))),
            Some(Step::Pause(_)) | None => Poll::Ready(None),
        }
    }
}

/// The body ends cleanly after so many bytes.
///
/// # Errors
///
/// If the original body cannot be read.
pub async fn cut(response: HttpResponse, bytes: usize) -> Result<HttpResponse, ConnectorError> {
    scripted(response, |content| {
        vec![Step::Chunk(Ok(content.slice(..bytes.min(content.len()))))]
    })
    .await
}

/// The connection is reset after so many bytes of the body.
///
/// # Errors
///
/// If the original body cannot be read.
pub async fn broken(response: HttpResponse, bytes: usize) -> Result<HttpResponse, ConnectorError> {
    scripted(response, |content| {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let sent = content.slice(..bytes.min(content.len()));
        vec![Step::Chunk(Ok(sent)), Step::Chunk(Err(reset))]
    })
    .await
}

/// The body pauses after its first byte.
///
/// # Errors
///
/// If the original body cannot be read.
pub async fn paused(response: HttpResponse, time: Duration) -> Result<HttpResponse, ConnectorError> {
    scripted(response, |content| {
        let (first, rest) = (content.slice(..1), content.slice(1..));
        let pause = Step::Pause(Box::pin(tokio::time::sleep(time)));
        vec![Step::Chunk(Ok(first)), pause, Step::Chunk(Ok(rest))]
    })
    .await
}

/// The response and its body.
///
/// # Errors
///
/// If the body cannot be read.
pub async fn buffered(mut response: HttpResponse) -> Result<(HttpResponse, Bytes), ConnectorError> {
    let stored = std::mem::replace(response.body_mut(), SdkBody::taken());
    let content = stored.collect().await.map_err(ConnectorError::io)?.to_bytes();
    *response.body_mut() = SdkBody::from(content.clone());
    Ok((response, content))
}

async fn scripted(
    response: HttpResponse,
    script: impl FnOnce(Bytes) -> Vec<Step>,
) -> Result<HttpResponse, ConnectorError> {
    let (mut response, content) = buffered(response).await?;
    *response.body_mut() = SdkBody::from_body_1_x(Scripted(script(content).into()));
    Ok(response)
}
