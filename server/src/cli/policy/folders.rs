//! The folders of policies and models that the commands read.

use std::path::PathBuf;
use std::process::ExitCode;

use super::super::{check, exit};
use crate::app;
use crate::config::{Config, Flags, environment};
use crate::model::Models;
use crate::policy::{Compiled, Sources};

/// The folders of policies and models.
#[derive(Debug, clap::Args)]
pub(super) struct Folders {
    /// Folder of the policies [default: the setting policies]
    #[arg(long, value_name = "DIR")]
    pub(super) policies: Option<PathBuf>,
    /// Folder of the model files [default: the one that `serve` reads]
    #[arg(long, value_name = "DIR")]
    pub(super) models: Option<PathBuf>,
}

impl Folders {
    /// The settings, and the models of the folder or of the settings.
    ///
    /// # Errors
    ///
    /// The exit code, once every fault is printed.
    pub(super) fn settings_and_models(&self) -> Result<(Config, Models), ExitCode> {
        let config = Config::load(&Flags::default(), environment())
            .map_err(|faults| exit::faults("settings", &faults))?;
        let folder = self.models.clone().unwrap_or_else(|| config.models.clone());
        let models = check::models(Some(&folder))?;
        Ok((config, models))
    }

    /// The policies, if they have no faults.
    ///
    /// # Errors
    ///
    /// The exit code, once every fault is printed.
    pub(super) fn compile(&self) -> Result<(Compiled, Models), ExitCode> {
        let (config, models) = self.settings_and_models()?;
        let Some(folder) = self.policies.as_ref().or(config.policies.as_ref()) else {
            let fault = "name the folder of the policies, or set `policies`";
            return Err(exit::faults("arguments", &[fault]));
        };
        let sources = Sources::read(folder).map_err(|faults| exit::faults("policies", &faults))?;
        let compiled = Compiled::new(&sources, &models, &app::known_to_policies(&config));
        let compiled = compiled.map_err(|faults| exit::faults("policies", &faults))?;
        Ok((compiled, models))
    }
}
