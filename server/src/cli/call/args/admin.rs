//! The arguments of `tollgate call admin`.

use std::time::Duration;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(in crate::cli::call) enum Admin {
    /// Remove objects that no item points to, and report pointers to nothing
    Sweep(Sweep),
    /// Drop the data keys that the server keeps
    FlushKeys,
}

#[derive(Debug, clap::Args)]
pub(in crate::cli::call) struct Sweep {
    /// Only report; delete and change nothing
    #[arg(long)]
    pub(in crate::cli::call) dry_run: bool,
    /// Leave younger objects and uploads alone [default: the server's sweep.grace]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(in crate::cli::call) grace: Option<Duration>,
    /// Delete even if a table is not ACTIVE, or more than a tenth of the objects are orphans
    #[arg(long)]
    pub(in crate::cli::call) force: bool,
    /// Copy the objects of pointers that were copied from other items, so that each item owns its objects
    #[arg(long)]
    pub(in crate::cli::call) adopt: bool,
}
