//! Opens the backend that the settings name, and checks or creates what the models need there.

#[cfg(feature = "embedded")]
use std::sync::Arc;
use std::time::Instant;

use tracing::{info, warn};

use super::error::Error;
use super::settings;
use crate::aws::{self, Connectors, Stores};
use crate::config::{Backend, Config};
#[cfg(feature = "embedded")]
use crate::embedded;
#[cfg(feature = "embedded")]
use crate::listener::Respond;
use crate::listener::UrlPort;
use crate::model::Models;
#[cfg(feature = "embedded")]
use crate::serve;

/// A backend that is open.
pub(super) struct Opened {
    pub(super) stores: Stores,
    /// The key of page tokens.
    pub(super) token_key: [u8; 32],
    /// The port for presigned URLs, if this program serves them.
    pub(super) url_port: Option<UrlPort>,
}

/// Opens the backend.
pub(super) async fn open(
    config: &Config,
    models: &Models,
    wrap: impl FnOnce(Connectors) -> Connectors,
) -> Result<Opened, Error> {
    let begun = Instant::now();
    let opened = match config.backend {
        Backend::Embedded => open_embedded(config, models, wrap).await?,
        Backend::Aws => {
            let stores = Stores::from_environment(&settings::aws(config), wrap).await?;
            for missing in aws::missing(&stores, models).await {
                log_warning(&missing);
            }
            Opened {
                stores,
                token_key: token_key(config, None)?,
                url_port: None,
            }
        }
    };
    info!(
        elapsed_ms = begun.elapsed().as_millis() as u64,
        "the store is ready"
    );
    Ok(opened)
}

/// The stores on AWS, or on what speaks its protocols.
///
/// # Errors
///
/// The settings are incomplete; nothing is sent.
pub async fn connect(config: &Config) -> Result<Stores, Error> {
    Ok(Stores::from_environment(&settings::aws(config), |connectors| connectors).await?)
}

#[cfg(feature = "embedded")]
async fn open_embedded(
    config: &Config,
    models: &Models,
    wrap: impl FnOnce(Connectors) -> Connectors,
) -> Result<Opened, Error> {
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
        over_sockets: false,
    };
    let (url_port, url_key) = bind_urls(config, engines.urls).await?.unzip();
    let mut stores = Stores::embedded(wrap(connectors), &settings::aws(config), url_key);
    stores.kms.create_keys();
    for warning in aws::provision(&stores, models).await? {
        log_warning(&warning);
    }
    Ok(Opened {
        stores,
        token_key: token_key(config, Some(engines.token_key))?,
        url_port,
    })
}

/// Binds the port for presigned URLs, if the settings name one.
#[cfg(feature = "embedded")]
async fn bind_urls(config: &Config, urls: embedded::Urls) -> Result<Option<(UrlPort, aws::UrlKey)>, Error> {
    let Some(listen) = &config.embedded.http else {
        return Ok(None);
    };
    let (socket, address) = serve::bind_urls(listen, config.insecure).await?;
    info!(%address, "presigned URLs");
    let key = aws::UrlKey {
        endpoint_url: format!("http://{address}"),
        access_key: urls.access_key.to_owned(),
        secret: urls.secret.clone(),
    };
    let respond: Respond = Arc::new(move |request| {
        let urls = urls.clone();
        Box::pin(async move { urls.respond(request).await })
    });
    Ok(Some((UrlPort { socket, respond }, key)))
}

#[cfg(not(feature = "embedded"))]
async fn open_embedded(
    _: &Config,
    _: &Models,
    _: impl FnOnce(Connectors) -> Connectors,
) -> Result<Opened, Error> {
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

/// The key of the settings, else that of the data folder, else a random one that lasts as long as the process.
fn token_key(config: &Config, stored: Option<[u8; 32]>) -> Result<[u8; 32], Error> {
    if let Some(key) = config.token_key.as_ref().map(|key| *key.bytes()).or(stored) {
        return Ok(key);
    }
    warn!("token_key is not set; page tokens expire when this process ends");
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|_| Error::Random)?;
    Ok(key)
}
