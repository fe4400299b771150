//! What is assembled once is what the SDK assembles each time.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::endpoint::Params;
use aws_sdk_dynamodb::operation::get_item::{GetItem, GetItemInput};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::{Client, config};
use aws_smithy_async::time::StaticTimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;

use super::*;
use crate::aws::convert::from_sdk;
use crate::aws::sdk_interceptors::LeanSdk;

/// The SDK's interceptors that assembled requests do without.
const LEFT_OUT: [&str; 14] = [
    "AccountIdEndpointFeatureTrackerInterceptor",
    "EndpointOverrideFeatureTrackerInterceptor",
    "EnforceContentLength",
    "GetItemEndpointParamsInterceptor",
    "GetItemTelemetryInputCaptureInterceptor",
    "InvocationIdInterceptor",
    "MetricsInterceptor",
    "ObservabilityFeatureTrackerInterceptor",
    "RecursionDetectionInterceptor",
    "RequestInfoInterceptor",
    "RetryModeFeatureTrackerInterceptor",
    "StalledStreamProtectionInterceptor",
    "TelemetryBytesInterceptor",
    "TokenBucketProvider",
];

/// A response to every request, which is kept.
#[derive(Clone, Debug, Default)]
struct Recording(Arc<Mutex<Vec<String>>>);

impl HttpConnector for Recording {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let mut headers: Vec<_> = request.headers().iter().collect();
        headers.sort_unstable();
        let body = request.body().bytes().map(String::from_utf8_lossy);
        self.0.lock().push(format!(
            "{} {} {headers:?} {body:?}",
            request.method(),
            request.uri()
        ));
        let body = SdkBody::from(r#"{"Item":{"pk":{"S":"a"}}}"#);
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), body)))
    }
}

fn credentials(account: Option<&str>) -> Credentials {
    let mut credentials = Credentials::builder()
        .access_key_id("AKIDEXAMPLE")
        .secret_access_key("secret")
        .provider_name("test");
    credentials.set_account_id(account.map(Into::into));
    credentials.build()
}

fn client(provider: SharedCredentialsProvider, endpoint: Option<&str>, recording: &Recording) -> Client {
    let connector = SharedHttpConnector::new(recording.clone());
    let mut sdk_config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-central-1"))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .credentials_provider(provider)
        .time_source(StaticTimeSource::new(
            UNIX_EPOCH + Duration::from_secs(1_769_860_800),
        ));
    sdk_config.set_endpoint_url(endpoint.map(str::to_owned));
    let mut config = config::Builder::from(&sdk_config.build());
    config.push_interceptor(SharedInterceptor::permanent(LeanSdk::over_network(None)));
    Client::from_conf(config.build())
}

/// The requests of the SDK's client, and of one that assembles them once.
async fn both(provider: impl Fn() -> SharedCredentialsProvider, endpoint: Option<&str>) -> [Vec<String>; 2] {
    let (by_sdk, assembled) = (Recording::default(), Recording::default());
    let (sdk_client, client) = (
        client(provider(), endpoint, &by_sdk),
        client(provider(), endpoint, &assembled),
    );
    let requests = Assembled::<GetItem>::default();
    for pk in ["a", "b", "ü"] {
        let pk = AttributeValue::S(pk.to_owned());
        let get = sdk_client.get_item().table_name("users").key("pk", pk.clone());
        let sent = get.send().await.unwrap();
        let input = GetItemInput::builder().table_name("users").key("pk", pk);
        let got = requests.send(&client, input.build(), false).await.unwrap();
        assert_eq!(got.into_item(), sent.item.map(from_sdk));
    }
    [by_sdk, assembled].map(|recording| std::mem::take(&mut *recording.0.lock()))
}

#[tokio::test]
async fn requests_are_those_of_the_sdk() {
    for endpoint in [
        None,
        Some("http://127.0.0.1:8000"),
        Some("https://example.com/base"),
    ] {
        for account in [None, Some("123456789012")] {
            let provider = || SharedCredentialsProvider::new(credentials(account));
            let [by_sdk, assembled] = both(provider, endpoint).await;
            assert_eq!(assembled.len(), 3);
            assert_eq!(assembled, by_sdk);
        }
    }
}

#[tokio::test]
async fn the_endpoint_is_that_of_the_account() {
    let resolver = config::endpoint::DefaultResolver::new();
    let params = Params::builder().region("eu-central-1".to_owned());
    let endpoints = Endpoints {
        resolver: config::endpoint::ResolveEndpoint::into_shared_resolver(resolver),
        params: params
            .account_id_endpoint_mode("preferred".to_owned())
            .build()
            .unwrap(),
        last: ArcSwapOption::empty(),
    };
    let general = "https://dynamodb.eu-central-1.amazonaws.com";
    let of_account = "https://123456789012.ddb.eu-central-1.amazonaws.com";
    for (account, expected) in [
        (None, general),
        (Some("123456789012"), of_account),
        (Some("123456789012"), of_account),
        (
            Some("210987654321"),
            "https://210987654321.ddb.eu-central-1.amazonaws.com",
        ),
        (None, general),
    ] {
        let mut params = EndpointResolverParams::new(());
        params.set_property(Identity::from(credentials(account)));
        let endpoint = endpoints.resolve_endpoint(&params).await.unwrap();
        assert_eq!(endpoint.url(), expected);
    }
}

/// An SDK that adds an interceptor fails here, so that somebody decides whether requests need it.
#[tokio::test]
async fn every_interceptor_is_kept_or_known() {
    #[derive(Debug)]
    struct List(Arc<Mutex<BTreeSet<&'static str>>>);
    impl Intercept for List {
        fn name(&self) -> &'static str {
            "List"
        }
        fn read_before_attempt(
            &self,
            _context: &BeforeTransmitInterceptorContextRef<'_>,
            components: &RuntimeComponents,
            config: &mut ConfigBag,
        ) -> Result<(), BoxError> {
            let enabled = components
                .interceptors()
                .filter(|interceptor| interceptor.enabled(config));
            self.0
                .lock()
                .extend(enabled.map(|interceptor| interceptor.name()));
            Err("listed".into())
        }
    }
    let listed = Arc::default();
    let provider = SharedCredentialsProvider::new(credentials(None));
    let get = client(provider, None, &Recording::default())
        .get_item()
        .table_name("users");
    let sent = get
        .customize()
        .interceptor(List(Arc::clone(&listed)))
        .send()
        .await;
    sent.expect_err("it ends when it is listed");
    let known: BTreeSet<_> = KEPT.into_iter().chain(LEFT_OUT).chain(["List"]).collect();
    let unknown: Vec<_> = listed.lock().difference(&known).copied().collect();
    assert_eq!(unknown, <[&str; 0]>::default());
}
