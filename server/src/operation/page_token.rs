//! Page tokens: where a Query or Scan goes on, sealed, and bound to the request that it came from.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format id `0x02` |
//! | 12 | nonce, random |
//! | rest | AES-256-GCM ciphertext and tag of the positions (protobuf), base64url without padding in all |
//!
//! Associated data: the SHA-256 of everything in the request but `limit`, `page_size` and the token itself. Format `0x01`
//! hashed the members of sets without their number; a token is short-lived, so none of those is opened any more.

use aes_gcm::aead::{Aead as _, Nonce, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use prost::Message;
use sha2::{Digest as _, Sha256};

use super::Error;
use crate::expression::Expression;
use crate::model::{Item, Value};

const FORMAT: u8 = 2;
const NONCE_BYTES: usize = 12;
/// Keys are at most 3 KB a segment; a token of more segments than a stream may have is not ours.
const MAX_TOKEN_BYTES: usize = 1024 * 1024;

/// Seals and opens page tokens with one key, the same on all replicas.
#[derive(Clone)]
pub struct PageTokens {
    cipher: Aes256Gcm,
}

/// Digest of the request that a token belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Binding([u8; 32]);

/// Collects what a token is bound to; parts are length-prefixed, maps go in the order of their names.
pub(super) struct Binder(Sha256);

#[derive(Clone, PartialEq, Message)]
struct Positions {
    #[prost(message, repeated, tag = "1")]
    segments: Vec<SegmentPosition>,
}

#[derive(Clone, PartialEq, Message)]
struct SegmentPosition {
    #[prost(enumeration = "Progress", tag = "1")]
    progress: i32,
    #[prost(message, repeated, tag = "2")]
    key: Vec<KeyPart>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum Progress {
    NotBegun = 0,
    After = 1,
    AtEnd = 2,
}

#[derive(Clone, PartialEq, Message)]
struct KeyPart {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(oneof = "KeyValue", tags = "2, 3, 4")]
    value: Option<KeyValue>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum KeyValue {
    #[prost(string, tag = "2")]
    S(String),
    #[prost(string, tag = "3")]
    N(String),
    #[prost(bytes = "bytes", tag = "4")]
    B(Bytes),
}

/// Where a segment stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Standing {
    /// Nothing of it was answered.
    NotBegun,
    /// It goes on after this key.
    After(Item),
    /// Nothing is left of it.
    AtEnd,
}

impl PageTokens {
    /// Tokens under this key.
    pub fn new(key: &[u8; 32]) -> PageTokens {
        PageTokens {
            cipher: Aes256Gcm::new(key.into()),
        }
    }

    pub(super) fn seal(&self, standings: &[Standing], binding: Binding) -> Result<String, Error> {
        let positions = Positions {
            segments: standings.iter().map(encode_standing).collect::<Result<_, _>>()?,
        };
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|_| Error::Internal("the system gives no random bytes"))?;
        let payload = Payload {
            msg: &positions.encode_to_vec(),
            aad: &binding.0,
        };
        let nonce = Nonce::<Aes256Gcm>::from(nonce);
        let sealed = self
            .cipher
            .encrypt(&nonce, payload)
            .map_err(|_| Error::Internal("a page token does not seal"))?;
        Ok(URL_SAFE_NO_PAD.encode([&[FORMAT], nonce.as_slice(), &sealed].concat()))
    }

    pub(super) fn open(&self, token: &str, binding: Binding) -> Result<Vec<Standing>, Error> {
        const FOREIGN: Error = Error::InvalidPageToken(
            "does not belong to this request; send the token with the very arguments of the call that gave it",
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
            aad: &binding.0,
        };
        let opened = self
            .cipher
            .decrypt(&Nonce::<Aes256Gcm>::from(*nonce), payload)
            .map_err(|_| FOREIGN)?;
        let positions = Positions::decode(opened.as_slice()).map_err(|_| FOREIGN)?;
        positions
            .segments
            .into_iter()
            .map(|segment| decode_standing(segment).ok_or(FOREIGN))
            .collect()
    }
}

impl Binder {
    pub(super) fn new(rpc: &str) -> Binder {
        let mut binder = Binder(Sha256::new());
        binder.text(rpc);
        binder
    }

    pub(super) fn text(&mut self, text: &str) {
        self.part(0, text.as_bytes());
    }

    pub(super) fn number(&mut self, number: u64) {
        self.part(1, &number.to_be_bytes());
    }

    pub(super) fn texts(&mut self, texts: &[String]) {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text);
        }
    }

    pub(super) fn expression(&mut self, expression: Option<&Expression>) {
        let Some(expression) = expression else {
            return self.number(0);
        };
        self.text(&expression.text);
        let mut names: Vec<_> = expression.names.iter().collect();
        names.sort();
        self.number(names.len() as u64);
        for (placeholder, name) in names {
            self.text(placeholder);
            self.text(name);
        }
        self.fields(&expression.values);
    }

    pub(super) fn finish(self) -> Binding {
        Binding(self.0.finalize().into())
    }

    fn fields(&mut self, fields: &Item) {
        let mut fields: Vec<_> = fields.iter().collect();
        fields.sort_by_key(|(name, _)| *name);
        self.number(fields.len() as u64);
        for (name, value) in fields {
            self.text(name);
            self.value(value);
        }
    }

    fn value(&mut self, value: &Value) {
        self.text(value.type_name());
        match value {
            Value::S(text) => self.text(text),
            Value::N(number) => self.text(number.as_str()),
            Value::B(bytes) => self.part(2, bytes),
            Value::Bool(flag) => self.number(u64::from(*flag)),
            Value::Null => {}
            Value::L(values) => {
                self.number(values.len() as u64);
                values.iter().for_each(|inner| self.value(inner));
            }
            Value::M(fields) => self.fields(fields),
            Value::SS(members) => {
                self.number(members.len() as u64);
                members.iter().for_each(|member| self.text(member));
            }
            Value::NS(members) => {
                self.number(members.len() as u64);
                members.iter().for_each(|member| self.text(member.as_str()));
            }
            Value::BS(members) => {
                self.number(members.len() as u64);
                members.iter().for_each(|member| self.part(2, member));
            }
            // expressions hold none: the check refuses objects in their values
            Value::Object(_) => {}
        }
    }

    fn part(&mut self, tag: u8, bytes: &[u8]) {
        self.0.update([tag]);
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }
}

fn encode_standing(standing: &Standing) -> Result<SegmentPosition, Error> {
    let (progress, key) = match standing {
        Standing::NotBegun => (Progress::NotBegun, Vec::new()),
        Standing::AtEnd => (Progress::AtEnd, Vec::new()),
        Standing::After(key) => (
            Progress::After,
            key.iter().map(encode_part).collect::<Result<_, _>>()?,
        ),
    };
    Ok(SegmentPosition {
        progress: progress.into(),
        key,
    })
}

fn encode_part((name, value): (&String, &Value)) -> Result<KeyPart, Error> {
    let value = match value {
        Value::S(text) => KeyValue::S(text.clone()),
        Value::N(number) => KeyValue::N(number.as_str().to_owned()),
        Value::B(bytes) => KeyValue::B(bytes.clone()),
        _ => {
            return Err(Error::Internal(
                "a key attribute that is no string, number or binary",
            ));
        }
    };
    Ok(KeyPart {
        name: name.clone(),
        value: Some(value),
    })
}

fn decode_standing(position: SegmentPosition) -> Option<Standing> {
    Some(match position.progress() {
        Progress::NotBegun => Standing::NotBegun,
        Progress::AtEnd => Standing::AtEnd,
        Progress::After => {
            let key = position
                .key
                .into_iter()
                .map(|part| Some((part.name, decode_value(part.value?)?)));
            Standing::After(key.collect::<Option<Item>>()?)
        }
    })
}

fn decode_value(value: KeyValue) -> Option<Value> {
    Some(match value {
        KeyValue::S(text) => Value::S(text),
        KeyValue::N(text) => Value::N(text.parse().ok()?),
        KeyValue::B(bytes) => Value::B(bytes),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens() -> PageTokens {
        PageTokens::new(&[7; 32])
    }

    fn binding(limit: u64) -> Binding {
        let mut binder = Binder::new("Query");
        binder.number(limit);
        binder.finish()
    }

    fn standings() -> Vec<Standing> {
        let number = Value::N("-12.5".parse().unwrap());
        let key = [
            ("pk".to_owned(), Value::S("A#1".to_owned())),
            ("sk".to_owned(), number),
        ];
        vec![Standing::After(key.into()), Standing::AtEnd, Standing::NotBegun]
    }

    #[test]
    fn a_token_opens_for_its_own_request_alone() {
        let token = tokens().seal(&standings(), binding(1)).unwrap();
        assert_eq!(tokens().open(&token, binding(1)).unwrap(), standings());
        assert!(tokens().open(&token, binding(2)).is_err());
        assert!(PageTokens::new(&[8; 32]).open(&token, binding(1)).is_err());
    }

    #[test]
    fn an_edited_token_does_not_open() {
        let token = tokens().seal(&standings(), binding(1)).unwrap();
        for index in 0..token.len() {
            let mut edited = token.clone().into_bytes();
            edited[index] = if edited[index] == b'A' { b'B' } else { b'A' };
            let edited = String::from_utf8(edited).unwrap();
            assert!(tokens().open(&edited, binding(1)).is_err(), "edited at {index}");
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let bind = |parts: &[&str]| {
            let mut binder = Binder::new("Scan");
            parts.iter().for_each(|part| binder.text(part));
            binder.finish()
        };
        assert!(bind(&["ab", "c"]) != bind(&["a", "bc"]));
    }

    #[test]
    fn members_of_a_set_do_not_run_into_the_next_value() {
        let bind = |values: [(&str, Value); 2]| {
            let mut binder = Binder::new("Scan");
            let values = values.map(|(name, value)| (name.to_owned(), value));
            binder.expression(Some(&Expression {
                text: "a = :a AND b = :b".to_owned(),
                values: values.into(),
                names: [].into(),
            }));
            binder.finish()
        };
        let texts = |members: &[&str]| Value::SS(members.iter().map(|member| (*member).to_owned()).collect());
        let bytes = |members: &[&[u8]]| {
            Value::BS(
                members
                    .iter()
                    .map(|member| Bytes::copy_from_slice(member))
                    .collect(),
            )
        };
        // what follows a shorter set is read as the longer one's last member and the next value
        let long = bind([(":a", texts(&["1", ":b", "SS"])), (":b", texts(&["x"]))]);
        let short = bind([(":a", texts(&["1"])), (":b", texts(&[":b", "SS", "x"]))]);
        assert!(long != short);
        let long = bind([(":a", bytes(&[b"1", b"2"])), (":b", Value::Null)]);
        let short = bind([(":a", bytes(&[b"1"])), (":b", bytes(&[b"2"]))]);
        assert!(long != short);
    }

    proptest! {
        #[test]
        fn foreign_text_is_refused_without_a_panic(token in ".{0,200}") {
            prop_assert!(tokens().open(&token, binding(1)).is_err());
        }
    }
}
