//! The listener: the services in their layers, health, reflection, and the drain at the end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tollgate_proto::v1::data_service_server::DataServiceServer;
use tollgate_proto::v1::metrics_service_server::MetricsServiceServer;
use tollgate_proto::v1::schema_service_server::SchemaServiceServer;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::Layer as _;
use tracing::{info, warn};

use crate::listener;
use crate::telemetry::{SidePort, Telemetry};
use crate::transport::layer::GateLayer;
use crate::transport::reflection::{Reflection, V1};
use crate::transport::{Budgeted, Data, Metrics, Schema};

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
    pub(crate) connections: listener::Limits,
    /// Values of one request.
    pub(crate) max_values: usize,
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
    /// The address is not of this machine alone, and nobody said that this is fine.
    #[error(
        "listen: {address} is not a loopback address, and whoever reaches it may read and write everything, in \
         plaintext: set insecure: true (--insecure, TOLLGATE_INSECURE=true) if only a proxy or a trusted network \
         reaches it, or listen on 127.0.0.1:{port}",
        port = address.port()
    )]
    Insecure { address: SocketAddr },
    /// The side port's address cannot be bound.
    #[error(
        "cannot listen on {listen}: {source}; free the port or choose another with --metrics-listen, or off"
    )]
    SidePort { listen: String, source: std::io::Error },
    /// The descriptors for reflection are not readable.
    #[error("reflection: {0}")]
    Reflection(#[from] prost::DecodeError),
}

impl Bound {
    /// Binds `HOST:PORT`; port 0 takes any that is free. Every address that the host has must be a loopback address
    /// unless it may be `insecure`.
    pub(crate) async fn to(listen: &str, insecure: bool) -> Result<Bound, Error> {
        let failed = |source| Error::Bind {
            listen: listen.to_owned(),
            source,
        };
        // looked up once: what is checked is what is bound
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host(listen).await.map_err(failed)?.collect();
        let outer = addresses.iter().find(|address| !is_loopback(address));
        if let (Some(address), false) = (outer, insecure) {
            return Err(Error::Insecure { address: *address });
        }
        let listener = TcpListener::bind(addresses.as_slice()).await.map_err(failed)?;
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
            connections,
            max_values,
            shutdown_grace,
            ..
        } = services;
        let (health, health_service) = tonic_health::server::health_reporter();
        let in_flight = layer.in_flight();
        let reflection = reflection()?;
        let (stop, stopped) = watch::channel(false);
        let data = DataServiceServer::new(data)
            .max_decoding_message_size(message_bytes)
            .max_encoding_message_size(usize::MAX);
        let routes = Routes::new(Budgeted::new(data, max_values))
            .add_service(Budgeted::new(MetricsServiceServer::new(metrics), max_values))
            .add_service(Budgeted::new(SchemaServiceServer::new(schema), max_values))
            .add_service(health_service)
            .add_service(reflection.alpha())
            .add_service(reflection)
            .prepare();
        let serving = listener::serve(self.listener, layer.layer(routes), connections, stopped);
        tokio::pin!(serving);
        set_health(&health, ServingStatus::Serving).await;
        taking_calls.store(true, Ordering::Relaxed);
        ready(self.address);
        tokio::select! {
            () = &mut serving => return Ok(()),
            () = shutdown => {}
        }
        info!(calls = in_flight.count(), "draining");
        taking_calls.store(false, Ordering::Relaxed);
        set_health(&health, ServingStatus::NotServing).await;
        stop.send_replace(true);
        writes.close();
        let drained = async {
            let idle = async {
                in_flight.idle().await;
                tokio::time::sleep(LINGER).await;
            };
            tokio::select! {
                () = &mut serving => {}
                () = idle => {}
            }
            writes.wait().await;
        };
        if tokio::time::timeout(shutdown_grace, drained).await.is_err() {
            warn!(
                calls = in_flight.count(),
                writes = writes.len(),
                "the grace period ended before the calls did"
            );
        }
        Ok(())
    }
}

/// IPv4 addresses are the same ones as IPv6 has them.
fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn reflection() -> Result<Reflection<V1>, Error> {
    Ok(Reflection::new(&[
        tollgate_proto::FILE_DESCRIPTOR_SET,
        // callers print error details by these
        tonic_types::pb::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
    ])?)
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
