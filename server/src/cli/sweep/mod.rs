//! `tollgate sweep`: removes objects that no item points to, and reports pointers to objects that do not exist.

mod report;
mod spool;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use super::{exit, for_aws};
use crate::app;
use crate::config::{Backend, Config};
use crate::model::Models;
use crate::sweep::{Counts, Error, Event, Mark, Sweep};

pub(super) use report::{Form, print};
pub(super) use spool::{Line, Spool};

/// Events that may wait to be written.
const EVENTS: usize = 64;

const HELP: &str = "\
Deletes objects that no item points to and that are older than the grace period, and aborts multipart uploads that nobody
completes, beside live traffic. Objects without the metadata of tollgate, or of tables that no model serves, are left
alone. Pointers to objects that do not exist are reported.

Exit codes:
  0  done; with --dry-run: nothing was found
  1  a request failed, or it was stopped: see the message
  2  wrong arguments, settings or models
  3  with --dry-run: something was found

With the embedded backend, which one process has locked, run it in the server: set sweep.every, or use
`tollgate call admin sweep`.";

/// The arguments of `sweep`.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(super) struct Args {
    /// Folder of the model files [default: the one that `serve` reads]
    #[arg(value_name = "MODELS-DIR")]
    folder: Option<PathBuf>,
    /// The backend [default: that of the settings]
    #[arg(long, value_name = "BACKEND")]
    backend: Option<String>,
    /// Settings file [default: tollgate.yaml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only report; delete and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Leave younger objects and uploads alone [default: sweep.grace]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    grace: Option<Duration>,
    /// Delete even if a table is not ACTIVE, or more than a tenth of the objects are orphans
    #[arg(long)]
    force: bool,
    /// Copy the objects of pointers that were copied from other items, so that each item owns its objects
    #[arg(long)]
    adopt: bool,
    /// Deletes a second, at most [default: sweep.rate]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// Keep the progress in this file, and go on from there if it exists; it is removed at the end
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Print everything that was found as one JSON object
    #[arg(long)]
    json: bool,
}

/// Sweeps and prints what was found.
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
        return exit::failure(
            "the embedded backend is swept by the server that has it open: set sweep.every, or run \
             `tollgate call admin sweep`; for AWS use --backend aws",
        );
    }
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(sweep(&config, models, args)),
        Err(error) => exit::failure(&format!("cannot start: {error}")),
    }
}

async fn sweep(config: &Config, models: Models, args: &Args) -> ExitCode {
    let mut sweep = match app::sweep(config, models).await {
        Ok(sweep) => sweep,
        Err(error) => return exit::failure(&error.to_string()),
    };
    let options = &mut sweep.options;
    options.dry_run = args.dry_run;
    options.force = args.force;
    options.adopt = args.adopt;
    options.grace = args.grace.unwrap_or(options.grace);
    options.rate = args.rate.unwrap_or(options.rate);
    let (mut spool, mark) = match Spool::open(args.checkpoint.as_deref()) {
        Ok(opened) => opened,
        Err(text) => return exit::wrong_to(&mut std::io::stderr().lock(), &text),
    };
    let counts = match swept(&sweep, mark, &mut spool).await {
        Ok(counts) => counts,
        Err(Failure::Sweep(error)) => return failure(&error, args),
        Err(Failure::Spool(text)) => return exit::failure(&text),
    };
    let form = if args.json { Form::Json } else { Form::Table };
    let printed = print(&mut spool, &counts, form, args.dry_run);
    if let Err(error) = printed
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        return exit::failure(&format!("cannot write the output: {error}"));
    }
    spool.end();
    let found = counts.orphans + counts.stray_uploads + counts.dangling;
    match args.dry_run && found > 0 {
        true => exit::found(""),
        false => ExitCode::SUCCESS,
    }
}

enum Failure {
    Sweep(Error),
    /// The file cannot be written.
    Spool(String),
}

async fn swept(sweep: &Sweep, mark: Option<Mark>, spool: &mut Spool) -> Result<Counts, Failure> {
    let (sender, mut events) = mpsc::channel(EVENTS);
    let progress = Progress::new();
    // its end drops the receiver, which stops the sweep
    let watch = async move {
        while let Some(event) = events.recv().await {
            match event {
                Event::Found(finding) => spool.add(&finding)?,
                Event::Progress { counts, mark } => {
                    progress.show(&counts);
                    if let Some(mark) = mark {
                        spool.mark(&mark)?;
                    }
                }
            }
        }
        Ok::<(), std::io::Error>(())
    };
    let (outcome, written) = tokio::join!(sweep.run(mark, sender), watch);
    written.map_err(|error| Failure::Spool(format!("cannot write the checkpoint: {error}")))?;
    outcome.map_err(Failure::Sweep)
}

fn failure(error: &Error, args: &Args) -> ExitCode {
    let mut text = match error {
        Error::Store(cause) => format!("{cause}: {}", cause.cause),
        Error::NotActive { .. } | Error::TooManyOrphans { .. } => format!("{error} (--force)"),
        Error::Grace { .. } | Error::OtherSweep | Error::Stopped => error.to_string(),
    };
    match error {
        Error::Grace { .. } | Error::OtherSweep => exit::wrong_to(&mut std::io::stderr().lock(), &text),
        Error::NotActive { .. } | Error::TooManyOrphans { .. } | Error::Stopped | Error::Store(_) => {
            if args.checkpoint.is_some() {
                text.push_str("; run it again with the same --checkpoint to go on");
            }
            exit::failure(&text)
        }
    }
}

/// The sums so far, in a line that changes on a terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new() -> Progress {
        let style = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        Progress(ProgressBar::new_spinner().with_style(style))
    }

    pub(super) fn show(&self, counts: &Counts) {
        self.0.set_message(format!(
            "{} objects, {} orphans, {} deleted, {} stray uploads, {} pointers, {} dangling",
            counts.objects,
            counts.orphans,
            counts.deleted,
            counts.stray_uploads,
            counts.pointers,
            counts.dangling
        ));
        self.0.tick();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
