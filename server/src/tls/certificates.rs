//! The certificates in use. They are replaced as a whole when the files change; files that cannot be used change nothing.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{error, info};

use super::files::{Digests, Error, Settings, Sources};
use super::server_config::Configs;
use crate::trusted_file::{self, OnChange};

/// How often files that do not fit together are read again at once: they may be in the middle of being replaced.
const ATTEMPTS: usize = 3;

/// The certificates of the listeners.
pub struct Certificates {
    settings: Settings,
    current: ArcSwap<Current>,
    /// Sends when the authorities of client certificates were replaced.
    authorities: watch::Sender<()>,
    /// The last error that was logged, so that each is logged once.
    logged: Mutex<Option<String>>,
    on_change: OnChange,
}

struct Current {
    configs: Configs,
    digests: Digests,
}

/// The result of a reload.
#[derive(Debug)]
pub enum Reloaded {
    /// The files are those in use.
    Unchanged,
    /// Their content is in use from now on.
    Replaced,
    /// They cannot be used; the previous ones stay in use.
    Refused(Error),
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// They cannot be read or used.
    pub fn open(settings: Settings) -> Result<Certificates, Error> {
        let current = Current::parse(&settings, Sources::read(&settings)?)?;
        Ok(Certificates {
            settings,
            current: ArcSwap::from_pointee(current),
            authorities: watch::Sender::new(()),
            logged: Mutex::default(),
            on_change: OnChange::default(),
        })
    }

    /// Who is notified when other certificates are put in use.
    pub fn on_change(&self) -> &OnChange {
        &self.on_change
    }

    /// Whether every caller has a certificate of one of the authorities.
    pub fn requires_client_certificate(&self) -> bool {
        self.settings.client_ca.is_some() && self.settings.requires_client_certificate
    }

    /// Sends when the authorities of client certificates are replaced. Subscribe before the handshake.
    pub fn authorities(&self) -> watch::Receiver<()> {
        self.authorities.subscribe()
    }

    /// The handshake of a connection for calls.
    ///
    /// # Errors
    ///
    /// The handshake failed.
    pub async fn accept_calls(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.current.load().configs.calls);
        TlsAcceptor::from(config).accept(stream).await
    }

    /// The handshake of a connection for metrics and probes.
    ///
    /// # Errors
    ///
    /// The handshake failed.
    pub async fn accept_probes(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.current.load().configs.probes);
        TlsAcceptor::from(config).accept(stream).await
    }

    /// Reloads the files whenever they change, until it is dropped.
    pub async fn watch(self: Arc<Certificates>) {
        loop {
            let certificates = Arc::clone(&self);
            if !trusted_file::look_again(move || certificates.reload()).await {
                return;
            }
        }
    }

    /// Reads the files again. Blocks; logs what changed and new errors.
    pub fn reload(&self) -> Reloaded {
        let outcome = self.replace();
        let mut logged = self.logged.lock();
        match &outcome {
            Reloaded::Unchanged => *logged = None,
            Reloaded::Replaced => {
                *logged = None;
                info!("certificates reloaded");
                self.on_change.notify();
            }
            Reloaded::Refused(error) => {
                let text = error.to_string();
                if logged.as_ref() != Some(&text) {
                    error!(
                        error = text,
                        "certificates not reloaded; the previous ones stay in use"
                    );
                    *logged = Some(text);
                }
            }
        }
        outcome
    }

    fn replace(&self) -> Reloaded {
        let used = self.current.load().digests;
        let current = match Current::read_unless(&self.settings, used) {
            Ok(Some(current)) => current,
            Ok(None) => return Reloaded::Unchanged,
            Err(error) => return Reloaded::Refused(error),
        };
        let has_new_authorities = current.digests.authorities != used.authorities;
        self.current.store(Arc::new(current));
        if has_new_authorities {
            self.authorities.send_replace(());
        }
        Reloaded::Replaced
    }
}

impl Current {
    fn parse(settings: &Settings, sources: Sources) -> Result<Current, Error> {
        let files = sources.parse(settings)?;
        let digests = files.digests;
        Ok(Current {
            configs: Configs::new(settings, files)?,
            digests,
        })
    }

    /// `None` if the files have these digests.
    fn read_unless(settings: &Settings, used: Digests) -> Result<Option<Current>, Error> {
        let mut attempt = 1;
        loop {
            let sources = Sources::read(settings)?;
            if sources.digests() == used {
                return Ok(None);
            }
            match Current::parse(settings, sources) {
                Ok(current) => return Ok(Some(current)),
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => attempt += 1,
            }
        }
    }
}

/// Shows which files, never their content.
impl std::fmt::Debug for Certificates {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("Certificates");
        debug.field("settings", &self.settings).finish_non_exhaustive()
    }
}
