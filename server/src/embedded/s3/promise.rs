//! What a caller says about a body before it is sent, and whether the body kept it. A body that did not is never
//! stored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Extensions, HeaderMap};
use s3s::S3ErrorCode;
use s3s::dto::ChecksumAlgorithm;

use super::chunked::Trailers;
use super::digest::{Algorithm, Digested};
use super::fault::{Fault, invalid_request};

const TRAILER: &str = "x-amz-trailer";

/// Length, MD5 and checksum as the caller gave them.
pub(super) struct Promise {
    length_bytes: Option<u64>,
    md5: Option<Vec<u8>>,
    checksum: Option<(Algorithm, Given)>,
}

enum Given {
    /// In a header: known before the body.
    Header(Vec<u8>),
    /// In a trailer: known once the body has been read.
    Trailer(Trailers),
    /// The algorithm is named and no value given.
    Nothing,
}

/// The fields of an input that promise something.
pub(super) struct Stated<'a> {
    pub(super) checksums: [(Algorithm, Option<String>); 5],
    pub(super) algorithm: Option<&'a ChecksumAlgorithm>,
    pub(super) content_length: Option<i64>,
    pub(super) content_md5: Option<&'a str>,
}

impl Promise {
    /// Reads it from what the caller stated, the headers and the extension that carries the trailers.
    pub(super) fn new(
        stated: &Stated<'_>,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Self, Fault> {
        Ok(Self {
            length_bytes: stated
                .content_length
                .and_then(|length| u64::try_from(length).ok()),
            md5: stated.content_md5.map(content_md5).transpose()?,
            checksum: checksum(stated, headers, extensions)?,
        })
    }

    /// The length of the whole body, where the caller stated it.
    pub(super) fn length_bytes(&self) -> Option<u64> {
        self.length_bytes
    }

    /// The algorithm that must be calculated to see whether the promise was kept.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(|(algorithm, _)| *algorithm)
    }

    /// Checks a body that has been read to its end.
    ///
    /// `IncompleteBody`, `BadDigest`, or `InvalidRequest` where a trailer that was announced did not come.
    pub(super) fn check(&self, digested: &Digested) -> Result<(), Fault> {
        if self.length_bytes.is_some_and(|length| length != digested.size) {
            return Err(Fault::refused(
                S3ErrorCode::IncompleteBody,
                "You did not provide the number of bytes specified by the Content-Length HTTP header",
            ));
        }
        if self.md5.as_ref().is_some_and(|md5| *md5 != digested.md5) {
            return Err(Fault::refused(
                S3ErrorCode::BadDigest,
                "The Content-MD5 you specified did not match what we received.",
            ));
        }
        let Some((algorithm, given)) = &self.checksum else {
            return Ok(());
        };
        let expected = match given {
            Given::Nothing => return Ok(()),
            Given::Header(value) => value.clone(),
            Given::Trailer(trailers) => {
                let value = trailers.get(algorithm.header());
                decode(*algorithm, value.as_deref().unwrap_or_default())?
            }
        };
        if digested.sum(*algorithm) == Some(expected.as_slice()) {
            return Ok(());
        }
        let name = algorithm.name();
        Err(Fault::refused_with(
            S3ErrorCode::BadDigest,
            format!("The {name} you specified did not match the calculated checksum."),
        ))
    }
}

/// The one checksum among the fields of an input.
pub(super) fn one_checksum(
    checksums: &[(Algorithm, Option<String>); 5],
) -> Result<Option<(Algorithm, &str)>, Fault> {
    let mut given = checksums
        .iter()
        .filter_map(|(algorithm, value)| Some((*algorithm, value.as_deref()?)));
    let first = given.next();
    if given.next().is_some() {
        return Err(invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        ));
    }
    Ok(first)
}

/// The algorithm that a caller names; `InvalidRequest` where it is none that S3 has.
pub(super) fn named(algorithm: &ChecksumAlgorithm) -> Result<Algorithm, Fault> {
    Algorithm::from_name(algorithm.as_str()).ok_or_else(|| {
        invalid_request("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
    })
}

fn checksum(
    stated: &Stated<'_>,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Option<(Algorithm, Given)>, Fault> {
    if let Some((algorithm, value)) = one_checksum(&stated.checksums)? {
        return Ok(Some((algorithm, Given::Header(decode(algorithm, value)?))));
    }
    if let Some(name) = headers.get(TRAILER).and_then(|value| value.to_str().ok()) {
        let algorithm = Algorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.header().eq_ignore_ascii_case(name));
        let trailers = extensions.get::<Trailers>();
        let (Some(algorithm), Some(trailers)) = (algorithm, trailers) else {
            return Err(invalid_request(
                "The value specified in the x-amz-trailer header is not supported",
            ));
        };
        return Ok(Some((algorithm, Given::Trailer(trailers.clone()))));
    }
    Ok(stated
        .algorithm
        .map(named)
        .transpose()?
        .map(|algorithm| (algorithm, Given::Nothing)))
}

fn decode(algorithm: Algorithm, text: &str) -> Result<Vec<u8>, Fault> {
    algorithm.decode(text).ok_or_else(|| {
        let header = algorithm.header();
        Fault::refused_with(
            S3ErrorCode::InvalidRequest,
            format!("Value for {header} header is invalid."),
        )
    })
}

fn content_md5(text: &str) -> Result<Vec<u8>, Fault> {
    STANDARD
        .decode(text)
        .ok()
        .filter(|bytes| bytes.len() == 16)
        .ok_or_else(|| {
            Fault::refused(
                S3ErrorCode::InvalidDigest,
                "The Content-MD5 you specified was invalid.",
            )
        })
}

/// The checksum fields of an input or of a completed part.
macro_rules! checksums_of {
    ($input:expr) => {
        [
            (
                $crate::embedded::s3::digest::Algorithm::Crc32,
                $input.checksum_crc32.clone(),
            ),
            (
                $crate::embedded::s3::digest::Algorithm::Crc32c,
                $input.checksum_crc32c.clone(),
            ),
            (
                $crate::embedded::s3::digest::Algorithm::Crc64Nvme,
                $input.checksum_crc64nvme.clone(),
            ),
            (
                $crate::embedded::s3::digest::Algorithm::Sha1,
                $input.checksum_sha1.clone(),
            ),
            (
                $crate::embedded::s3::digest::Algorithm::Sha256,
                $input.checksum_sha256.clone(),
            ),
        ]
    };
}

/// The promise in a request for PutObject or UploadPart.
macro_rules! promise_of {
    ($request:expr) => {
        $crate::embedded::s3::promise::Promise::new(
            &$crate::embedded::s3::promise::Stated {
                checksums: $crate::embedded::s3::promise::checksums_of!($request.input),
                algorithm: $request.input.checksum_algorithm.as_ref(),
                content_length: $request.input.content_length,
                content_md5: $request.input.content_md5.as_deref(),
            },
            &$request.headers,
            &$request.extensions,
        )
    };
}

/// Sets the one checksum field of an output that belongs to an algorithm.
macro_rules! set_checksum {
    ($output:expr, $algorithm:expr, $text:expr) => {
        match $algorithm {
            $crate::embedded::s3::digest::Algorithm::Crc32 => $output.checksum_crc32 = Some($text),
            $crate::embedded::s3::digest::Algorithm::Crc32c => $output.checksum_crc32c = Some($text),
            $crate::embedded::s3::digest::Algorithm::Crc64Nvme => $output.checksum_crc64nvme = Some($text),
            $crate::embedded::s3::digest::Algorithm::Sha1 => $output.checksum_sha1 = Some($text),
            $crate::embedded::s3::digest::Algorithm::Sha256 => $output.checksum_sha256 = Some($text),
        }
    };
}

pub(super) use {checksums_of, promise_of, set_checksum};
