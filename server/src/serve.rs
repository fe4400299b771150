//! Serves the RPC services in their layers, with health and reflection, and drains at shutdown. Knows nothing of what
//! the services do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tollgate_proto::v1::admin_service_server::AdminServiceServer;
use tollgate_proto::v1::data_service_server::DataServiceServer;
use tollgate_proto::v1::metrics_service_server::MetricsServiceServer;
use tollgate_proto::v1::schema_service_server::SchemaServiceServer;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::Layer as _;
use tracing::{info, warn};

use crate::identity::Authenticator;
use crate::listener::{self, UrlPort};
use crate::telemetry::{SidePort, Telemetry};
use crate::tls::Certificates;
use crate::transport::layer::{CallLayer, CallService};
use crate::transport::reflection::{Reflection, V1};
use crate::transport::{Admin, Budgeted, Data, Metrics, Schema};

/// Once no call is in flight, how long health watches and idle connections get to close by themselves.
const LINGER: Duration = Duration::from_millis(500);

/// The services of the contract in their layers.
pub(crate) type Calls = CallService<Routes>;

/// The services, and how they are served.
pub(crate) struct Services {
    pub(crate) data: Data,
    pub(crate) metrics: Metrics,
    pub(crate) schema: Schema,
    pub(crate) admin: Admin,
    pub(crate) layer: CallLayer,
    /// `/metrics` and probes.
    pub(crate) side_port: Option<SidePort>,
    /// Presigned URLs of the embedded backend.
    pub(crate) url_port: Option<UrlPort>,
    /// Flushed after the drain.
    pub(crate) telemetry: Telemetry,
    /// The certificates of the listener; `None`: no TLS.
    pub(crate) tls: Option<Arc<Certificates>>,
    /// What identifies callers; `None`: they have no identity.
    pub(crate) authenticator: Option<Arc<Authenticator>>,
    /// Multi-step writes, which continue after their callers disconnect.
    pub(crate) writes: TaskTracker,
    pub(crate) message_bytes: usize,
    pub(crate) connections: listener::Limits,
    /// The most values in one request.
    pub(crate) max_values: usize,
    pub(crate) shutdown_grace: Duration,
}

/// A listener that is bound but does not serve yet.
pub(crate) struct BoundListener {
    listener: TcpListener,
    address: SocketAddr,
}

/// The protection that a listener lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// TLS, and so authentication too.
    #[error(
        "anyone who can reach it can read and write everything, in plaintext: set tls.certificate, tls.key and \
         tls.client_ca"
    )]
    Tls,
    /// TLS, although callers are authenticated.
    #[error("anyone on the way can see credentials and items, in plaintext: set tls.certificate and tls.key")]
    TlsOfCredentials,
    /// TLS of presigned URLs, which the embedded backend does not have.
    #[error("anyone on the way can see the objects that are sent by URL, in plaintext: set")]
    UrlTls,
    /// Authentication.
    #[error("anyone who can reach it can read and write everything: set auth or tls.client_ca")]
    Authentication,
}

/// Why the listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be bound.
    #[error("cannot listen on {listen}: {source}; free the port or choose another with {option}")]
    Bind {
        /// The flag or the setting.
        option: &'static str,
        /// The address in the settings.
        listen: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The address is reachable from other machines, protection is missing, and `insecure` is not set.
    #[error(
        "{setting}: {address} is not a loopback address, and {missing}, or insecure: true (--insecure, \
         TOLLGATE_INSECURE=true) if only a proxy or a trusted network can reach it, or listen on 127.0.0.1:{port}",
        port = address.port()
    )]
    Insecure {
        /// The setting.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// The protection that it lacks.
        missing: Missing,
    },
    /// The address of the side port cannot be bound.
    #[error(
        "cannot listen on {listen}: {source}; free the port or choose another with --metrics-listen, or off"
    )]
    SidePort {
        /// The address in the settings.
        listen: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The descriptors for reflection cannot be decoded.
    #[error("reflection: {0}")]
    Reflection(#[from] prost::DecodeError),
}

impl Services {
    /// The services of the contract in their layers, without a listener.
    pub(crate) fn into_calls(self) -> Calls {
        let layer = self.layer.clone();
        layer.layer(self.into_routes().prepare())
    }

    fn into_routes(self) -> Routes {
        let data = DataServiceServer::new(self.data)
            .max_decoding_message_size(self.message_bytes)
            .max_encoding_message_size(usize::MAX);
        Routes::new(Budgeted::new(data, self.max_values))
            .add_service(Budgeted::new(
                MetricsServiceServer::new(self.metrics),
                self.max_values,
            ))
            .add_service(Budgeted::new(
                SchemaServiceServer::new(self.schema),
                self.max_values,
            ))
            .add_service(Budgeted::new(
                AdminServiceServer::new(self.admin),
                self.max_values,
            ))
    }
}

impl BoundListener {
    /// Binds `HOST:PORT`; port 0 picks a free port. Every address of the host must be a loopback address if protection
    /// is missing.
    pub(crate) async fn bind(listen: &str, missing: Option<Missing>) -> Result<BoundListener, Error> {
        let port = Port {
            setting: "listen",
            option: "--listen",
        };
        let (listener, address) = port.bind(listen, missing).await?;
        Ok(BoundListener { listener, address })
    }

    /// The address that was bound.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then drains: no new connections are accepted, and calls in flight and multi-step writes
    /// get the grace period to complete. Calls that remain are closed, and the last telemetry is exported. Calls `ready`
    /// once the health service reports SERVING.
    pub(crate) async fn serve(
        self,
        mut services: Services,
        shutdown: impl Future<Output = ()> + Send,
        ready: impl FnOnce(SocketAddr),
    ) -> Result<(), Error> {
        let telemetry = services.telemetry.clone();
        let in_flight = services.layer.in_flight();
        let accepting = Arc::new(AtomicBool::new(false));
        // dropped last: metrics and probes are served until the end
        let mut side_tasks = JoinSet::new();
        if let Some(tls) = &services.tls {
            side_tasks.spawn(Arc::clone(tls).watch());
        }
        if let Some(authenticator) = &services.authenticator {
            side_tasks.spawn(Arc::clone(authenticator).watch());
        }
        if let Some(side_port) = services.side_port.take() {
            side_tasks.spawn(side_port.serve(telemetry.clone(), Arc::clone(&accepting)));
        }
        let ended = self.serve_calls(services, shutdown, ready, &accepting).await;
        // calls still in flight get no response, and must be reported before the flush
        in_flight.cut_off();
        if ended.is_ok() {
            info!("stopped");
        }
        telemetry.shutdown().await;
        ended
    }

    async fn serve_calls(
        self,
        mut services: Services,
        shutdown: impl Future<Output = ()> + Send,
        ready: impl FnOnce(SocketAddr),
        accepting: &AtomicBool,
    ) -> Result<(), Error> {
        let (health, health_service) = tonic_health::server::health_reporter();
        let in_flight = services.layer.in_flight();
        let reflection = reflection()?;
        let (stop, stopped) = watch::channel(false);
        let (writes, connections) = (services.writes.clone(), services.connections.clone());
        let url_port = services.url_port.take();
        let (shutdown_grace, layer) = (services.shutdown_grace, services.layer.clone());
        let tls = services.tls.clone();
        let routes = services
            .into_routes()
            .add_service(health_service)
            .add_service(reflection.alpha())
            .add_service(reflection)
            .prepare();
        let mut urls = JoinSet::new();
        if let Some(url_port) = url_port {
            urls.spawn(listener::serve_urls(
                url_port,
                connections.clone(),
                stopped.clone(),
            ));
        }
        let serving = listener::serve(self.listener, tls, layer.layer(routes), connections, stopped);
        tokio::pin!(serving);
        set_health(&health, ServingStatus::Serving).await;
        accepting.store(true, Ordering::Relaxed);
        ready(self.address);
        tokio::select! {
            () = &mut serving => return Ok(()),
            () = shutdown => {}
        }
        info!(calls = in_flight.count(), "draining");
        accepting.store(false, Ordering::Relaxed);
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
            while urls.join_next().await.is_some() {}
        };
        if tokio::time::timeout(shutdown_grace, drained).await.is_err() {
            warn!(
                calls = in_flight.count(),
                writes = writes.len(),
                "the grace period ended while calls were in progress"
            );
        }
        Ok(())
    }
}

/// Binds the port for presigned URLs, like that of calls.
///
/// # Errors
///
/// The address cannot be bound, or is reachable from other machines without `insecure`.
#[cfg(feature = "embedded")]
pub(crate) async fn bind_urls(listen: &str, insecure: bool) -> Result<(TcpListener, SocketAddr), Error> {
    let port = Port {
        setting: "embedded.http",
        option: "embedded.http",
    };
    port.bind(listen, (!insecure).then_some(Missing::UrlTls)).await
}

/// A port, as errors name it.
struct Port {
    setting: &'static str,
    /// What chooses another address: a flag, or the setting.
    option: &'static str,
}

impl Port {
    /// Binds an address; every address of its host must be a loopback address if protection is missing.
    async fn bind(&self, listen: &str, missing: Option<Missing>) -> Result<(TcpListener, SocketAddr), Error> {
        let failed = |source| Error::Bind {
            option: self.option,
            listen: listen.to_owned(),
            source,
        };
        // looked up once, so that the addresses checked are those bound
        let addresses: Vec<SocketAddr> = tokio::net::lookup_host(listen).await.map_err(failed)?.collect();
        let outer = addresses.iter().find(|address| !is_loopback(address));
        if let (Some(address), Some(missing)) = (outer, missing) {
            return Err(Error::Insecure {
                setting: self.setting,
                address: *address,
                missing,
            });
        }
        let listener = TcpListener::bind(addresses.as_slice()).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok((listener, address))
    }
}

/// Treats an IPv4 address mapped to IPv6 like the IPv4 address.
fn is_loopback(address: &SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

fn reflection() -> Result<Reflection<V1>, Error> {
    Ok(Reflection::new(&[
        tollgate_proto::FILE_DESCRIPTOR_SET,
        // clients use these to print error details
        tonic_types::pb::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
    ])?)
}

async fn set_health(health: &HealthReporter, status: ServingStatus) {
    let names = [
        "",
        AdminServiceServer::<Admin>::NAME,
        DataServiceServer::<Data>::NAME,
        MetricsServiceServer::<Metrics>::NAME,
        SchemaServiceServer::<Schema>::NAME,
    ];
    for name in names {
        health.set_service_status(name, status).await;
    }
}
