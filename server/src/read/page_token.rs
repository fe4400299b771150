//! Page tokens: the position where a Query or Scan resumes, encrypted and bound to the request that it came from.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format id `0x02` |
//! | 12 | nonce, random |
//! | rest | AES-256-GCM ciphertext and tag of the positions (protobuf) |
//!
//! The whole token is base64url without padding. The associated data is the SHA-256 of everything in the request except
//! `limit`, `page_size` and the token itself. Format `0x01` hashed the members of sets without their number; tokens are
//! short-lived, so it is rejected. Golden file: `golden/page_token_2.txt`.

use aes_gcm::aead::{Aead as _, Nonce, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::Error;
use super::request_hash::RequestHash;
use super::segment_position::{self, SegmentPosition};

const FORMAT: u8 = 2;
const NONCE_BYTES: usize = 12;
/// Keys have at most 3 KB per segment; a longer token has more segments than a stream may read, so it is not valid.
const MAX_TOKEN_BYTES: usize = 1024 * 1024;

/// Seals and opens page tokens with one key, the same on all replicas.
#[derive(Clone)]
pub struct PageTokens {
    cipher: Aes256Gcm,
}

impl PageTokens {
    /// Tokens under this key.
    pub fn new(key: &[u8; 32]) -> PageTokens {
        PageTokens {
            cipher: Aes256Gcm::new(key.into()),
        }
    }

    /// Where each of `segments` segments begins: at its start if the token is empty, otherwise at the token's position.
    ///
    /// # Errors
    ///
    /// `InvalidPageToken` for a token of another request, key or number of segments.
    pub fn positions(
        &self,
        token: &str,
        request_hash: RequestHash,
        segments: usize,
    ) -> Result<Vec<SegmentPosition>, Error> {
        if token.is_empty() {
            return Ok(vec![SegmentPosition::AtStart; segments]);
        }
        let positions = self.open(token, request_hash)?;
        match positions.len() == segments {
            true => Ok(positions),
            false => Err(Error::InvalidPageToken(
                "was issued for a different number of segments",
            )),
        }
    }

    pub(super) fn seal(
        &self,
        positions: &[SegmentPosition],
        request_hash: RequestHash,
    ) -> Result<String, Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| Error::Internal("the system random source failed"))?;
        self.seal_with_nonce(nonce, positions, request_hash)
    }

    fn seal_with_nonce(
        &self,
        nonce: [u8; NONCE_BYTES],
        positions: &[SegmentPosition],
        request_hash: RequestHash,
    ) -> Result<String, Error> {
        let payload = Payload {
            msg: &segment_position::encode(positions)?,
            aad: request_hash.as_bytes(),
        };
        let nonce = Nonce::<Aes256Gcm>::from(nonce);
        let sealed = self
            .cipher
            .encrypt(&nonce, payload)
            .map_err(|_| Error::Internal("a page token could not be encrypted"))?;
        Ok(URL_SAFE_NO_PAD.encode([&[FORMAT], nonce.as_slice(), &sealed].concat()))
    }

    fn open(&self, token: &str, request_hash: RequestHash) -> Result<Vec<SegmentPosition>, Error> {
        const FOREIGN: Error = Error::InvalidPageToken(
            "does not match this request; send it with the same arguments as the call that returned it",
        );
        if token.len() > MAX_TOKEN_BYTES {
            return Err(FOREIGN);
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| FOREIGN)?;
        let Some((&[FORMAT], rest)) = bytes.split_first_chunk() else {
            return Err(FOREIGN);
        };
        let Some((nonce, sealed)) = rest.split_first_chunk::<NONCE_BYTES>() else {
            return Err(FOREIGN);
        };
        let payload = Payload {
            msg: sealed,
            aad: request_hash.as_bytes(),
        };
        let opened = self
            .cipher
            .decrypt(&Nonce::<Aes256Gcm>::from(*nonce), payload)
            .map_err(|_| FOREIGN)?;
        segment_position::decode(&opened).ok_or(FOREIGN)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Value;
    use crate::read::request_hash::RequestHasher;

    fn tokens() -> PageTokens {
        PageTokens::new(&[7; 32])
    }

    fn request_hash(limit: u64) -> RequestHash {
        let mut hasher = RequestHasher::new("Query");
        hasher.number(limit);
        hasher.finish()
    }

    fn positions() -> Vec<SegmentPosition> {
        let number = Value::N("-12.5".parse().unwrap());
        let key = [
            ("pk".to_owned(), Value::S("A#1".to_owned())),
            ("sk".to_owned(), number),
        ];
        vec![
            SegmentPosition::After(key.into()),
            SegmentPosition::AtEnd,
            SegmentPosition::AtStart,
        ]
    }

    #[test]
    fn opens_a_token_only_for_its_own_request() {
        let token = tokens().seal(&positions(), request_hash(1)).unwrap();
        assert_eq!(tokens().open(&token, request_hash(1)).unwrap(), positions());
        assert!(tokens().open(&token, request_hash(2)).is_err());
        assert!(PageTokens::new(&[8; 32]).open(&token, request_hash(1)).is_err());
    }

    #[test]
    fn rejects_an_altered_token() {
        let token = tokens().seal(&positions(), request_hash(1)).unwrap();
        for index in 0..token.len() {
            let mut edited = token.clone().into_bytes();
            edited[index] = if edited[index] == b'A' { b'B' } else { b'A' };
            let edited = String::from_utf8(edited).unwrap();
            assert!(
                tokens().open(&edited, request_hash(1)).is_err(),
                "edited at {index}"
            );
        }
    }

    /// The base64url value of a line of the golden file.
    fn golden(name: &str) -> Vec<u8> {
        let lines = include_str!("golden/page_token_2.txt").lines();
        let mut values = lines.filter_map(|line| line.split_once(' '));
        let (_, value) = values.find(|(found, _)| *found == name).expect("a line");
        URL_SAFE_NO_PAD.decode(value).expect("base64url")
    }

    #[test]
    fn matches_the_golden_file_in_both_directions() {
        let key: [u8; 32] = golden("key").try_into().unwrap();
        let nonce: [u8; NONCE_BYTES] = golden("nonce").try_into().unwrap();
        let (hash, positions) = (request_hash(1), positions());
        assert_eq!(hash.as_bytes(), golden("request_hash"));
        assert_eq!(segment_position::encode(&positions).unwrap(), golden("positions"));
        let tokens = PageTokens::new(&key);
        let token = tokens.seal_with_nonce(nonce, &positions, hash).unwrap();
        assert_eq!(token, URL_SAFE_NO_PAD.encode(golden("token")));
        assert_eq!(tokens.open(&token, hash).unwrap(), positions);
    }

    proptest! {
        #[test]
        fn rejects_arbitrary_text_without_panicking(token in ".{0,200}") {
            prop_assert!(tokens().open(&token, request_hash(1)).is_err());
        }
    }
}
