//! Whether a failed request ever had a connection.

use std::error::Error as StdError;
use std::io;

/// Whether a request failed before it was connected: in name resolution, connecting, or the TLS handshake.
pub(super) fn never_connected(error: &(dyn StdError + 'static)) -> bool {
    std::iter::successors(Some(error), |&error| error.source()).any(|cause| {
        let client_error = cause.downcast_ref::<hyper_util::client::legacy::Error>();
        let io_error = cause.downcast_ref::<io::Error>();
        client_error.is_some_and(hyper_util::client::legacy::Error::is_connect)
            || io_error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    })
}
