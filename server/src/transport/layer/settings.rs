//! The settings of the layer.

use std::time::Duration;

use crate::billing::TrailerChoice;
use crate::capacity::CallerLimits;

/// The limits of calls.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Concurrent calls of DataService; any more are refused.
    pub in_flight: usize,
    /// Concurrent calls of DataService on one connection.
    pub in_flight_per_connection: usize,
    /// Whether fewer calls are admitted while the processors cannot keep up.
    pub adaptive: bool,
    /// The limits of each caller.
    pub callers: CallerLimits,
    /// Bytes of requests, decoded requests and responses in memory.
    pub memory: usize,
    /// Bytes of one message.
    pub message_bytes: usize,
    /// The deadline of a call whose caller set none.
    pub deadline: Duration,
    /// The longest deadline of a unary call.
    pub deadline_max: Duration,
    /// The longest deadline of a stream.
    pub stream_deadline_max: Duration,
    /// How long a request message may take to arrive.
    pub receive: Duration,
    /// Calls that take at least this long are logged as warnings.
    pub slow: Duration,
    /// Which trailers are sent.
    pub trailers: TrailerChoice,
}
