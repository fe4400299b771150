//! The hostile suite: every attack that once took a server down, one after the other, against a server with 1 GiB of
//! memory whose log nobody reads. It must survive, and serve an ordinary caller meanwhile.

#![allow(
    clippy::print_stdout,
    reason = "`cargo test --test hostile -- --nocapture` shows the figures"
)]

mod attacks;
mod confined;
mod ordinary;
mod wire;

use std::time::Duration;

use confined::{Confined, MEMORY_BYTES};
use ordinary::Ordinary;

/// What an ordinary caller may wait, at the 99th percentile of two calls.
const MAX_LATENCY: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_1_gib_survives_all_attacks_and_serves_an_ordinary_caller() {
    let server = Confined::serve();
    let target = server.address;
    attacks::prepare(target).await;
    let caller = Ordinary::start(target);

    // held until the end, beside all that follows
    let _silent = attacks::silent_connections(target).await;
    let _headers = attacks::headers_alone(target).await;
    for (name, message) in attacks::messages() {
        let statuses = attacks::send_at_once(target, name, &message).await;
        for status in statuses {
            // INVALID_ARGUMENT, or RESOURCE_EXHAUSTED while others are being decoded
            assert!(status == "3" || status == "8", "{name}: grpc-status {status}");
        }
        println!("{name}: peak {} MiB", server.peak_bytes() >> 20);
    }
    let _unfinished = attacks::unfinished_messages(target).await;
    println!("unfinished messages: peak {} MiB", server.peak_bytes() >> 20);
    let _unread = attacks::unread_objects(target).await;
    println!("unread objects: peak {} MiB", server.peak_bytes() >> 20);
    let _scans = attacks::unread_scans(target).await;
    println!("unread scans: peak {} MiB", server.peak_bytes() >> 20);
    attacks::session_flood(target).await;
    println!("sessions: peak {} MiB", server.peak_bytes() >> 20);

    let served = caller.stop();
    let (calls, p99, peak) = (served.calls(), served.p99(), server.peak_bytes());
    println!(
        "{calls} rounds beside it, p99 {p99:?}; peak {} MiB of resident memory",
        peak >> 20
    );
    println!("limit enforced by a cgroup: {}", server.is_enforced());
    assert!(peak < MEMORY_BYTES, "{peak} bytes of resident memory");
    assert!(calls >= 100, "the caller made {calls} rounds");
    let failures = served.failures();
    assert!(
        failures.len() * 100 <= calls,
        "{} of {calls} failed: {:?}",
        failures.len(),
        &failures[..failures.len().min(5)]
    );
    assert!(p99 < MAX_LATENCY, "p99 {p99:?}");
    let ended = server.terminate();
    assert!(ended.success(), "{ended}");
}
