//! The signatures are those of the SDK's signer, for any credentials and any body.

use std::sync::Mutex;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_async::time::StaticTimeSource;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, BeforeTransmitInterceptorContextRef,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor};
use aws_smithy_types::retry::RetryConfig;

use super::*;

/// What a request was signed with: by this signer, and by the SDK's.
type Pair = (String, String);

/// Signs every request again with the SDK's signer.
#[derive(Debug)]
struct Compare {
    credentials: Credentials,
    extra_header: Option<&'static str>,
    seen: Arc<Mutex<Vec<Pair>>>,
}

impl Intercept for Compare {
    fn name(&self) -> &'static str {
        "Compare"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(value) = self.extra_header {
            context.request_mut().headers_mut().insert("x-extra", value);
        }
        Ok(())
    }

    fn read_after_signing(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let signed = context.request();
        let mut again = signed.try_clone().ok_or("the body is in memory")?;
        for name in ["authorization", "x-amz-date", "x-amz-security-token"] {
            again.headers_mut().remove(name);
        }
        let identity = Identity::from(self.credentials.clone());
        let empty = AuthSchemeEndpointConfig::empty();
        SigV4Signer::new().sign_http_request(&mut again, &identity, empty, components, config)?;
        let all = |request: &HttpRequest| {
            let mut headers: Vec<_> = request
                .headers()
                .iter()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            headers.sort();
            headers.join("\n")
        };
        self.seen.lock().unwrap().push((all(signed), all(&again)));
        Ok(())
    }
}

struct Case<'a> {
    endpoint: &'a str,
    credentials: Credentials,
    at: u64,
    extra_header: Option<&'static str>,
}

/// Signs a few requests with one signer, and each again with the SDK's.
async fn sign(signer: &Arc<Signing>, case: Case<'_>) -> Vec<Pair> {
    #[derive(Debug)]
    struct Shared(Arc<Signing>);
    impl AuthScheme for Shared {
        fn scheme_id(&self) -> AuthSchemeId {
            self.0.scheme_id()
        }
        fn identity_resolver(&self, resolvers: &dyn GetIdentityResolver) -> Option<SharedIdentityResolver> {
            self.0.identity_resolver(resolvers)
        }
        fn signer(&self) -> &dyn Sign {
            self.0.signer()
        }
    }
    let seen = Arc::default();
    let sdk_config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-central-1"))
        .endpoint_url(case.endpoint)
        .http_client(aws_smithy_runtime_api::client::http::http_client_fn(|_, _| {
            panic!("nothing is sent")
        }))
        .retry_config(RetryConfig::disabled())
        .credentials_provider(SharedCredentialsProvider::new(case.credentials.clone()))
        .time_source(StaticTimeSource::new(UNIX_EPOCH + Duration::from_secs(case.at)))
        .build();
    let mut config =
        aws_sdk_dynamodb::config::Builder::from(&sdk_config).push_auth_scheme(Shared(Arc::clone(signer)));
    config.push_interceptor(SharedInterceptor::new(Compare {
        credentials: case.credentials,
        extra_header: case.extra_header,
        seen: Arc::clone(&seen),
    }));
    config.push_interceptor(SharedInterceptor::new(Stop));
    let client = aws_sdk_dynamodb::Client::from_conf(config.build());
    for text in ["a", "", "ünïcode", &"x".repeat(5000)] {
        let get = client.get_item().table_name("users");
        let sent = get.key("pk", AttributeValue::S(text.to_owned())).send();
        sent.await.expect_err("nothing is sent");
    }
    std::mem::take(&mut *seen.lock().unwrap())
}

/// Fails before anything is sent.
#[derive(Debug)]
struct Stop;

impl Intercept for Stop {
    fn name(&self) -> &'static str {
        "Stop"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Err("nothing is sent".into())
    }
}

fn credentials(secret: &str, token: Option<&str>) -> Credentials {
    Credentials::new("AKIDEXAMPLE", secret, token.map(str::to_owned), None, "test")
}

#[tokio::test]
async fn signs_as_the_sdk_does() {
    let signer = Arc::new(Signing::default());
    for (endpoint, secret, token, at) in [
        ("http://127.0.0.1:8000", "secret", None, 1_769_860_800),
        ("http://[::1]:8000/", "secret", Some("token"), 1_769_860_801),
        (
            "http://example.com:80",
            "other/secret+",
            Some("token=="),
            1_769_903_999,
        ),
        ("https://example.com:443", "other/secret+", None, 1_769_904_000),
        ("https://dynamodb.eu-central-1.amazonaws.com", "secret", None, 0),
        // a path is left to the SDK
        ("https://example.com/base", "secret", None, 1_769_990_400),
    ] {
        let case = Case {
            endpoint,
            credentials: credentials(secret, token),
            at,
            extra_header: None,
        };
        let pairs = sign(&signer, case).await;
        assert_eq!(pairs.len(), 4, "{endpoint}");
        // or else the SDK has signed twice
        let key = signer.signer.key.load();
        assert!(key.as_ref().is_some_and(|key| key.day == at / SECONDS_PER_DAY));
        for (own, sdk) in pairs {
            assert_eq!(own, sdk, "{endpoint}");
            assert!(own.contains("authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
        }
    }
}

#[tokio::test]
async fn leaves_headers_that_are_normalised_to_the_sdk() {
    for value in ["plain", "two  spaces"] {
        let case = Case {
            endpoint: "http://127.0.0.1:8000",
            credentials: credentials("secret", None),
            at: 1_769_860_800,
            extra_header: Some(value),
        };
        for (own, sdk) in sign(&Arc::default(), case).await {
            assert_eq!(own, sdk, "{value}");
        }
    }
}

#[test]
fn derives_a_key_once_a_day_for_the_same_credentials() {
    let signer = Signer::default();
    let key = |secret: &str, region: &str, day| {
        signer
            .key(&credentials(secret, None), region, "dynamodb", day)
            .unwrap()
    };
    let first = key("one", "eu-central-1", 20_484);
    assert_eq!(first.scope, "20260131/eu-central-1/dynamodb/aws4_request");
    assert!(Arc::ptr_eq(&first, &key("one", "eu-central-1", 20_484)));
    for other in [
        key("two", "eu-central-1", 20_484),
        key("two", "us-east-1", 20_484),
        key("two", "us-east-1", 20_485),
        key("one", "eu-central-1", 20_484),
    ] {
        assert!(!Arc::ptr_eq(&first, &other));
    }
}

#[test]
fn hosts_have_their_port_unless_it_is_usual() {
    for (uri, expected) in [
        ("http://localhost:8000/", Some("localhost:8000")),
        ("http://localhost:80/", Some("localhost")),
        ("https://localhost:80/", Some("localhost:80")),
        ("https://a.example:443/", Some("a.example")),
        ("https://a.example/path", None),
        ("https://a.example/?x=1", None),
        ("https://user@a.example/", None),
        ("https:///", None),
        ("ftp://a.example/", None),
        ("/", None),
    ] {
        assert_eq!(host_of(uri), expected, "{uri}");
    }
}

#[test]
fn reads_the_time_of_a_signature() {
    let expected = UNIX_EPOCH + Duration::from_secs(1_769_860_800 + 62);
    assert_eq!(time_of("20260131T120102Z"), Some(expected));
    for text in ["", "20260131", "2026-01-31T12:01:02Z", "20261331T120102Z"] {
        assert_eq!(time_of(text), None, "{text}");
    }
}

#[test]
fn debug_shows_no_key() {
    let signer = Signing::default();
    let key = signer
        .signer
        .key(&credentials("hidden", None), "eu-central-1", "kms", 1);
    assert!(key.is_some());
    assert!(!format!("{signer:?}").contains("hidden"));
}
