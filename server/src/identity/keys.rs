//! A set of an issuer's keys (RFC 7517), parsed.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};

/// Larger sets are refused.
pub(super) const MAX_BYTES: u64 = 256 * 1024;
/// The most keys of one issuer.
const MAX_KEYS: usize = 100;

/// The keys that can verify signatures.
#[derive(Default)]
pub(super) struct Keys(Vec<Key>);

struct Key {
    id: Option<String>,
    /// The algorithms that fit the key.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl Keys {
    /// Parses a set. Keys of other kinds are left out.
    pub(super) fn parse(source: &[u8]) -> Result<Keys, String> {
        let set: JwkSet = serde_json::from_slice(source)
            .map_err(|_| "is not a JSON Web Key Set: an object with `keys`".to_owned())?;
        if set.keys.len() > MAX_KEYS {
            return Err(format!("has more than {MAX_KEYS} keys"));
        }
        let keys: Vec<Key> = set.keys.iter().filter_map(Key::parse).collect();
        match keys.is_empty() {
            true => Err("has no key of RS256, PS256, ES256, ES384 or EdDSA".to_owned()),
            false => Ok(Keys(keys)),
        }
    }

    /// Whether there is a key with this id.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.iter().any(|key| key.id.as_deref() == Some(id))
    }

    /// The keys that may have signed a token with this header. A token without a key id may be of any key.
    pub(super) fn candidates(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &DecodingKey> {
        let has_id = move |key: &&Key| id.is_none() || key.id.as_deref() == id;
        let fits = move |key: &&Key| key.algorithms.contains(&algorithm);
        self.0.iter().filter(has_id).filter(fits).map(|key| &key.key)
    }
}

impl Key {
    fn parse(jwk: &Jwk) -> Option<Key> {
        if jwk
            .common
            .public_key_use
            .as_ref()
            .is_some_and(|purpose| *purpose != PublicKeyUse::Signature)
        {
            return None;
        }
        let fitting = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => vec![Algorithm::RS256, Algorithm::PS256],
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
                vec![Algorithm::ES256]
            }
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => {
                vec![Algorithm::ES384]
            }
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                vec![Algorithm::EdDSA]
            }
            // symmetric keys, and curves that no accepted algorithm uses
            _ => return None,
        };
        let algorithms = match jwk.common.key_algorithm {
            None => fitting,
            Some(only) => {
                let only = algorithm(only)?;
                fitting.into_iter().filter(|fits| *fits == only).collect()
            }
        };
        let key = DecodingKey::from_jwk(jwk).ok()?;
        (!algorithms.is_empty()).then(|| Key {
            id: jwk.common.key_id.clone(),
            algorithms,
            key,
        })
    }
}

fn algorithm(of_key: KeyAlgorithm) -> Option<Algorithm> {
    match of_key {
        KeyAlgorithm::RS256 => Some(Algorithm::RS256),
        KeyAlgorithm::PS256 => Some(Algorithm::PS256),
        KeyAlgorithm::ES256 => Some(Algorithm::ES256),
        KeyAlgorithm::ES384 => Some(Algorithm::ES384),
        KeyAlgorithm::EdDSA => Some(Algorithm::EdDSA),
        _ => None,
    }
}
