//! A new opaque token, for `tollgate token new`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::caller::is_name;

/// What the text of every new token begins with, so that scanners of repositories and logs recognise one.
const MARK: &str = "tgt_";
/// Random bytes of a token.
const RANDOM_BYTES: usize = 32;

/// A new token: shown once, and kept only as its hash.
pub struct NewToken {
    token: Zeroizing<String>,
    name: String,
}

impl NewToken {
    /// A random token for a caller with this name. `None` if the name is invalid.
    ///
    /// # Errors
    ///
    /// The system random source failed.
    pub fn generate(name: &str) -> Result<Option<NewToken>, getrandom::Error> {
        let mut random = Zeroizing::new([0; RANDOM_BYTES]);
        getrandom::fill(&mut *random)?;
        let encoded = Zeroizing::new(URL_SAFE_NO_PAD.encode(*random));
        Ok(is_name(name).then(|| NewToken {
            token: Zeroizing::new(format!("{MARK}{}", *encoded)),
            name: name.to_owned(),
        }))
    }

    /// The token. It is a secret.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The line for the file that `auth.tokens` names. It reveals nothing of the token.
    pub fn line(&self) -> String {
        let digits: String = Sha256::digest(self.token.as_bytes())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        // a JSON text is a YAML text; the hash is in quotes too, because all its digits may be decimal
        let name = serde_json::Value::from(self.name.as_str());
        format!("- {{ name: {name}, sha256: \"{digits}\" }}")
    }
}
