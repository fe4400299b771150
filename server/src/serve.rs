//! The listener: the services in their layers, health, reflection, and the drain at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tollgate_proto::v1::data_service_server::DataServiceServer;
use tollgate_proto::v1::metrics_service_server::MetricsServiceServer;
use tollgate_proto::v1::schema_service_server::SchemaServiceServer;
use tonic::server::NamedService;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::{info, warn};

use crate::telemetry::{SidePort, Telemetry};
use crate::transport::layer::GateLayer;
use crate::transport::{Data, Metrics, Schema};

/// HTTP/2 pings find callers that are gone without a word.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long a ping may stay unanswered.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Streams of one connection; past it the connection waits, as HTTP/2 has it.
const MAX_CONCURRENT_STREAMS: u32 = 4096;
/// Bytes of request headers.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// Once no call is in flight, health watches and idle connections get this long to close by themselves.
const LINGER: Duration = Duration::from_millis(500);

/// What is being served.
pub(crate) struct Services {
    pub(crate) data: Data,
    pub(crate) metrics: Metrics,
    pub(crate) schema: Schema,
    pub(crate) layer: GateLayer,
    /// `/metrics` and probes.
    pub(crate) side_port: Option<SidePort>,
    /// Flushed after the drain.
    pub(crate) telemetry: Telemetry,
    /// Multi-step writes that run on after their callers left.
    pub(crate) writes: TaskTracker,
    pub(crate) message_bytes: usize,
    pub(crate) shutdown_grace: Duration,
}

/// A listener that is bound, not yet serving.
pub(crate) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// Why the listener cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be bound.
    #[error("cannot listen on {listen}: {source}; free the port or choose another with --listen")]
    Bind { listen: String, source: std::io::Error },
    /// The side port's address cannot be bound.
    #[error(
        "cannot listen on {listen}: {source}; free the port or choose another with --metrics-listen, or off"
    )]
    SidePort { listen: String, source: std::io::Error },
    /// The reflection service refuses its descriptors.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The server stopped by itself.
    #[error("the server stopped: {0}")]
    Transport(#[from] tonic::transport::Error),
}

impl Bound {
    /// Binds `HOST:PORT`; port 0 takes any that is free.
    pub(crate) async fn to(listen: &str) -> Result<Bound, Error> {
        let failed = |source| Error::Bind {
            listen: listen.to_owned(),
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Bound { listener, address })
    }

    /// The address that it got.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then drains: no new connections, calls in flight and multi-step writes run to their
    /// end, all within the grace period; what its end cuts off is closed; then the last telemetry is sent. `ready` is
    /// told once health says SERVING.
    pub(crate) async fn serve(
        self,
        mut services: Services,
        shutdown: impl Future<Output = ()> + Send,
        ready: impl FnOnce(SocketAddr),
    ) -> Result<(), Error> {
        let telemetry = services.telemetry.clone();
        let in_flight = services.layer.in_flight();
        let taking_calls = Arc::new(AtomicBool::new(false));
        // dropping it ends the side port: metrics and probes are answered until the very end
        let mut beside = JoinSet::new();
        if let Some(side_port) = services.side_port.take() {
            beside.spawn(side_port.serve(telemetry.clone(), Arc::clone(&taking_calls)));
        }
        let ended = self.serve_calls(services, shutdown, ready, &taking_calls).await;
        // what is still in flight will not be answered, and nothing is told after the flush
        in_flight.cut_off();
        if ended.is_ok() {
            info!("stopped");
        }
        telemetry.shutdown().await;
        ended
    }

    async fn serve_calls(
        self,
        services: Services,
        shutdown: impl Future<Output = ()> + Send,
        ready: impl FnOnce(SocketAddr),
        taking_calls: &AtomicBool,
    ) -> Result<(), Error> {
        let Services {
            data,
            metrics,
            schema,
            layer,
            writes,
            message_bytes,
            shutdown_grace,
            ..
        } = services;
        let (health, health_service) = tonic_health::server::health_reporter();
        let in_flight = layer.in_flight();
        let stop = Arc::new(tokio::sync::Notify::new());
        let router = Server::builder()
            .tcp_nodelay(true)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .layer(layer)
            .add_service(
                DataServiceServer::new(data)
                    .max_decoding_message_size(message_bytes)
                    .max_encoding_message_size(usize::MAX),
            )
            .add_service(MetricsServiceServer::new(metrics))
            .add_service(SchemaServiceServer::new(schema))
            .add_service(health_service)
            .add_service(reflection().build_v1()?)
            .add_service(reflection().build_v1alpha()?);
        let incoming = TcpIncoming::from(self.listener).with_nodelay(Some(true));
        let stopped = stop.clone();
        let serving = router.serve_with_incoming_shutdown(incoming, async move { stopped.notified().await });
        tokio::pin!(serving);
        set_health(&health, ServingStatus::Serving).await;
        taking_calls.store(true, Ordering::Relaxed);
        ready(self.address);
        tokio::select! {
            ended = &mut serving => return Ok(ended?),
            () = shutdown => {}
        }
        info!(calls = in_flight.count(), "draining");
        taking_calls.store(false, Ordering::Relaxed);
        set_health(&health, ServingStatus::NotServing).await;
        stop.notify_one();
        writes.close();
        let drained = async {
            let idle = async {
                in_flight.idle().await;
                tokio::time::sleep(LINGER).await;
            };
            tokio::select! {
                ended = &mut serving => ended?,
                () = idle => {}
            }
            writes.wait().await;
            Ok::<(), Error>(())
        };
        match tokio::time::timeout(shutdown_grace, drained).await {
            Ok(ended) => ended,
            Err(_) => {
                warn!(
                    calls = in_flight.count(),
                    writes = writes.len(),
                    "the grace period ended before the calls did"
                );
                Ok(())
            }
        }
    }
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(tollgate_proto::FILE_DESCRIPTOR_SET)
        // callers print error details by these
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    let names = [
        "",
        DataServiceServer::<Data>::NAME,
        MetricsServiceServer::<Metrics>::NAME,
        SchemaServiceServer::<Schema>::NAME,
    ];
    for name in names {
        health.set_service_status(name, status).await;
    }
}
