//! The length, MD5 and checksum that a caller declares for a body, and their comparison with the received body. A body
//! that does not match is never stored.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Extensions, HeaderMap};
use s3s::S3ErrorCode;
use s3s::dto::ChecksumAlgorithm;

use super::chunked::Trailers;
use super::digest::{Algorithm, Digested};
use super::fault::{Fault, invalid_request};

const TRAILER: &str = "x-amz-trailer";

/// The length, MD5 and checksum that the caller declared.
pub(super) struct ExpectedBody {
    length_bytes: Option<u64>,
    md5: Option<Vec<u8>>,
    checksum: Option<(Algorithm, ExpectedChecksum)>,
}

/// The declared checksum.
enum ExpectedChecksum {
    /// In a header: known before the body.
    Header(Vec<u8>),
    /// In a trailer: known after the body.
    Trailer(Trailers),
    /// Only the algorithm is declared.
    AlgorithmOnly,
}

/// The fields of an input that declare length and checksums.
pub(super) struct DeclaredFields<'a> {
    pub(super) checksums: [(Algorithm, Option<String>); 5],
    pub(super) algorithm: Option<&'a ChecksumAlgorithm>,
    pub(super) content_length: Option<i64>,
    pub(super) content_md5: Option<&'a str>,
}

impl ExpectedBody {
    /// Parses the fields, the headers, and the extension that contains the trailers.
    pub(super) fn new(
        declared: &DeclaredFields<'_>,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Self, Fault> {
        Ok(Self {
            length_bytes: declared
                .content_length
                .and_then(|length| u64::try_from(length).ok()),
            md5: declared.content_md5.map(content_md5).transpose()?,
            checksum: checksum(declared, headers, extensions)?,
        })
    }

    /// The length of the whole body, if the caller declared it.
    pub(super) fn length_bytes(&self) -> Option<u64> {
        self.length_bytes
    }

    /// The algorithm of the declared checksum.
    pub(super) fn algorithm(&self) -> Option<Algorithm> {
        self.checksum.as_ref().map(|(algorithm, _)| *algorithm)
    }

    /// Checks a received body.
    ///
    /// # Errors
    ///
    /// `IncompleteBody`, `BadDigest`, or `InvalidRequest` if an announced trailer is missing.
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
        let Some((algorithm, checksum)) = &self.checksum else {
            return Ok(());
        };
        let expected = match checksum {
            ExpectedChecksum::AlgorithmOnly => return Ok(()),
            ExpectedChecksum::Header(value) => value.clone(),
            ExpectedChecksum::Trailer(trailers) => {
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

/// The checksum among the fields of an input; `InvalidRequest` if there is more than one.
pub(super) fn single_checksum(
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

/// Parses the algorithm of a request; `InvalidRequest` if S3 does not support it.
pub(super) fn requested_algorithm(algorithm: &ChecksumAlgorithm) -> Result<Algorithm, Fault> {
    Algorithm::from_name(algorithm.as_str()).ok_or_else(|| {
        invalid_request("Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]")
    })
}

fn checksum(
    declared: &DeclaredFields<'_>,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Option<(Algorithm, ExpectedChecksum)>, Fault> {
    if let Some((algorithm, value)) = single_checksum(&declared.checksums)? {
        return Ok(Some((
            algorithm,
            ExpectedChecksum::Header(decode(algorithm, value)?),
        )));
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
        return Ok(Some((algorithm, ExpectedChecksum::Trailer(trailers.clone()))));
    }
    Ok(declared
        .algorithm
        .map(requested_algorithm)
        .transpose()?
        .map(|algorithm| (algorithm, ExpectedChecksum::AlgorithmOnly)))
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
macro_rules! checksum_fields {
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

/// The expected body of a request for PutObject or UploadPart.
macro_rules! expected_body {
    ($request:expr) => {
        $crate::embedded::s3::integrity::ExpectedBody::new(
            &$crate::embedded::s3::integrity::DeclaredFields {
                checksums: $crate::embedded::s3::integrity::checksum_fields!($request.input),
                algorithm: $request.input.checksum_algorithm.as_ref(),
                content_length: $request.input.content_length,
                content_md5: $request.input.content_md5.as_deref(),
            },
            &$request.headers,
            &$request.extensions,
        )
    };
}

/// Sets the checksum field of an output for an algorithm.
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

pub(super) use {checksum_fields, expected_body, set_checksum};
