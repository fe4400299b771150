//! What is wrong with the settings `auth.*` taken together, beyond the form of each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::auth::{Auth, JwtIssuer};
use crate::caller::{is_name, is_tenant};

/// The longest prefix of names, in bytes.
const MAX_PREFIX_BYTES: usize = 128;
/// The largest difference of clocks that makes sense.
const MAX_LEEWAY: Duration = Duration::from_secs(10 * 60);
/// The beginning of a URL of keys.
const HTTPS: &str = "https://";

impl Auth {
    /// Each fault with the path of its setting.
    pub(super) fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults: Vec<(&'static str, String)> = Vec::new();
        for (name, membership) in &self.certificate_callers {
            let mut add = |text: &str| faults.push(("auth.certificate_callers", format!("[{name:?}]{text}")));
            if !is_name(name) {
                add(": must be a name of 1 to 512 bytes without control characters");
            }
            if !membership.groups.iter().all(|group| is_name(group)) {
                add(".groups: must be names of 1 to 512 bytes without control characters");
            }
            if membership
                .tenant
                .as_ref()
                .is_some_and(|tenant| !is_tenant(tenant))
            {
                add(".tenant: must be 1 to 64 characters of A-Za-z0-9._-");
            }
        }
        for (index, issuer) in self.jwt.iter().enumerate() {
            let found = issuer_faults(issuer).into_iter();
            faults.extend(found.map(|text| ("auth.jwt", format!("[{index}].{text}"))));
        }
        if let Some(tokens) = &self.tokens {
            if tokens.file.as_os_str().is_empty() {
                faults.push(("auth.tokens", "file: must not be empty".to_owned()));
            }
            faults.extend(prefix_fault(&tokens.name_prefix).map(|text| ("auth.tokens", text)));
        }
        faults.extend(self.shared_issuers());
        faults.extend(self.shared_prefixes());
        faults
    }

    /// The entries with the issuer of another one: which of them applies would depend on their order.
    fn shared_issuers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let mut seen = BTreeMap::new();
        let shared = self.jwt.iter().enumerate().filter_map(move |(index, issuer)| {
            let first = *seen.entry(issuer.issuer.as_str()).or_insert(index);
            (first != index).then(|| {
                let text = format!("[{index}].issuer: is that of [{first}] too; `audience` may be a list");
                ("auth.jwt", text)
            })
        });
        shared.collect::<Vec<_>>().into_iter()
    }

    /// The sources with the prefix of another one: one name in a policy must be one caller.
    fn shared_prefixes(&self) -> Vec<(&'static str, String)> {
        let mut seen = BTreeMap::new();
        let mut faults = Vec::new();
        for (index, issuer) in self.jwt.iter().enumerate() {
            let first = *seen.entry(issuer.name_prefix.as_str()).or_insert(index);
            if first != index {
                faults.push((
                    "auth.jwt",
                    format!("[{index}].name_prefix: {}", shared_with(first)),
                ));
            }
        }
        if let Some(tokens) = &self.tokens
            && let Some(first) = seen.get(tokens.name_prefix.as_str())
        {
            faults.push(("auth.tokens", format!("name_prefix: {}", shared_with(*first))));
        }
        faults
    }
}

fn shared_with(issuer: usize) -> String {
    format!("must differ from that of auth.jwt[{issuer}]: one name in a policy must be one caller")
}

fn issuer_faults(issuer: &JwtIssuer) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |is_valid: bool, text: &str| {
        if !is_valid {
            faults.push(text.to_owned());
        }
    };
    let audience = &issuer.audience;
    check(!issuer.issuer.is_empty(), "issuer: must not be empty");
    check(
        !audience.is_empty() && audience.iter().all(|audience| !audience.is_empty()),
        "audience: must be text, or a list of texts, none of them empty",
    );
    let is_url = issuer.jwks.starts_with(HTTPS);
    check(
        is_valid_jwks(&issuer.jwks),
        "jwks: must be a file, or an https URL without credentials",
    );
    check(
        issuer.jwks_ca.is_none() || is_url,
        "jwks_ca: requires an https URL as jwks",
    );
    check(
        !issuer.algorithms.is_empty(),
        "algorithms: must be some of RS256, PS256, ES256, ES384, EdDSA",
    );
    check(issuer.leeway <= MAX_LEEWAY, "leeway: must be at most 10m");
    let names: BTreeSet<&str> = [
        Some(&issuer.name_claim),
        issuer.groups_claim.as_ref(),
        issuer.tenant_claim.as_ref(),
    ]
    .into_iter()
    .flatten()
    .chain(issuer.claims.keys())
    .map(String::as_str)
    .collect();
    check(
        names.into_iter().all(is_name),
        "claims: names of claims must be 1 to 512 bytes without control characters",
    );
    faults.extend(prefix_fault(&issuer.name_prefix));
    faults
}

/// A path, or an https URL: other URLs would be read as paths.
fn is_valid_jwks(jwks: &str) -> bool {
    let Some(rest) = jwks.strip_prefix(HTTPS) else {
        return !jwks.is_empty() && !jwks.contains("://");
    };
    let host = rest.split('/').next().unwrap_or_default();
    !host.is_empty() && !host.contains('@') && jwks.parse::<http::Uri>().is_ok()
}

fn prefix_fault(prefix: &str) -> Option<String> {
    let is_valid = prefix.is_empty() || (prefix.len() <= MAX_PREFIX_BYTES && is_name(prefix));
    (!is_valid)
        .then(|| format!("name_prefix: must have at most {MAX_PREFIX_BYTES} bytes and no control characters"))
}
