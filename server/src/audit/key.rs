//! The key of the audit log: makes the HMACs of items and of lines. Never printed.

use std::fmt;

use ring::hmac;

/// Bytes of an HMAC.
pub(super) const MAC_BYTES: usize = 32;

/// Separates the HMACs of items from those of lines.
const ITEM: &[u8] = b"tollgate audit item v1\0";
const LINE: &[u8] = b"tollgate audit line v1\0";

/// An HMAC-SHA256.
pub(super) type Mac = [u8; MAC_BYTES];

/// The key of an audit log.
pub struct AuditKey(hmac::Key);

impl AuditKey {
    /// The key of these bytes.
    pub fn new(bytes: &[u8; 32]) -> AuditKey {
        AuditKey(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The HMAC of an item's identity: the same for equal keys of one table.
    pub(super) fn item(&self, identity: &[u8]) -> Mac {
        self.mac(&[ITEM, identity])
    }

    /// The HMAC of a line and of the one before it.
    pub(super) fn line(&self, before: &Mac, text: &[u8]) -> Mac {
        self.mac(&[LINE, before, text])
    }

    fn mac(&self, parts: &[&[u8]]) -> Mac {
        let mut context = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| context.update(part));
        let mut mac = [0; MAC_BYTES];
        mac.copy_from_slice(context.sign().as_ref());
        mac
    }
}

impl fmt::Debug for AuditKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AuditKey(redacted)")
    }
}

/// Lower-case hexadecimal.
pub(super) fn hex(mac: &Mac) -> String {
    let mut text = String::with_capacity(2 * MAC_BYTES);
    push_hex(&mut text, mac);
    text
}

/// Appends lower-case hexadecimal.
pub(super) fn push_hex(text: &mut String, mac: &Mac) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in mac {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

/// Parses lower-case hexadecimal.
pub(super) fn from_hex(text: &str) -> Option<Mac> {
    let bytes = text.as_bytes();
    if bytes.len() != 2 * MAC_BYTES {
        return None;
    }
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut mac = [0; MAC_BYTES];
    for (byte, pair) in mac.iter_mut().zip(bytes.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(mac)
}
