//! The SDK as a program has it that calls DynamoDB without a gateway.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_smithy_http_client::{Builder as HttpClientBuilder, tls};

/// A client of an endpoint, with the SDK's defaults.
pub fn default_client(endpoint: &str) -> Client {
    let https = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(endpoint)
        .http_client(HttpClientBuilder::new().tls_provider(https).build_https())
        .credentials_provider(Credentials::new("id", "secret", None, None, "bench"));
    Client::from_conf(config.build())
}
