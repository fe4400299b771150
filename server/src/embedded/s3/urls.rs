//! Requests by presigned URL, as they come from a network: GET and PUT of one object. Checks the signature, the expiry and
//! the signed headers, and refuses everything else. Never opens a socket.
//!
//! `s3s` accepts headers that are not signed. As in S3, a header that begins with `x-amz-` must be signed: otherwise the
//! holder of a URL for PUT could turn it into a copy of any object.

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode, request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use percent_encoding::percent_decode_str;
use s3s::Body;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tracing::Dispatch;
use tracing::instrument::WithSubscriber as _;

use super::S3;
use super::service::Service;

/// The id of the key that signs URLs.
pub(in crate::embedded) const ACCESS_KEY: &str = "tollgate";
const SIGNATURE: &str = "X-Amz-Signature";
const SIGNED_HEADERS: &str = "X-Amz-SignedHeaders";
const AMAZON: &str = "x-amz-";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a response.
pub type UrlBody = UnsyncBoxBody<Bytes, BoxError>;

/// Responds to requests by presigned URL. Cheap to clone.
#[derive(Clone)]
pub(in crate::embedded) struct SignedService(S3Service);

/// Why a request is refused before it reaches the engine, as S3 words it.
struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
}

impl SignedService {
    /// A service over the store of an engine, for URLs that are signed with `secret`.
    pub(in crate::embedded) fn new(engine: &S3, secret: &str) -> SignedService {
        let mut service = S3ServiceBuilder::new(Service(engine.store.clone()));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, secret));
        SignedService(service.build())
    }

    /// Responds to a request. Errors are responses in S3's format.
    pub(in crate::embedded) async fn respond<B>(&self, request: Request<B>) -> Response<UrlBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        BoxError: From<B::Error>,
    {
        let (parts, body) = request.into_parts();
        if let Some(refusal) = refusal(&parts) {
            return refusal.response();
        }
        let request = Request::from_parts(parts, Body::http_body_unsync(body));
        // s3s logs whole requests, and every 404 as an error
        let responded = self.0.call(request).with_subscriber(Dispatch::none()).await;
        match responded {
            Ok(response) => response.map(|body| body.boxed_unsync()),
            Err(failure) => failed(&failure).response(),
        }
    }
}

impl Refusal {
    fn response(&self) -> Response<UrlBody> {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
            self.code, self.message
        );
        let body = Full::new(Bytes::from(text)).map_err(|never| match never {});
        let mut response = Response::new(body.boxed_unsync());
        *response.status_mut() = self.status;
        let xml = HeaderValue::from_static("application/xml");
        response.headers_mut().insert(CONTENT_TYPE, xml);
        response
    }
}

fn failed(_: &s3s::HttpError) -> Refusal {
    Refusal {
        status: StatusCode::INTERNAL_SERVER_ERROR,
        code: "InternalError",
        message: "We encountered an internal error. Please try again.",
    }
}

fn refusal(request: &request::Parts) -> Option<Refusal> {
    let denied = |message| {
        Some(Refusal {
            status: StatusCode::FORBIDDEN,
            code: "AccessDenied",
            message,
        })
    };
    if !matches!(request.method, Method::GET | Method::PUT) {
        return Some(Refusal {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: "MethodNotAllowed",
            message: "Presigned URLs are for GET or PUT.",
        });
    }
    let query = request.uri.query().unwrap_or_default();
    let signed_headers = parameter(query, SIGNED_HEADERS);
    let (Some(signed_headers), Some(_), None) = (
        signed_headers,
        parameter(query, SIGNATURE),
        request.headers.get(AUTHORIZATION),
    ) else {
        return denied("Only presigned URLs are served here.");
    };
    let mut amazon = request
        .headers
        .keys()
        .filter(|name| name.as_str().starts_with(AMAZON));
    if amazon.any(|name| !signed_headers.split(';').any(|signed| signed == name.as_str())) {
        return denied("There were headers present in the request which were not signed");
    }
    None
}

/// The value of a query parameter, decoded.
fn parameter(query: &str, name: &str) -> Option<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let value = pairs.into_iter().find(|(key, _)| *key == name)?.1;
    percent_decode_str(value).decode_utf8().ok().map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> request::Parts {
        let request = headers.iter().fold(
            Request::builder().method(method).uri(uri),
            |request, (name, value)| request.header(*name, *value),
        );
        request.body(()).unwrap().into_parts().0
    }

    const SIGNED: &str = "/b/k?X-Amz-SignedHeaders=host%3Bx-amz-checksum-sha256&X-Amz-Signature=ab";

    #[test]
    fn only_what_a_url_signs_reaches_the_engine() {
        let checksum = ("x-amz-checksum-sha256", "x");
        for (method, uri, headers, status) in [
            ("GET", SIGNED, vec![], None),
            (
                "PUT",
                SIGNED,
                vec![checksum, ("content-type", "text/plain")],
                None,
            ),
            ("PUT", SIGNED, vec![("x-amz-copy-source", "/b/other")], Some(403)),
            ("PUT", SIGNED, vec![("x-amz-checksum-sha2", "x")], Some(403)),
            (
                "GET",
                SIGNED,
                vec![("authorization", "AWS4-HMAC-SHA256 x")],
                Some(403),
            ),
            ("DELETE", SIGNED, vec![], Some(405)),
            ("POST", SIGNED, vec![], Some(405)),
            ("GET", "/b/k", vec![], Some(403)),
            ("GET", "/b/k?X-Amz-Signature=ab", vec![], Some(403)),
            ("GET", "/b/k?X-Amz-SignedHeaders=host", vec![], Some(403)),
            (
                "GET",
                "/b/k?AWSAccessKeyId=a&Signature=ab&Expires=9",
                vec![],
                Some(403),
            ),
        ] {
            let refused = refusal(&parts(method, uri, &headers));
            let refused = refused.map(|refusal| refusal.status.as_u16());
            assert_eq!(refused, status, "{method} {uri} {headers:?}");
        }
    }
}
