//! The files of certificates and keys, read and parsed together.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};

use crate::trusted_file::{self, Readers};

/// Larger files are refused: 1 MiB holds some hundred certificates.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Which files to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The certificate of the server, followed by its intermediates; PEM.
    pub certificate: PathBuf,
    /// Its private key; PEM.
    pub key: PathBuf,
    /// The authorities of client certificates; PEM.
    pub client_ca: Option<PathBuf>,
    /// Whether callers must present a certificate if there are authorities.
    pub requires_client_certificate: bool,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{setting}: {} {source}", path.display())]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: trusted_file::Error,
    },
    /// A file is not what it should be.
    #[error("{setting}: {} {text}", path.display())]
    Content {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        text: String,
    },
    /// The certificate and the key cannot be used together.
    #[error("tls.certificate, tls.key: {0}")]
    Pair(rustls::Error),
    /// The authorities cannot be used.
    #[error("tls.client_ca: {0}")]
    Authorities(rustls::server::VerifierBuilderError),
}

/// The parsed files.
pub(super) struct Files {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) authorities: Option<RootCertStore>,
    pub(super) digests: Digests,
}

/// What the files contained, to notice changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digests {
    pub(super) pair: [u8; 32],
    pub(super) authorities: [u8; 32],
}

/// The bytes of the files.
pub(super) struct Sources {
    certificate: Vec<u8>,
    key: zeroize::Zeroizing<Vec<u8>>,
    client_ca: Option<Vec<u8>>,
}

impl Sources {
    pub(super) fn read(settings: &Settings) -> Result<Sources, Error> {
        let public = |setting, path: &Path| {
            let content = read(setting, path, Readers::Anyone)?;
            Ok(content.to_vec())
        };
        let client_ca = settings.client_ca.as_deref();
        Ok(Sources {
            certificate: public("tls.certificate", &settings.certificate)?,
            key: read("tls.key", &settings.key, Readers::OwnerAndGroup)?,
            client_ca: client_ca.map(|path| public("tls.client_ca", path)).transpose()?,
        })
    }

    pub(super) fn digests(&self) -> Digests {
        let mut pair = Sha256::new();
        for part in [&self.certificate, &*self.key] {
            pair.update((part.len() as u64).to_be_bytes());
            pair.update(part);
        }
        Digests {
            pair: pair.finalize().into(),
            authorities: Sha256::digest(self.client_ca.as_deref().unwrap_or_default()).into(),
        }
    }

    pub(super) fn parse(self, settings: &Settings) -> Result<Files, Error> {
        let digests = self.digests();
        let chain = certificates("tls.certificate", &settings.certificate, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| Error::Content {
            setting: "tls.key",
            path: settings.key.clone(),
            text: match error {
                pem::Error::NoItemsFound => "has no private key in PEM".to_owned(),
                // other errors may quote the content
                _ => "is not valid PEM".to_owned(),
            },
        })?;
        let authorities = match (&settings.client_ca, &self.client_ca) {
            (Some(path), Some(content)) => Some(authorities(path, content)?),
            (Some(_) | None, Some(_) | None) => None,
        };
        Ok(Files {
            chain,
            key,
            authorities,
            digests,
        })
    }
}

fn read(setting: &'static str, path: &Path, readers: Readers) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
    trusted_file::read(path, readers, MAX_FILE_BYTES).map_err(|source| Error::File {
        setting,
        path: path.to_owned(),
        source,
    })
}

fn certificates(
    setting: &'static str,
    path: &Path,
    content: &[u8],
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let invalid = |text: &str| Error::Content {
        setting,
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(content).collect();
    let parsed = parsed.map_err(|_| invalid("is not valid PEM"))?;
    match parsed.is_empty() {
        true => Err(invalid("has no certificate in PEM")),
        false => Ok(parsed),
    }
}

fn authorities(path: &Path, content: &[u8]) -> Result<RootCertStore, Error> {
    let setting = "tls.client_ca";
    let mut store = RootCertStore::empty();
    for certificate in certificates(setting, path, content)? {
        store.add(certificate).map_err(|error| Error::Content {
            setting,
            path: path.to_owned(),
            text: format!("has an invalid certificate: {error}"),
        })?;
    }
    Ok(store)
}
