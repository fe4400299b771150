//! The hallway: builds everything from the settings, and is the only file that names the concrete parts together.

mod reload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::aws::{self, Connectors, Stores};
use crate::billing::{Accounting, Bounds, Prices, TrailerChoice};
use crate::capacity::Capacity;
use crate::config::{Backend, Config, Trailer};
use crate::crypto::Keyring;
use crate::listener;
use crate::model::{ModelFault, Models, Served};
use crate::operation::Gateway;
use crate::read::{self, PageTokens, Reader};
use crate::serve::{self, Bound, Services};
use crate::telemetry::{SidePort, Telemetry};
use crate::transport::layer::{self, GateLayer};
use crate::transport::{Data, Metrics, Schema};
use crate::write::Committer;
use crate::yaml::Fault;

pub use reload::{Refused, Reloader};

#[cfg(feature = "embedded")]
use crate::embedded;
#[cfg(feature = "telemetry")]
use crate::telemetry::InstrumentSources;

/// A gateway that is built and bound, not yet serving.
pub struct App {
    bound: Bound,
    services: Services,
    summary: Summary,
    reloader: Arc<Reloader>,
}

/// What there is to tell people at the start.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Where it listens.
    pub address: SocketAddr,
    /// The backend, in words.
    pub backend: String,
    /// How many models are served.
    pub models: usize,
    /// Where metrics and probes are answered.
    pub side_port: Option<SocketAddr>,
}

/// Why the gateway cannot start, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The models have faults.
    #[error("{} faults in the models", .0.len())]
    Models(Vec<ModelFault>),
    /// The price book cannot be read.
    #[error("{} faults in the price book", .0.len())]
    Prices(Vec<Fault>),
    /// The embedded engines cannot open.
    #[cfg(feature = "embedded")]
    #[error("{0}")]
    Embedded(#[from] embedded::Error),
    /// This build has no engines.
    #[error("this build has no embedded engines; use --backend aws")]
    NoEngines,
    /// What the models need cannot be made.
    #[error("{0}")]
    Provision(#[from] aws::ProvisionError),
    /// The AWS settings do not come together.
    #[error("{0}")]
    Aws(#[from] aws::SetupError),
    /// The listener.
    #[error("{0}")]
    Serve(#[from] serve::Error),
    /// No random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

impl Error {
    /// Whether it is the settings that are wrong, and not what they name.
    pub fn is_of_settings(&self) -> bool {
        matches!(self, Error::Serve(serve::Error::Insecure { .. }))
    }
}

impl App {
    /// Opens the backend, prepares what the models need and binds the listener.
    pub async fn build(config: &Config) -> Result<App, Error> {
        App::build_with(config, |connectors| connectors).await
    }

    /// The same, with the embedded engines' connectors wrapped: tests count, delay and break requests there.
    pub async fn build_with(
        config: &Config,
        wrap: impl FnOnce(Connectors) -> Connectors,
    ) -> Result<App, Error> {
        let (telemetry, faults) = Telemetry::open(config);
        for fault in faults {
            warn!("{fault}");
        }
        App::build_told(config, telemetry, wrap).await
    }

    /// The same, with the telemetry that is open already, and that the log uses too.
    pub async fn build_told(
        config: &Config,
        telemetry: Telemetry,
        wrap: impl FnOnce(Connectors) -> Connectors,
    ) -> Result<App, Error> {
        let source = reload::Source::of(config);
        let models = source.read().map_err(Error::Models)?;
        let bound = Bound::to(&config.listen, config.insecure).await?;
        let side_port = bind_side_port(config).await?;
        let (stores, token_key) = open_stores(config, &models, wrap).await?;
        let prices = read_prices(config, stores.dynamodb.region())?;
        let accounting = Arc::new(Accounting::new(bounds(config), prices));
        let writes = TaskTracker::new();
        let served = Served::new(models.clone());
        let reader = Reader {
            stores: stores.clone(),
            keyring: Keyring::new(stores.kms.clone(), config.kms.in_flight),
            page_tokens: PageTokens::new(&token_key),
            limits: read::Limits {
                message_bytes: config.limits.message_bytes,
                objects_in_flight: config.s3.in_flight,
            },
        };
        let gateway = Arc::new(Gateway {
            models: served.clone(),
            committer: Committer::new(stores.clone(), reader.keyring.clone(), writes.clone()),
            reader,
            attribute_depth: config.limits.attribute_depth,
        });
        let reloader = Reloader {
            source,
            backend: config.backend,
            stores,
            served: served.clone(),
            max_models: reload::max_models(models.len()),
        };
        let summary = Summary {
            address: bound.address(),
            backend: describe_backend(config),
            models: models.len(),
            side_port: side_port.as_ref().map(SidePort::address),
        };
        let layer = GateLayer::traced(accounting.clone(), layer_settings(config), telemetry.clone());
        observe(&telemetry, &accounting, &layer, reloader.max_models);
        let services = Services {
            data: Data::new(gateway),
            metrics: Metrics::new(accounting, served.clone()),
            schema: Schema::new(served),
            layer,
            side_port,
            telemetry,
            writes,
            message_bytes: config.limits.message_bytes,
            connections: connection_limits(config),
            max_values: config.limits.values,
            shutdown_grace: config.shutdown_grace,
        };
        Ok(App {
            bound,
            services,
            summary,
            reloader: Arc::new(reloader),
        })
    }

    /// What there is to tell people.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Replaces the models while they are served.
    pub fn reloader(&self) -> Arc<Reloader> {
        Arc::clone(&self.reloader)
    }

    /// What calls hold at one time.
    pub fn capacity(&self) -> Arc<Capacity> {
        self.services.layer.capacity()
    }

    /// Serves until `shutdown`, then drains. `ready` is told once health says SERVING.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send,
        ready: impl FnOnce(SocketAddr),
    ) -> Result<(), Error> {
        Ok(self.bound.serve(self.services, shutdown, ready).await?)
    }
}

/// Raises the descriptor limit of this process as far as the system allows; every connection takes a descriptor.
pub fn raise_descriptor_limit() {
    if let Err(error) = listener::descriptors::raise() {
        warn!(%error, "cannot raise the descriptor limit");
    }
}

async fn bind_side_port(config: &Config) -> Result<Option<SidePort>, Error> {
    let listen = config.metrics.listen.clone().unwrap_or_default();
    let bound = SidePort::bind(&config.metrics).await;
    bound.map_err(|source| serve::Error::SidePort { listen, source }.into())
}

/// Has the instruments read their figures off the accounting and the gate.
#[cfg(feature = "telemetry")]
fn observe(telemetry: &Telemetry, accounting: &Arc<Accounting>, layer: &GateLayer, models: usize) {
    let (accounting, in_flight, capacity) = (Arc::clone(accounting), layer.in_flight(), layer.capacity());
    telemetry.observe(InstrumentSources {
        limit: in_flight.limit() as u64,
        memory_limit: capacity.memory_bytes() as u64,
        models,
        bills: Box::new(move || accounting.since_start()),
        in_flight: Box::new(move || in_flight.count() as u64),
        memory_reserved: Box::new(move || capacity.reserved_bytes() as u64),
    });
}

#[cfg(not(feature = "telemetry"))]
fn observe(_: &Telemetry, _: &Arc<Accounting>, _: &GateLayer, _: usize) {}

async fn open_stores(
    config: &Config,
    models: &Models,
    wrap: impl FnOnce(Connectors) -> Connectors,
) -> Result<(Stores, [u8; 32]), Error> {
    let begun = Instant::now();
    let opened = match config.backend {
        Backend::Embedded => open_embedded(config, models, wrap).await?,
        Backend::Aws => {
            let stores = Stores::from_environment(&aws_settings(config), None).await?;
            for missing in aws::missing(&stores, models).await {
                log_warning(&missing);
            }
            (stores, token_key(config, None)?)
        }
    };
    info!(
        elapsed_ms = begun.elapsed().as_millis() as u64,
        "the store is ready"
    );
    Ok(opened)
}

#[cfg(feature = "embedded")]
async fn open_embedded(
    config: &Config,
    models: &Models,
    wrap: impl FnOnce(Connectors) -> Connectors,
) -> Result<(Stores, [u8; 32]), Error> {
    let place = match config.embedded.memory {
        true => embedded::Place::Memory,
        false => embedded::Place::Folder(config.embedded.data.clone()),
    };
    let synchronous = match config.embedded.synchronous {
        crate::config::Synchronous::Full => embedded::Synchronous::Full,
        crate::config::Synchronous::Normal => embedded::Synchronous::Normal,
    };
    let engines = embedded::Engines::open(&place, synchronous).await?;
    let connectors = Connectors {
        dynamodb: engines.dynamodb,
        kms: engines.kms,
        s3: engines.s3,
    };
    let stores = Stores::embedded(wrap(connectors), &aws_settings(config));
    for warning in aws::provision(&stores, models).await? {
        log_warning(&warning);
    }
    Ok((stores, token_key(config, Some(engines.token_key))?))
}

#[cfg(not(feature = "embedded"))]
async fn open_embedded(
    _: &Config,
    _: &Models,
    _: impl FnOnce(Connectors) -> Connectors,
) -> Result<(Stores, [u8; 32]), Error> {
    Err(Error::NoEngines)
}

fn log_warning(warning: &aws::Warning) {
    let Some(error) = &warning.error else {
        return warn!("{}", warning.text);
    };
    warn!(
        service = error.service_name(),
        operation = error.operation.name(),
        endpoint = error.endpoint(),
        aws_request_id = error.request_id.as_deref(),
        cause = error.cause,
        check = error.check(),
        "{}",
        warning.text
    );
}

/// The setting, else the data folder's, else one that ends with the process.
fn token_key(config: &Config, kept: Option<[u8; 32]>) -> Result<[u8; 32], Error> {
    if let Some(key) = config.token_key.as_ref().map(|key| *key.bytes()).or(kept) {
        return Ok(key);
    }
    warn!("token_key is not set: page tokens end with this process");
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|_| Error::Random)?;
    Ok(key)
}

/// The book of the region that the items are in; the shipped one knows one region alone.
fn read_prices(config: &Config, region: &str) -> Result<Prices, Error> {
    if let Some(path) = &config.prices {
        return Prices::read(path, region).map_err(Error::Prices);
    }
    let shipped = Prices::shipped();
    if shipped.region() != region {
        warn!(
            region,
            "costs are those of {}: name a price book in `prices`",
            shipped.region()
        );
    }
    Ok(shipped)
}

fn aws_settings(config: &Config) -> aws::Settings {
    aws::Settings {
        region: config.aws.region.clone(),
        endpoint_url: config.aws.endpoint_url.clone(),
        s3_in_flight: config.s3.in_flight,
        ..aws::Settings::default()
    }
}

fn bounds(config: &Config) -> Bounds {
    Bounds {
        session_idle: config.sessions.idle,
        session_max: config.sessions.max,
        finished_calls: config.finished_calls,
    }
}

fn connection_limits(config: &Config) -> listener::Limits {
    let limits = &config.limits;
    listener::Limits {
        connections: limits.connections,
        connections_per_peer: limits.connections_per_peer,
        streams_per_connection: u32::try_from(limits.streams_per_connection).unwrap_or(u32::MAX),
        handshake: limits.handshake,
        idle: limits.idle,
        age: limits.connection_age,
    }
}

fn layer_settings(config: &Config) -> layer::Settings {
    let chosen = |trailer| config.trailers.contains(&trailer);
    layer::Settings {
        in_flight: config.limits.in_flight,
        in_flight_per_connection: config.limits.in_flight_per_connection(),
        memory: config.limits.memory(),
        message_bytes: config.limits.message_bytes,
        deadline: config.limits.deadline,
        deadline_max: config.limits.deadline_max,
        stream_deadline_max: config.limits.stream_deadline_max,
        receive: config.limits.receive,
        slow: config.log.slow,
        trailers: TrailerChoice {
            call: chosen(Trailer::Call),
            session: chosen(Trailer::Session),
            orca: chosen(Trailer::Orca),
            server_timing: chosen(Trailer::ServerTiming),
        },
    }
}

fn describe_backend(config: &Config) -> String {
    match config.backend {
        Backend::Aws => "aws".to_owned(),
        Backend::Embedded if config.embedded.memory => "embedded, in memory".to_owned(),
        Backend::Embedded => format!("embedded, in {}", config.embedded.data.display()),
    }
}
