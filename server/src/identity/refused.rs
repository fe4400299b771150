//! Why a credential is refused, and why authentication cannot be set up.

use std::path::PathBuf;

/// Why a caller has no identity. The texts are for callers: they name the kind of the fault, never a part of the
/// credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no credential.
    #[error("authentication is required: {0}")]
    Missing(Expected),
    /// There is more than one `authorization`.
    #[error("authorization: has several values; send only one")]
    SeveralTokens,
    /// `authorization` is not `Bearer` and a token.
    #[error("authorization: must be `Bearer` and a token")]
    NotBearer,
    /// The token is unknown, or its signature or claims are invalid.
    #[error("authorization: the token is invalid")]
    InvalidToken,
    /// The token has expired.
    #[error("authorization: the token has expired")]
    ExpiredToken,
    /// The token is not valid yet.
    #[error("authorization: the token is not valid yet")]
    EarlyToken,
    /// None of the issuer's keys can have signed the token.
    #[error("authorization: the token was signed by an unknown key")]
    UnknownKey,
    /// The issuer's keys could not be read.
    #[error("authorization: the keys of the token's issuer are unavailable; try again later")]
    NoKeys,
    /// The credential expired while the call was in progress.
    #[error("the credential expired while the call was in progress")]
    ExpiredCredential,
    /// The client certificate names no caller, or several.
    #[error(
        "the client certificate names no caller: it must have exactly one SPIFFE URI, or a DNS name, or a common name"
    )]
    UnnamedCertificate,
    /// The client certificate has expired, or is not valid yet.
    #[error("the client certificate has expired, or is not valid yet")]
    ExpiredCertificate,
}

/// The credentials that are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Client certificates.
    pub certificates: bool,
    /// JWTs or opaque tokens.
    pub tokens: bool,
}

impl std::fmt::Display for Expected {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match (self.certificates, self.tokens) {
            (true, true) => "present a client certificate, or send `authorization: Bearer TOKEN`",
            (true, false) => "present a client certificate",
            (false, true) => "send `authorization: Bearer TOKEN`",
            (false, false) => "no credential is accepted",
        })
    }
}

/// Why authentication cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file cannot be read.
    #[error("{setting}: {} {source}", path.display())]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: crate::trusted_file::Error,
    },
    /// A file has invalid content.
    #[error("{setting}: {place} {text}")]
    Content {
        /// The setting that names it.
        setting: &'static str,
        /// The file, with the line if known.
        place: String,
        /// What is wrong.
        text: String,
    },
    /// A URL cannot be used.
    #[error("{setting}: {url} {text}")]
    Url {
        /// The setting that names it.
        setting: &'static str,
        /// The URL.
        url: String,
        /// What is wrong.
        text: String,
    },
}
