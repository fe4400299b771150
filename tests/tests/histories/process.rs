//! A server in this process, without sockets: its runtime, whose clock is stopped and moves only when all work waits, and
//! clients of its services. Dropping the runtime is `kill -9`.

use std::path::Path;
use std::time::Duration;

use futures::future::{Either, select};
use std::pin::pin;
use tokio::runtime::{Builder, Runtime};
use tollgate::app::App;
use tollgate::telemetry::Telemetry;
use tollgate::transport::layer::CallService;
use tollgate_proto::v1::admin_service_client::AdminServiceClient;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_proto::v1::metrics_service_client::MetricsServiceClient;
use tollgate_tests::gateway::Setup;
use tollgate_tests::wiretap::Wiretap;
use tonic::service::Routes;

use super::network::Network;
use super::store::Store;

const MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// The services, called directly.
pub(crate) type Calls = CallService<Routes>;

/// A server.
pub(crate) struct Process {
    runtime: Runtime,
    network: Network,
    wiretap: Wiretap,
    calls: Calls,
}

/// The process was killed.
#[derive(Debug)]
pub(crate) struct Killed;

impl Process {
    /// Starts a server over these stores.
    pub(crate) fn start(store: &Store, models: &Path, log: bool) -> Process {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let network = Network::new(store.engines(), log);
        // counts what arrives
        let wiretap = Wiretap::counting();
        let connectors = wiretap.wrap(network.wrap(store.connectors()));
        let setup = Setup {
            models: Some(models.to_owned()),
            settings: vec![
                ("TOLLGATE_TOKEN_KEY", format!("{:0>42}A=", 7)),
                ("TOLLGATE_FINISHED_CALLS", "10".to_owned()),
            ],
            ..Setup::default()
        };
        let config = setup.config();
        let app = App::build_with(&config, Telemetry::off(), |_| connectors);
        let calls = runtime.block_on(app).expect("the server starts").into_calls();
        wiretap.clear();
        network.take_log();
        Process {
            runtime,
            network,
            wiretap,
            calls,
        }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    pub(crate) fn wiretap(&self) -> &Wiretap {
        &self.wiretap
    }

    pub(crate) fn data(&self) -> DataServiceClient<Calls> {
        DataServiceClient::new(self.calls.clone())
            .max_decoding_message_size(MESSAGE_BYTES)
            .max_encoding_message_size(MESSAGE_BYTES)
    }

    pub(crate) fn admin(&self) -> AdminServiceClient<Calls> {
        AdminServiceClient::new(self.calls.clone())
    }

    pub(crate) fn metrics(&self) -> MetricsServiceClient<Calls> {
        MetricsServiceClient::new(self.calls.clone())
    }

    /// Runs work of callers, and then whatever the server does afterwards, for so long.
    ///
    /// # Errors
    ///
    /// [`Killed`] if the process was killed meanwhile. What is left of the work is dropped.
    pub(crate) fn run<T>(&self, work: impl Future<Output = T>, settle: Duration) -> Result<T, Killed> {
        let work = async {
            let done = work.await;
            tokio::time::sleep(settle).await;
            done
        };
        let done = self.runtime.block_on(async {
            match select(pin!(self.network.death()), pin!(work)).await {
                Either::Left(((), _)) => None,
                Either::Right((done, _)) => Some(done),
            }
        });
        done.filter(|_| !self.network.is_dead()).ok_or(Killed)
    }
}
