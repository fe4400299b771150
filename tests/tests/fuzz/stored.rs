//! What is read from the store or from callers as opaque bytes: ciphertexts, compressed values, page tokens. Edited ones
//! are refused, never misread.

use std::sync::LazyLock;

use aes_gcm::aead::{Aead as _, Nonce, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use tollgate::crypto::DataKey;
use tollgate::crypto::envelope::{self, Envelope, ItemSeal, Place};
use tollgate::item::{compress, decompress};
use tollgate::model::{Compression, CompressionAlgorithm, Coverage, EncryptionFormat, Value};
use tollgate::read::{PageTokens, RequestHash, RequestHasher};

use super::Outcome;
use super::input::Input;
use super::{mutation, values};

pub(super) const KEY: [u8; 32] = [7; 32];
const NONCE_BYTES: usize = 12;
/// Decompressed bytes that an item may have in this target.
const BUDGET: usize = 1 << 20;

static DATA_KEY: LazyLock<DataKey> = LazyLock::new(|| DataKey::new(KEY.into()));
static TOKENS: LazyLock<PageTokens> = LazyLock::new(|| PageTokens::new(&KEY));
static CIPHER: LazyLock<Aes256Gcm> = LazyLock::new(|| Aes256Gcm::new(&KEY.into()));

/// Ciphertexts: they open as what was sealed, and edited ones do not open.
pub(crate) fn envelopes(input: &mut Input) -> Outcome {
    let format = input.pick(&[
        EncryptionFormat::Sealed,
        EncryptionFormat::Sealed,
        EncryptionFormat::Pydynox,
    ]);
    let value = match format {
        EncryptionFormat::Sealed => values::any(input, 0),
        EncryptionFormat::Pydynox => Value::S(values::text(input)),
    };
    input.note(|| format!("{format:?}: {}", values::shown(&value)));
    let place = Place::new("orders", &Value::S("CUSTOMER#1".to_owned()), None).expect("a key");
    let wrapped = b"wrapped key";
    let Ok(stored) = envelope::seal(format, &value, &DATA_KEY, wrapped, &place, "ssn") else {
        return Outcome::Refused;
    };
    let whole = Envelope::read(&stored).expect("what was sealed");
    assert_eq!(whole.wrapped_key().as_ref(), wrapped);
    let opened = whole.open(&DATA_KEY, &place, "ssn").expect("what was sealed");
    assert!(opened == value, "opened as {}", values::shown(&opened));
    let edited = edited(input, &stored);
    input.note(|| values::shown(&edited));
    if let Ok(envelope) = Envelope::read(&edited)
        && envelope.open(&DATA_KEY, &place, "ssn").is_ok()
    {
        let is_other_key = envelope.wrapped_key().as_ref() != wrapped;
        assert!(is_other_key || edited == stored, "an edited ciphertext opens");
    }
    Outcome::Accepted
}

/// Seals of items: they verify over what they cover, and edited ones do not.
pub(crate) fn item_seals(input: &mut Input) -> Outcome {
    let value = values::any(input, 0);
    input.note(|| values::shown(&value));
    let place = Place::new("orders", &Value::S("CUSTOMER#1".to_owned()), None).expect("a key");
    let covered = envelope::Covered::from([("ssn", &value)]);
    let coverage = input.pick(&[Coverage::Sealed, Coverage::All]);
    let write_id = envelope::WriteId::random().expect("random bytes");
    let wrapped = b"wrapped key";
    let Ok(stored) = envelope::seal_item(coverage, &DATA_KEY, wrapped, write_id, &place, &covered) else {
        return Outcome::Refused;
    };
    let verifies = |stored: &Value| {
        let seal = ItemSeal::read(stored).ok()?;
        let text = seal.text(&place, &covered).ok()?;
        let is_own_key = seal.wrapped_key().as_ref() == wrapped;
        (is_own_key && seal.verify(&DATA_KEY, &text).is_ok()).then_some(())
    };
    assert!(verifies(&stored).is_some(), "what was sealed");
    let edited = edited(input, &stored);
    input.note(|| values::shown(&edited));
    assert!(
        edited == stored || verifies(&edited).is_none(),
        "an edited seal verifies"
    );
    Outcome::Accepted
}

fn edited(input: &mut Input, stored: &Value) -> Value {
    match stored {
        Value::B(bytes) if input.once_in(8) => Value::B(mutation::noise(input, bytes.len() + 1).into()),
        Value::B(bytes) => Value::B(mutation::bytes(input, bytes.to_vec()).into()),
        Value::S(text) if input.once_in(4) => {
            Value::S(mutation::text(input, text.clone(), &["ENC:", "=", "AQ=="]))
        }
        Value::S(text) => {
            let inside = text.strip_prefix("ENC:").expect("the prefix");
            let bytes = mutation::bytes(input, STANDARD.decode(inside).expect("base64"));
            Value::S(format!("ENC:{}", STANDARD.encode(bytes)))
        }
        other => other.clone(),
    }
}

/// Compressed values: they read back, and edited ones stay within the budget.
pub(crate) fn compressed(input: &mut Input) -> Outcome {
    let algorithm = input.pick(&[
        CompressionAlgorithm::Zstd,
        CompressionAlgorithm::Lz4,
        CompressionAlgorithm::Gzip,
    ]);
    let options = Compression {
        algorithm,
        level: None,
        min_size: input.below(3) as u64,
        threshold: 1.0,
    };
    let text = values::text(input).repeat(1 + input.below(4));
    input.note(|| format!("{algorithm:?}: {text:?}"));
    let Some(stored) = compress(&text, &options) else {
        let mut budget = BUDGET;
        assert_eq!(decompress(&text, &mut budget), Ok(None), "stored as it is");
        return Outcome::Refused;
    };
    let mut budget = BUDGET;
    assert_eq!(decompress(&stored, &mut budget).as_ref(), Ok(&Some(text.clone())));
    assert_eq!(BUDGET - budget, text.len());
    let (prefix, encoded) = stored.split_once(':').expect("a prefix");
    let prefix = if input.once_in(8) {
        input.pick(&["ZSTD", "LZ4", "GZIP", ""])
    } else {
        prefix
    };
    let bytes = match input.once_in(8) {
        true => mutation::noise(input, 64),
        false => mutation::bytes(input, STANDARD.decode(encoded).expect("base64")),
    };
    let edited = format!("{prefix}:{}", STANDARD.encode(bytes));
    input.note(|| edited.clone());
    let mut budget = BUDGET;
    if let Ok(Some(text)) = decompress(&edited, &mut budget) {
        assert_eq!(BUDGET - budget, text.len());
    }
    Outcome::Accepted
}

/// Page tokens: any text is refused, and so are malformed positions under the right key.
pub(crate) fn tokens(input: &mut Input) -> Outcome {
    let hash = RequestHasher::new("Query").finish();
    let positions = match input.once_in(8) {
        true => mutation::noise(input, 64),
        false => {
            let known = golden_positions();
            mutation::bytes(input, known)
        }
    };
    let token = sealed(&positions, hash);
    input.note(|| format!("{token}: {positions:?}"));
    let segments = input.pick(&[3, 3, 3, 2, 1, 0]);
    let result = TOKENS.positions(&token, hash, segments);
    let edited = edited_token(input, &token);
    if edited != token && !edited.is_empty() {
        assert!(
            TOKENS.positions(&edited, hash, segments).is_err(),
            "an edited token opens: {edited}"
        );
    }
    match result {
        Ok(found) => {
            assert_eq!(found.len(), segments);
            Outcome::Accepted
        }
        Err(_) => Outcome::Refused,
    }
}

fn sealed(positions: &[u8], hash: RequestHash) -> String {
    token(&CIPHER, 2, positions, hash.as_bytes())
}

/// A token as the gateway makes it: the format, a nonce and the sealed text.
pub(super) fn token(cipher: &Aes256Gcm, format: u8, text: &[u8], bound_to: &[u8]) -> String {
    let nonce = [3; NONCE_BYTES];
    let payload = Payload {
        msg: text,
        aad: bound_to,
    };
    let sealed = cipher
        .encrypt(&Nonce::<Aes256Gcm>::from(nonce), payload)
        .expect("a short text");
    URL_SAFE_NO_PAD.encode([&[format], nonce.as_slice(), &sealed].concat())
}

/// Another text in the place of a token, in rare cases the same.
pub(super) fn edited_token(input: &mut Input, token: &str) -> String {
    match input.once_in(2) {
        true => mutation::text(input, token.to_owned(), &["=", "A", "_", "-", "+", "\u{e9}"]),
        false => values::text(input),
    }
}

/// The positions of the golden file: after a key, at the end, at the start.
fn golden_positions() -> Vec<u8> {
    static POSITIONS: LazyLock<Bytes> = LazyLock::new(|| {
        let golden = include_str!("../../../server/src/read/golden/page_token_2.txt");
        let encoded = golden.lines().find_map(|line| line.strip_prefix("positions "));
        Bytes::from(
            URL_SAFE_NO_PAD
                .decode(encoded.expect("a line"))
                .expect("base64url"),
        )
    });
    POSITIONS.to_vec()
}
