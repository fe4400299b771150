//! `tollgate check [DIR]`: reads models and tells every fault of every file. Opens nothing else.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::{Exit, tell_faults};
use crate::config::{Config, Flags, environment};
use crate::model::Models;

/// The arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folder of the model files [default: the one that `serve` reads]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Checks the folder that was named, else the one of the settings.
pub(super) fn run(args: &Args, out: &mut impl Write, err: &mut impl Write) -> Exit {
    match &args.folder {
        Some(folder) => check(folder, out, err),
        None => match Config::load(&Flags::default(), environment()) {
            Ok(config) => check(&config.models, out, err),
            Err(faults) => tell_faults(&faults, err),
        },
    }
}

fn check(folder: &Path, out: &mut impl Write, err: &mut impl Write) -> Exit {
    match Models::read(folder) {
        Ok(models) => {
            let noun = if models.len() == 1 { "model" } else { "models" };
            // whoever closed the pipe does not want to know
            let _ = writeln!(out, "{} {noun}, no faults", models.len());
            Exit::Success
        }
        Err(faults) => tell_faults(&faults, err),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_text(folder: &Path) -> (Exit, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = run(
            &Args {
                folder: Some(folder.to_owned()),
            },
            &mut out,
            &mut err,
        );
        (
            exit,
            String::from_utf8(out).unwrap(),
            String::from_utf8(err).unwrap(),
        )
    }

    #[test]
    fn good_models_are_counted() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        assert_eq!(
            check_text(&folder),
            (Exit::Success, "3 models, no faults\n".to_owned(), String::new())
        );
    }

    #[test]
    fn every_fault_is_a_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), "name: A\n").unwrap();
        let (exit, out, err) = check_text(folder.path());
        assert_eq!((exit, out.as_str()), (Exit::Wrong, ""));
        let file = folder.path().join("a.yaml").display().to_string();
        let line = |key: &str| format!("{file}:1: {key}: is required\n");
        assert_eq!(
            err,
            [line("table"), line("partition_key"), line("attributes")].concat()
        );
    }
}
