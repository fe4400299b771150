//! All error reasons: for each its gRPC code, whether a retry helps, and whether it is certain that nothing was changed.
//! Shared by server and clients.

use tonic::Code;

/// The `domain` of every `google.rpc.ErrorInfo` of this service.
pub const DOMAIN: &str = "tollgate";

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $code:ident, $retry:literal, $unchanged:literal;)*) => {
        /// Why a call failed: `ErrorInfo.reason` in `SCREAMING_SNAKE_CASE`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),*];

            /// The text of `ErrorInfo.reason`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }

            /// The gRPC status code of this reason.
            pub const fn code(self) -> Code {
                match self { $(Reason::$name => Code::$code,)* }
            }

            /// Whether the same call may succeed if it is retried.
            pub const fn retry_helps(self) -> bool {
                match self { $(Reason::$name => $retry,)* }
            }

            /// Whether it is certain that the call changed nothing.
            pub const fn nothing_changed(self) -> bool {
                match self { $(Reason::$name => $unchanged,)* }
            }
        }
    };
}

reasons! {
    // name = text, code, a retry helps, nothing was changed
    /// The request named a model that is not served.
    UnknownModel = "UNKNOWN_MODEL", NotFound, false, true;
    /// The request named an index that the model does not have.
    UnknownIndex = "UNKNOWN_INDEX", NotFound, false, true;
    /// The session was never used, or it was removed.
    UnknownSession = "UNKNOWN_SESSION", NotFound, false, true;
    /// No finished call has this request id, or its bill is no longer kept.
    UnknownRequest = "UNKNOWN_REQUEST", NotFound, false, true;
    /// No item has this key.
    ItemNotFound = "ITEM_NOT_FOUND", NotFound, false, true;
    /// A field of the request is invalid. `BadRequest` lists all violations.
    InvalidField = "INVALID_FIELD", InvalidArgument, false, true;
    /// An expression is invalid or does not match the model.
    InvalidExpression = "INVALID_EXPRESSION", InvalidArgument, false, true;
    /// The page token was modified or is from another request.
    InvalidPageToken = "INVALID_PAGE_TOKEN", InvalidArgument, false, true;
    /// The content of an object has another size or SHA-256 than the request announces.
    ChecksumMismatch = "CHECKSUM_MISMATCH", InvalidArgument, false, true;
    /// The message does not match the protobuf types of the contract.
    UndecodableMessage = "UNDECODABLE_MESSAGE", InvalidArgument, false, true;
    /// The item would be larger than DynamoDB's 400 KB.
    ItemTooLarge = "ITEM_TOO_LARGE", InvalidArgument, false, true;
    /// The message is larger than the server's `limits.message_bytes`.
    MessageTooLarge = "MESSAGE_TOO_LARGE", ResourceExhausted, false, true;
    /// The condition was not met.
    ConditionFailed = "CONDITION_FAILED", FailedPrecondition, false, true;
    /// The version of the item differs from the one in the request.
    VersionMismatch = "VERSION_MISMATCH", Aborted, false, true;
    /// The item already exists.
    AlreadyExists = "ALREADY_EXISTS", AlreadyExists, false, true;
    /// The item with this key is of another model of the table.
    WrongModel = "WRONG_MODEL", FailedPrecondition, false, true;
    /// A transaction was cancelled: the condition or the version of an operation was not met. `TransactionFailure` lists
    /// the operations that were refused.
    TransactionCancelled = "TRANSACTION_CANCELLED", FailedPrecondition, false, true;
    /// Another transaction or write was in progress on an item of the transaction.
    TransactionConflict = "TRANSACTION_CONFLICT", Aborted, true, true;
    /// The request id was used before, with another request.
    IdempotencyMismatch = "IDEMPOTENCY_MISMATCH", InvalidArgument, false, true;
    /// Another call with the same request id is in progress.
    RequestInFlight = "REQUEST_IN_FLIGHT", Aborted, true, true;
    /// The KMS key is disabled or missing, or access to it is denied.
    KeyUnavailable = "KEY_UNAVAILABLE", FailedPrecondition, false, true;
    /// A stored value is encrypted under a key that the model does not accept.
    KeyNotAccepted = "KEY_NOT_ACCEPTED", FailedPrecondition, false, true;
    /// The attribute's encryption mode does not allow this.
    EncryptionMode = "ENCRYPTION_MODE", FailedPrecondition, false, true;
    /// A pointer refers to an object of another item, and the attribute does not allow reading those.
    ForeignPointer = "FOREIGN_POINTER", FailedPrecondition, false, true;
    /// The object has another etag than the request demands.
    EtagMismatch = "ETAG_MISMATCH", FailedPrecondition, false, true;
    /// Nothing is uploaded for the upload token, or it was taken up already.
    UploadMissing = "UPLOAD_MISSING", FailedPrecondition, false, true;
    /// A table or bucket that the model needs does not exist.
    ResourceMissing = "RESOURCE_MISSING", FailedPrecondition, false, true;
    /// The store refused the server's credentials or the request.
    StoreRefused = "STORE_REFUSED", FailedPrecondition, false, true;
    /// A sweep found more orphans than it deletes without `force`, or a table that is not ACTIVE.
    SweepStopped = "SWEEP_STOPPED", FailedPrecondition, false, true;
    /// The caller is not authenticated.
    Unauthenticated = "UNAUTHENTICATED", Unauthenticated, false, true;
    /// The caller is not authorized.
    PermissionDenied = "PERMISSION_DENIED", PermissionDenied, false, true;
    /// The store kept throttling.
    Throttled = "THROTTLED", Unavailable, true, true;
    /// The store could not be reached, or failed before it changed anything.
    StoreUnavailable = "STORE_UNAVAILABLE", Unavailable, true, true;
    /// A write was sent and its response was lost. Read the item to find out whether it succeeded.
    OutcomeUnknown = "OUTCOME_UNKNOWN", Unavailable, true, false;
    /// The server is shutting down.
    ShuttingDown = "SHUTTING_DOWN", Unavailable, true, true;
    /// Calls cannot be audited, so none begins.
    AuditUnavailable = "AUDIT_UNAVAILABLE", Unavailable, true, true;
    /// The server already has `limits.in_flight` calls.
    TooManyCalls = "TOO_MANY_CALLS", ResourceExhausted, true, true;
    /// The caller has reached one of its limits: calls in flight, calls, capacity units or cost.
    LimitExceeded = "LIMIT_EXCEEDED", ResourceExhausted, true, true;
    /// The item or object kept changing during the call. Read the item again.
    ObjectChanged = "OBJECT_CHANGED", Aborted, true, true;
    /// The bytes of requests and responses have reached `limits.memory`.
    OutOfMemory = "OUT_OF_MEMORY", ResourceExhausted, true, true;
    /// A ciphertext is malformed or not authentic.
    CiphertextInvalid = "CIPHERTEXT_INVALID", DataLoss, false, true;
    /// The item as a whole is not the one that was written: its seal is missing or does not match.
    SealInvalid = "SEAL_INVALID", DataLoss, false, true;
    /// An object is missing or does not match the item.
    ObjectInvalid = "OBJECT_INVALID", DataLoss, false, true;
    /// The stored item does not match the model.
    ItemInvalid = "ITEM_INVALID", DataLoss, false, true;
    /// The caller's deadline passed, or the server's default one.
    DeadlineExceeded = "DEADLINE_EXCEEDED", DeadlineExceeded, true, false;
    /// The caller cancelled the call or disconnected.
    Cancelled = "CANCELLED", Cancelled, false, false;
    /// The server does not implement this method.
    Unimplemented = "UNIMPLEMENTED", Unimplemented, false, true;
    /// An internal error. The server's log contains the cause under the request id.
    Internal = "INTERNAL", Internal, false, false;
}

impl Reason {
    /// The reason with this `ErrorInfo.reason` text. `None` if this version does not know it.
    pub fn from_text(text: &str) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_unique_and_can_be_parsed() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_text(reason.as_str()), Some(*reason));
        }
        assert_eq!(Reason::from_text("NO_SUCH_REASON"), None);
    }

    #[test]
    fn retries_never_help_against_errors_of_the_caller() {
        for reason in Reason::ALL.iter().filter(|reason| reason.retry_helps()) {
            assert!(!matches!(
                reason.code(),
                Code::InvalidArgument | Code::NotFound | Code::DataLoss
            ));
        }
    }
}
