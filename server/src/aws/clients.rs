//! Creates the SDK clients: for the embedded engines, or as the environment configures them. Only the SDK retries, in
//! standard mode. Sets no timeouts: the deadline of each call bounds its requests.

use std::future::Future;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::auth::AuthSchemeId;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::checksum_config::{RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_types::retry::RetryConfig;
use aws_types::service_config::ServiceConfigKey;

use super::dynamodb::DynamoDb;
use super::interceptor::Counting;
use super::kms::Kms;
use super::s3::{CredentialExpiry, S3, Signer};
use super::sdk_interceptors::LeanSdk;
use super::signing::Signing;

/// The region of the embedded engines.
const EMBEDDED_REGION: &str = "us-east-1";
/// Idle connections kept per host: enough for a busy process to reuse, far below any limit of file descriptors.
const MAX_IDLE_CONNECTIONS: usize = 256;

/// The HTTP client of each service.
#[derive(Clone, Debug)]
pub struct Connectors {
    /// For DynamoDB.
    pub dynamodb: SharedHttpClient,
    /// For KMS.
    pub kms: SharedHttpClient,
    /// For S3.
    pub s3: SharedHttpClient,
    /// Whether requests go over sockets, so that an attempt may end before it is connected and is then not counted.
    pub over_sockets: bool,
}

/// The settings of the clients.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Overrides the environment's region.
    pub region: Option<String>,
    /// Overrides every endpoint of the environment.
    pub endpoint_url: Option<String>,
    /// Concurrent S3 requests of one call.
    pub s3_in_flight: usize,
    /// The endpoint of presigned URLs, if it differs from that of S3.
    pub s3_public_url: Option<String>,
    /// Attempts of one request, including the first.
    pub max_attempts: u32,
}

/// How URLs of the embedded engine are signed.
#[derive(Clone)]
pub struct UrlKey {
    /// The endpoint that serves them.
    pub endpoint_url: String,
    /// The id of the key.
    pub access_key: String,
    /// The key.
    pub secret: String,
}

/// Clients of the three stores. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Items.
    pub dynamodb: DynamoDb,
    /// Data keys.
    pub kms: Kms,
    /// Objects.
    pub s3: S3,
}

/// Why the clients could not be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// Neither the settings nor the environment names a region.
    #[error("no AWS region is set: set AWS_REGION, a profile with a region, or aws.region")]
    NoRegion,
    /// An endpoint is not a URL.
    #[error(
        "the endpoint of {service} is not a URL: set AWS_ENDPOINT_URL_{variable}, AWS_ENDPOINT_URL or the profile's \
         endpoint_url to one such as http://localhost:8000",
        variable = service.to_uppercase()
    )]
    Endpoint {
        /// As the SDK names it.
        service: &'static str,
    },
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            region: None,
            endpoint_url: None,
            s3_in_flight: 8,
            s3_public_url: None,
            max_attempts: 3,
        }
    }
}

impl Connectors {
    /// One client for all three services, over sockets.
    fn all(client: &SharedHttpClient) -> Connectors {
        Connectors {
            dynamodb: client.clone(),
            kms: client.clone(),
            s3: client.clone(),
            over_sockets: true,
        }
    }
}

impl Stores {
    /// Clients for the engines in this process. Requests are not signed and have no transport checksums, because no
    /// network is involved; the pointer of an object holds its SHA-256 in any case. `urls`: how URLs are signed, if they
    /// are served.
    pub fn embedded(connectors: Connectors, settings: &Settings, urls: Option<UrlKey>) -> Stores {
        let counting = SharedInterceptor::permanent(Counting {
            over_sockets: connectors.over_sockets,
        });
        let disable = SharedInterceptor::permanent(LeanSdk::in_process());
        let retries = RetryConfig::standard().with_max_attempts(settings.max_attempts);
        macro_rules! client {
            ($service:ident, $connector:expr $(, $option:ident($value:expr))*) => {{
                let mut config = $service::config::Builder::new()
                    .behavior_version(BehaviorVersion::latest())
                    .region(Region::from_static(EMBEDDED_REGION))
                    .endpoint_url("http://embedded.localhost")
                    .http_client($connector)
                    .retry_config(retries.clone())
                    .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
                    .allow_no_auth()
                    .auth_scheme_preference([AuthSchemeId::from("noAuth")])
                    $(.$option($value))*;
                config.push_interceptor(counting.clone());
                config.push_interceptor(disable.clone());
                $service::Client::from_conf(config.build())
            }};
        }
        let s3 = client!(
            aws_sdk_s3,
            connectors.s3,
            force_path_style(true),
            request_checksum_calculation(RequestChecksumCalculation::WhenRequired),
            response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        );
        let signer = urls.map(|urls| embedded_signer(settings, urls));
        Stores {
            dynamodb: DynamoDb::new(client!(aws_sdk_dynamodb, connectors.dynamodb)),
            kms: Kms::new(client!(aws_sdk_kms, connectors.kms)),
            s3: S3::new(s3, settings.s3_in_flight, signer),
        }
    }

    /// Clients as the environment configures them, with everything that the SDK reads (region, profile, SSO, web
    /// identity, container and instance credentials, endpoints); `settings` take precedence. A custom S3 endpoint is
    /// addressed by path. `wrap` receives the connectors of the network.
    ///
    /// # Errors
    ///
    /// No region is set, or an endpoint is not a URL. Nothing is sent: credentials are fetched with the first request.
    pub async fn from_environment(
        settings: &Settings,
        wrap: impl FnOnce(Connectors) -> Connectors,
    ) -> Result<Stores, SetupError> {
        let https_client = https_client();
        let sdk_config = load(settings, https_client.clone()).await;
        if sdk_config.region().is_none() {
            return Err(SetupError::NoRegion);
        }
        if settings.endpoint_url.is_none() {
            check_endpoints(&sdk_config)?;
        }
        let connectors = wrap(Connectors::all(&https_client));
        Ok(Stores::configured(&sdk_config, settings, connectors))
    }

    fn configured(sdk_config: &SdkConfig, settings: &Settings, connectors: Connectors) -> Stores {
        let counting = SharedInterceptor::permanent(Counting {
            over_sockets: connectors.over_sockets,
        });
        let mut dynamodb = aws_sdk_dynamodb::config::Builder::from(sdk_config);
        let mut kms = aws_sdk_kms::config::Builder::from(sdk_config);
        let mut s3 = aws_sdk_s3::config::Builder::from(sdk_config);
        s3.set_force_path_style(has_s3_endpoint(sdk_config).then_some(true));
        dynamodb.set_http_client(Some(connectors.dynamodb));
        kms.set_http_client(Some(connectors.kms));
        s3.set_http_client(Some(connectors.s3));
        // a body may stall for as long as its caller waits: the deadline of the call bounds every request
        let no_stall_protection = || Some(StalledStreamProtectionConfig::disabled());
        dynamodb.set_stalled_stream_protection(no_stall_protection());
        kms.set_stalled_stream_protection(no_stall_protection());
        s3.set_stalled_stream_protection(no_stall_protection());
        dynamodb.push_interceptor(counting.clone());
        kms.push_interceptor(counting.clone());
        s3.push_interceptor(counting);
        let lean = SharedInterceptor::permanent(LeanSdk::over_network(sdk_config.app_name()));
        dynamodb.push_interceptor(lean.clone());
        kms.push_interceptor(lean);
        let (dynamodb, kms) = (
            dynamodb.push_auth_scheme(Signing::default()),
            kms.push_auth_scheme(Signing::default()),
        );
        Stores {
            dynamodb: DynamoDb::new(aws_sdk_dynamodb::Client::from_conf(dynamodb.build())),
            kms: Kms::new(aws_sdk_kms::Client::from_conf(kms.build())),
            s3: S3::new(
                aws_sdk_s3::Client::from_conf(s3.build()),
                settings.s3_in_flight,
                Some(signer(sdk_config, settings)),
            ),
        }
    }
}

/// Signs URLs of the embedded engine.
fn embedded_signer(settings: &Settings, urls: UrlKey) -> Signer {
    let key = Credentials::new(urls.access_key, urls.secret, None, None, "embedded");
    let endpoint_url = settings.s3_public_url.clone().unwrap_or(urls.endpoint_url);
    let config = aws_sdk_s3::config::Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(EMBEDDED_REGION))
        .endpoint_url(endpoint_url)
        .force_path_style(true)
        .credentials_provider(key)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    Signer::new(
        aws_sdk_s3::Client::from_conf(config.build()),
        CredentialExpiry::default(),
    )
}

/// Signs URLs with the credentials of the environment.
fn signer(sdk_config: &SdkConfig, settings: &Settings) -> Signer {
    let expiry = CredentialExpiry::default();
    let mut config = aws_sdk_s3::config::Builder::from(sdk_config)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    let has_endpoint = settings.s3_public_url.is_some() || has_s3_endpoint(sdk_config);
    config.set_force_path_style(has_endpoint.then_some(true));
    if let Some(public_url) = &settings.s3_public_url {
        config.set_endpoint_url(Some(public_url.clone()));
    }
    if let Some(provider) = sdk_config.credentials_provider() {
        config.set_credentials_provider(Some(expiry.watch(provider)));
    }
    Signer::new(aws_sdk_s3::Client::from_conf(config.build()), expiry)
}

/// The one HTTPS client of the process, for the stores and for the credential providers.
fn https_client() -> SharedHttpClient {
    Builder::new()
        .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

fn load(settings: &Settings, https_client: SharedHttpClient) -> impl Future<Output = SdkConfig> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(https_client)
        .retry_config(RetryConfig::standard().with_max_attempts(settings.max_attempts));
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(endpoint_url) = &settings.endpoint_url {
        loader = loader.endpoint_url(endpoint_url);
    }
    loader.load()
}

/// Whether S3 has a custom endpoint: `AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_S3`, the profile's, or the setting.
fn has_s3_endpoint(sdk_config: &SdkConfig) -> bool {
    if sdk_config.endpoint_url().is_some() {
        return true;
    }
    endpoint_of("S3", sdk_config).is_some()
}

/// With an endpoint that is not a URL the SDK would fail every request, or send it to AWS instead.
fn check_endpoints(sdk_config: &SdkConfig) -> Result<(), SetupError> {
    let is_url = |endpoint: &str| {
        endpoint
            .parse::<http::Uri>()
            .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some())
    };
    for service in ["DynamoDB", "KMS", "S3"] {
        if endpoint_of(service, sdk_config).is_some_and(|endpoint| !is_url(&endpoint)) {
            return Err(SetupError::Endpoint { service });
        }
    }
    Ok(())
}

/// The endpoint of a service in the environment or the profile: its own, or that of all services.
fn endpoint_of(service: &str, sdk_config: &SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    sdk_config.service_config()?.load_config(key.ok()?)
}

#[cfg(test)]
mod tests;
