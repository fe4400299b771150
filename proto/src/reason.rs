//! The whole list of error reasons with its three tables: gRPC code, whether a retry helps, and whether it is
//! certain that nothing was changed. Server and clients share it.

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
            /// Every reason there is.
            pub const ALL: &'static [Reason] = &[$(Reason::$name),*];

            /// The text of `ErrorInfo.reason`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Reason::$name => $text,)* }
            }

            /// The one gRPC status code of this reason.
            pub const fn code(self) -> Code {
                match self { $(Reason::$name => Code::$code,)* }
            }

            /// Whether the same call may succeed when it is sent again.
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
    /// Nobody used this session, or it was forgotten.
    UnknownSession = "UNKNOWN_SESSION", NotFound, false, true;
    /// No finished call has this request id, or its bill was forgotten.
    UnknownRequest = "UNKNOWN_REQUEST", NotFound, false, true;
    /// There is no item with this key.
    ItemNotFound = "ITEM_NOT_FOUND", NotFound, false, true;
    /// A field of the request is wrong; `BadRequest` names each.
    InvalidField = "INVALID_FIELD", InvalidArgument, false, true;
    /// An expression does not parse or does not fit the model.
    InvalidExpression = "INVALID_EXPRESSION", InvalidArgument, false, true;
    /// The page token was edited, or came from another request.
    InvalidPageToken = "INVALID_PAGE_TOKEN", InvalidArgument, false, true;
    /// The message is not what the contract's protobuf types say.
    UndecodableMessage = "UNDECODABLE_MESSAGE", InvalidArgument, false, true;
    /// The item would be larger than DynamoDB's 400 KB.
    ItemTooLarge = "ITEM_TOO_LARGE", InvalidArgument, false, true;
    /// The message is larger than the server's `limits.message_bytes`.
    MessageTooLarge = "MESSAGE_TOO_LARGE", ResourceExhausted, false, true;
    /// The caller's condition did not hold.
    ConditionFailed = "CONDITION_FAILED", FailedPrecondition, false, true;
    /// The item's version is another than the one given.
    VersionMismatch = "VERSION_MISMATCH", Aborted, false, true;
    /// The item is there already.
    AlreadyExists = "ALREADY_EXISTS", AlreadyExists, false, true;
    /// The KMS key is disabled, missing or denied.
    KeyUnavailable = "KEY_UNAVAILABLE", FailedPrecondition, false, true;
    /// A stored value is sealed under a key that the model does not accept.
    KeyNotAccepted = "KEY_NOT_ACCEPTED", FailedPrecondition, false, true;
    /// The attribute's encryption mode does not allow this.
    EncryptionMode = "ENCRYPTION_MODE", FailedPrecondition, false, true;
    /// A pointer leads to an object that is not the item's own, and the attribute does not allow to read those.
    ForeignPointer = "FOREIGN_POINTER", FailedPrecondition, false, true;
    /// A table or bucket that the model needs is not there.
    ResourceMissing = "RESOURCE_MISSING", FailedPrecondition, false, true;
    /// The store refused the server's credentials or the request.
    StoreRefused = "STORE_REFUSED", FailedPrecondition, false, true;
    /// The caller did not say who it is.
    Unauthenticated = "UNAUTHENTICATED", Unauthenticated, false, true;
    /// The caller may not do this.
    PermissionDenied = "PERMISSION_DENIED", PermissionDenied, false, true;
    /// The store kept throttling.
    Throttled = "THROTTLED", Unavailable, true, true;
    /// The store could not be reached, or failed before it did anything.
    StoreUnavailable = "STORE_UNAVAILABLE", Unavailable, true, true;
    /// A write was sent and its answer was lost; read the item to know.
    OutcomeUnknown = "OUTCOME_UNKNOWN", Unavailable, true, false;
    /// The server is shutting down.
    ShuttingDown = "SHUTTING_DOWN", Unavailable, true, true;
    /// The server has `limits.in_flight` calls already.
    TooManyCalls = "TOO_MANY_CALLS", ResourceExhausted, true, true;
    /// What is read or written changed meanwhile, again and again; read the item again.
    ObjectChanged = "OBJECT_CHANGED", Aborted, true, true;
    /// The bytes of requests and responses have reached `limits.memory`.
    OutOfMemory = "OUT_OF_MEMORY", ResourceExhausted, true, true;
    /// A ciphertext does not verify, or is none.
    CiphertextInvalid = "CIPHERTEXT_INVALID", DataLoss, false, true;
    /// An object is missing or is not what the item says.
    ObjectInvalid = "OBJECT_INVALID", DataLoss, false, true;
    /// The stored item is not what the model says.
    ItemInvalid = "ITEM_INVALID", DataLoss, false, true;
    /// The caller's deadline passed, or the server's where there was none.
    DeadlineExceeded = "DEADLINE_EXCEEDED", DeadlineExceeded, true, false;
    /// The caller left.
    Cancelled = "CANCELLED", Cancelled, false, false;
    /// The contract has no such method here.
    Unimplemented = "UNIMPLEMENTED", Unimplemented, false, true;
    /// A fault of the server; its log has the cause under the request id.
    Internal = "INTERNAL", Internal, false, false;
}

impl Reason {
    /// The reason with this `ErrorInfo.reason` text, where this version knows it.
    pub fn from_text(text: &str) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_unique_and_read_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_text(reason.as_str()), Some(*reason));
        }
        assert_eq!(Reason::from_text("NO_SUCH_REASON"), None);
    }

    #[test]
    fn a_reason_that_a_retry_helps_is_not_the_callers_fault() {
        for reason in Reason::ALL.iter().filter(|reason| reason.retry_helps()) {
            assert!(!matches!(
                reason.code(),
                Code::InvalidArgument | Code::NotFound | Code::DataLoss
            ));
        }
    }
}
