//! `tollgate policy`: checks policies, prints their schema, tests them against expected decisions and explains decisions.
//! Starts no server.

mod explain;
mod folders;
mod rows;
mod target;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use self::folders::Folders;
use super::exit;
use crate::app;
use crate::policy::schema;

const HELP: &str = "\
Exit codes:
  0  done: no faults, or all rows are as expected
  1  test: rows differ
  2  wrong arguments, settings, models, policies or rows";

/// The arguments of `policy`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check policies against the models and report every fault
    Check {
        /// Folder of the policies [default: the setting policies]
        #[arg(value_name = "DIR")]
        policies: Option<PathBuf>,
        /// Folder of the model files [default: the one that `serve` reads]
        #[arg(long, value_name = "DIR")]
        models: Option<PathBuf>,
    },
    /// Print the Cedar schema of the models
    Schema {
        /// Folder of the model files [default: the one that `serve` reads]
        #[arg(long, value_name = "DIR")]
        models: Option<PathBuf>,
    },
    /// Compare decisions with those that a YAML file expects
    Test {
        /// A list of rows: caller, source, issuer, groups, tenant, claims, action, model | field | session, context, expect
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        folders: Folders,
    },
    /// Say whether a caller may do something, and which policies decided
    Explain(Box<explain::Args>),
}

/// Runs a subcommand.
pub(super) fn run(args: &Args) -> ExitCode {
    let outcome = match &args.command {
        Command::Check { policies, models } => check_policies(&Folders {
            policies: policies.clone(),
            models: models.clone(),
        }),
        Command::Schema { models } => print_schema(&Folders {
            policies: None,
            models: models.clone(),
        }),
        Command::Test { file, folders } => folders
            .compile()
            .and_then(|(compiled, models)| test::run(file, &compiled, &models)),
        Command::Explain(args) => args
            .folders
            .compile()
            .and_then(|(compiled, models)| explain::run(args, &compiled, &models)),
    };
    outcome.unwrap_or_else(|code| code)
}

fn check_policies(folders: &Folders) -> Result<ExitCode, ExitCode> {
    let (compiled, _) = folders.compile()?;
    let warnings = compiled.warnings().iter();
    let warnings: String = warnings.map(|warning| format!("warning: {warning}\n")).collect();
    let count = compiled.count();
    let noun = if count == 1 { "policy" } else { "policies" };
    Ok(exit::print(&format!("{warnings}{count} {noun}, no faults\n")))
}

fn print_schema(folders: &Folders) -> Result<ExitCode, ExitCode> {
    let (config, models) = folders.settings_and_models()?;
    Ok(exit::print(&schema(&models, &app::known_to_policies(&config))))
}
