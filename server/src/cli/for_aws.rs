//! The settings and models of the commands that work on AWS, beside the server: `provision` and `sweep`.

use std::path::Path;
use std::process::ExitCode;

use super::exit;
use crate::config::{Config, Flags, environment};
use crate::model::Models;

/// The settings, and the models of a folder or of the one that `serve` reads.
///
/// # Errors
///
/// The exit code, once every fault is printed.
pub(super) fn load(
    backend: Option<&str>,
    config: Option<&Path>,
    folder: Option<&Path>,
) -> Result<(Config, Models), ExitCode> {
    let flags = Flags {
        backend: backend.map(str::to_owned),
        config: config.map(Path::to_owned),
        ..Flags::default()
    };
    let config = Config::load(&flags, environment()).map_err(|faults| exit::faults("settings", &faults))?;
    let models = Models::read(folder.unwrap_or(&config.models));
    let models = models.map_err(|faults| exit::faults("models", &faults))?;
    Ok((config, models))
}
