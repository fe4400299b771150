//! The TLS settings of the listeners: TLS 1.2 and 1.3, by rustls over ring.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ServerSessionMemoryCache, WebPkiClientVerifier};

use super::files::{Error, Files, Settings};

/// HTTP/2, which gRPC requires.
const H2: &[u8] = b"h2";
/// HTTP/1.1, which probes and Prometheus use.
const HTTP_1_1: &[u8] = b"http/1.1";
/// Sessions that TLS 1.2 clients without tickets can resume.
const SESSIONS: usize = 1024;

/// The configurations made of one set of files.
pub(super) struct Configs {
    /// For calls: HTTP/2, with client certificates if there are authorities.
    pub(super) calls: Arc<ServerConfig>,
    /// For the side port: HTTP/1.1, and no client certificates.
    pub(super) probes: Arc<ServerConfig>,
}

impl Configs {
    pub(super) fn new(settings: &Settings, files: Files) -> Result<Configs, Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = || {
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
            builder.with_safe_default_protocol_versions().map_err(Error::Pair)
        };
        let calls = match files.authorities {
            Some(authorities) => {
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(&provider));
                let verifier = match settings.requires_client_certificate {
                    true => verifier,
                    false => verifier.allow_unauthenticated(),
                };
                builder()?.with_client_cert_verifier(verifier.build().map_err(Error::Authorities)?)
            }
            None => builder()?.with_no_client_auth(),
        };
        let calls = calls.with_single_cert(files.chain.clone(), files.key.clone_key());
        let probes = builder()?
            .with_no_client_auth()
            .with_single_cert(files.chain, files.key);
        Ok(Configs {
            calls: finish(calls.map_err(Error::Pair)?, H2)?,
            probes: finish(probes.map_err(Error::Pair)?, HTTP_1_1)?,
        })
    }
}

/// Sessions are resumed only under this configuration: its tickets have a separate key.
fn finish(mut config: ServerConfig, protocol: &[u8]) -> Result<Arc<ServerConfig>, Error> {
    config.alpn_protocols = vec![protocol.to_vec()];
    config.session_storage = ServerSessionMemoryCache::new(SESSIONS);
    config.ticketer = ring::Ticketer::new().map_err(Error::Pair)?;
    Ok(Arc::new(config))
}
