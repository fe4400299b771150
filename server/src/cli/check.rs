//! `tollgate check [DIR]`: reads models and tells every fault of every file. Opens nothing else.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::exit;
use crate::config::{Config, Flags, environment};
use crate::model::{ModelFault, Models};

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the model files [default: the one that `serve` reads]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Checks the folder that was named, else the one of the settings.
pub(super) fn run(args: &Args) -> ExitCode {
    let checked = match &args.folder {
        Some(folder) => check(folder),
        None => match Config::load(&Flags::default(), environment()) {
            Ok(config) => check(&config.models),
            Err(faults) => return exit::faults("settings", &faults),
        },
    };
    match checked {
        Ok(summary) => exit::print(&summary),
        Err(faults) => exit::faults("models", &faults),
    }
}

/// What there is to say about a folder without faults.
fn check(folder: &Path) -> Result<String, Vec<ModelFault>> {
    let models = Models::read(folder)?;
    let noun = if models.len() == 1 { "model" } else { "models" };
    Ok(format!("{} {noun}, no faults\n", models.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_models_are_counted() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        assert_eq!(check(&folder), Ok("3 models, no faults\n".to_owned()));
    }

    #[test]
    fn faults_end_with_2() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), "name: A\n").unwrap();
        assert_eq!(check(folder.path()).unwrap_err().len(), 3);
        let ended = run(&Args {
            folder: Some(folder.path().to_owned()),
        });
        assert_eq!(format!("{ended:?}"), format!("{:?}", ExitCode::from(2)));
    }
}
