//! JWTs (RFC 7519): which issuer a token is of, its signature, its claims, and the caller that they describe.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::dangerous::insecure_decode_claims;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::keys::Keys;
use super::prefixes::Prefixes;
use super::refused::Refused;
use super::signatures;
use crate::caller::{Caller, Claim, Source, is_name, is_tenant};
use crate::config::{ClaimType, JwtAlgorithm, JwtIssuer};

/// The most groups of a caller, and members of a claim.
const MAX_GROUPS: usize = 1_000;

/// The latest expiry, in seconds since 1970: the year 5138. Later ones are reduced to it.
const LATEST_EXPIRY: f64 = 1e11;

/// A token that was parsed but not verified.
pub(super) struct Unverified<'a> {
    token: &'a str,
    header: Header,
    issuer: String,
}

impl Unverified<'_> {
    /// Parses the header and the issuer.
    pub(super) fn parse(token: &str) -> Result<Unverified<'_>, Refused> {
        #[derive(Deserialize)]
        struct Issuer {
            iss: String,
        }
        signatures::install();
        let header = decode_header(token).map_err(|_| Refused::InvalidToken)?;
        // extensions that must be understood (RFC 7515, 4.1.11), and encryption
        if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
            return Err(Refused::InvalidToken);
        }
        let claims: Issuer = insecure_decode_claims(token).map_err(|_| Refused::InvalidToken)?;
        Ok(Unverified {
            token,
            header,
            issuer: claims.iss,
        })
    }

    /// The issuer that the token names.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Verifies the token with the issuer's keys. `UnknownKey` if none of them can have signed it.
    pub(super) fn verify(
        &self,
        issuer: &JwtIssuer,
        keys: &Keys,
        prefixes: &Prefixes,
    ) -> Result<Caller, Refused> {
        let algorithm = self.header.alg;
        let mut accepted = issuer.algorithms.iter().map(|accepted| library(*accepted));
        if !accepted.any(|accepted| accepted == algorithm) {
            return Err(Refused::InvalidToken);
        }
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&issuer.issuer]);
        validation.set_audience(&issuer.audience);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_nbf = true;
        validation.leeway = issuer.leeway.as_secs();
        let key_id = self.header.kid.as_deref();
        for key in keys.candidates(key_id, algorithm) {
            match decode::<Map<String, Value>>(self.token, key, &validation) {
                Ok(verified) => return caller(issuer, &verified.claims, prefixes),
                // another key of the issuer may have signed it
                Err(error) if *error.kind() == ErrorKind::InvalidSignature => {}
                Err(error) => return Err(refusal(error.kind())),
            }
        }
        Err(match key_id.is_some_and(|id| keys.has(id)) {
            true => Refused::InvalidToken,
            false => Refused::UnknownKey,
        })
    }
}

fn library(algorithm: JwtAlgorithm) -> Algorithm {
    match algorithm {
        JwtAlgorithm::RS256 => Algorithm::RS256,
        JwtAlgorithm::PS256 => Algorithm::PS256,
        JwtAlgorithm::ES256 => Algorithm::ES256,
        JwtAlgorithm::ES384 => Algorithm::ES384,
        JwtAlgorithm::EdDSA => Algorithm::EdDSA,
    }
}

fn refusal(kind: &ErrorKind) -> Refused {
    match kind {
        ErrorKind::ExpiredSignature => Refused::ExpiredToken,
        ErrorKind::ImmatureSignature => Refused::EarlyToken,
        _ => Refused::InvalidToken,
    }
}

/// The caller of verified claims.
fn caller(issuer: &JwtIssuer, claims: &Map<String, Value>, prefixes: &Prefixes) -> Result<Caller, Refused> {
    let name = text(claims, &issuer.name_claim).ok_or(Refused::InvalidToken)?;
    let name = prefixes
        .name(&issuer.name_prefix, name)
        .ok_or(Refused::InvalidToken)?;
    let tenant = match &issuer.tenant_claim {
        None => None,
        Some(claim) => match claims.get(claim) {
            None | Some(Value::Null) => None,
            Some(Value::String(tenant)) if is_tenant(tenant) => Some(tenant.clone()),
            Some(_) => return Err(Refused::InvalidToken),
        },
    };
    let mut caller = Caller::new(Source::Jwt, &issuer.issuer, name, tenant);
    if let Some(groups) = issuer.groups_claim.as_ref().and_then(|claim| claims.get(claim)) {
        caller.groups = texts(groups).ok_or(Refused::InvalidToken)?;
    }
    caller.claims = declared(issuer, claims);
    caller.expires = Some(expiry(claims)? + issuer.leeway);
    Ok(caller)
}

fn text<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    claims.get(name)?.as_str()
}

/// One text or a list of texts.
fn texts(value: &Value) -> Option<BTreeSet<String>> {
    let valid = |text: &str| is_name(text).then(|| text.to_owned());
    match value {
        Value::Null => Some(BTreeSet::new()),
        Value::String(one) => Some(BTreeSet::from([valid(one)?])),
        Value::Array(several) if several.len() <= MAX_GROUPS => {
            several.iter().map(|value| valid(value.as_str()?)).collect()
        }
        _ => None,
    }
}

/// The claims that policies may use. One of another type is left out: a policy that needs it denies.
fn declared(issuer: &JwtIssuer, claims: &Map<String, Value>) -> BTreeMap<String, Claim> {
    let declared = issuer.claims.iter().filter_map(|(name, kind)| {
        let value = claims.get(name)?;
        let claim = match kind {
            ClaimType::String => Claim::Text(value.as_str().filter(|text| is_name(text))?.to_owned()),
            ClaimType::Long => Claim::Long(value.as_i64()?),
            ClaimType::Bool => Claim::Boolean(value.as_bool()?),
            ClaimType::StringSet => Claim::Texts(texts(value)?),
        };
        Some((name.clone(), claim))
    });
    declared.collect()
}

/// The time of `exp`, which may have a fraction (RFC 7519, 2).
fn expiry(claims: &Map<String, Value>) -> Result<SystemTime, Refused> {
    let seconds = claims.get("exp").and_then(Value::as_f64);
    let seconds = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds.min(LATEST_EXPIRY)).ok());
    Ok(UNIX_EPOCH + seconds.ok_or(Refused::InvalidToken)?)
}
