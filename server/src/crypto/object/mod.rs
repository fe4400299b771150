//! Encrypted objects, format id 3: a header, then the content in segments, each of which is encrypted alone. Pure: no KMS,
//! no S3, no clock.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | format id `0x03` |
//! | 1 | `0x00` |
//! | 2 | L, big-endian: length of the wrapped key, 1 to 6144 |
//! | L | wrapped data key: the `CiphertextBlob` of `GenerateDataKey(AES_256)` |
//! | 32 | key commitment: HKDF-SHA256 of the data key, no salt, info `tollgate commit v3` |
//! | 16 | salt, random |
//! | 7 | nonce prefix, random |
//! | rest | the segments |
//!
//! A segment is 64 KiB of the content, the last one what is left of it, followed by its tag of 16 bytes. Empty content is one
//! empty segment; otherwise no segment is empty. The key is HKDF-SHA256 of the data key with the salt and the info `tollgate
//! object v1`. The nonce is the prefix, the segment's index (u32, big-endian) and 1 for the last segment, else 0: a segment
//! opens only in its place, and the content ends only where it ended. The associated data of every segment is [`Place`] with
//! format id 3 and kind 0.
//!
//! The pointer's MAC, in place of a SHA-256 of the content that would confirm a guess, is the HMAC-SHA256 of the content's
//! SHA-256 under HKDF-SHA256 of the data key with the salt and the info `tollgate digest v1`.

mod layout;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use subtle::ConstantTimeEq as _;

pub use self::layout::{Header, MAX_HEADER_BYTES, SEGMENT_BYTES, STORED_SEGMENT_BYTES};
pub use self::layout::{content_bytes, segments, stored_bytes};

use super::data_key::{DataKey, MAC_BYTES, NONCE_BYTES, ObjectKeys, TAG_BYTES};
use super::envelope::{OpenError, Place, SealError};
use layout::{FORMAT_ID, KIND, PREFIX_BYTES, SALT_BYTES};

/// Encrypts the segments of one object, in their order.
pub struct ObjectSealer {
    segments: Segments,
    /// The index of the next segment; `None`: there is none.
    next: Option<u32>,
}

/// Decrypts the segments of one object, in any order.
pub struct ObjectOpener {
    segments: Segments,
}

/// What the segments of an object have in common.
struct Segments {
    keys: ObjectKeys,
    prefix: [u8; PREFIX_BYTES],
    associated_data: Vec<u8>,
}

impl ObjectSealer {
    /// A sealer for an object of the item at `place`, with a random salt and nonce prefix. Returns the header of the object
    /// too.
    ///
    /// # Errors
    ///
    /// See [`SealError`].
    pub fn new(
        key: &DataKey,
        wrapped: &[u8],
        place: &Place,
        attribute: &str,
    ) -> Result<(ObjectSealer, Bytes), SealError> {
        let (mut salt, mut prefix) = ([0; SALT_BYTES], [0; PREFIX_BYTES]);
        getrandom::fill(&mut salt).map_err(|_| SealError::Random)?;
        getrandom::fill(&mut prefix).map_err(|_| SealError::Random)?;
        ObjectSealer::with_random(key, wrapped, place, attribute, salt, prefix)
    }

    fn with_random(
        key: &DataKey,
        wrapped: &[u8],
        place: &Place,
        attribute: &str,
        salt: [u8; SALT_BYTES],
        prefix: [u8; PREFIX_BYTES],
    ) -> Result<(ObjectSealer, Bytes), SealError> {
        let header = layout::header(wrapped, &key.object_commitment(), &salt, &prefix)?;
        let sealer = ObjectSealer {
            segments: Segments {
                keys: key.sealing_object_keys(&salt)?,
                prefix,
                associated_data: place.associated_data(FORMAT_ID, KIND, attribute),
            },
            next: Some(0),
        };
        Ok((sealer, header))
    }

    /// Encrypts the next segment, and appends it to `out` with its tag. Every segment but the last has [`SEGMENT_BYTES`].
    ///
    /// # Errors
    ///
    /// `TooLong` after 2^32 segments, after the last one, and for a segment of another size.
    pub fn seal(&mut self, segment: &[u8], is_last: bool, out: &mut BytesMut) -> Result<(), SealError> {
        let index = self.next.ok_or(SealError::TooLong)?;
        let fits = match is_last {
            true => segment.len() <= SEGMENT_BYTES,
            false => segment.len() == SEGMENT_BYTES,
        };
        if !fits {
            return Err(SealError::TooLong);
        }
        self.next = index.checked_add(1).filter(|_| !is_last);
        let Segments {
            keys,
            prefix,
            associated_data,
        } = &self.segments;
        out.reserve(segment.len() + TAG_BYTES);
        let start = out.len();
        out.extend_from_slice(segment);
        let tag = keys.seal(&nonce(prefix, index, is_last), associated_data, &mut out[start..])?;
        out.extend_from_slice(&tag);
        Ok(())
    }

    /// The MAC of the object's pointer, from the SHA-256 of the content.
    pub fn mac(&self, sha256: &[u8; MAC_BYTES]) -> [u8; MAC_BYTES] {
        self.segments.keys.mac(sha256)
    }
}

impl ObjectOpener {
    /// An opener for an object with this header, if it is encrypted under this key.
    ///
    /// # Errors
    ///
    /// `Commitment` if it is not.
    pub fn new(
        header: &Header,
        key: &DataKey,
        place: &Place,
        attribute: &str,
    ) -> Result<ObjectOpener, OpenError> {
        if !bool::from(key.object_commitment().ct_eq(&header.commitment)) {
            return Err(OpenError::Commitment);
        }
        Ok(ObjectOpener {
            segments: Segments {
                keys: key.object_keys(&header.salt),
                prefix: header.prefix,
                associated_data: place.associated_data(FORMAT_ID, KIND, attribute),
            },
        })
    }

    /// Decrypts a stored segment, which ends with its tag, and appends its content to `out`.
    ///
    /// # Errors
    ///
    /// `Authentication` if it is not authentic in this place, `Malformed` if it has no tag; `out` is unchanged then.
    pub fn open(
        &self,
        index: u32,
        is_last: bool,
        stored: &[u8],
        out: &mut BytesMut,
    ) -> Result<(), OpenError> {
        let (segment, tag) = stored
            .split_last_chunk::<TAG_BYTES>()
            .ok_or(OpenError::Malformed)?;
        let Segments {
            keys,
            prefix,
            associated_data,
        } = &self.segments;
        let start = out.len();
        out.extend_from_slice(segment);
        let nonce = nonce(prefix, index, is_last);
        let opened = keys.open(&nonce, associated_data, &mut out[start..], tag);
        if opened.is_err() {
            out.truncate(start);
        }
        opened
    }

    /// Whether content with this SHA-256 has this MAC.
    pub fn has_mac(&self, sha256: &[u8; MAC_BYTES], mac: &[u8]) -> bool {
        self.segments.keys.mac(sha256).ct_eq(mac).into()
    }
}

fn nonce(prefix: &[u8; PREFIX_BYTES], index: u32, is_last: bool) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[..PREFIX_BYTES].copy_from_slice(prefix);
    nonce[PREFIX_BYTES..NONCE_BYTES - 1].copy_from_slice(&index.to_be_bytes());
    nonce[NONCE_BYTES - 1] = u8::from(is_last);
    nonce
}
