//! Signs requests to DynamoDB and KMS with Signature Version 4. The signatures are the SDK's, but the key of a day is derived
//! once, and the few headers of such a request are signed in one pass. The SDK itself signs all other requests, and all
//! requests while this machine's clock is wrong, which it corrects.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwapOption;
use aws_credential_types::Credentials;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4Signer};
use aws_runtime::auth::{HttpSignatureType, SigV4OperationSigningConfig};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::auth::{AuthScheme, AuthSchemeEndpointConfig, AuthSchemeId, Sign};
use aws_smithy_runtime_api::client::identity::{Identity, SharedIdentityResolver};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::retries::RequestAttempts;
use aws_smithy_runtime_api::client::runtime_components::{GetIdentityResolver, RuntimeComponents};
use aws_smithy_types::DateTime;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::Format;
use aws_types::SigningName;
use aws_types::region::SigningRegion;
use hkdf::hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderValue;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

const SECONDS_PER_DAY: u64 = 86_400;
/// Headers that proxies may change, and the signature itself; the SDK does not sign them either.
const UNSIGNED: [&str; 4] = [
    "authorization",
    "user-agent",
    "x-amzn-trace-id",
    "transfer-encoding",
];
/// A clock that differs more from the service's is wrong.
const MAX_SKEW: Duration = Duration::from_secs(60);
/// Room for the headers of a request.
const USUAL_BYTES: usize = 1024;

/// Signature Version 4, in place of the SDK's.
#[derive(Debug, Default)]
pub(super) struct Signing {
    signer: Signer,
}

#[derive(Default)]
struct Signer {
    sdk: SigV4Signer,
    /// The last key: all requests of a client have the same one for a day, or until the credentials change.
    key: ArcSwapOption<DayKey>,
    /// This machine's clock is wrong.
    is_skewed: AtomicBool,
}

/// A signing key, and what it is for.
struct DayKey {
    credentials: Credentials,
    region: String,
    service: String,
    /// Days since 1970.
    day: u64,
    /// `20260131`.
    date: String,
    /// `20260131/us-east-1/dynamodb/aws4_request`.
    scope: String,
    mac: Hmac<Sha256>,
}

impl AuthScheme for Signing {
    fn scheme_id(&self) -> AuthSchemeId {
        SCHEME_ID
    }

    fn identity_resolver(&self, resolvers: &dyn GetIdentityResolver) -> Option<SharedIdentityResolver> {
        resolvers.identity_resolver(SCHEME_ID)
    }

    fn signer(&self) -> &dyn Sign {
        &self.signer
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Signer")
    }
}

impl Sign for Signer {
    fn sign_http_request(
        &self,
        request: &mut HttpRequest,
        identity: &Identity,
        endpoint: AuthSchemeEndpointConfig<'_>,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        let now = components.time_source().unwrap_or_default().now();
        // the SDK corrects the time of a retry by the service's clock
        let attempts = config
            .load::<RequestAttempts>()
            .map_or(1, RequestAttempts::attempts);
        let may_sign = attempts <= 1 && !self.is_skewed.load(Ordering::Relaxed);
        if may_sign && self.sign(request, identity, &endpoint, config, now).is_some() {
            return Ok(());
        }
        self.sdk
            .sign_http_request(request, identity, endpoint, components, config)?;
        let signed_at = request.headers().get("x-amz-date").and_then(time_of);
        let is_skewed = signed_at.is_some_and(|signed_at| distance(signed_at, now) > MAX_SKEW);
        self.is_skewed.store(is_skewed, Ordering::Relaxed);
        Ok(())
    }
}

impl Signer {
    /// Signs a request as DynamoDB and KMS take it. `None` if it is not of this kind, and unchanged.
    fn sign(
        &self,
        request: &mut HttpRequest,
        identity: &Identity,
        endpoint: &AuthSchemeEndpointConfig<'_>,
        config: &ConfigBag,
        now: SystemTime,
    ) -> Option<()> {
        let options = &config.load::<SigV4OperationSigningConfig>()?.signing_options;
        let is_usual = request.method() == "POST"
            && options.signature_type == HttpSignatureType::HttpRequestHeaders
            && options.payload_override.is_none()
            && !options.content_sha256_header
            && !options.omit_session_token
            && ["signingName", "signingRegion"]
                .iter()
                .all(|name| endpoint.get(name).is_none());
        if !is_usual {
            return None;
        }
        let credentials = identity.data::<Credentials>()?;
        let region = config.load::<SigningRegion>()?;
        let service = config.load::<SigningName>()?;
        let seconds = now.duration_since(UNIX_EPOCH).ok()?.as_secs();
        let key = self.key(
            credentials,
            region.as_ref(),
            service.as_ref(),
            seconds / SECONDS_PER_DAY,
        )?;
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let date_time = format!("{}T{hour:02}{minute:02}{second:02}Z", key.date);
        let token = credentials.session_token();
        let token_value = token.map(HeaderValue::from_str).transpose().ok()?;
        let (signed_headers, canonical) = canonical_request(request, &date_time, token)?;
        let authorization = key.authorization(&date_time, &signed_headers, &canonical)?;
        let headers = request.headers_mut();
        headers.insert("x-amz-date", date_time);
        if let Some(mut token) = token_value {
            token.set_sensitive(true);
            headers.insert("x-amz-security-token", token);
        }
        headers.insert("authorization", authorization);
        Some(())
    }

    fn key(&self, credentials: &Credentials, region: &str, service: &str, day: u64) -> Option<Arc<DayKey>> {
        let is_same = |key: &&Arc<DayKey>| {
            key.day == day
                && key.region == region
                && key.service == service
                && key.credentials == *credentials
        };
        let last = self.key.load();
        if let Some(key) = last.as_ref().filter(is_same) {
            return Some(Arc::clone(key));
        }
        let key = Arc::new(DayKey::derive(credentials, region, service, day)?);
        self.key.store(Some(Arc::clone(&key)));
        Some(key)
    }
}

impl DayKey {
    fn derive(credentials: &Credentials, region: &str, service: &str, day: u64) -> Option<DayKey> {
        let day_start = DateTime::from_secs(i64::try_from(day.checked_mul(SECONDS_PER_DAY)?).ok()?);
        let mut date = day_start.fmt(Format::DateTime).ok()?;
        date.truncate("2026-01-31".len());
        date.retain(|char| char != '-');
        let secret = Zeroizing::new(format!("AWS4{}", credentials.secret_access_key()));
        let mut key = hmac(secret.as_bytes(), date.as_bytes())?;
        for part in [region, service, "aws4_request"] {
            key = hmac(&*key, part.as_bytes())?;
        }
        Some(DayKey {
            credentials: credentials.clone(),
            region: region.to_owned(),
            service: service.to_owned(),
            day,
            scope: format!("{date}/{region}/{service}/aws4_request"),
            date,
            mac: Hmac::new_from_slice(&*key).ok()?,
        })
    }

    /// The header with the signature.
    fn authorization(&self, date_time: &str, signed_headers: &str, canonical: &str) -> Option<HeaderValue> {
        let mut text = String::with_capacity(USUAL_BYTES);
        write!(text, "AWS4-HMAC-SHA256\n{date_time}\n{}\n", self.scope).ok()?;
        push_hex(&mut text, &Sha256::digest(canonical.as_bytes()));
        let mut mac = self.mac.clone();
        mac.update(text.as_bytes());
        let signature = mac.finalize().into_bytes();
        text.clear();
        let (id, scope) = (self.credentials.access_key_id(), &self.scope);
        write!(
            text,
            "AWS4-HMAC-SHA256 Credential={id}/{scope}, SignedHeaders={signed_headers}, Signature="
        )
        .ok()?;
        push_hex(&mut text, &signature);
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

/// The names of the signed headers, and what is signed. `None` if the request is to a path, or has headers that the SDK
/// would normalise.
fn canonical_request(
    request: &HttpRequest,
    date_time: &str,
    token: Option<&str>,
) -> Option<(String, String)> {
    let host = host_of(request.uri())?;
    let body = request.body().bytes()?;
    let mut headers: Vec<(&str, &str)> = request.headers().iter().collect();
    headers.retain(|(name, _)| !UNSIGNED.contains(name));
    headers.extend([("host", host), ("x-amz-date", date_time)]);
    headers.extend(token.map(|token| ("x-amz-security-token", token)));
    headers.sort_unstable_by_key(|(name, _)| *name);
    let is_repeated = headers.windows(2).any(|pair| pair[0].0 == pair[1].0);
    if is_repeated || headers.iter().any(|(_, value)| !is_normal(value)) {
        return None;
    }
    let (mut names, mut canonical) = (String::with_capacity(128), String::with_capacity(USUAL_BYTES));
    canonical.push_str("POST\n/\n\n");
    for (name, value) in headers {
        let separator = if names.is_empty() { "" } else { ";" };
        names.push_str(separator);
        names.push_str(name);
        for part in [name, ":", value, "\n"] {
            canonical.push_str(part);
        }
    }
    for part in ["\n", &names, "\n"] {
        canonical.push_str(part);
    }
    push_hex(&mut canonical, &Sha256::digest(body));
    Some((names, canonical))
}

/// The host of a URI with the path `/`, with its port unless that is the scheme's.
fn host_of(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once("://")?;
    let authority = rest.strip_suffix('/')?;
    if authority.is_empty() || authority.contains(['/', '?', '#', '@']) {
        return None;
    }
    let default_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    Some(authority.strip_suffix(default_port).unwrap_or(authority))
}

/// Whether a header's value is signed as it is.
fn is_normal(value: &str) -> bool {
    value.is_ascii() && value.trim() == value && !value.contains("  ")
}

fn hmac(key: &[u8], data: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(data);
    Some(Zeroizing::new(mac.finalize().into_bytes().into()))
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// The time of an `x-amz-date`, such as `20260131T120000Z`.
fn time_of(date_time: &str) -> Option<SystemTime> {
    let part = |from: usize, to: usize| date_time.get(from..to);
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(9, 11)?,
        part(11, 13)?,
        part(13, 15)?,
    );
    let parsed = DateTime::from_str(&text, Format::DateTime).ok()?;
    SystemTime::try_from(parsed).ok()
}

fn distance(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other)
        .unwrap_or_else(|earlier| earlier.duration())
}

#[cfg(test)]
mod tests;
