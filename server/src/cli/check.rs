//! `tollgate check [DIR]`: reads the models and reports every fault. Opens nothing else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::exit;
use crate::config::{Config, Flags, environment};
use crate::model::Models;

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the model files [default: the one that `serve` reads]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Checks the given folder, or that of the settings.
pub(super) fn run(args: &Args) -> ExitCode {
    match models(args.folder.as_deref()) {
        Ok(models) => exit::print(&summary(&models)),
        Err(code) => code,
    }
}

/// The models of the given folder, or of that of the settings.
///
/// # Errors
///
/// The exit code, once every fault is printed.
pub(super) fn models(folder: Option<&Path>) -> Result<Models, ExitCode> {
    let read = match folder {
        Some(folder) => Models::read(folder),
        None => match Config::load(&Flags::default(), environment()) {
            Ok(config) => Models::read(&config.models),
            Err(faults) => return Err(exit::faults("settings", &faults)),
        },
    };
    read.map_err(|faults| exit::faults("models", &faults))
}

/// One line per warning, and one about valid models.
fn summary(models: &Models) -> String {
    let warnings = models.warnings();
    let warnings: String = warnings.iter().map(|text| format!("warning: {text}\n")).collect();
    let noun = if models.len() == 1 { "model" } else { "models" };
    format!("{warnings}{} {noun}, no faults\n", models.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_models_are_counted() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        let models = models(Some(&folder)).unwrap();
        assert_eq!(summary(&models), "3 models, no faults\n");
    }

    #[test]
    fn faults_end_with_2() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), "name: A\n").unwrap();
        let ended = run(&Args {
            folder: Some(folder.path().to_owned()),
        });
        assert_eq!(format!("{ended:?}"), format!("{:?}", ExitCode::from(2)));
    }
}
