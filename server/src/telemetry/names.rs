//! Names in spans, attributes and instruments, except those of figures, which are in `figure`'s table. They are those of
//! OpenTelemetry's semantic conventions (v1.44) if they exist there; all others begin with `tollgate.`. Never values of callers.

use crate::figure::Rpc;

/// The scope of the lines of the audit log.
pub const AUDIT_SCOPE: &str = "tollgate.audit";
/// The name of this program.
pub const SERVICE: &str = "tollgate";

/// Attributes of the resource.
pub mod resource {
    /// This program's name.
    pub const SERVICE_NAME: &str = "service.name";
    /// This program's version.
    pub const SERVICE_VERSION: &str = "service.version";
    /// A random id of the process.
    pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";
}

/// Instruments; durations in seconds.
pub mod instrument {
    /// Histogram: the wall time of calls.
    pub const CALL_DURATION: &str = "rpc.server.call.duration";
    /// Histogram: the time of requests to DynamoDB.
    pub const DATABASE_DURATION: &str = "db.client.operation.duration";
    /// Histogram: the time of requests to KMS.
    pub const KMS_DURATION: &str = "tollgate.kms.duration";
    /// Histogram: the time of requests to S3.
    pub const S3_DURATION: &str = "tollgate.s3.duration";
    /// Calls in flight.
    pub const IN_FLIGHT: &str = "tollgate.calls.in_flight";
    /// The maximum number of calls in flight.
    pub const LIMIT: &str = "tollgate.calls.limit";
    /// The number of calls that are admitted now.
    pub const ADMITTED: &str = "tollgate.calls.admitted";
    /// Bytes of requests, pages and responses that are held.
    pub const MEMORY_RESERVED: &str = "tollgate.memory.reserved";
    /// The maximum number of such bytes.
    pub const MEMORY_LIMIT: &str = "tollgate.memory.limit";
    /// Always 1, with version and commit as labels.
    pub const BUILD_INFO: &str = "tollgate.build_info";
    /// Spans, data points and log records that were not exported.
    pub const DROPPED: &str = "tollgate.telemetry.dropped";
    /// Log lines that were dropped since nothing read them.
    pub const LOG_DROPPED: &str = "tollgate.log.dropped";
    /// Sweeps, by outcome.
    pub const SWEEP_RUNS: &str = "tollgate.sweep.runs";
    /// What sweeps removed, by kind.
    pub const SWEEP_REMOVED: &str = "tollgate.sweep.removed";
    /// What the last sweep found, by kind.
    pub const SWEEP_FOUND: &str = "tollgate.sweep.found";
    /// The bytes that the last sweep found.
    pub const SWEEP_SIZE: &str = "tollgate.sweep.size";

    /// The instrument whose unit the Prometheus exporter does not know: its name there, and the right one.
    pub const COST_IN_PROMETHEUS: (&str, &str) = ("tollgate_cost_total", "tollgate_cost_usd_total");
}

/// Labels of instruments. All have closed sets of values.
pub mod label {
    /// A served model's name, or `_`.
    pub const MODEL: &str = "tollgate.model";
    /// AWS's name of the operation, such as `PutItem`.
    pub const OPERATION: &str = "tollgate.operation";
    /// This program's version.
    pub const VERSION: &str = "version";
    /// The commit that it was built from, or `unknown`.
    pub const COMMIT: &str = "commit";
    /// `traces`, `metrics`, `logs` or `audit`.
    pub const SIGNAL: &str = "signal";
    /// `succeeded` or `failed`.
    pub const OUTCOME: &str = "outcome";
    /// `orphan`, `stray_upload` or `dangling`.
    pub const KIND: &str = "kind";
}

/// Attributes of spans, and labels that the conventions share with them.
pub mod attribute {
    /// Always `grpc`.
    pub const RPC_SYSTEM: &str = "rpc.system.name";
    /// The full name of the method.
    pub const RPC_METHOD: &str = "rpc.method";
    /// The gRPC status by name.
    pub const RPC_STATUS: &str = "rpc.response.status_code";
    /// Why a call or a request failed.
    pub const ERROR_TYPE: &str = "error.type";
    /// The AWS region of a request.
    pub const CLOUD_REGION: &str = "cloud.region";

    /// Always `aws.dynamodb`.
    pub const DB_SYSTEM: &str = "db.system.name";
    /// The operation of DynamoDB.
    pub const DB_OPERATION: &str = "db.operation.name";
    /// The table of a request.
    pub const DYNAMODB_TABLES: &str = "aws.dynamodb.table_names";
    /// The capacity that a request consumed.
    pub const DYNAMODB_CAPACITY: &str = "aws.dynamodb.consumed_capacity";
    /// Items that a request returned.
    pub const DYNAMODB_COUNT: &str = "aws.dynamodb.count";
    /// Items that a request evaluated.
    pub const DYNAMODB_SCANNED_COUNT: &str = "aws.dynamodb.scanned_count";
    /// The id that AWS gave a request.
    pub const AWS_REQUEST_ID: &str = "aws.request_id";
    /// The bucket of a request.
    pub const S3_BUCKET: &str = "aws.s3.bucket";
    /// The key of an object, if the settings allow it.
    pub const S3_KEY: &str = "aws.s3.key";
    /// The id of a multipart upload.
    pub const S3_UPLOAD_ID: &str = "aws.s3.upload_id";
    /// The number of an uploaded part.
    pub const S3_PART_NUMBER: &str = "aws.s3.part_number";
    /// The KMS key of a request.
    pub const KMS_KEY: &str = "tollgate.kms.key";

    /// The served model of a call.
    pub const MODEL: &str = super::label::MODEL;
    /// The session that a call is billed to.
    pub const SESSION: &str = "tollgate.session";
    /// The id of a call.
    pub const REQUEST_ID: &str = "tollgate.request_id";
    /// Why a call failed: `ErrorInfo.reason`.
    pub const REASON: &str = "tollgate.reason";
    /// The number of an attempt of one request.
    pub const ATTEMPT: &str = "tollgate.attempt";
    /// The number of a line of the audit log.
    pub const AUDIT_SEQ: &str = "tollgate.audit.seq";
    /// How long an attempt waited before it was sent.
    pub const BACKOFF: &str = "tollgate.backoff";
}

/// The event for an attempt after the first.
pub const RETRY: &str = "retry";
/// An unknown method or operation, as in the conventions.
pub const OTHER: &str = "_OTHER";
/// `error.type` of a request whose deadline passed.
pub const TIMEOUT: &str = "timeout";
/// `error.type` of a request whose caller stopped waiting.
pub const ABANDONED: &str = "abandoned";
/// `error.type` of a request without a response.
pub const CONNECTION: &str = "connection";

/// The value of `rpc.system.name`.
pub const GRPC: &str = "grpc";
/// The value of `db.system.name`.
pub const DYNAMODB: &str = "aws.dynamodb";

/// The number of gRPC's status codes.
#[cfg(any(test, feature = "telemetry"))]
pub(super) const STATUSES: usize = 17;

/// The value of `rpc.method`.
pub fn method(rpc: Rpc) -> &'static str {
    rpc.full_name().unwrap_or(OTHER)
}

/// The name of an RPC's server span.
pub fn server_span(rpc: Rpc) -> &'static str {
    rpc.full_name().unwrap_or(GRPC)
}

/// A status code as the conventions write it.
pub fn status(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// Whether a status is an error of the server. All others are errors of the caller.
/// <https://opentelemetry.io/docs/specs/semconv/rpc/grpc/>
pub fn is_error(code: tonic::Code) -> bool {
    use tonic::Code;
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{AwsOperation, Service};

    #[test]
    fn unknown_rpcs_are_other() {
        assert_eq!(method(Rpc::Get), "tollgate.v1.DataService/Get");
        assert_eq!((method(Rpc::Unknown), server_span(Rpc::Unknown)), (OTHER, GRPC));
        assert_eq!(AwsOperation::Other(Service::S3).name(), OTHER);
    }

    #[test]
    fn server_errors_match_the_conventions() {
        let errors: Vec<&str> = (0..STATUSES as i32)
            .map(tonic::Code::from_i32)
            .filter(|code| is_error(*code))
            .map(status)
            .collect();
        assert_eq!(
            errors,
            [
                "UNKNOWN",
                "DEADLINE_EXCEEDED",
                "UNIMPLEMENTED",
                "INTERNAL",
                "UNAVAILABLE",
                "DATA_LOSS"
            ]
        );
    }
}
