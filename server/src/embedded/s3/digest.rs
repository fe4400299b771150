//! The five checksum algorithms of S3, and the MD5 of an ETag. Knows nothing of requests.
//!
//! Source: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html>

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, checksum_combine};
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256};

/// A checksum algorithm of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    /// The algorithm that S3 uses if the caller chooses none.
    pub(super) const DEFAULT: Self = Self::Crc64Nvme;

    /// All algorithms.
    pub(super) const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// S3's name: `CRC32`, `CRC32C`, `CRC64NVME`, `SHA1`, `SHA256`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// Parses the S3 name of an algorithm, ignoring case.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The header or trailer for the checksum.
    pub(super) fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// Length of a checksum in bytes.
    pub(super) fn length_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// Decodes a checksum from base64; `None` if it is not a checksum of this algorithm.
    pub(super) fn decode(self, text: &str) -> Option<Vec<u8>> {
        STANDARD
            .decode(text)
            .ok()
            .filter(|bytes| bytes.len() == self.length_bytes())
    }

    /// The checksum of some bytes.
    pub(super) fn sum(self, bytes: &[u8]) -> Vec<u8> {
        let mut hasher = Hasher::new(self);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Combines the checksums of two consecutive byte ranges; `None` for algorithms other than CRCs.
    pub(super) fn combine(self, first: &[u8], second: &[u8], second_bytes: u64) -> Option<Vec<u8>> {
        let crc = match self {
            Self::Crc32 => CrcAlgorithm::Crc32IsoHdlc,
            Self::Crc32c => CrcAlgorithm::Crc32Iscsi,
            Self::Crc64Nvme => CrcAlgorithm::Crc64Nvme,
            Self::Sha1 | Self::Sha256 => return None,
        };
        let joined = checksum_combine(crc, big_endian(first), big_endian(second), second_bytes);
        Some(joined.to_be_bytes()[8 - self.length_bytes()..].to_vec())
    }
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Encodes a checksum as S3 does: standard padded base64.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Computes the MD5 and some checksums of the same bytes.
pub(super) struct Digests {
    md5: Md5,
    hashers: Vec<(Algorithm, Hasher)>,
    size: u64,
}

/// The result of [`Digests`].
#[derive(Clone, Debug)]
pub(super) struct Digested {
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
    sums: Vec<(Algorithm, Vec<u8>)>,
}

impl Digests {
    /// Begins the computation.
    pub(super) fn new(algorithms: &[Algorithm]) -> Self {
        let hashers = algorithms
            .iter()
            .map(|algorithm| (*algorithm, Hasher::new(*algorithm)))
            .collect();
        Self {
            md5: Md5::default(),
            hashers,
            size: 0,
        }
    }

    /// Adds bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.hashers
            .iter_mut()
            .for_each(|(_, hasher)| hasher.update(bytes));
        self.size += bytes.len() as u64;
    }

    /// Finishes the computation.
    pub(super) fn finish(self) -> Digested {
        let sums = self
            .hashers
            .into_iter()
            .map(|(algorithm, hasher)| (algorithm, hasher.finish()))
            .collect();
        Digested {
            size: self.size,
            md5: self.md5.finalize(),
            sums,
        }
    }
}

impl Digested {
    /// The checksum of an algorithm that was computed.
    pub(super) fn sum(&self, algorithm: Algorithm) -> Option<&[u8]> {
        self.sums
            .iter()
            .find(|(candidate, _)| *candidate == algorithm)
            .map(|(_, sum)| sum.as_slice())
    }
}

/// An MD5 in lower-case hexadecimal: the ETag of an object that was not uploaded in parts.
pub(super) fn hex(md5: &[u8; 16]) -> String {
    md5.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The MD5 in the ETag of a part.
pub(super) fn unhex(etag: &str) -> Option<[u8; 16]> {
    if etag.len() != 32 || !etag.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(etag, 16).ok().map(u128::to_be_bytes)
}

/// The MD5 of some bytes.
pub(super) fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::checksum(bytes)
}

/// Computes one checksum of bytes that arrive in blocks.
pub(super) enum Hasher {
    Crc32(Crc32),
    Crc32c(Crc32c),
    Crc64Nvme(Crc64Nvme),
    Sha1(Box<Sha1>),
    Sha256(Box<Sha256>),
}

impl Hasher {
    /// Begins the computation.
    pub(super) fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Crc32 => Self::Crc32(Crc32::default()),
            Algorithm::Crc32c => Self::Crc32c(Crc32c::default()),
            Algorithm::Crc64Nvme => Self::Crc64Nvme(Crc64Nvme::default()),
            Algorithm::Sha1 => Self::Sha1(Box::default()),
            Algorithm::Sha256 => Self::Sha256(Box::default()),
        }
    }

    /// Adds bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Crc32(hasher) => hasher.update(bytes),
            Self::Crc32c(hasher) => hasher.update(bytes),
            Self::Crc64Nvme(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    /// Finishes the computation.
    pub(super) fn finish(self) -> Vec<u8> {
        match self {
            Self::Crc32(hasher) => hasher.finalize().to_vec(),
            Self::Crc32c(hasher) => hasher.finalize().to_vec(),
            Self::Crc64Nvme(hasher) => hasher.finalize().to_vec(),
            Self::Sha1(hasher) => (*hasher).finalize().to_vec(),
            Self::Sha256(hasher) => (*hasher).finalize().to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_published_check_values() {
        let cases = [
            (Algorithm::Crc32, "y/Q5Jg=="),
            (Algorithm::Crc32c, "4waSgw=="),
            (Algorithm::Crc64Nvme, "rosUhgp5mIg="),
            (Algorithm::Sha1, "98O8HYCOBHMq32eZZczDTKeuNEE="),
            (Algorithm::Sha256, "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU="),
        ];
        for (algorithm, expected) in cases {
            let mut digests = Digests::new(&[algorithm]);
            digests.update(b"1234");
            digests.update(b"56789");
            let digested = digests.finish();
            assert_eq!(
                base64(digested.sum(algorithm).unwrap()),
                expected,
                "{algorithm:?}"
            );
            assert_eq!(hex(&digested.md5), "25f9e794323b453885f5181f1b624d0b");
            assert_eq!(digested.size, 9);
            assert_eq!(digested.sum(algorithm).unwrap(), algorithm.sum(b"123456789"));
        }
    }

    #[test]
    fn combines_two_crcs() {
        for algorithm in [Algorithm::Crc32, Algorithm::Crc32c, Algorithm::Crc64Nvme] {
            let joined = algorithm.combine(&algorithm.sum(b"one, "), &algorithm.sum(b"two"), 3);
            assert_eq!(joined, Some(algorithm.sum(b"one, two")), "{algorithm:?}");
        }
        assert_eq!(Algorithm::Sha256.combine(&[0; 32], &[0; 32], 1), None);
    }

    #[test]
    fn parses_the_md5_of_an_etag() {
        let digest = md5(b"body");
        assert_eq!(unhex(&hex(&digest)), Some(digest));
        assert_eq!(unhex("not an etag"), None);
        assert_eq!(unhex("841a2d689ad86bd1611447453c22c6fc-2"), None);
    }
}
