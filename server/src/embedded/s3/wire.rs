//! Passes requests of the SDK to the `s3s` service and returns its responses, without a socket. Knows nothing of buckets.

use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, StatusCode};
use s3s::Body;
use s3s::service::S3Service;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::chunked::{DecodedBody, Trailers};

const DECODED_CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
const AWS_CHUNKED: &str = "aws-chunked";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Handles one request of the SDK.
pub(super) fn call(service: &S3Service, request: HttpRequest) -> HttpConnectorFuture {
    let service = service.clone();
    HttpConnectorFuture::new(async move {
        handle(&service, request)
            .await
            .map_err(|failure| ConnectorError::other(failure, None))
    })
}

async fn handle(service: &S3Service, request: HttpRequest) -> Result<HttpResponse, BoxError> {
    let request = to_service(request.try_into_http1x()?)?;
    let is_head = request.method() == Method::HEAD;
    // s3s logs whole requests, and every 404 as an error; errors are logged where they become a status
    let response = service
        .call(request)
        .with_subscriber(Dispatch::none())
        .await
        .map_err(BoxError::from)?;
    from_service(response, is_head)
}

fn to_service(request: http::Request<SdkBody>) -> Result<s3s::HttpRequest, BoxError> {
    let (mut parts, body) = request.into_parts();
    if !take_aws_chunked(&mut parts.headers)? {
        return Ok(http::Request::from_parts(parts, Body::http_body_unsync(body)));
    }
    let decoded = parts
        .headers
        .get(DECODED_CONTENT_LENGTH)
        .cloned()
        .ok_or("x-amz-decoded-content-length is missing")?;
    let decoded_bytes = decoded.to_str()?.parse()?;
    parts.headers.insert(CONTENT_LENGTH, decoded);
    let trailers = Trailers::default();
    parts.extensions.insert(trailers.clone());
    let body = DecodedBody::new(body, decoded_bytes, trailers);
    Ok(http::Request::from_parts(parts, Body::http_body_unsync(body)))
}

/// Removes `aws-chunked` from `Content-Encoding`: it describes the transfer, not the object. Returns whether it was set.
fn take_aws_chunked(headers: &mut HeaderMap) -> Result<bool, BoxError> {
    let codings = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .map(HeaderValue::to_str)
        .collect::<Result<Vec<_>, _>>()?;
    let codings = codings.join(",");
    let (framing, rest): (Vec<&str>, Vec<&str>) = codings
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty())
        .partition(|coding| *coding == AWS_CHUNKED);
    if framing.is_empty() {
        return Ok(false);
    }
    headers.remove(CONTENT_ENCODING);
    headers.remove(TRANSFER_ENCODING);
    if !rest.is_empty() {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_str(&rest.join(","))?);
    }
    Ok(true)
}

/// Converts the response. Removes the body of a response to HEAD: with one, the SDK does not return `NotFound`.
fn from_service(response: s3s::HttpResponse, is_head: bool) -> Result<HttpResponse, BoxError> {
    let bodiless = is_head
        || matches!(
            response.status(),
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    let response = response.map(|body| {
        if bodiless {
            SdkBody::empty()
        } else {
            SdkBody::from_body_1_x(body)
        }
    });
    Ok(HttpResponse::try_from(response)?)
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing::subscriber::with_default;
    use tracing_subscriber::filter::LevelFilter;

    use super::*;
    use crate::embedded::connector::Engine as _;
    use crate::embedded::place::{Place, Synchronous};

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn request(method: &str, path: &str, body: &'static str) -> HttpRequest {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://localhost{path}"));
        request
            .header("content-length", body.len())
            .body(SdkBody::from(body))
            .unwrap()
            .try_into()
            .unwrap()
    }

    #[test]
    fn logs_nothing_of_a_request() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_writer(move || writer.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let engine = crate::embedded::s3::open(&Place::Memory, Synchronous::Full).unwrap();
        with_default(subscriber.finish(), || {
            runtime.block_on(async {
                let cases = [
                    ("PUT", "/my-bucket", "", 200),
                    ("PUT", "/my-bucket/key", "a plain value", 200),
                    ("GET", "/my-bucket/key", "", 200),
                    ("GET", "/my-bucket/none", "", 404),
                    ("POST", "/my-bucket?delete", "<Delete><secret/></Delete>", 400),
                ];
                for (method, path, body, status) in cases {
                    let response = engine.call(request(method, path, body)).await.unwrap();
                    assert_eq!(response.status().as_u16(), status, "{method} {path}");
                }
                tracing::error!("the subscriber is active");
            });
        });
        let log = String::from_utf8(log.0.lock().clone()).unwrap();
        assert!(log.contains("the subscriber is active"));
        assert_eq!(log.lines().count(), 1, "{log}");
    }

    #[test]
    fn removes_aws_chunked_from_the_encoding() {
        for (given, framed, left) in [
            ("aws-chunked", true, None),
            ("gzip", false, Some("gzip")),
            ("gzip, aws-chunked", true, Some("gzip")),
            ("aws-chunked,gzip,br", true, Some("gzip,br")),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(given));
            assert_eq!(take_aws_chunked(&mut headers).unwrap(), framed, "{given}");
            assert_eq!(
                headers.get(CONTENT_ENCODING).map(|value| value.to_str().unwrap()),
                left,
                "{given}"
            );
        }
    }
}
