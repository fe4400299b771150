//! Finds the caller of a request. Nothing here waits, except for fetching an issuer's keys.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use futures::future::join_all;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use super::bearer;
use super::certificate::PeerCertificate;
use super::jwks::{IssuerKeys, Why};
use super::jwt::Unverified;
use super::prefixes::Prefixes;
use super::refused::{Expected, Refused, SetupError};
use super::tokens::{self, Tokens};
use super::verified::{Verified, Verifier};
use super::watched::WatchedFile;
use crate::caller::Caller;
use crate::config::{Auth, JwtIssuer, PublicService};
use crate::trusted_file::{self, OnChange, Readers};
use crate::yaml;

/// The most calls that wait for keys at one time; others are refused at once.
const MAX_WAITING: usize = 256;

/// Finds the callers of requests.
pub struct Authenticator {
    settings: Auth,
    prefixes: Prefixes,
    issuers: Vec<Issuer>,
    tokens: Option<TokenFile>,
    verified: Verified,
    waiting: Semaphore,
    on_change: OnChange,
}

struct Issuer {
    settings: JwtIssuer,
    keys: IssuerKeys,
}

struct TokenFile {
    file: WatchedFile,
    name_prefix: String,
    tokens: ArcSwap<Tokens>,
}

impl Authenticator {
    /// Reads the files of the settings. `None` if authentication is not configured.
    ///
    /// # Errors
    ///
    /// A file cannot be read or is invalid.
    pub fn open(settings: &Auth) -> Result<Option<Authenticator>, SetupError> {
        if !settings.is_configured() {
            return Ok(None);
        }
        let prefixes = Prefixes::new(settings);
        let issuers: Result<_, SetupError> = settings.jwt.iter().map(Issuer::open).collect();
        let tokens = settings.tokens.as_ref();
        Ok(Some(Authenticator {
            issuers: issuers?,
            tokens: tokens.map(|file| TokenFile::open(file, &prefixes)).transpose()?,
            settings: settings.clone(),
            prefixes,
            verified: Verified::new(),
            waiting: Semaphore::new(MAX_WAITING),
            on_change: OnChange::default(),
        }))
    }

    /// Who is notified when other tokens or keys are put in use.
    pub fn on_change(&self) -> &OnChange {
        &self.on_change
    }

    /// The services that need no identity.
    pub fn public(&self) -> &BTreeSet<PublicService> {
        &self.settings.public
    }

    /// The caller of a request. A bearer token identifies the caller rather than the certificate; if both are there, both
    /// must be valid.
    ///
    /// # Errors
    ///
    /// There is no credential, or one that is invalid. After `UnknownKey` and `NoKeys`, [`refreshed`] may help.
    ///
    /// [`refreshed`]: Authenticator::refreshed
    pub fn authenticate(
        &self,
        headers: &HeaderMap,
        certificate: Option<&PeerCertificate>,
        now: SystemTime,
    ) -> Result<Arc<Caller>, Refused> {
        let certificate = certificate.filter(|_| self.settings.certificates);
        let by_certificate = certificate
            .map(|certificate| certificate.caller(&self.settings.certificate_callers, now))
            .transpose()?;
        match (bearer::token(headers)?, by_certificate) {
            (Some(token), _) => self.of_token(token, now),
            (None, Some(caller)) => Ok(Arc::clone(caller)),
            (None, None) => Err(Refused::Missing(self.expected())),
        }
    }

    /// Like [`authenticate`](Authenticator::authenticate), after the keys of the token's issuer were fetched if they may
    /// be: at most every 30 s.
    ///
    /// # Errors
    ///
    /// As for `authenticate`.
    pub async fn refreshed(
        &self,
        headers: &HeaderMap,
        certificate: Option<&PeerCertificate>,
    ) -> Result<Arc<Caller>, Refused> {
        let permit = self.waiting.try_acquire().map_err(|_| Refused::NoKeys)?;
        if let Some(token) = bearer::token(headers)? {
            let issuer = self.issuer_of(&Unverified::parse(token)?)?;
            if self.issuers[issuer].keys.refresh(Why::UnknownKey).await {
                self.on_change.notify();
            }
        }
        drop(permit);
        self.authenticate(headers, certificate, SystemTime::now())
    }

    /// Keeps files and keys up to date, until it is dropped.
    pub async fn watch(self: Arc<Authenticator>) {
        loop {
            let refreshed = join_all(self.issuers.iter().map(|issuer| issuer.keys.refresh(Why::Due))).await;
            if refreshed.contains(&true) {
                self.on_change.notify();
            }
            let authenticator = Arc::clone(&self);
            if !trusted_file::look_again(move || authenticator.reload()).await {
                return;
            }
        }
    }

    /// Reads the files again. Blocks; logs what changed and new errors.
    pub fn reload(&self) {
        let mut is_changed = false;
        for issuer in &self.issuers {
            is_changed |= issuer.keys.reload_file();
        }
        if let Some(tokens) = &self.tokens {
            is_changed |= tokens.reload(&self.prefixes);
        }
        if is_changed {
            self.on_change.notify();
        }
    }

    fn expected(&self) -> Expected {
        Expected {
            certificates: self.settings.certificates,
            tokens: self.tokens.is_some() || !self.issuers.is_empty(),
        }
    }

    /// An opaque token is known by its hash; every other token must be a JWT.
    fn of_token(&self, token: &str, now: SystemTime) -> Result<Arc<Caller>, Refused> {
        let hash: [u8; 32] = Sha256::digest(token).into();
        let tokens = self.tokens.as_ref().map(|tokens| tokens.tokens.load());
        if let Some(found) = tokens.and_then(|tokens| tokens.caller(&hash, now)) {
            return found;
        }
        if let Some((verifier, caller)) = self.verified.get(&hash)
            && self.issuers[verifier.issuer].keys.is_current(verifier.generation)
        {
            if !caller.is_expired(now) {
                return Ok(caller);
            }
            self.verified.remove(&hash);
            return Err(Refused::ExpiredToken);
        }
        self.of_jwt(token, hash)
    }

    fn of_jwt(&self, token: &str, hash: [u8; 32]) -> Result<Arc<Caller>, Refused> {
        let unverified = Unverified::parse(token)?;
        let issuer = self.issuer_of(&unverified)?;
        let Issuer { settings, keys } = &self.issuers[issuer];
        let (generation, keys) = keys.current().ok_or(Refused::NoKeys)?;
        let caller = Arc::new(unverified.verify(settings, &keys, &self.prefixes)?);
        // verification counts whole seconds
        if caller.is_expired(SystemTime::now()) {
            return Err(Refused::ExpiredToken);
        }
        self.verified
            .put(hash, Verifier { issuer, generation }, Arc::clone(&caller));
        Ok(caller)
    }

    fn issuer_of(&self, unverified: &Unverified<'_>) -> Result<usize, Refused> {
        let mut issuers = self.issuers.iter();
        issuers
            .position(|issuer| issuer.settings.issuer == unverified.issuer())
            .ok_or(Refused::InvalidToken)
    }
}

impl Issuer {
    fn open(settings: &JwtIssuer) -> Result<Issuer, SetupError> {
        Ok(Issuer {
            keys: IssuerKeys::open(settings)?,
            settings: settings.clone(),
        })
    }
}

impl TokenFile {
    fn open(settings: &crate::config::TokenFile, prefixes: &Prefixes) -> Result<TokenFile, SetupError> {
        let (file, content) = WatchedFile::open(
            tokens::SETTING,
            settings.file.clone(),
            Readers::OwnerAndGroup,
            yaml::MAX_FILE_BYTES as u64,
        )?;
        let parsed = Tokens::parse(&file.name(), &content, &settings.name_prefix, prefixes)?;
        Ok(TokenFile {
            file,
            name_prefix: settings.name_prefix.clone(),
            tokens: ArcSwap::from_pointee(parsed),
        })
    }

    fn reload(&self, prefixes: &Prefixes) -> bool {
        let name = self.file.name();
        self.file.reload(|content| {
            let parsed = Tokens::parse(&name, content, &self.name_prefix, prefixes);
            self.tokens
                .store(Arc::new(parsed.map_err(|error| error.to_string())?));
            Ok(())
        })
    }
}

/// Shows how callers are identified, and no token.
impl std::fmt::Debug for Authenticator {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Authenticator")
            .field("certificates", &self.settings.certificates)
            .field("issuers", &self.issuers.len())
            .field("has_tokens", &self.tokens.is_some())
            .finish_non_exhaustive()
    }
}
