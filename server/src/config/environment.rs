//! The process's environment: the only file that reads it.

/// What the names of all variables begin with.
pub(super) const PREFIX: &str = "TOLLGATE_";

/// What the names of OpenTelemetry's variables begin with.
const OTEL_PREFIX: &str = "OTEL_";

/// What the names of the AWS SDK's variables begin with.
const AWS_PREFIX: &str = "AWS_";

/// Proxies and certificates, which TLS and HTTP libraries look up.
const OF_LIBRARIES: [&str; 10] = [
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

/// The process's environment; what is not Unicode is replaced, so that it is refused rather than overlooked.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    })
}

/// The names of variables that are set and empty, of those that this program and the libraries under it read.
pub fn empty_variables() -> Vec<String> {
    environment()
        .filter(|(name, value)| value.is_empty() && is_read(name))
        .map(|(name, _)| name)
        .collect()
}

/// Whether a variable is one of OpenTelemetry's.
pub(super) fn is_otel(name: &str) -> bool {
    name.starts_with(OTEL_PREFIX)
}

/// Whether this program or a library under it reads a variable.
pub(super) fn is_read(name: &str) -> bool {
    let prefixes = [PREFIX, OTEL_PREFIX, AWS_PREFIX];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) || OF_LIBRARIES.contains(&name)
}
