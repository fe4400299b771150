//! No copy of a secret remains in the memory of this process, read from `/proc/self/mem`: no base64 of a data key, no JSON
//! of a plaintext. The tests keep what they search for only in masked form, so that they do not find their own copy.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;

use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::Context;
use super::data_key::DataKey;
use super::envelope::{self, Envelope, Place};
use super::testing::keyring;
use crate::call::Call;
use crate::model::testing::KEY_ID;
use crate::model::{EncryptionFormat, Value};

const MASK: u8 = 0xa5;
const CHUNK_BYTES: usize = 1 << 20;
/// How often to look for what another thread may be about to zeroise.
const LOOKS: usize = 20;

/// Runs one of these tests at a time: each would find in memory what another reads.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A text that is in memory only in masked form.
struct Masked(Vec<u8>);

impl Masked {
    /// The middle of a text: allocators overwrite the first bytes of freed memory.
    fn from_middle(text: &Zeroizing<String>) -> Masked {
        let bytes = text.as_bytes();
        let middle = &bytes[bytes.len() / 4..bytes.len() * 3 / 4];
        Masked(middle.iter().map(|byte| byte ^ MASK).collect())
    }

    fn is_at(&self, memory: &[u8]) -> bool {
        memory.len() >= self.0.len()
            && self
                .0
                .iter()
                .zip(memory)
                .all(|(masked, byte)| masked ^ MASK == *byte)
    }

    fn is_in(&self, memory: &[u8]) -> bool {
        let first = self.0[0] ^ MASK;
        let mut start = 0;
        while let Some(found) = memory[start..].iter().position(|byte| *byte == first) {
            if self.is_at(&memory[start + found..]) {
                return true;
            }
            start += found + 1;
        }
        false
    }

    /// Whether the text is anywhere in the writable memory of this process.
    fn is_in_memory(&self) -> bool {
        let memory = File::open("/proc/self/mem").expect("the process may read itself");
        let maps = fs::read_to_string("/proc/self/maps").expect("the process may read itself");
        let mut chunk = Zeroizing::new(vec![0; CHUNK_BYTES + self.0.len()]);
        for (start, end) in maps.lines().filter_map(writable_range) {
            let mut at = start;
            while at < end {
                let wanted = chunk.len().min((end - at) as usize);
                // unmapped since the maps were read
                let Ok(bytes) = memory.read_at(&mut chunk[..wanted], at) else {
                    break;
                };
                if self.is_in(&chunk[..bytes]) {
                    return true;
                }
                at += CHUNK_BYTES as u64;
            }
        }
        false
    }
}

fn writable_range(line: &str) -> Option<(u64, u64)> {
    let mut fields = line.split_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    fields
        .next()
        .filter(|permissions| permissions.starts_with("rw"))?;
    hex(start).zip(hex(end))
}

/// Random digits, which no other test of the process has.
fn random_digits() -> Zeroizing<String> {
    let mut bytes = [0; 36];
    getrandom::fill(&mut bytes).expect("random bytes");
    // no zero at either end, so that the text is canonical
    Zeroizing::new(bytes.iter().map(|byte| char::from(b'1' + byte % 9)).collect())
}

#[test]
fn finds_a_text_that_is_in_memory() {
    let _alone = ALONE.blocking_lock();
    let digits = random_digits();
    let masked = Masked::from_middle(&digits);
    assert!(masked.is_in_memory());
    drop(digits);
    assert!(!masked.is_in_memory());
}

#[tokio::test]
async fn no_base64_of_a_data_key_remains() {
    let _alone = ALONE.lock().await;
    let keyring = keyring().await;
    let context = Context::new();
    let made = keyring
        .for_call(&Call::for_test())
        .generate(KEY_ID, &context, true)
        .await
        .unwrap();
    let key_ids = vec![KEY_ID.to_owned()];
    let call = Call::for_test();
    let opened = keyring
        .for_call(&call)
        .open(&made.wrapped, &context, key_ids, true)
        .await
        .unwrap();
    let masked = Masked::from_middle(&base64_of(&opened));
    // the engine may still be dropping its response on another thread
    assert!((0..LOOKS).any(|_| !masked.is_in_memory()), "a copy remains");
}

fn base64_of(key: &DataKey) -> Zeroizing<String> {
    use base64::Engine as _;
    Zeroizing::new(key.with_bytes(|bytes| base64::engine::general_purpose::STANDARD.encode(bytes)))
}

#[test]
fn no_json_of_a_plaintext_remains() {
    let _alone = ALONE.blocking_lock();
    let key = DataKey::new(Zeroizing::new([7; 32]));
    let place = Place::new("users", &Value::S("U#1".to_owned()), None).unwrap();
    let digits = random_digits();
    // starts with the name of the type, which only the JSON has before the number
    let masked = Masked(br#""N":""#.iter().chain(&digits.as_bytes()[..20]).map(|byte| byte ^ MASK).collect());
    let value = Value::L(vec![Value::N(digits.parse().unwrap())]);
    let stored = envelope::seal(EncryptionFormat::Sealed, &value, &key, b"wrapped", &place, "a").unwrap();
    let read = Envelope::read(&stored).unwrap().open(&key, &place, "a").unwrap();
    assert!(read == value);
    assert!(!masked.is_in_memory());
}
