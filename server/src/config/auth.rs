//! The settings of authentication. They have structure, so that each is read as JSON: YAML of the settings file is
//! converted, and variables contain JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How much the clocks of issuers may differ.
const LEEWAY: Duration = Duration::from_secs(60);
/// The claim with the name of a caller (RFC 7519, 4.1.2).
const NAME_CLAIM: &str = "sub";

/// Who callers are. Nothing set: callers have no identity and may do everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// Whether a client certificate identifies its caller.
    pub certificates: bool,
    /// Groups and tenants of callers with certificates, by name.
    pub certificate_callers: BTreeMap<String, Membership>,
    /// The issuers of accepted JWTs.
    pub jwt: Vec<JwtIssuer>,
    /// The file of opaque tokens.
    pub tokens: Option<TokenFile>,
    /// What callers without identity may call.
    pub public: BTreeSet<PublicService>,
}

/// The groups and the tenant of a caller.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Membership {
    /// The groups, for policies and limits.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<String>,
    /// The tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

/// An issuer of JWTs, and what its tokens must contain.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct JwtIssuer {
    /// The claim `iss`.
    pub issuer: String,
    /// The claim `aud`: one of these.
    #[serde(deserialize_with = "one_or_several")]
    pub audience: Vec<String>,
    /// The issuer's keys (RFC 7517): a file, or an https URL.
    pub jwks: String,
    /// The authorities of the URL's certificate, PEM; the system's if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_ca: Option<PathBuf>,
    /// The accepted algorithms.
    #[serde(default = "all_algorithms")]
    pub algorithms: BTreeSet<JwtAlgorithm>,
    /// How much the issuer's clock may differ.
    #[serde(
        default = "leeway",
        deserialize_with = "duration",
        serialize_with = "show_duration"
    )]
    pub leeway: Duration,
    /// The claim with the caller's name.
    #[serde(default = "name_claim")]
    pub name_claim: String,
    /// The claim with the caller's groups, a list of strings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups_claim: Option<String>,
    /// The claim with the caller's tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_claim: Option<String>,
    /// The claims that policies may use, with their types. Others are dropped.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub claims: BTreeMap<String, ClaimType>,
    /// The text before the names of this issuer's callers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name_prefix: String,
}

/// An algorithm of signatures (RFC 7518, 3.1; RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum JwtAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// ECDSA over P-256 with SHA-256.
    ES256,
    /// ECDSA over P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

/// The type of a claim, by its name in Cedar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum ClaimType {
    /// Text.
    String,
    /// A whole number.
    Long,
    /// A boolean.
    Bool,
    /// A list of texts.
    #[serde(rename = "Set<String>")]
    StringSet,
}

/// A file of opaque tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenFile {
    /// Its path.
    pub file: PathBuf,
    /// The text before the names of its callers.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name_prefix: String,
}

/// A service that callers without identity may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PublicService {
    /// `grpc.health.v1.Health`.
    Health,
    /// Reflection: the names of services and messages.
    Reflection,
}

impl Default for Auth {
    fn default() -> Auth {
        Auth {
            certificates: false,
            certificate_callers: BTreeMap::new(),
            jwt: Vec::new(),
            tokens: None,
            public: BTreeSet::from([PublicService::Health]),
        }
    }
}

impl Auth {
    /// Whether callers must have an identity.
    pub fn is_configured(&self) -> bool {
        self.certificates || !self.jwt.is_empty() || self.tokens.is_some()
    }
}

impl<'de> Deserialize<'de> for TokenFile {
    /// Accepts a path alone.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<TokenFile, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "must be a path, or a map of `file` and `name_prefix`")]
        enum Form {
            Path(PathBuf),
            Map(Map),
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Map {
            file: PathBuf,
            #[serde(default)]
            name_prefix: String,
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Path(file) => TokenFile {
                file,
                name_prefix: String::new(),
            },
            Form::Map(Map { file, name_prefix }) => TokenFile { file, name_prefix },
        })
    }
}

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "must be text, or a list of texts")]
    enum Form {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::One(one) => vec![one],
        Form::Several(several) => several,
    })
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text)
        .map_err(|_| serde::de::Error::custom("must be a duration, such as `60s`"))
}

fn show_duration<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&humantime::format_duration(*duration))
}

fn all_algorithms() -> BTreeSet<JwtAlgorithm> {
    use JwtAlgorithm::{ES256, ES384, EdDSA, PS256, RS256};
    BTreeSet::from([RS256, PS256, ES256, ES384, EdDSA])
}

fn leeway() -> Duration {
    LEEWAY
}

fn name_claim() -> String {
    NAME_CLAIM.to_owned()
}
