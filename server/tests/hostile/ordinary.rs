//! The ordinary caller during the attacks: its own thread and connection, one call after the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tonic::transport::Channel;

/// A caller at work.
pub(crate) struct Ordinary {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Served>,
}

/// How a caller was served.
#[derive(Debug, Default)]
pub(crate) struct Served {
    latencies: Vec<Duration>,
    failures: Vec<String>,
}

impl Ordinary {
    pub(crate) fn start(server: SocketAddr) -> Ordinary {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(work(server, &stopping))
        });
        Ordinary { stop, thread }
    }

    pub(crate) fn stop(self) -> Served {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the caller works")
    }
}

impl Served {
    pub(crate) fn calls(&self) -> usize {
        self.latencies.len() + self.failures.len()
    }

    pub(crate) fn failures(&self) -> &[String] {
        &self.failures
    }

    /// The 99th percentile of the calls that succeeded.
    pub(crate) fn p99(&self) -> Duration {
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        sorted[sorted.len() * 99 / 100]
    }
}

async fn work(server: SocketAddr, stop: &AtomicBool) -> Served {
    let mut client = DataServiceClient::connect(format!("http://{server}"))
        .await
        .expect("it listens");
    let mut served = Served::default();
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let begun = Instant::now();
        match save_and_get(&mut client, number % 16).await {
            Ok(()) => served.latencies.push(begun.elapsed()),
            Err(status) => served
                .failures
                .push(format!("{:?}: {}", status.code(), status.message())),
        }
    }
    served
}

/// Two calls, timed together.
async fn save_and_get(client: &mut DataServiceClient<Channel>, number: u64) -> Result<(), tonic::Status> {
    let key = [("pk", format!("U#{number}")), ("sk", "PROFILE".to_owned())].map(|(name, value)| {
        let kind = Some(Kind::S(value));
        (name.to_owned(), v1::AttributeValue { kind })
    });
    let save = v1::SaveRequest {
        model: "User".to_owned(),
        item: key.clone().into(),
        ..v1::SaveRequest::default()
    };
    client.save(save).await?;
    let get = v1::GetRequest {
        model: "User".to_owned(),
        key: key.into(),
        ..v1::GetRequest::default()
    };
    client.get(get).await.map(drop)
}
