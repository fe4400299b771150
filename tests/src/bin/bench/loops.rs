//! Callers in a loop who make any call, and calls at a fixed rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::runtime::Handle;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_tests::gateway::connect;
use tonic::transport::Channel;

use super::load::{CONNECTIONS, Turn, measure};
use super::process::Gateway;

/// A client of the gateway.
pub(crate) type Client = DataServiceClient<Channel>;

/// Callers of one gateway.
pub(crate) struct Callers {
    process: u32,
    clients: Vec<Client>,
    next: Arc<AtomicU64>,
}

impl Callers {
    /// Connects to a gateway.
    pub(crate) async fn of(gateway: &Gateway) -> Callers {
        let channels = join_all((0..CONNECTIONS).map(|_| connect(gateway.address))).await;
        Callers {
            process: gateway.id(),
            clients: channels.into_iter().map(DataServiceClient::new).collect(),
            next: Arc::default(),
        }
    }

    /// A client, its connection one of those that the callers share.
    pub(crate) fn client(&self, caller: usize) -> Client {
        self.clients[caller % CONNECTIONS].clone()
    }

    /// So many callers, each starting its next call when the last one returns. `call` gets a number that no other call has.
    pub(crate) async fn turn<C, F>(&self, callers: usize, time: Duration, call: C) -> Turn
    where
        C: Fn(Client, u64) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let until = Instant::now() + time;
        let run = async {
            let callers = (0..callers).map(|caller| {
                let (client, next, call) = (self.client(caller), self.next.clone(), call.clone());
                tokio::spawn(async move {
                    let mut calls = 0;
                    while Instant::now() < until {
                        call(client.clone(), next.fetch_add(1, Ordering::Relaxed)).await;
                        calls += 1;
                    }
                    calls
                })
            });
            let calls = join_all(callers).await;
            let calls = calls.into_iter().map(|calls| calls.expect("no caller panics"));
            calls.sum::<u64>()
        };
        measure(self.process, run).await
    }

    /// So many calls in all, 64 in flight.
    pub(crate) async fn calls<C, F>(&self, count: u64, call: C)
    where
        C: Fn(Client, u64) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let next = Arc::new(AtomicU64::new(0));
        let callers = (0..64).map(|caller| {
            let (client, next, call) = (self.client(caller), next.clone(), call.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        break;
                    }
                    call(client.clone(), number).await;
                }
            })
        });
        for caller in join_all(callers).await {
            caller.expect("no caller panics");
        }
    }
}

/// How long calls take that start at even distances, whether or not the calls before have returned: each from the time at
/// which it was due.
pub(crate) async fn paced<C, F>(per_second: f64, time: Duration, call: C) -> Vec<Duration>
where
    C: Fn(u64) -> F + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = Handle::current();
    let count = (per_second * time.as_secs_f64()) as u64;
    // a thread, since the runtime's timer counts in milliseconds
    let started = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        (0..count)
            .map(|number| {
                let due = begun + Duration::from_secs_f64(number as f64 / per_second);
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let call = call(number);
                runtime.spawn(async move {
                    call.await;
                    due.elapsed()
                })
            })
            .collect::<Vec<_>>()
    });
    let calls = join_all(started.await.expect("the thread runs")).await;
    calls
        .into_iter()
        .map(|took| took.expect("no call panics"))
        .collect()
}

/// How long calls take that start one after the other.
pub(crate) async fn in_turn<F: Future<Output = ()>>(
    time: Duration,
    call: impl Fn(u64) -> F,
) -> Vec<Duration> {
    let until = Instant::now() + time;
    let mut times = Vec::new();
    while Instant::now() < until {
        let begun = Instant::now();
        call(times.len() as u64).await;
        times.push(begun.elapsed());
    }
    times
}

/// The 50th and the 99th percentile, in milliseconds.
pub(crate) fn percentiles_ms(mut times: Vec<Duration>) -> [f64; 2] {
    [0.5, 0.99].map(|part| percentile_ms(&mut times, part))
}

/// The time that so large a part of the calls stays below, in milliseconds.
fn percentile_ms(times: &mut [Duration], part: f64) -> f64 {
    times.sort_unstable();
    let index = ((times.len() as f64 * part) as usize).min(times.len() - 1);
    times[index].as_secs_f64() * 1000.0
}
