//! Signatures of requests to S3 whose path was changed after the SDK signed them, or that were not signed.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use std::fmt::Write as _;
use std::time::SystemTime;

use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use sha2::{Digest, Sha256};

/// Bytes of a block of SHA-256.
const BLOCK_BYTES: usize = 64;
const REGION: &str = "us-east-1";

/// Signs a request to S3 with the access key and the secret of the SDK's environment.
pub(crate) fn sign_s3(request: &mut HttpRequest) {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let (access_key, secret) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"));
    let now = DateTime::from(SystemTime::now());
    let now = DateTime::from_secs(now.secs()).fmt(Format::DateTime);
    let now = now.expect("a date of this century").replace(['-', ':'], "");
    let (_, rest) = request.uri().split_once("://").expect("a URI with a scheme");
    let host = rest.split('/').next().unwrap_or_default().to_owned();
    let headers = request.headers_mut();
    headers.insert("host", host);
    headers.insert("x-amz-date", now.clone());
    if headers.get("x-amz-content-sha256").is_none() {
        headers.insert("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    }
    let day = &now[..8];
    let scope = format!("{day}/{REGION}/s3/aws4_request");
    let (canonical, signed) = canonical(request);
    let text = format!(
        "AWS4-HMAC-SHA256\n{now}\n{scope}\n{}",
        hex(&Sha256::digest(canonical))
    );
    let mut key = hmac(format!("AWS4{secret}").as_bytes(), day.as_bytes());
    for part in [REGION, "s3", "aws4_request"] {
        key = hmac(&key, part.as_bytes());
    }
    let signature = hex(&hmac(&key, text.as_bytes()));
    request.headers_mut().insert(
        "authorization",
        format!(
            "AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={signed}, Signature={signature}"
        ),
    );
}

/// The canonical request, and the names of the headers in it.
fn canonical(request: &HttpRequest) -> (String, String) {
    let (_, rest) = request.uri().split_once("://").expect("a URI with a scheme");
    let target = rest.find('/').map_or("/", |start| &rest[start..]);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut query: Vec<_> = query.split('&').filter(|part| !part.is_empty()).collect();
    query.sort_unstable();
    let query: Vec<_> = query
        .into_iter()
        .map(|part| match part.contains('=') {
            true => part.to_owned(),
            false => format!("{part}="),
        })
        .collect();
    let headers = request.headers().iter();
    let mut headers: Vec<_> = headers
        .map(|(name, value)| (name.to_ascii_lowercase(), single_spaced(value)))
        .filter(|(name, _)| name == "host" || name.starts_with("x-amz-"))
        .collect();
    headers.sort_unstable();
    let names: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let signed = names.join(";");
    let lines: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}:{value}\n"))
        .collect();
    let payload = request.headers().get("x-amz-content-sha256").unwrap_or_default();
    let canonical = format!(
        "{}\n{path}\n{}\n{}\n{signed}\n{payload}",
        request.method(),
        query.join("&"),
        lines.concat()
    );
    (canonical, signed)
}

/// A header's value without spaces around it and with single spaces in it.
fn single_spaced(value: &str) -> String {
    let words: Vec<_> = value.split_ascii_whitespace().collect();
    words.join(" ")
}

/// HMAC-SHA256 (RFC 2104).
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0; BLOCK_BYTES];
    match key.len() > BLOCK_BYTES {
        true => block[..32].copy_from_slice(&Sha256::digest(key)),
        false => block[..key.len()].copy_from_slice(key),
    }
    let keyed = |pad: u8, text: &[u8]| {
        let mut hash = Sha256::new();
        hash.update(block.map(|byte| byte ^ pad));
        hash.update(text);
        hash.finalize()
    };
    keyed(0x5c, &keyed(0x36, text)).to_vec()
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // writing to a string cannot fail
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex(&hmac(b"Jefe", b"what do ya want for nothing?")), expected);
        let long = "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54";
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(hex(&hmac(&[0xaa; 131], text)), long);
    }

    #[test]
    fn headers_and_queries_are_sorted() {
        let mut request = HttpRequest::empty();
        request.set_uri("http://h:1/b/k%20k?uploads&a=2").expect("a URI");
        for (name, value) in [
            ("x-amz-date", "D"),
            ("host", "h:1"),
            ("accept", "x"),
            ("x-amz-content-sha256", "P"),
        ] {
            request.headers_mut().insert(name, value);
        }
        let (canonical, signed) = canonical(&request);
        assert_eq!(signed, "host;x-amz-content-sha256;x-amz-date");
        let expected = "GET\n/b/k%20k\na=2&uploads=\nhost:h:1\nx-amz-content-sha256:P\nx-amz-date:D\n\nhost;x-amz-content-sha256;x-amz-date\nP";
        assert_eq!(canonical, expected);
    }
}
