//! A caller, as the rest of the program knows it: what authentication found out, and no more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

/// Bytes of names, groups and claims that are accepted.
pub const MAX_NAME_BYTES: usize = 512;
/// Characters of a tenant.
const MAX_TENANT_CHARACTERS: usize = 64;

/// What identified a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A client certificate.
    Certificate,
    /// A JWT.
    Jwt,
    /// An opaque token.
    Token,
}

/// The identity of a caller. Two callers are the same if source, issuer, name and tenant are.
#[derive(Clone, PartialEq)]
pub struct Caller {
    /// What identified it.
    pub source: Source,
    /// The issuer of its JWT; empty for other sources.
    pub issuer: String,
    /// Its name, with the prefix of its source.
    pub name: String,
    /// Its tenant.
    pub tenant: Option<String>,
    /// Its groups.
    pub groups: BTreeSet<String>,
    /// The claims that policies may use.
    pub claims: BTreeMap<String, Claim>,
    /// When its credential expires.
    pub expires: Option<SystemTime>,
    /// Identifies the caller: a hash of source, issuer, name and tenant.
    id: [u8; 32],
}

/// The value of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Text.
    Text(String),
    /// A whole number.
    Long(i64),
    /// A boolean.
    Boolean(bool),
    /// A set of texts.
    Texts(BTreeSet<String>),
}

impl Source {
    /// The name, as in policies.
    pub fn as_str(self) -> &'static str {
        match self {
            Source::Certificate => "certificate",
            Source::Jwt => "jwt",
            Source::Token => "token",
        }
    }
}

impl Caller {
    /// A caller without groups, claims and expiry.
    pub fn new(source: Source, issuer: &str, name: String, tenant: Option<String>) -> Caller {
        Caller {
            id: id(source, issuer, &name, tenant.as_deref()),
            source,
            issuer: issuer.to_owned(),
            name,
            tenant,
            groups: BTreeSet::new(),
            claims: BTreeMap::new(),
            expires: None,
        }
    }

    /// Identifies the caller, for what belongs to it: sessions, tokens, records.
    pub fn id(&self) -> &[u8; 32] {
        &self.id
    }

    /// Whether its credential has expired.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }
}

/// Shows who it is, but no claims.
impl fmt::Debug for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Caller")
            .field("source", &self.source)
            .field("issuer", &self.issuer)
            .field("name", &self.name)
            .field("tenant", &self.tenant)
            .finish_non_exhaustive()
    }
}

/// Every part is preceded by its length, so that no two callers have the same bytes.
fn id(source: Source, issuer: &str, name: &str, tenant: Option<&str>) -> [u8; 32] {
    let mut hasher = Sha256::new();
    let parts = [source.as_str(), issuer, name, tenant.unwrap_or_default()];
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// Whether a text is a valid name of a caller or a group.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME_BYTES && !text.chars().any(char::is_control)
}

/// Whether a text is a valid tenant.
pub fn is_tenant(text: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=MAX_TENANT_CHARACTERS).contains(&text.len()) && text.bytes().all(is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callers_differ_in_source_issuer_name_and_tenant() {
        let of = |source, issuer: &str, name: &str, tenant: Option<&str>| {
            *Caller::new(source, issuer, name.to_owned(), tenant.map(str::to_owned)).id()
        };
        let ids = [
            of(Source::Jwt, "i", "n", None),
            of(Source::Token, "i", "n", None),
            of(Source::Jwt, "in", "", None),
            of(Source::Jwt, "", "in", None),
            of(Source::Jwt, "i", "n", Some("t")),
            of(Source::Jwt, "i", "nt", None),
        ];
        let distinct: BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert_eq!(ids[0], of(Source::Jwt, "i", "n", None));
    }

    #[test]
    fn tenants_are_short_and_plain() {
        for tenant in ["a", "A-1._", &"x".repeat(64)] {
            assert!(is_tenant(tenant), "{tenant}");
        }
        for tenant in ["", "a b", "a#", "é", &"x".repeat(65)] {
            assert!(!is_tenant(tenant), "{tenant}");
        }
    }
}
