//! Names of request and response metadata.

/// Request: the session that a call is billed to, 1–128 characters of `A-Za-z0-9._:-`.
pub const SESSION: &str = "tollgate-session";
/// Request and trailers: the id of a call.
pub const REQUEST_ID: &str = "tollgate-request-id";
/// Trailers: DynamoDB API calls.
pub const DYNAMODB_CALLS: &str = "tollgate-dynamodb-calls";
/// Trailers: time in DynamoDB calls, in milliseconds.
pub const DYNAMODB_DURATION_MS: &str = "tollgate-dynamodb-duration-ms";
/// Trailers: read capacity units.
pub const RCU: &str = "tollgate-rcu";
/// Trailers: write capacity units, including estimated ones.
pub const WCU: &str = "tollgate-wcu";
/// Trailers: items returned by DynamoDB.
pub const ITEMS: &str = "tollgate-items";
/// Trailers: KMS API calls.
pub const KMS_CALLS: &str = "tollgate-kms-calls";
/// Trailers: time in KMS calls, in milliseconds.
pub const KMS_DURATION_MS: &str = "tollgate-kms-duration-ms";
/// Trailers: KMS calls that the data-key cache saved.
pub const KMS_CACHE_HITS: &str = "tollgate-kms-cache-hits";
/// Trailers: S3 API calls.
pub const S3_CALLS: &str = "tollgate-s3-calls";
/// Trailers: time in S3 calls, in milliseconds.
pub const S3_DURATION_MS: &str = "tollgate-s3-duration-ms";
/// Trailers: bytes of content sent to S3.
pub const S3_BYTES_UPLOADED: &str = "tollgate-s3-bytes-uploaded";
/// Trailers: bytes of content received from S3.
pub const S3_BYTES_DOWNLOADED: &str = "tollgate-s3-bytes-downloaded";
/// Trailers: attempts after the first.
pub const RETRIES: &str = "tollgate-retries";
/// Trailers: wall time of the call, in milliseconds.
pub const DURATION_MS: &str = "tollgate-duration-ms";
/// Trailers: cost in US dollars.
pub const COST_USD: &str = "tollgate-cost-usd";
/// Prefix of the session's totals in the trailers, such as `tollgate-session-kms-calls`.
pub const SESSION_PREFIX: &str = "tollgate-session-";
/// Trailers: calls of the session so far.
pub const SESSION_CALLS: &str = "tollgate-session-calls";
/// Trailers: `1` if some were left out to stay within 4 KiB.
pub const TRUNCATED: &str = "tollgate-trailers-truncated";
/// Trailers: an ORCA load report (gRFC A51), binary.
pub const ORCA: &str = "endpoint-load-metrics-bin";
/// Trailers: W3C Server-Timing.
pub const SERVER_TIMING: &str = "server-timing";
