//! Builds the gateway from the settings; the only room that names all concrete parts. Never takes part in a call.

mod auditing;
mod backend;
mod error;
mod memory;
mod reload;
mod settings;
mod sweeping;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::task::TaskTracker;
use tracing::warn;

use crate::audit::Audit;
use crate::aws::{Connectors, Stores};
use crate::billing::{Accounting, Prices};
use crate::capacity::Capacity;
use crate::config::Config;
use crate::identity::Authenticator;
use crate::listener;
use crate::model::{Models, Served};
use crate::operation::Gateway;
use crate::policy::Policies;
use crate::read::{self, PageTokens, Reader};
use crate::serve::{self, BoundListener, Calls, Services};
use crate::sweep::Sweeper;
use crate::telemetry::{SidePort, Telemetry};
use crate::tls::Certificates;
use crate::transport::layer::CallLayer;
use crate::transport::{Admin, Data, Metrics, Schema};
use crate::write::{Committer, RequestIds, TransactionTokens, UploadTokens};

pub use backend::connect;
pub use error::Error;
pub use memory::{protect_memory, use_small_pages};
pub use reload::{Refused, Reloader};
pub use settings::known_to_policies;
pub use sweeping::sweep;

#[cfg(feature = "telemetry")]
use crate::telemetry::InstrumentSources;

/// A gateway whose listener is bound but does not serve yet.
pub struct App {
    listener: BoundListener,
    services: Services,
    summary: Summary,
    reloader: Arc<Reloader>,
    sweeper: Sweeper,
    sweep_every: Option<Duration>,
}

/// The facts that are shown at the start.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// The backend and where its data is.
    pub backend: String,
    /// How many models are served.
    pub models: usize,
    /// The address of metrics and probes.
    pub side_port: Option<SocketAddr>,
}

impl App {
    /// Opens the telemetry and the backend, creates what the models need, and binds the listener.
    ///
    /// # Errors
    ///
    /// Why the gateway cannot start.
    pub async fn build(config: &Config) -> Result<App, Error> {
        let (telemetry, faults) = Telemetry::open(config);
        for fault in faults {
            warn!("{fault}");
        }
        App::build_with(config, telemetry, |connectors| connectors).await
    }

    /// Like [`build`](App::build), but with telemetry that is open already, and with the connectors of the backend
    /// wrapped by `wrap`: tests count, delay and fail requests there.
    ///
    /// # Errors
    ///
    /// Why the gateway cannot start.
    pub async fn build_with(
        config: &Config,
        telemetry: Telemetry,
        wrap: impl FnOnce(Connectors) -> Connectors,
    ) -> Result<App, Error> {
        let source = reload::Source::new(config);
        let models = source.read().map_err(Error::Models)?;
        let has_lasting_key = check_token_key(config, &models)?;
        let authenticator = Authenticator::open(&config.auth)?.map(Arc::new);
        check_tenants(authenticator.is_some(), &models)?;
        let policies = settings::policies(config, &models)?;
        let (tls, listener, side_port) = Box::pin(bind(config)).await?;
        let backend::Opened {
            stores,
            token_key,
            url_port,
        } = Box::pin(backend::open(config, &models, wrap)).await?;
        let prices = read_prices(config, stores.dynamodb.region())?;
        let served = Served::new(models.clone());
        let sweeper = sweeping::sweeper(config, stores.clone(), served.clone(), prices.clone())?;
        let accounting = Arc::new(Accounting::new(settings::accounting(config), prices));
        let writes = TaskTracker::new();
        let reader = reader(config, &stores, &token_key);
        let changing = (&policies, authenticator.as_deref(), tls.as_deref());
        let audit = auditing::open(config, &telemetry, changing)?;
        let shared = (served.clone(), policies.clone(), writes.clone());
        let gateway = Arc::new(gateway(config, reader, shared, &token_key, has_lasting_key));
        let reloader = Reloader {
            source,
            backend: config.backend,
            stores,
            served,
            tls: tls.clone(),
            keyring: gateway.reader.keyring.clone(),
            authenticator: authenticator.clone(),
            policies: policies.clone(),
            audit: audit.clone(),
            max_models: reload::max_models(models.len()),
            has_lasting_key,
        };
        let summary = summary(config, &listener, &models, side_port.as_ref());
        let layer = layer(config, &accounting, &telemetry, (authenticator.clone(), audit));
        observe(&telemetry, &accounting, &layer, &sweeper, reloader.max_models);
        let services = Services {
            metrics: Metrics::new(accounting, Arc::clone(&gateway)),
            schema: Schema::new(Arc::clone(&gateway)),
            admin: Admin::new(sweeper.clone(), Arc::clone(&gateway), reloader.keyring.clone()),
            data: Data::new(gateway),
            layer,
            side_port,
            url_port,
            telemetry,
            tls,
            authenticator,
            writes,
            message_bytes: config.limits.message_bytes,
            connections: settings::connections(config),
            max_values: config.limits.values,
            shutdown_grace: config.shutdown_grace,
        };
        Ok(App {
            listener,
            services,
            summary,
            reloader: Arc::new(reloader),
            sweeper,
            sweep_every: config.sweep.every,
        })
    }

    /// The facts to show at the start.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// The reloader, which replaces the models while they are served.
    pub fn reloader(&self) -> Arc<Reloader> {
        Arc::clone(&self.reloader)
    }

    /// The capacity that the calls in flight share.
    pub fn capacity(&self) -> Arc<Capacity> {
        self.services.layer.capacity()
    }

    /// Its services as a tower service for callers in this process, which need no socket. The listener is closed.
    pub fn into_calls(self) -> Calls {
        self.services.into_calls()
    }

    /// Serves until `shutdown`, then drains. Calls `ready` once the health service reports SERVING.
    ///
    /// # Errors
    ///
    /// Why serving ended early.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send,
        ready: impl FnOnce(SocketAddr),
    ) -> Result<(), Error> {
        // aborted when it is dropped
        let mut background = JoinSet::new();
        if let Some(every) = self.sweep_every {
            background.spawn(sweeping::run_every(self.sweeper, every));
        }
        background.spawn(self.reloader.policies.clone().watch());
        Ok(self.listener.serve(self.services, shutdown, ready).await?)
    }
}

/// Items belong to tenants only if callers have an identity.
fn check_tenants(has_auth: bool, models: &Models) -> Result<(), Error> {
    match models.iter().find(|model| model.tenancy.is_some() && !has_auth) {
        Some(model) => Err(Error::NoAuth {
            model: model.name.clone(),
        }),
        None => Ok(()),
    }
}

/// Whether all processes that serve the models have the same token key, without which request ids are not remembered.
fn check_token_key(config: &Config, models: &Models) -> Result<bool, Error> {
    let has_lasting_key = settings::has_lasting_token_key(config);
    match models.iter().find(|model| model.idempotency.is_some()) {
        Some(model) if !has_lasting_key => Err(Error::NoTokenKey {
            model: model.name.clone(),
        }),
        Some(_) | None => Ok(has_lasting_key),
    }
}

/// Raises the file descriptor limit of this process as far as the system allows: every connection needs a descriptor.
pub fn raise_descriptor_limit() {
    if let Err(error) = listener::descriptors::raise() {
        warn!(%error, "cannot raise the descriptor limit");
    }
}

/// What all operations share.
fn gateway(
    config: &Config,
    reader: Reader,
    (models, policies, writes): (Served, Policies, TaskTracker),
    token_key: &[u8; 32],
    has_lasting_key: bool,
) -> Gateway {
    Gateway {
        models,
        committer: Committer::new(reader.stores.clone(), reader.keyring.clone(), writes),
        transaction_tokens: has_lasting_key.then(|| TransactionTokens::new(token_key)),
        request_ids: has_lasting_key.then(|| RequestIds::new(token_key)),
        upload_tokens: UploadTokens::new(token_key),
        reader,
        attribute_depth: config.limits.attribute_depth,
        policies,
        has_tls: config.tls.certificate.is_some(),
    }
}

fn reader(config: &Config, stores: &Stores, token_key: &[u8; 32]) -> Reader {
    Reader {
        stores: stores.clone(),
        keyring: settings::keyring(config, stores),
        page_tokens: PageTokens::new(token_key),
        limits: read::Limits {
            message_bytes: config.limits.message_bytes,
            objects_in_flight: config.s3.in_flight,
        },
    }
}

fn layer(
    config: &Config,
    accounting: &Arc<Accounting>,
    telemetry: &Telemetry,
    guards: (Option<Arc<Authenticator>>, Option<Audit>),
) -> CallLayer {
    let (accounting, settings) = (Arc::clone(accounting), settings::calls(config));
    CallLayer::guarded(accounting, settings, telemetry.clone(), guards)
}

fn summary(
    config: &Config,
    listener: &BoundListener,
    models: &Models,
    side_port: Option<&SidePort>,
) -> Summary {
    Summary {
        address: listener.address(),
        backend: settings::backend(config),
        models: models.len(),
        side_port: side_port.map(SidePort::address),
    }
}

/// The certificates, and the ports that use them.
async fn bind(
    config: &Config,
) -> Result<(Option<Arc<Certificates>>, BoundListener, Option<SidePort>), Error> {
    let tls = settings::tls(config)
        .map(Certificates::open)
        .transpose()?
        .map(Arc::new);
    let missing = settings::missing_protection(config, tls.as_deref());
    let listener = BoundListener::bind(&config.listen, missing).await?;
    let side_port = bind_side_port(config, tls.as_ref()).await?;
    Ok((tls, listener, side_port))
}

async fn bind_side_port(config: &Config, tls: Option<&Arc<Certificates>>) -> Result<Option<SidePort>, Error> {
    let listen = config.metrics.listen.clone().unwrap_or_default();
    let tls = tls.filter(|_| config.metrics.tls).cloned();
    let bound = SidePort::bind(&config.metrics, tls).await;
    bound.map_err(|source| serve::Error::SidePort { listen, source }.into())
}

/// Makes the instruments read their figures from the accounting and the call layer.
#[cfg(feature = "telemetry")]
fn observe(
    telemetry: &Telemetry,
    accounting: &Arc<Accounting>,
    layer: &CallLayer,
    sweeper: &Sweeper,
    models: usize,
) {
    let sweeper = sweeper.clone();
    let (accounting, in_flight, capacity) = (Arc::clone(accounting), layer.in_flight(), layer.capacity());
    let admitting = Arc::clone(&capacity);
    telemetry.observe(InstrumentSources {
        limit: in_flight.limit() as u64,
        memory_limit: capacity.memory_bytes() as u64,
        models,
        bills: Box::new(move || accounting.since_start()),
        sweeps: Box::new(move || sweeping::figures(&sweeper)),
        in_flight: Box::new(move || in_flight.count() as u64),
        admitted: Box::new(move || admitting.admitted() as u64),
        memory_reserved: Box::new(move || capacity.reserved_bytes() as u64),
    });
}

#[cfg(not(feature = "telemetry"))]
fn observe(_: &Telemetry, _: &Arc<Accounting>, _: &CallLayer, _: &Sweeper, _: usize) {}

/// The price book of the settings, else the built-in one, which covers a single region.
fn read_prices(config: &Config, region: &str) -> Result<Prices, Error> {
    if let Some(path) = &config.prices {
        return Prices::read(path, region).map_err(Error::Prices);
    }
    let shipped = Prices::shipped();
    if shipped.region() != region {
        warn!(
            region,
            "using the prices of {}; set `prices` for this region",
            shipped.region()
        );
    }
    Ok(shipped)
}
