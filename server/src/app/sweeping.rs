//! The sweeper as the settings describe it, and its runs in the background.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::error::Error;
use super::settings;
use crate::aws::{self, Stores};
use crate::billing::{Accounting, Ledger, Opening, Owner, Prices};
use crate::call::{self, Call};
use crate::config::Config;
use crate::figure::Rpc;
use crate::model::{Models, Served};
#[cfg(feature = "telemetry")]
use crate::sweep::History;
use crate::sweep::{Counts, Error as SweepError, Event, Finding, Options, Sweep, Sweeper};
use crate::telemetry::CallTrace;
#[cfg(feature = "telemetry")]
use crate::telemetry::SweepFigures;

/// The first run in the background begins within this part of `sweep.every`, at random, so that replicas that start together
/// do not sweep together.
const FIRST_PART: u32 = 10;

/// The options of the settings.
pub(super) fn options(config: &Config) -> Options {
    settings::sweep(config)
}

/// The sweeper of this process.
///
/// # Errors
///
/// `sweep.every` is set, and `sweep.grace` is too short to delete.
pub(super) fn sweeper(
    config: &Config,
    stores: Stores,
    served: Served,
    prices: Prices,
) -> Result<Sweeper, Error> {
    let options = options(config);
    if config.sweep.every.is_some() {
        options
            .check()
            .map_err(|error| Error::Sweep(format!("sweep.{error}")))?;
    }
    Ok(Sweeper::new(stores, served, separate_call(prices), options))
}

/// A sweep that runs outside of a server.
///
/// # Errors
///
/// The settings are incomplete; nothing is sent.
pub async fn sweep(config: &Config, models: Models) -> Result<Sweep, Error> {
    let stores = Stores::from_environment(&settings::aws(config), |connectors| connectors).await?;
    Ok(Sweep {
        stores,
        models,
        options: options(config),
        call: separate_call(Prices::shipped()),
    })
}

/// The call that sweeps are counted in: apart from those of callers, whose bills and totals they are no part of.
fn separate_call(prices: Prices) -> Call {
    let accounting = Arc::new(Accounting::new(crate::billing::Bounds::default(), prices));
    let opening = Opening {
        owner: Owner::EVERYONE,
        account: None,
        rpc: Rpc::Unknown,
        request_id: None,
        session: None,
    };
    Call::new(Ledger::open(&accounting, &opening), CallTrace::off(), call::now())
}

/// What the sweeps of this process did.
#[cfg(feature = "telemetry")]
pub(super) fn figures(sweeper: &Sweeper) -> SweepFigures {
    let History {
        succeeded,
        failed,
        deleted,
        aborted,
        last,
    } = sweeper.history();
    SweepFigures {
        succeeded,
        failed,
        deleted,
        aborted,
        orphans: last.orphans,
        stray_uploads: last.stray_uploads,
        dangling: last.dangling,
        bytes: last.bytes(),
    }
}

/// Sweeps again and again until it is dropped, which is safe at any time.
pub(super) async fn run_every(sweeper: Sweeper, every: Duration) {
    let first = every / FIRST_PART;
    let random = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX);
    tokio::time::sleep(first.mul_f64(random)).await;
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        run_once(&sweeper).await;
    }
}

async fn run_once(sweeper: &Sweeper) {
    let Some(begun) = sweeper.begin(sweeper.options().clone()) else {
        return info!("a sweep is in progress already");
    };
    let begun_at = Instant::now();
    let (mut events, run) = begun.split(None);
    let watch = async {
        while let Some(event) = events.recv().await {
            if let Event::Found(Finding::Dangling { table, attribute, .. }) = event {
                warn!(table, attribute, "a pointer to an object that does not exist");
            }
        }
    };
    let (outcome, ()) = tokio::join!(run, watch);
    match outcome {
        Ok(counts) => log(&counts, begun_at.elapsed()),
        Err(error) => log_failure(&error),
    }
}

fn log(counts: &Counts, took: Duration) {
    info!(
        objects = counts.objects,
        deleted = counts.deleted,
        aborted = counts.aborted,
        bytes = counts.bytes(),
        pointers = counts.pointers,
        dangling = counts.dangling,
        elapsed_ms = took.as_millis() as u64,
        "swept"
    );
}

fn log_failure(error: &SweepError) {
    match error {
        SweepError::Store(cause) => log_store_failure(cause),
        SweepError::Grace { .. }
        | SweepError::NotActive { .. }
        | SweepError::TooManyOrphans { .. }
        | SweepError::OtherSweep
        | SweepError::Stopped => warn!(%error, "a sweep was stopped"),
    }
}

fn log_store_failure(cause: &aws::Error) {
    warn!(
        service = cause.service_name(),
        operation = cause.operation.name(),
        endpoint = cause.endpoint(),
        aws_request_id = cause.request_id.as_deref(),
        cause = cause.cause,
        check = cause.check(),
        "a sweep failed"
    );
}
