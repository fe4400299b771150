//! Requests by presigned URL over HTTP, as any client sends them.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tollgate_proto::v1;

/// A response to a URL.
#[derive(Debug)]
pub struct UrlResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

impl UrlResponse {
    /// S3's code of an error.
    pub fn code(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let code = text
            .split_once("<Code>")
            .and_then(|(_, rest)| rest.split_once("</Code>"));
        code.map(|(code, _)| code.to_owned()).unwrap_or_default()
    }
}

/// Sends a request to a URL, with exactly these headers and `host`.
pub async fn send(method: &str, url: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> UrlResponse {
    let uri: http::Uri = url.parse().expect("a URL");
    let host = uri.authority().expect("a host").to_string();
    let target = uri.path_and_query().expect("a path").as_str();
    let request = headers
        .iter()
        .fold(
            Request::builder()
                .method(method)
                .uri(target)
                .header("host", &host),
            |request, (name, value)| request.header(*name, *value),
        )
        .body(Full::new(body.into()))
        .expect("a request");
    let stream = TcpStream::connect(&host).await.expect("the port listens");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .expect("HTTP");
    let serving = tokio::spawn(connection);
    let response = sender.send_request(request).await.expect("a response");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("a whole body").to_bytes();
    drop(sender);
    // what goes wrong after the response is of no interest
    let _ = serving.await;
    UrlResponse {
        status: head.status,
        body,
    }
}

/// Uses a URL as the gateway returned it.
pub async fn follow(method: &str, presigned: &v1::PresignResponse, body: impl Into<Bytes>) -> UrlResponse {
    let headers: Vec<(&str, &str)> = presigned
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    send(method, &presigned.url, &headers, body).await
}
