//! The requests with ids that are being worked on: of several with one id, one is at work and the others wait. As many
//! are known as there are calls in flight.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::call::now;

use super::error::Error;
use super::identity::Identity;

type Id = [u8; 32];
type Turns = HashMap<Id, Arc<tokio::sync::Mutex<()>>>;

/// The ids in flight. Clones share them.
#[derive(Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<Turns>>);

/// The turn of a request; the next one waits until it is dropped.
pub(super) struct Turn {
    in_flight: InFlight,
    id: Id,
    turn: Option<OwnedMutexGuard<()>>,
    /// Whether another request with the id was at work before.
    pub(super) waited: bool,
}

impl InFlight {
    /// Waits for the turn of a request, until shortly before the deadline.
    ///
    /// # Errors
    ///
    /// `RequestInFlight` if another one with its id is still at work then.
    pub(super) async fn enter(&self, identity: &Identity, deadline: Instant) -> Result<Turn, Error> {
        let id = *identity.id();
        let turns = Arc::clone(self.0.lock().entry(id).or_default());
        let mut turn = Turn {
            in_flight: self.clone(),
            id,
            turn: None,
            waited: false,
        };
        turn.turn = match Arc::clone(&turns).try_lock_owned() {
            Ok(guard) => Some(guard),
            Err(_) => {
                turn.waited = true;
                // the caller gets the error before its deadline
                let longest = deadline.saturating_duration_since(now()).mul_f64(0.9);
                let waiting = tokio::time::timeout(longest, turns.lock_owned());
                Some(waiting.await.map_err(|_| Error::RequestInFlight)?)
            }
        };
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.in_flight.0.lock();
        self.turn = None;
        // the map's own reference is the last one
        if turns
            .get(&self.id)
            .is_some_and(|turn| Arc::strong_count(turn) == 1)
        {
            turns.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::super::identity::RequestIds;
    use super::*;

    fn identity(id: &str) -> Identity {
        RequestIds::new(&[1; 32]).identity(b"", "User", id, b"", SystemTime::now())
    }

    #[tokio::test]
    async fn requests_with_one_id_take_turns_and_leave_nothing_behind() {
        let in_flight = InFlight::default();
        let far = Instant::now() + Duration::from_secs(60);
        let first = in_flight.enter(&identity("a"), far).await.unwrap();
        assert!(!first.waited);
        assert!(!in_flight.enter(&identity("b"), far).await.unwrap().waited);
        let soon = Instant::now() + Duration::from_millis(10);
        let refused = in_flight.enter(&identity("a"), soon).await;
        assert!(matches!(refused, Err(Error::RequestInFlight)));
        let waiting = tokio::spawn({
            let in_flight = in_flight.clone();
            async move { in_flight.enter(&identity("a"), far).await.unwrap().waited }
        });
        tokio::task::yield_now().await;
        drop(first);
        assert!(waiting.await.unwrap());
        assert!(in_flight.0.lock().is_empty());
    }
}
