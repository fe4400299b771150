//! The outermost layer. Opens every call of DataService, admits it, applies its deadline, and closes it exactly once, with
//! its bill in the trailers and one log line. Adds error details to errors that tonic returns itself, and limits memory,
//! time and calls for all services. Knows the wire format; never looks at operations.
//!
//! A call holds a few KiB once its head has arrived, memory for its message while that arrives, and a permit once the
//! message is complete. All of it is released when the last clone of its [`Call`](crate::call::Call) is dropped:
//! work that was spawned for it and continues after the caller disconnected keeps its permit.
//!
//! | how a call ends | what closes it, with which status |
//! |---|---|
//! | response head with a status (Trailers-Only) | `OpenCall::end`, that status, the bill in the head |
//! | response body with trailers | the body, the status in the trailers, the bill in the trailers |
//! | response body that ends without trailers | the body, the error's status or UNKNOWN |
//! | deadline before the head, or in the body | the layer or the body's timer, DEADLINE_EXCEEDED, the bill in the trailers |
//! | the caller disconnects: future or body dropped | `Drop` of `OpenCall`, CANCELLED |
//! | the credential of a stream expires | like the deadline, UNAUTHENTICATED |
//! | refused here (no identity, metadata, memory, calls in flight, drain) | `OpenCall::end`, the refusal's status |
//!
//! Messages of requests may be compressed; handlers find them plain. Messages of responses are compressed if the caller
//! accepts that, except those of calls that name a model with encrypted attributes, or that presign: how far plaintext
//! shrinks beside text of an attacker reveals it (CRIME, BREACH).
//!
//! A deadline drops only the future and the stream of the RPC. Work that was spawned to run to completion continues, and
//! what it uses is added to the same bill.

mod audit;
mod billed;
mod calls;
mod encoding;
mod end;
mod in_flight;
mod inflated;
mod messages;
mod open;
mod outbound;
mod pace;
mod receipt;
mod refusal;
mod request;
mod request_body;
mod response_body;
mod rewrite;
mod route;
mod service;
mod settings;
mod shared;
#[cfg(test)]
mod tests;
mod unbilled;

pub use self::in_flight::InFlight;
pub use self::service::{CallLayer, CallService};
pub use self::settings::Settings;
