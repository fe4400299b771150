//! The settings of a client. Reads no environment and no files.

use std::fmt;
use std::time::Duration;

use tonic::codec::CompressionEncoding;
use tonic::transport::Endpoint;

use crate::{Error, Retry};

/// The default of the server's `limits.message_bytes`.
const MESSAGE_BYTES: usize = 32 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Options of a client. All have defaults, so set only what differs:
///
/// ```
/// # use std::time::Duration;
/// # use tollgate_client::{Options, Retry};
/// let options = Options {
///     session: Some("billing-run-7".to_owned()),
///     timeout: Some(Duration::from_secs(2)),
///     retry: Retry { attempts: 2, ..Retry::default() },
///     ..Options::default()
/// };
/// ```
#[derive(Clone)]
pub struct Options {
    /// The session that calls are billed to: 1–128 characters of `A-Za-z0-9._:-`.
    pub session: Option<String>,
    /// The bearer token of calls, if the server requires one.
    pub bearer: Option<String>,
    /// Further metadata of calls, such as `traceparent`.
    pub metadata: Vec<(String, String)>,
    /// The timeout of a call, including its retries; of a stream, until its end. The server applies it to every AWS call.
    /// `None`: the server's default.
    pub timeout: Option<Duration>,
    /// The retry policy.
    pub retry: Retry,
    /// How messages to the server are compressed; responses may be compressed in the same way. `None`: they are not. The
    /// server compresses no response that has a value which is encrypted in the store.
    pub compress: Option<Compression>,
    /// Maximum size of a message in either direction, in bytes.
    pub message_bytes: usize,
    /// The timeout for connecting.
    pub connect_timeout: Duration,
    /// An additional certificate authority for the server's certificate, in PEM.
    #[cfg(feature = "tls")]
    pub ca_certificate_pem: Option<String>,
    /// The certificate by which this client identifies itself, with its private key.
    #[cfg(feature = "tls")]
    pub identity: Option<ClientIdentity>,
}

/// How messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

impl Compression {
    pub(crate) fn encoding(self) -> CompressionEncoding {
        match self {
            Compression::Gzip => CompressionEncoding::Gzip,
            Compression::Zstd => CompressionEncoding::Zstd,
        }
    }
}

/// The certificate of a client, and its private key.
#[cfg(feature = "tls")]
#[derive(Clone)]
pub struct ClientIdentity {
    /// The certificate, followed by its intermediates; PEM.
    pub certificate_pem: String,
    /// The private key; PEM.
    pub key_pem: String,
}

/// Shows neither part.
#[cfg(feature = "tls")]
impl fmt::Debug for ClientIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientIdentity").finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Options {
        Options {
            session: None,
            bearer: None,
            metadata: Vec::new(),
            timeout: None,
            retry: Retry::default(),
            compress: None,
            message_bytes: MESSAGE_BYTES,
            connect_timeout: CONNECT_TIMEOUT,
            #[cfg(feature = "tls")]
            ca_certificate_pem: None,
            #[cfg(feature = "tls")]
            identity: None,
        }
    }
}

/// Shows whether there is a token and the names of metadata, but no values.
impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.metadata.iter().map(|(name, _)| name.as_str()).collect();
        formatter
            .debug_struct("Options")
            .field("session", &self.session)
            .field("has_bearer", &self.bearer.is_some())
            .field("metadata", &names)
            .field("timeout", &self.timeout)
            .field("retry", &self.retry)
            .field("compress", &self.compress)
            .field("message_bytes", &self.message_bytes)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// These options, with messages that are compressed.
    #[must_use]
    pub fn compress(self, compression: Compression) -> Options {
        Options {
            compress: Some(compression),
            ..self
        }
    }

    /// The endpoint of `http://host:port` or, with the feature `tls`, `https://host:port`.
    pub(crate) fn endpoint(&self, address: &str) -> Result<Endpoint, Error> {
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(Error::invalid_address)?;
        let scheme = endpoint.uri().scheme_str().map(str::to_owned);
        let endpoint = endpoint
            .connect_timeout(self.connect_timeout)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
        match scheme.as_deref() {
            Some("http") => Ok(endpoint),
            Some("https") => self.secure(endpoint),
            _ => Err(Error::local(
                tonic::Code::InvalidArgument,
                "an address must be http://host:port or https://host:port",
            )),
        }
    }

    #[cfg(feature = "tls")]
    fn secure(&self, endpoint: Endpoint) -> Result<Endpoint, Error> {
        use tonic::transport::{Certificate, ClientTlsConfig, Identity};

        let mut tls = ClientTlsConfig::new().with_native_roots();
        if let Some(pem) = &self.ca_certificate_pem {
            tls = tls.ca_certificate(Certificate::from_pem(pem));
        }
        if let Some(identity) = &self.identity {
            tls = tls.identity(Identity::from_pem(&identity.certificate_pem, &identity.key_pem));
        }
        let address = endpoint.uri().to_string();
        endpoint
            .tls_config(tls)
            .map_err(|error| Error::connection_failed(&address, error))
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&self, _endpoint: Endpoint) -> Result<Endpoint, Error> {
        let message = "https requires the feature `tls` of tollgate-client";
        Err(Error::local(tonic::Code::InvalidArgument, message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_requires_a_scheme() {
        let options = Options::default();
        assert!(options.endpoint("http://127.0.0.1:50051").is_ok());
        for address in ["127.0.0.1:50051", "localhost", "ftp://host", "", "http://"] {
            assert!(options.endpoint(address).is_err(), "{address}");
        }
    }

    #[test]
    fn debug_hides_secrets() {
        let metadata = vec![("x-key".to_owned(), "hidden".to_owned())];
        let options = Options {
            bearer: Some("hidden".into()),
            metadata,
            ..Options::default()
        };
        assert!(!format!("{options:?}").contains("hidden"));
    }
}
