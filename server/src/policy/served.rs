//! The policies in use. They are replaced as a whole, when their files or the models change; what has faults changes
//! nothing.

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use parking_lot::Mutex;
use tracing::{error, info, warn};

use super::access::Access;
use super::action::Action;
use super::compile::Compiled;
use super::decide::{Asked, Resource};
use super::denied::Denied;
use super::schema::Known;
use super::source::{Fault, Sources};
use crate::model::{Model, Models};
use crate::trusted_file::{self, OnChange};

/// Faults that one reload logs.
const MAX_LOGGED: usize = 20;

/// A handle to the policies in use. Clones share them.
#[derive(Clone, Default)]
pub struct Policies(Arc<Shared>);

/// Finds out what policies may name.
type ReadKnown = Box<dyn Fn() -> Known + Send + Sync>;

#[derive(Default)]
struct Shared {
    /// `None`: there are no policies.
    folder: Option<PathBuf>,
    /// What policies may name, which can change with the files of callers.
    known: Option<ReadKnown>,
    current: ArcSwapOption<Compiled>,
    /// Held while policies are replaced. Has the last faults that were logged, so that they are logged once.
    logged: Mutex<Vec<Fault>>,
    on_change: OnChange,
}

/// The result of a reload.
#[derive(Debug)]
pub enum Reloaded {
    /// The files are those in use.
    Unchanged,
    /// Their content is in use from now on.
    Replaced,
    /// They have faults; the previous ones stay in use.
    Refused(Vec<Fault>),
}

/// The policies that were in use at one moment.
pub struct Current(Guard<Option<Arc<Compiled>>>);

impl Current {
    /// Whether there are policies.
    pub fn are_set(&self) -> bool {
        self.0.is_some()
    }

    /// Whether an action may be done to a resource, and the names of the policies that permit it. Without policies, callers
    /// may do everything but cross tenants.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn authorize(&self, asked: Asked<'_>, resource: &Resource<'_>) -> Result<Arc<[String]>, Denied> {
        match (&*self.0, asked.action) {
            (Some(compiled), _) => compiled.authorize(asked, resource),
            (None, Action::CrossTenant) if asked.caller.is_some() => Err(resource.denied(asked.action)),
            (None, _) => Ok(Arc::default()),
        }
    }

    /// Whether an action may be done to a model, and to which of its fields.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn access(&self, asked: Asked<'_>, model: &Arc<Model>) -> Result<Access, Denied> {
        match &*self.0 {
            Some(compiled) => compiled.access(asked, model),
            None => self
                .authorize(asked, &Resource::Model(model))
                .map(|_| Access::whole(Arc::clone(model))),
        }
    }

    /// Whether decisions about an action depend on the key of the item.
    pub fn reads_key(&self, action: Action) -> bool {
        self.0.as_ref().is_some_and(|compiled| compiled.reads_key(action))
    }

    /// Whether decisions about an action depend on the time.
    pub fn reads_time(&self, action: Action) -> bool {
        self.0
            .as_ref()
            .is_some_and(|compiled| compiled.reads_time(action))
    }
}

impl Policies {
    /// Reads the policies of a folder.
    ///
    /// # Errors
    ///
    /// All faults.
    pub fn open(
        folder: PathBuf,
        models: &Models,
        known: impl Fn() -> Known + Send + Sync + 'static,
    ) -> Result<Policies, Vec<Fault>> {
        let compiled = Compiled::new(&Sources::read(&folder)?, models, &known())?;
        compiled.warn();
        info!(policies = compiled.count(), "policies read");
        Ok(Policies(Arc::new(Shared {
            folder: Some(folder),
            known: Some(Box::new(known)),
            current: ArcSwapOption::from_pointee(compiled),
            logged: Mutex::default(),
            on_change: OnChange::default(),
        })))
    }

    /// The policies of this text, which are not reloaded.
    #[cfg(test)]
    pub(crate) fn of(text: &str, models: &Models, known: Known) -> Policies {
        let compiled = Compiled::new(&Sources::of(text), models, &known).expect("valid policies");
        Policies(Arc::new(Shared {
            folder: Some(PathBuf::new()),
            known: Some(Box::new(move || known.clone())),
            current: ArcSwapOption::from_pointee(compiled),
            logged: Mutex::default(),
            on_change: OnChange::default(),
        }))
    }

    fn known(&self) -> Known {
        self.0.known.as_ref().map(|known| known()).unwrap_or_default()
    }

    /// Who is notified when other policies are put in use.
    pub fn on_change(&self) -> &OnChange {
        &self.0.on_change
    }

    /// Whether there are policies.
    pub fn are_set(&self) -> bool {
        self.0.folder.is_some()
    }

    /// The policies of one decision, and of what it needs to know of the request.
    pub fn current(&self) -> Current {
        Current(self.0.current.load())
    }

    /// Compiles the policies in use for other models, for [`Policies::replace`].
    ///
    /// # Errors
    ///
    /// What is wrong with the policies for those models.
    pub fn compile(&self, models: &Models) -> Result<Option<Compiled>, Vec<Fault>> {
        let current = self.0.current.load_full();
        let Some(current) = current else { return Ok(None) };
        Compiled::new(current.sources(), models, &self.known()).map(Some)
    }

    /// Uses policies that were compiled for other models.
    pub fn replace(&self, compiled: Option<Compiled>) {
        if let Some(compiled) = compiled {
            self.0.current.store(Some(Arc::new(compiled)));
        }
    }

    /// Reads the files again. Blocks; logs what changed and new faults. `None` if there are no policies.
    pub fn reload(&self) -> Option<Reloaded> {
        let folder = self.0.folder.as_deref()?;
        let mut logged = self.0.logged.lock();
        let current = self.0.current.load_full()?;
        let outcome = match Sources::read(folder) {
            Ok(sources) if sources == *current.sources() => Reloaded::Unchanged,
            Ok(sources) => match Compiled::new(&sources, &current.models, &self.known()) {
                Ok(compiled) => {
                    let compiled = Some(Arc::new(compiled));
                    let replaced = self.0.current.compare_and_swap(&current, compiled.clone());
                    if replaced.as_ref().is_some_and(|old| Arc::ptr_eq(old, &current)) {
                        log_replaced(compiled.as_deref());
                        self.0.on_change.notify();
                        Reloaded::Replaced
                    } else {
                        // the models were replaced meanwhile; the next look finds the change again
                        Reloaded::Unchanged
                    }
                }
                Err(faults) => Reloaded::Refused(faults),
            },
            Err(faults) => Reloaded::Refused(faults),
        };
        match &outcome {
            Reloaded::Unchanged | Reloaded::Replaced => logged.clear(),
            Reloaded::Refused(faults) if *logged == *faults => {}
            Reloaded::Refused(faults) => {
                for fault in faults.iter().take(MAX_LOGGED) {
                    error!(%fault, "policy is invalid");
                }
                let faults_count = faults.len();
                error!(
                    faults = faults_count,
                    "policies not reloaded; the previous ones stay in use"
                );
                logged.clone_from(faults);
            }
        }
        Some(outcome)
    }

    /// Reloads the files whenever they change, until it is dropped.
    pub async fn watch(self) {
        while self.are_set() {
            let policies = self.clone();
            if !trusted_file::look_again(move || policies.reload()).await {
                return;
            }
        }
    }
}

fn log_replaced(compiled: Option<&Compiled>) {
    if let Some(compiled) = compiled {
        compiled.warn();
        info!(policies = compiled.count(), "policies reloaded");
    }
}

impl Compiled {
    fn warn(&self) {
        for warning in self.warnings().iter().take(MAX_LOGGED) {
            warn!(%warning, "policy may not do what it seems to");
        }
    }
}

/// Shows where they are, never their text.
impl std::fmt::Debug for Policies {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("Policies");
        debug.field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("Compiled");
        debug.field("policies", &self.count()).finish_non_exhaustive()
    }
}
