//! Every name that leaves the process in a span, an attribute or an instrument, once. Where OpenTelemetry's semantic
//! conventions (v1.44) have a name it is theirs; all others begin with `tollgate.`. Never a value of a caller.

use crate::figure::{AwsOperation, Rpc};

/// What names this program among others.
pub const SERVICE: &str = "tollgate";

/// Of the resource.
pub mod resource {
    pub const SERVICE_NAME: &str = "service.name";
    pub const SERVICE_VERSION: &str = "service.version";
    pub const SERVICE_INSTANCE_ID: &str = "service.instance.id";
}

/// Instruments; durations in seconds.
pub mod instrument {
    pub const CALL_DURATION: &str = "rpc.server.call.duration";
    pub const DATABASE_DURATION: &str = "db.client.operation.duration";
    pub const CAPACITY: &str = "tollgate.dynamodb.consumed_capacity";
    pub const KMS_CALLS: &str = "tollgate.kms.calls";
    pub const KMS_DURATION: &str = "tollgate.kms.duration";
    pub const KMS_CACHE_HITS: &str = "tollgate.kms.cache.hits";
    pub const S3_CALLS: &str = "tollgate.s3.calls";
    pub const S3_DURATION: &str = "tollgate.s3.duration";
    pub const S3_IO: &str = "tollgate.s3.io";
    pub const COST: &str = "tollgate.cost";
    pub const FAILED_ITEMS: &str = "tollgate.items.failed";
    pub const GATEWAY_TIME: &str = "tollgate.gateway.time";
    pub const RETRIES: &str = "tollgate.retries";
    pub const THROTTLED: &str = "tollgate.throttled";
    pub const IN_FLIGHT: &str = "tollgate.calls.in_flight";
    pub const LIMIT: &str = "tollgate.calls.limit";
    pub const MEMORY_RESERVED: &str = "tollgate.memory.reserved";
    pub const MEMORY_LIMIT: &str = "tollgate.memory.limit";
    pub const BUILD_INFO: &str = "tollgate.build_info";
    pub const DROPPED: &str = "tollgate.telemetry.dropped";
    pub const LOG_DROPPED: &str = "tollgate.log.dropped";

    /// The instrument whose unit Prometheus' naming rules do not know, and what it is called there.
    pub const COST_IN_PROMETHEUS: (&str, &str) = ("tollgate_cost_total", "tollgate_cost_usd_total");
}

/// Labels of instruments: all of closed sets.
pub mod label {
    /// A served model's name, or `_`.
    pub const MODEL: &str = "tollgate.model";
    /// `read` or `write`.
    pub const CAPACITY: &str = "tollgate.capacity";
    /// AWS's name of the operation, such as `PutItem`.
    pub const OPERATION: &str = "tollgate.operation";
    /// `upload` or `download`.
    pub const DIRECTION: &str = "direction";
    /// [`super::DATA_LOSS`] or [`super::OTHER_STATUS`].
    pub const STATUS: &str = "status";
    /// `dynamodb`, `kms` or `s3`.
    pub const SERVICE: &str = "service";
    /// This program's version.
    pub const VERSION: &str = "version";
    /// The commit that it was built from, or `unknown`.
    pub const COMMIT: &str = "commit";
    /// `traces`, `metrics` or `logs`.
    pub const SIGNAL: &str = "signal";
}

/// Attributes of spans, and of instruments where the conventions share them.
pub mod attribute {
    pub const RPC_SYSTEM: &str = "rpc.system.name";
    pub const RPC_METHOD: &str = "rpc.method";
    pub const RPC_STATUS: &str = "rpc.response.status_code";
    pub const ERROR_TYPE: &str = "error.type";
    pub const CLOUD_REGION: &str = "cloud.region";

    pub const DB_SYSTEM: &str = "db.system.name";
    pub const DB_OPERATION: &str = "db.operation.name";
    pub const DYNAMODB_TABLES: &str = "aws.dynamodb.table_names";
    pub const DYNAMODB_CAPACITY: &str = "aws.dynamodb.consumed_capacity";
    pub const DYNAMODB_COUNT: &str = "aws.dynamodb.count";
    pub const DYNAMODB_SCANNED_COUNT: &str = "aws.dynamodb.scanned_count";
    pub const AWS_REQUEST_ID: &str = "aws.request_id";
    pub const S3_BUCKET: &str = "aws.s3.bucket";
    pub const S3_KEY: &str = "aws.s3.key";
    pub const S3_UPLOAD_ID: &str = "aws.s3.upload_id";
    pub const S3_PART_NUMBER: &str = "aws.s3.part_number";
    pub const KMS_KEY: &str = "tollgate.kms.key";

    pub const MODEL: &str = super::label::MODEL;
    pub const SESSION: &str = "tollgate.session";
    pub const REQUEST_ID: &str = "tollgate.request_id";
    pub const REASON: &str = "tollgate.reason";
    pub const DYNAMODB_CALLS: &str = "tollgate.dynamodb.calls";
    pub const DYNAMODB_DURATION: &str = "tollgate.dynamodb.duration";
    pub const READ_CAPACITY: &str = "tollgate.dynamodb.consumed_capacity.read";
    pub const WRITE_CAPACITY: &str = "tollgate.dynamodb.consumed_capacity.write";
    pub const ITEMS: &str = "tollgate.items";
    pub const ITEMS_LOST: &str = "tollgate.items.failed.data_loss";
    pub const ITEMS_UNOPENED: &str = "tollgate.items.failed.other";
    pub const UPLOADED: &str = "tollgate.s3.io.upload";
    pub const DOWNLOADED: &str = "tollgate.s3.io.download";
    pub const ATTEMPT: &str = "tollgate.attempt";
    pub const BACKOFF: &str = "tollgate.backoff";
}

/// The event of an attempt after the first.
pub const RETRY: &str = "retry";
/// What stands for a method or an operation that is none of those known, as the conventions have it.
pub const OTHER: &str = "_OTHER";
/// `error.type` of what was left before it ended.
pub const TIMEOUT: &str = "timeout";
/// `error.type` of what nobody waited for any longer.
pub const ABANDONED: &str = "abandoned";
/// `error.type` where no answer came.
pub const CONNECTION: &str = "connection";

/// The status of an item that does not verify.
pub const DATA_LOSS: &str = "DATA_LOSS";
/// Any other status of an item that does not open.
pub const OTHER_STATUS: &str = "OTHER";

/// The value of `rpc.system.name`.
pub const GRPC: &str = "grpc";
/// The value of `db.system.name`.
pub const DYNAMODB: &str = "aws.dynamodb";

/// gRPC's status codes.
const STATUSES: usize = 17;

/// The value of `rpc.method`.
pub fn method(rpc: Rpc) -> &'static str {
    rpc.full_name().unwrap_or(OTHER)
}

/// The name of an RPC's server span.
pub fn server_span(rpc: Rpc) -> &'static str {
    rpc.full_name().unwrap_or(GRPC)
}

/// How many values the labels of an instrument have together, for one model.
pub fn labels_per_model(instrument: &str) -> usize {
    // and OTHER
    let (methods, operations) = (Rpc::ALL.len() + 1, AwsOperation::ALL.len() + 1);
    match instrument {
        instrument::CALL_DURATION => methods * STATUSES,
        instrument::DATABASE_DURATION | instrument::KMS_DURATION | instrument::S3_DURATION => operations,
        // services, directions, statuses or kinds of capacity at most
        _ => methods * 3,
    }
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

/// Whether a status is an error of the server; all others are the caller's.
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
    use crate::figure::Service;

    #[test]
    fn unknown_rpcs_are_other() {
        assert_eq!(method(Rpc::Get), "tollgate.v1.DataService/Get");
        assert_eq!((method(Rpc::Unknown), server_span(Rpc::Unknown)), (OTHER, GRPC));
        assert_eq!(AwsOperation::Other(Service::S3).name(), OTHER);
    }

    #[test]
    fn the_errors_are_those_of_the_conventions() {
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
