//! `tollgate provision`: creates the tables, buckets and keys that models need and that are missing, and prints how the
//! existing ones differ. Changes and deletes nothing that exists.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;

use super::{exit, for_aws};
use crate::app;
use crate::aws::reconcile::{Options, Resource, apply, compare};
use crate::config::{Backend, Config};
use crate::model::Models;

const HELP: &str = "\
Lines that begin with + show what the models need, lines that begin with - what exists instead. Missing tables, global
indexes, time to live and buckets are created; nothing that exists is changed or deleted. It can be repeated: a run that
was interrupted is continued by the next.

Exit codes:
  0  everything is as the models need it, or was created
  1  a request failed
  2  wrong arguments, settings or models
  3  something differs that it does not change; with --dry-run also: something is missing";

/// The arguments of `provision`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// Folder of the model files [default: the one that `serve` reads]
    #[arg(value_name = "MODELS-DIR")]
    folder: Option<PathBuf>,
    /// The backend: aws, or embedded, which provisions itself [default: that of the settings]
    #[arg(long, value_name = "BACKEND")]
    backend: Option<String>,
    /// Settings file [default: tollgate.yaml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print what would be created and what differs; create nothing
    #[arg(long)]
    dry_run: bool,
    /// Create missing KMS keys that the models name by alias
    #[arg(long)]
    keys: bool,
    /// Enable point-in-time recovery of all tables
    #[arg(long)]
    point_in_time_recovery: bool,
    /// How long to wait for each table and its indexes
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Compares, prints the differences, and creates what is missing.
pub(super) fn run(args: &Args) -> ExitCode {
    let loaded = for_aws::load(
        args.backend.as_deref(),
        args.config.as_deref(),
        args.folder.as_deref(),
    );
    let (config, models) = match loaded {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    if config.backend == Backend::Embedded {
        exit::note("the embedded backend provisions itself when it starts; for AWS use --backend aws");
        return ExitCode::SUCCESS;
    }
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(provision(&config, &models, args)),
        Err(error) => exit::failure(&format!("cannot start: {error}")),
    }
}

async fn provision(config: &Config, models: &Models, args: &Args) -> ExitCode {
    let stores = match app::connect(config).await {
        Ok(stores) => stores,
        Err(error) => return exit::failure(&error.to_string()),
    };
    let options = Options {
        keys: args.keys,
        point_in_time_recovery: args.point_in_time_recovery,
        timeout: args.timeout,
    };
    let resources = compare(&stores, models, &options).await;
    exit::print(&diff(&resources));
    let unknown = resources
        .iter()
        .filter_map(|resource| Some((resource.name.clone(), resource.failure.clone()?)));
    let mut failures: Vec<(String, String)> = unknown.collect();
    if !args.dry_run {
        let progress = Progress::new();
        let report = |what: &str, elapsed| progress.report(what, elapsed);
        failures.extend(apply(&stores, &resources, &options, &report).await);
        progress.end();
    }
    for (name, failure) in &failures {
        exit::note(&format!("{name}: {failure}"));
    }
    if !failures.is_empty() {
        return exit::failure(&format!("{} of them failed", failures.len()));
    }
    let (missing, manual) = count(&resources);
    let summary = summary(missing, manual, args.dry_run);
    match manual > 0 || (args.dry_run && missing > 0) {
        true => exit::found(&summary),
        false => exit::print(&summary),
    }
}

/// How many differences are removed by this program, and how many are not.
fn count(resources: &[Resource<'_>]) -> (usize, usize) {
    let differences = || resources.iter().flat_map(|resource| &resource.differences);
    let manual = differences()
        .filter(|difference| difference.reason().is_some())
        .count();
    (differences().count() - manual, manual)
}

fn summary(missing: usize, manual: usize, dry_run: bool) -> String {
    let added = if dry_run { "to add" } else { "added" };
    match (missing, manual) {
        (0, 0) => "nothing to do\n".to_owned(),
        (missing, 0) => format!("{missing} {added}\n"),
        (missing, manual) => format!("{missing} {added}, {manual} to change by hand\n"),
    }
}

/// Every resource that differs: what exists, what the models need, and why it is not changed.
fn diff(resources: &[Resource<'_>]) -> String {
    let mut text = String::new();
    for resource in resources {
        if resource.differences.is_empty() && resource.unused.is_empty() {
            continue;
        }
        text.push_str(&format!("{}\n", resource.name));
        for difference in &resource.differences {
            let found = difference.found.iter().map(|line| format!("- {line}\n"));
            let wanted = difference.wanted.iter().map(|line| format!("+ {line}\n"));
            let reason = difference.reason().map(|reason| format!("  ({reason})\n"));
            text.extend(found.chain(wanted).chain(reason));
        }
        let unused = resource.unused.iter();
        text.extend(unused.map(|line| format!("  {line} (used by no model)\n")));
        text.push('\n');
    }
    text
}

/// What is being done: a line that changes on a terminal, otherwise a line for each new text.
struct Progress {
    bar: ProgressBar,
    printed: Mutex<BTreeSet<String>>,
}

impl Progress {
    fn new() -> Progress {
        let style = ProgressStyle::with_template("{spinner} {wide_msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        Progress {
            bar: ProgressBar::new_spinner().with_style(style),
            printed: Mutex::default(),
        }
    }

    fn report(&self, what: &str, elapsed: Duration) {
        if self.bar.is_hidden() {
            if self.printed.lock().insert(what.to_owned()) {
                exit::note(what);
            }
            return;
        }
        self.bar.set_message(format!("{what} ({} s)", elapsed.as_secs()));
        self.bar.tick();
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_what_was_added_and_what_is_left() {
        assert_eq!(summary(0, 0, false), "nothing to do\n");
        assert_eq!(summary(2, 0, false), "2 added\n");
        assert_eq!(summary(2, 0, true), "2 to add\n");
        assert_eq!(summary(0, 1, false), "0 added, 1 to change by hand\n");
    }
}
