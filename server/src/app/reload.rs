//! Reloads the models while calls are in flight: either all changes are safe and are served from then on, or nothing
//! changes. Calls in flight keep the models that they started with.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::{info, warn};

use crate::audit::Audit;
use crate::aws::{self, Stores};
use crate::config::{Backend, Config};
use crate::crypto::Keyring;
use crate::identity::Authenticator;
use crate::model::{Change, Changes, Model, ModelFault, Models, Served};
use crate::policy::{self, Policies};
use crate::tls::{Certificates, Reloaded};

/// Log lines about one reload; any more are counted only.
const MAX_LINES: usize = 100;
/// Models that may be added without a restart: space for their metrics is allocated at the start.
const ADDED_MODELS: usize = 16;

/// The source of the models.
#[derive(Clone, Debug)]
pub(super) struct Source {
    folder: PathBuf,
    /// Whether the folder was set. If it was not and does not exist, the examples are served.
    is_named: bool,
}

/// Replaces the models being served with those in the folder. Run one reload at a time.
#[derive(Debug)]
pub struct Reloader {
    pub(super) source: Source,
    pub(super) backend: Backend,
    pub(super) stores: Stores,
    pub(super) served: Served,
    /// The certificates of the listeners.
    pub(super) tls: Option<Arc<Certificates>>,
    /// The data keys that are kept beyond their calls.
    pub(super) keyring: Keyring,
    /// The files that identify callers.
    pub(super) authenticator: Option<Arc<Authenticator>>,
    /// What callers may do.
    pub(super) policies: Policies,
    /// The log of who did what.
    pub(super) audit: Option<Audit>,
    /// The most models that can be served without a restart.
    pub(super) max_models: usize,
    /// Whether request ids can be remembered: all processes that serve the tables have the same key.
    pub(super) has_lasting_key: bool,
}

/// Why a reload was refused; the models served before stay in use.
#[derive(Debug)]
pub enum Refused {
    /// The files are invalid.
    Faults(Vec<ModelFault>),
    /// The changes require a restart.
    Changes(Vec<Change>),
    /// A table, bucket or key that an added model needs is missing.
    Missing(Vec<String>),
    /// The policies have faults for the new models.
    Policies(Vec<policy::Fault>),
}

impl Source {
    pub(super) fn new(config: &Config) -> Source {
        Source {
            folder: config.models.clone(),
            is_named: config.models_set,
        }
    }

    pub(super) fn read(&self) -> Result<Models, Vec<ModelFault>> {
        if !self.is_named && !self.folder.exists() {
            info!("no ./models folder: serving the example models");
            return Ok(Models::examples());
        }
        Models::read(&self.folder)
    }
}

/// The most models that can be served before the next restart.
pub(super) fn max_models(at_start: usize) -> usize {
    at_start.saturating_add(ADDED_MODELS)
}

impl Reloader {
    /// The folder that the models are read from.
    pub fn folder(&self) -> &std::path::Path {
        &self.source.folder
    }

    /// Drops the data keys that are kept beyond their calls.
    pub fn flush_keys(&self) {
        let keys = self.keyring.flush();
        if keys > 0 {
            info!(keys, "data keys dropped");
        }
    }

    /// Opens the audit log again, if its file was renamed.
    pub fn reopen_audit(&self) {
        if let Some(audit) = &self.audit {
            audit.reopen();
        }
    }

    /// Reads the certificates again, without waiting for the next look at their files. Logs what changed. `None` if there
    /// are none.
    pub async fn reload_certificates(&self) -> Option<Reloaded> {
        let certificates = Arc::clone(self.tls.as_ref()?);
        let reloading = tokio::task::spawn_blocking(move || certificates.reload());
        reloading.await.ok()
    }

    /// Reads the tokens and keys of callers again, without waiting for the next look at their files. Logs what changed.
    pub async fn reload_credentials(&self) {
        let Some(authenticator) = self.authenticator.clone() else {
            return;
        };
        // a panic was logged
        let _ = tokio::task::spawn_blocking(move || authenticator.reload()).await;
    }

    /// Reads the policies again, without waiting for the next look at their files. Logs what changed. `None` if there are
    /// none.
    pub async fn reload_policies(&self) -> Option<policy::Reloaded> {
        let policies = self.policies.clone();
        let reloading = tokio::task::spawn_blocking(move || policies.reload());
        reloading.await.ok().flatten()
    }

    /// Reads the models and serves them if all changes are safe. Logs the changes, or why they were refused.
    ///
    /// # Errors
    ///
    /// Why the reload was refused.
    pub async fn reload(&self) -> Result<Vec<Change>, Refused> {
        let outcome = self.replace().await;
        match &outcome {
            Ok(changes) if changes.is_empty() => info!("models unchanged"),
            Ok(changes) => {
                list(changes, |change| {
                    info!(model = change.model, change = change.text, "model changed");
                });
                info!(
                    models = self.served.all().len(),
                    changes = changes.len(),
                    "models reloaded"
                );
            }
            Err(refused) => refused.log(),
        }
        outcome
    }

    async fn replace(&self) -> Result<Vec<Change>, Refused> {
        let read = self.read().await.map_err(Refused::Faults)?;
        let mut changes = Changes::between(&self.served.all(), &read);
        if read.len() > self.max_models {
            let text = format!(
                "more than {} models; space for their metrics is allocated at the start: restart to apply",
                self.max_models
            );
            changes.refused.extend(changes.added.iter().map(|model| Change {
                model: model.name.clone(),
                text: text.clone(),
            }));
        }
        let remembers = |model: &&Arc<Model>| model.idempotency.is_some() && !self.has_lasting_key;
        changes
            .refused
            .extend(changes.added.iter().filter(remembers).map(|model| Change {
                model: model.name.clone(),
                text: "`idempotency` requires the setting token_key: set it and restart".to_owned(),
            }));
        let has_tenants = |model: &&Arc<Model>| model.tenancy.is_some() && self.authenticator.is_none();
        changes
            .refused
            .extend(changes.added.iter().filter(has_tenants).map(|model| Change {
                model: model.name.clone(),
                text: "`tenant` requires the setting auth: set it and restart".to_owned(),
            }));
        if !changes.refused.is_empty() {
            return Err(Refused::Changes(changes.refused));
        }
        let policies = self.compile(&read).await?;
        self.prepare(&changes.added).await?;
        self.policies.replace(policies);
        self.served.replace(read);
        if let Some(audit) = self.audit.as_ref().filter(|_| !changes.safe.is_empty()) {
            audit.changed("ReloadModels");
        }
        Ok(changes.safe)
    }

    /// Checks the policies for the new models: a model or field that they name may be gone.
    async fn compile(&self, models: &Models) -> Result<Option<policy::Compiled>, Refused> {
        let (policies, models) = (self.policies.clone(), models.clone());
        let compiling = tokio::task::spawn_blocking(move || policies.compile(&models));
        let compiled = compiling.await.unwrap_or_else(|_| Ok(None));
        compiled.map_err(Refused::Policies)
    }

    /// Reads files and compiles patterns outside of the threads that serve calls.
    async fn read(&self) -> Result<Models, Vec<ModelFault>> {
        let source = self.source.clone();
        let reading = tokio::task::spawn_blocking(move || source.read());
        reading.await.unwrap_or_else(|_| {
            Err(vec![ModelFault {
                file: self.source.folder.display().to_string(),
                line: 0,
                path: String::new(),
                text: "could not be read".to_owned(),
            }])
        })
    }

    /// Creates what added models need on the embedded backend; on AWS it must exist.
    async fn prepare(&self, added: &[Arc<Model>]) -> Result<(), Refused> {
        if added.is_empty() {
            return Ok(());
        }
        let added = Models::new(added.iter().map(|model| Model::clone(model)));
        let looked = match self.backend {
            Backend::Embedded => aws::provision(&self.stores, &added).await,
            Backend::Aws => Ok(aws::missing(&self.stores, &added).await),
        };
        let missing: Vec<String> = match looked {
            Ok(warnings) => warnings.iter().map(ToString::to_string).collect(),
            Err(error) => vec![error.to_string()],
        };
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Refused::Missing(missing)),
        }
    }
}

impl Refused {
    fn log(&self) {
        match self {
            Refused::Faults(faults) => list(faults, |fault| warn!(%fault, "model file is invalid")),
            Refused::Changes(changes) => list(changes, |change| {
                warn!(model = change.model, reason = change.text, "model change refused");
            }),
            Refused::Missing(missing) => list(missing, |reason| warn!(reason, "model addition refused")),
            Refused::Policies(faults) => {
                list(
                    faults,
                    |fault| warn!(%fault, "policy is invalid for the changed models"),
                );
            }
        }
        warn!(
            reasons = self.len(),
            "models not reloaded; still serving the previous models"
        );
    }

    /// The number of reasons.
    fn len(&self) -> usize {
        match self {
            Refused::Faults(faults) => faults.len(),
            Refused::Changes(changes) => changes.len(),
            Refused::Missing(missing) => missing.len(),
            Refused::Policies(faults) => faults.len(),
        }
    }
}

/// Logs the first entries of a list that may be long.
fn list<T>(entries: &[T], log: impl Fn(&T)) {
    entries.iter().take(MAX_LINES).for_each(log);
    if let Some(more) = entries.len().checked_sub(MAX_LINES).filter(|more| *more > 0) {
        info!(more, "further lines about this reload are omitted");
    }
}

#[cfg(test)]
#[cfg(feature = "embedded")]
mod tests {
    use std::fs;

    use super::*;
    use crate::aws::testing::FaultyStores;

    fn model(name: &str, table: &str) -> String {
        format!(
            "name: {name}\ntable: {table}\npartition_key: pk\nattributes:\n  pk: {{ type: string }}\n  \
             secret: {{ type: string, encrypted: {{ key_id: alias/{table} }} }}\n---\n"
        )
    }

    /// A reloader that serves the model `A` from a folder, as on AWS.
    async fn reloader(folder: &std::path::Path) -> Reloader {
        fs::write(folder.join("a.yaml"), model("A", "first")).expect("written");
        let source = Source {
            folder: folder.to_owned(),
            is_named: true,
        };
        let models = source.read().expect("no faults");
        let stores = FaultyStores::new(&models).await.stores;
        Reloader {
            source,
            backend: Backend::Aws,
            keyring: Keyring::new(stores.kms.clone(), 1),
            stores,
            served: Served::new(models),
            tls: None,
            authenticator: None,
            policies: Policies::default(),
            audit: None,
            max_models: 2,
            has_lasting_key: false,
        }
    }

    #[tokio::test]
    async fn on_aws_the_resources_of_an_added_model_must_exist() {
        let folder = tempfile::tempdir().unwrap();
        let mut reloader = reloader(folder.path()).await;
        fs::write(folder.path().join("b.yaml"), model("B", "second")).unwrap();
        let Err(Refused::Missing(missing)) = reloader.reload().await else {
            panic!("the table and the key are missing")
        };
        assert!(
            missing.iter().any(|line| line.contains("the table second")),
            "{missing:?}"
        );
        assert!(
            missing.iter().any(|line| line.contains("alias/second")),
            "{missing:?}"
        );
        assert_eq!(reloader.served.all().len(), 1);
        reloader.stores = FaultyStores::new(&Models::read(folder.path()).unwrap())
            .await
            .stores;
        assert_eq!(reloader.reload().await.unwrap().len(), 1);
        assert!(reloader.served.get("B").is_some());
    }

    #[tokio::test]
    async fn request_ids_cannot_be_remembered_without_a_key() {
        let folder = tempfile::tempdir().unwrap();
        let mut reloader = reloader(folder.path()).await;
        let remembering = model("B", "first").replace("table: first", "table: first\nidempotency: item");
        fs::write(folder.path().join("b.yaml"), remembering).unwrap();
        let Err(Refused::Changes(changes)) = reloader.reload().await else {
            panic!("there is no key")
        };
        assert!(changes[0].text.contains("token_key"), "{changes:?}");
        reloader.has_lasting_key = true;
        assert_eq!(reloader.reload().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn models_beyond_the_allocated_space_require_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let reloader = reloader(folder.path()).await;
        fs::write(
            folder.path().join("b.yaml"),
            model("B", "first") + &model("C", "first"),
        )
        .unwrap();
        let Err(Refused::Changes(changes)) = reloader.reload().await else {
            panic!("three are too many")
        };
        assert_eq!(changes.len(), 2, "{changes:?}");
        assert!(changes[0].text.contains("more than 2 models"), "{changes:?}");
    }
}
