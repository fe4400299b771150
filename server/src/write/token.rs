//! The tokens of idempotent transactions: derived from the caller's request id, since DynamoDB's tokens are shared by all
//! users of an account.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use sha2::Sha256;

use super::error::Error;

/// What the key is used for; never changes, since all replicas must derive the same tokens.
const PURPOSE: &[u8] = b"tollgate transaction token v1";
/// DynamoDB accepts 36 characters.
const TOKEN_BYTES: usize = 27;
/// Begins the id of an authenticated caller's transaction. No text has this byte.
const CALLER_MARK: u8 = 0xff;

/// Derives tokens with one key, the same on all replicas.
#[derive(Clone)]
pub struct TransactionTokens(Hkdf<Sha256>);

impl TransactionTokens {
    /// Tokens under this key.
    pub fn new(key: &[u8; 32]) -> TransactionTokens {
        TransactionTokens(Hkdf::new(Some(PURPOSE), key))
    }

    /// The token of the transaction with this request id of a caller, which is empty if callers are not authenticated.
    ///
    /// # Errors
    ///
    /// Never happens: the length is fixed.
    pub fn token(&self, caller: &[u8], request_id: &str) -> Result<String, Error> {
        let mut token = [0; TOKEN_BYTES];
        let id = match caller {
            [] => request_id.as_bytes().to_vec(),
            caller => [&[CALLER_MARK], caller, request_id.as_bytes()].concat(),
        };
        self.0
            .expand(&id, &mut token)
            .map_err(|_| Error::Internal("a transaction token could not be derived"))?;
        Ok(URL_SAFE_NO_PAD.encode(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_depend_on_key_and_id_and_fit() {
        let tokens = TransactionTokens::new(&[1; 32]);
        let token = tokens.token(b"", "a").unwrap();
        assert_eq!(token.len(), 36);
        assert_eq!(token, tokens.token(b"", "a").unwrap());
        assert_ne!(token, tokens.token(b"", "b").unwrap());
        let (one, other) = (tokens.token(&[1; 32], "a"), tokens.token(&[2; 32], "a"));
        assert!(one.unwrap() != other.unwrap() && tokens.token(&[1; 32], "a").unwrap() != token);
        assert_ne!(token, TransactionTokens::new(&[2; 32]).token(b"", "a").unwrap());
    }
}
