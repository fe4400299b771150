//! The process's environment: the only file that reads it.

/// Prefix of the variables of this program.
pub(super) const PREFIX: &str = "TOLLGATE_";

/// Prefix of OpenTelemetry's variables.
const OTEL_PREFIX: &str = "OTEL_";

/// Prefix of the AWS SDK's variables.
const AWS_PREFIX: &str = "AWS_";

/// Variables for proxies and certificates, which TLS and HTTP libraries read.
const LIBRARY_VARIABLES: [&str; 10] = [
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The environment of the process. Invalid Unicode is replaced, so that it is refused and not ignored.
#[expect(
    clippy::disallowed_methods,
    reason = "the only function that reads the environment"
)]
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    })
}

/// The names of variables that are set but empty, among those that this program and its libraries read.
pub fn empty_variables() -> Vec<String> {
    environment()
        .filter(|(name, value)| value.is_empty() && is_read(name))
        .map(|(name, _)| name)
        .collect()
}

/// Whether a variable belongs to OpenTelemetry.
pub(super) fn is_otel(name: &str) -> bool {
    name.starts_with(OTEL_PREFIX)
}

/// Whether this program or one of its libraries reads a variable.
pub(super) fn is_read(name: &str) -> bool {
    let prefixes = [PREFIX, OTEL_PREFIX, AWS_PREFIX];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) || LIBRARY_VARIABLES.contains(&name)
}
