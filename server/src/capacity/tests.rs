//! Which limit holds back which call, and that everything is released.

use std::sync::Arc;
use std::task::Waker;

use super::*;

/// Sizes in KiB exceed those of small calls.
const KIB: usize = 1024;

fn capacity(memory: usize) -> Arc<Capacity> {
    Capacity::new(Limits {
        memory,
        in_flight: 8,
        in_flight_per_connection: 2,
        adaptive: false,
    })
}

fn open(capacity: &Arc<Capacity>, share: &Arc<Share>) -> Arc<Hold> {
    Hold::open(capacity, share, 0).unwrap()
}

fn poll(waiting: &mut Waiting) -> Option<Result<Reservation, OutOfMemory>> {
    let mut context = std::task::Context::from_waker(Waker::noop());
    match std::pin::Pin::new(waiting).poll(&mut context) {
        std::task::Poll::Ready(result) => Some(result),
        std::task::Poll::Pending => None,
    }
}

fn take(hold: &Arc<Hold>, bytes: usize) -> Option<Reservation> {
    poll(&mut hold.reserve(bytes)).map(|result| result.unwrap())
}

#[test]
fn releases_everything() {
    let (capacity, share) = (capacity(3200), Arc::<Share>::default());
    let hold = Hold::open(&capacity, &share, 40).unwrap();
    let kept = take(&hold, 500).unwrap();
    let mut passing = take(&hold, 300).unwrap();
    hold.keep(kept);
    let forced = hold.count(4000);
    assert_eq!((capacity.reserved_bytes(), share.reserved_bytes()), (4840, 4840));
    passing.shrink(100);
    assert_eq!((passing.bytes(), capacity.reserved_bytes()), (100, 4640));
    hold.release_kept();
    assert_eq!(capacity.reserved_bytes(), 4140);
    drop((forced, passing));
    assert_eq!(capacity.reserved_bytes(), 40);
    hold.keep(take(&hold, 60).unwrap());
    hold.keep_to_the_end();
    hold.keep(take(&hold, 11).unwrap());
    hold.release_kept();
    assert_eq!(capacity.reserved_bytes(), 100);
    drop(hold);
    assert_eq!((capacity.reserved_bytes(), share.reserved_bytes()), (0, 0));
}

#[test]
fn one_connection_gets_half_and_small_ones_get_the_last_quarter() {
    let capacity = capacity(6400 * KIB);
    let shares: Vec<Arc<Share>> = (0..4).map(|_| Arc::default()).collect();
    let holds: Vec<_> = shares.iter().map(|share| open(&capacity, share)).collect();
    let first = take(&holds[0], 3200 * KIB).unwrap();
    let other_call = open(&capacity, &shares[0]);
    assert!(
        take(&other_call, 65 * KIB).is_none(),
        "the connection already holds half"
    );
    assert!(take(&other_call, 64 * KIB).is_some(), "a small call proceeds");
    let second = take(&holds[1], 1600 * KIB).unwrap();
    assert!(take(&holds[2], 201 * KIB).is_none(), "three quarters are in use");
    assert!(take(&holds[2], 200 * KIB).is_some(), "a small amount fits");
    drop((first, second));
    assert!(
        take(&holds[3], 4800 * KIB).is_some(),
        "a call alone may have more than half"
    );
    assert_eq!(capacity.reserved_bytes(), 0);
}

#[test]
fn grants_waiters_in_order_of_arrival() {
    let capacity = capacity(6400 * KIB);
    let shares: Vec<Arc<Share>> = (0..4).map(|_| Arc::default()).collect();
    let holds: Vec<_> = shares.iter().map(|share| open(&capacity, share)).collect();
    let own = open(&capacity, &shares[0]);
    let held = take(&holds[0], 4000 * KIB).unwrap();
    let mut same_connection = own.reserve(400 * KIB);
    let mut first = holds[1].reserve(2000 * KIB);
    let mut second = holds[2].reserve(600 * KIB);
    assert!(poll(&mut same_connection).is_none() && poll(&mut first).is_none());
    assert!(poll(&mut second).is_none(), "it fits, but it is not its turn");
    assert!(
        take(&holds[3], 100 * KIB).is_some(),
        "a small amount is not held up"
    );
    drop(held);
    let granted = [same_connection, first, second].map(|mut waiting| poll(&mut waiting).unwrap().unwrap());
    assert_eq!(capacity.reserved_bytes(), 3000 * KIB);
    drop(granted);
    assert_eq!(capacity.reserved_bytes(), 0);
}

#[test]
fn an_abandoned_wait_holds_up_nobody_and_keeps_nothing() {
    let capacity = capacity(3200);
    let shares: Vec<Arc<Share>> = (0..3).map(|_| Arc::default()).collect();
    let holds: Vec<_> = shares.iter().map(|share| open(&capacity, share)).collect();
    let held = take(&holds[0], 2000).unwrap();
    let mut impatient = holds[1].reserve(1000);
    let mut patient = holds[2].reserve(300);
    assert!(poll(&mut impatient).is_none() && poll(&mut patient).is_none());
    drop(impatient);
    let granted = poll(&mut patient).unwrap().unwrap();
    let unread = holds[1].reserve(1000);
    drop(held);
    assert_eq!(capacity.reserved_bytes(), 1300, "granted, not yet polled");
    drop((unread, granted));
    assert_eq!(capacity.reserved_bytes(), 0);
}

#[test]
fn refuses_what_never_fits_at_once_and_reduces_estimates() {
    let (capacity, share) = (capacity(3200), Arc::<Share>::default());
    let hold = open(&capacity, &share);
    assert_eq!(poll(&mut hold.reserve(2401)).unwrap().unwrap_err(), OutOfMemory);
    let cut = poll(&mut hold.reserve_estimate(10, 1 << 40)).unwrap().unwrap();
    assert_eq!(cut.bytes(), 1600);
    drop(cut);
    let cut = poll(&mut hold.reserve_estimate(2400, 1 << 40)).unwrap().unwrap();
    assert_eq!(cut.bytes(), 2400);
    let other = open(&capacity, &Arc::default());
    let rest = take(&other, 100).unwrap();
    let more: Vec<_> = (0..7)
        .map(|_| take(&open(&capacity, &Arc::default()), 100).unwrap())
        .collect();
    assert_eq!(capacity.reserved_bytes(), 3200);
    assert!(Hold::open(&capacity, &Arc::default(), 1).is_err());
    drop((cut, rest, more));
    assert_eq!(capacity.reserved_bytes(), 0);
}

#[test]
fn try_reserve_never_waits_and_split_bytes_count_once() {
    let (capacity, share) = (capacity(6400 * KIB), Arc::<Share>::default());
    let hold = open(&capacity, &share);
    let mut whole = hold.try_reserve_estimate(3000 * KIB).unwrap();
    assert!(
        hold.try_reserve_estimate(1000 * KIB).is_none(),
        "exceeds the share"
    );
    assert!(!hold.is_waiting());
    let part = whole.split(1000 * KIB);
    assert_eq!((whole.bytes(), part.bytes()), (2000 * KIB, 1000 * KIB));
    drop(part);
    assert_eq!(capacity.reserved_bytes(), 2000 * KIB);
    assert!(take(&hold, 2000 * KIB).is_none(), "exceeds the share");
    let mut beside = hold.reserve_estimate_beside(whole.bytes(), 2000 * KIB, 4000 * KIB);
    let beside = poll(&mut beside).unwrap().unwrap();
    assert_eq!(
        beside.bytes(),
        2000 * KIB,
        "the call is alone, but an estimate never exceeds the share"
    );
    drop((whole, beside));
    assert_eq!(capacity.reserved_bytes(), 0);
}

#[test]
fn permits_are_limited_in_total_and_per_connection() {
    let capacity = capacity(3200);
    let shares: Vec<Arc<Share>> = (0..5).map(|_| Arc::default()).collect();
    let mut holds: Vec<_> = shares[..4]
        .iter()
        .flat_map(|share| [open(&capacity, share), open(&capacity, share)])
        .collect();
    for hold in &holds {
        hold.take_permit(Pool::Data).unwrap();
        hold.take_permit(Pool::Data).unwrap();
    }
    assert_eq!(capacity.in_flight(Pool::Data), 8);
    let third = open(&capacity, &shares[0]);
    assert_eq!(
        third.take_permit(Pool::Data),
        Err(LimitReached::Connection { limit: 2 })
    );
    let late = open(&capacity, &shares[4]);
    assert_eq!(
        late.take_permit(Pool::Data),
        Err(LimitReached::Server { limit: 8 })
    );
    late.take_permit(Pool::Health).unwrap();
    holds.pop();
    open(&capacity, &shares[4]).take_permit(Pool::Data).unwrap();
    drop(holds);
    assert_eq!(capacity.in_flight(Pool::Data), 0);
}

#[test]
fn concurrent_reservations_leave_nothing_behind() {
    let capacity = capacity(64 * 1024);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..16)
            .map(|task| {
                let capacity = Arc::clone(&capacity);
                tokio::spawn(async move {
                    let share = Arc::default();
                    for round in 0..200 {
                        let hold = Hold::open(&capacity, &share, 16).unwrap();
                        let bytes = 1 + (task * 37 + round * 101) % 30_000;
                        drop(hold.reserve(bytes).await.unwrap());
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert_eq!(capacity.reserved_bytes(), 0);
}
