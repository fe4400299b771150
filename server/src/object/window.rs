//! The memory for the parts of the contents that one call streams: at most [`WINDOW_BYTES`], or one part if that is larger.
//! Every stream is promised room for one part of [`PART_BYTES`], so that streams whose pieces arrive interleaved always
//! proceed. The rest lets a stream fill a part while others are being sent: up to `FEW_BYTES` together, which is as fast,
//! and leaves room for everything around the parts.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use super::part_size::PART_BYTES;
use crate::call::Call;
use crate::capacity::{OutOfMemory, Reservation};

/// What the parts of a call may hold together.
pub const WINDOW_BYTES: usize = 40 * 1024 * 1024;
/// What the parts of a call with few streams may hold together.
const FEW_BYTES: usize = 20 * 1024 * 1024;
/// The most streams of a call that may be open at once: each is promised room for a part.
pub const MAX_OPEN: usize = WINDOW_BYTES / PART_BYTES;
/// Rooms are counted in these units.
const UNIT_BYTES: usize = 1024;

/// The memory for the parts of one call.
pub struct Window {
    call: Call,
    /// What streams are promised.
    promised: Arc<Semaphore>,
    /// The rest.
    spare: Arc<Semaphore>,
    spare_bytes: usize,
    /// Streams that have begun and not ended.
    open: AtomicUsize,
    _memory: Reservation,
}

/// Room for one part; released when dropped.
pub struct Room {
    bytes: usize,
    _permits: Vec<OwnedSemaphorePermit>,
    _memory: Reservation,
}

/// A stream that has begun.
pub(super) struct Open(Arc<Window>);

impl Window {
    /// A window for a call with this many streams. Waits until the server has the memory that it promises.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`] if the server does not have it before the deadline.
    pub async fn open(call: &Call, streams: usize) -> Result<Arc<Window>, OutOfMemory> {
        let promised_bytes = streams.min(MAX_OPEN) * PART_BYTES;
        let reserving = call.reserve(promised_bytes);
        let reserved = timeout_at(call.deadline().into(), reserving).await;
        let memory = reserved.map_err(|_elapsed| OutOfMemory)??;
        let spare_bytes = FEW_BYTES.saturating_sub(promised_bytes);
        Ok(Arc::new(Window {
            call: call.clone(),
            promised: Arc::new(Semaphore::new(promised_bytes / UNIT_BYTES)),
            spare: Arc::new(Semaphore::new(spare_bytes / UNIT_BYTES)),
            spare_bytes,
            open: AtomicUsize::new(0),
            _memory: memory,
        }))
    }

    /// Counts a stream that begins.
    pub(super) fn enter(self: &Arc<Window>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    /// Room for a part of `bytes`, or of [`PART_BYTES`] if there is no more. Waits for parts that are being sent.
    pub(super) async fn room(&self, bytes: usize) -> Room {
        // only a stream that is alone waits for more than it is promised: what other streams hold may not be released
        // before the caller sends more of them
        let is_alone = self.open.load(Ordering::Relaxed) <= 1;
        let small = bytes.min(PART_BYTES);
        if !is_alone {
            return self.promised(small).await;
        }
        if bytes <= PART_BYTES {
            return match self.try_spare(bytes) {
                Some(room) => room,
                None => self.promised(bytes).await,
            };
        }
        let mut permits = vec![permits(&self.spare, bytes.min(self.spare_bytes)).await];
        if bytes > self.spare_bytes {
            permits.push(permits_of_all(&self.promised).await);
        }
        match self.try_reserve(bytes) {
            Some(memory) => Room {
                bytes,
                _permits: permits,
                _memory: memory,
            },
            None => {
                drop(permits);
                self.promised(small).await
            }
        }
    }

    async fn promised(&self, bytes: usize) -> Room {
        Room {
            bytes,
            _permits: vec![permits(&self.promised, bytes).await],
            _memory: Reservation::default(),
        }
    }

    fn try_spare(&self, bytes: usize) -> Option<Room> {
        let permit = Arc::clone(&self.spare)
            .try_acquire_many_owned(units(bytes))
            .ok()?;
        Some(Room {
            bytes,
            _permits: vec![permit],
            _memory: self.try_reserve(bytes)?,
        })
    }

    /// Memory of the server, if it is free now.
    fn try_reserve(&self, bytes: usize) -> Option<Reservation> {
        let Some(hold) = self.call.hold() else {
            return Some(Reservation::default());
        };
        hold.try_reserve_estimate(bytes)
            .filter(|reserved| reserved.bytes() >= bytes)
    }
}

impl Room {
    /// How large the part may be.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

async fn permits(semaphore: &Arc<Semaphore>, bytes: usize) -> OwnedSemaphorePermit {
    let acquiring = Arc::clone(semaphore).acquire_many_owned(units(bytes));
    acquiring.await.expect("the semaphore is never closed")
}

/// All permits of a window with one stream.
async fn permits_of_all(promised: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    permits(promised, PART_BYTES).await
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const MIB: usize = 1024 * 1024;

    #[tokio::test]
    async fn one_stream_gets_the_whole_window() {
        let window = Window::open(&Call::for_test(), 1).await.unwrap();
        let _open = window.enter();
        let mut rooms = Vec::new();
        for _ in 0..FEW_BYTES / PART_BYTES {
            rooms.push(window.room(PART_BYTES).await);
        }
        assert!(window.room(PART_BYTES).now_or_never().is_none());
        rooms.pop();
        assert!(window.room(PART_BYTES).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_part_larger_than_the_window_is_alone() {
        let window = Window::open(&Call::for_test(), 1).await.unwrap();
        let _open = window.enter();
        let room = window.room(100 * MIB).await;
        assert_eq!(room.bytes(), 100 * MIB);
        assert!(window.room(MIB).now_or_never().is_none());
        drop(room);
        let several: Vec<Room> = [window.room(7 * MIB).await, window.room(7 * MIB).await].into();
        assert!(window.room(100 * MIB).now_or_never().is_none());
        drop(several);
    }

    #[tokio::test]
    async fn every_open_stream_has_room_for_a_part() {
        let window = Window::open(&Call::for_test(), 20).await.unwrap();
        let open: Vec<Open> = (0..MAX_OPEN).map(|_| window.enter()).collect();
        let mut rooms = Vec::new();
        for _ in 0..MAX_OPEN {
            let room = window.room(100 * MIB).now_or_never().unwrap();
            assert_eq!(room.bytes(), PART_BYTES);
            rooms.push(room);
        }
        assert!(window.room(1).now_or_never().is_none());
        drop(open);
    }
}
