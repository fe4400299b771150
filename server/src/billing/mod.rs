//! The bill: what every call cost, counted once, where AWS calls are made, and told in trailers, sessions and totals.
//! Never calls AWS, and reads no configuration.
//!
//! One [`Call`] is the ledger of one RPC; the outermost layer of `transport` opens and closes it, the interceptor in
//! `aws` feeds it. A closed call posts its [`Bill`] to the [`Books`]; what is counted later (work that runs to its end
//! after the caller left) is posted as it comes. Everything is an integer, so sums are equal, not nearly.

mod account;
mod bill;
mod book;
mod books;
mod call;
mod cells;
mod charge;
#[cfg(feature = "telemetry")]
mod ever;
mod finished;
mod orca;
mod packed;
mod prices;
mod sessions;
mod trailers;

#[cfg(test)]
mod exactness;

pub use bill::Bill;
pub use books::{Books, Scope, Totals};
pub use call::{Attempt, Call, Closed, Opening};
pub use finished::FinishedCall;
pub use prices::Prices;
pub use trailers::{Answer, TrailerChoice, write_request_id, write_trailers};

/// Most bytes of a session's name or a request id.
pub const MAX_NAME_BYTES: usize = 128;

/// Bounds of what the books keep.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// A session that no call used for this long is forgotten.
    pub session_idle: std::time::Duration,
    /// Sessions at most; the least recently used is forgotten first.
    pub session_max: usize,
    /// Bills of finished calls at most; the oldest is forgotten first.
    pub finished_calls: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            session_idle: std::time::Duration::from_secs(3600),
            session_max: 100_000,
            finished_calls: 10_000,
        }
    }
}

/// Whether this names a session or a request: 1 to 128 of `A-Za-z0-9._:-`.
pub fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

/// Locks; a panic elsewhere while the lock was held leaves whole numbers behind, so the lock is good still.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_plain() {
        for good in ["a", "job-7", "A.b_c:d-9", &"x".repeat(128)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", " ", "a b", "ä", "a/b", "a\n", &"x".repeat(129)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
