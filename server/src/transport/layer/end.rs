//! When a call ends at the latest, and with which status: at its deadline, or, for one that streams, when the credential of
//! its caller expires.

use std::time::{Instant, SystemTime};

use super::refusal::{self, Refusal};
use crate::call;
use crate::caller::Caller;
use crate::identity::Refused;

/// When a call ends at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// `None`: at any time.
    pub(super) at: Option<Instant>,
    /// Whether the credential expires then.
    pub(super) expires: bool,
}

impl End {
    /// The end of a call with this deadline; of a call that streams, the expiry of its caller's credential if that is
    /// earlier.
    pub(super) fn new(deadline: Option<Instant>, caller: Option<&Caller>, streams: bool) -> End {
        let at_deadline = End {
            at: deadline,
            expires: false,
        };
        let expires = caller.filter(|_| streams).and_then(|caller| caller.expires);
        let Some(expires) = expires else {
            return at_deadline;
        };
        let left = expires.duration_since(SystemTime::now()).unwrap_or_default();
        match call::now().checked_add(left) {
            Some(at) if deadline.is_none_or(|deadline| at < deadline) => End {
                at: Some(at),
                expires: true,
            },
            Some(_) | None => at_deadline,
        }
    }

    /// The refusal of a call that reached its end; `is_waiting`: it waits for memory.
    pub(super) fn refusal(&self, is_waiting: bool) -> Refusal {
        match (self.expires, is_waiting) {
            (true, _) => refusal::unauthenticated(Refused::ExpiredCredential),
            (false, true) => refusal::out_of_memory(),
            (false, false) => refusal::deadline_exceeded(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tollgate_proto::Reason;

    use super::*;
    use crate::caller::Source;

    fn expiring(seconds: u64) -> Caller {
        let mut caller = Caller::new(Source::Jwt, "i", "n".to_owned(), None);
        caller.expires = Some(SystemTime::now() + Duration::from_secs(seconds));
        caller
    }

    #[test]
    fn streams_end_when_the_credential_expires() {
        let deadline = call::now() + Duration::from_secs(60);
        let end = End::new(Some(deadline), Some(&expiring(5)), true);
        assert!(end.at.unwrap() < deadline);
        assert_eq!(end.refusal(true).reason, Reason::Unauthenticated);
        assert!(End::new(None, Some(&expiring(5)), true).at.is_some());
        for end in [
            End::new(Some(deadline), Some(&expiring(5)), false),
            End::new(Some(deadline), Some(&expiring(500)), true),
            End::new(Some(deadline), None, true),
        ] {
            assert_eq!(end.at, Some(deadline));
            assert_eq!(end.refusal(false).reason, Reason::DeadlineExceeded);
            assert_eq!(end.refusal(true).reason, Reason::OutOfMemory);
        }
    }
}
