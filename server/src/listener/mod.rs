//! The listener of calls: accepts connections, serves HTTP/2 on them, and closes those that are idle for too long. Knows
//! how many connections there are and how long each may last; never looks at the calls made on them. The port for presigned
//! URLs is bounded in the same way, see [`url_connection`].
//!
//! | a connection | is closed |
//! |---|---|
//! | beyond `connections`, `connections_per_peer` or the descriptors available to connections | at once |
//! | without a TLS handshake, a preface and SETTINGS after `handshake` | at once |
//! | without a stream for `idle` | with GOAWAY |
//! | older than `age`, plus or minus a tenth | with GOAWAY; calls in flight get [`limits::GRACE`] to end, those that stream until their deadline |
//! | under TLS, once the authorities of client certificates are replaced | with GOAWAY; all calls in flight get [`limits::GRACE`] |
//! | that does not acknowledge a ping, or accepts no bytes | after [`limits::KEEPALIVE_INTERVAL`] and [`limits::KEEPALIVE_TIMEOUT`] |
//! | at shutdown | with GOAWAY; without a handshake, at once |

mod accept;
mod activity;
mod admission;
mod connection;
pub(crate) mod descriptors;
mod lifetime;
mod limits;
mod socket;
mod url_connection;

pub(crate) use self::accept::{serve, serve_urls};
pub(crate) use self::limits::Limits;
#[cfg(feature = "embedded")]
pub(crate) use self::url_connection::Respond;
pub(crate) use self::url_connection::UrlPort;
