//! Randomised histories of calls on items with objects, with faults at every request to a store and servers that are killed.
//! After each step the stores hold what some order of its calls leads to, each pointer leads to a whole object of its item,
//! and the bills are what arrived. Each history follows from its seed and can be repeated.
//!
//! ```text
//! cargo test --workspace --test histories -- [--seed N] [--cases N]
//! ```
//!
//! Without arguments a share of them runs; `--seed` alone runs one history and prints all of it. The order of the requests
//! that a call sends concurrently, and the waits of the SDK, do not follow from the seed.

#![allow(clippy::print_stdout, reason = "a program whose output is its report")]

mod calls;
mod content;
mod faults;
mod history;
mod network;
mod plan;
mod process;
mod requests;
mod state;
mod store;
mod sweeping;

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use history::Report;
use parking_lot::Mutex;
use plan::{MODELS, Plan};
use store::Store;

/// Histories of every test run.
const CASES: u64 = 40;
/// Histories that share a store.
const BLOCK: u64 = 25;
/// Failures after which no further history begins.
const MOST_FAILURES: u64 = 10;

/// What runs.
struct Choice {
    seed: u64,
    cases: u64,
    /// Prints everything.
    log: bool,
}

/// What all threads work on.
struct Run {
    choice: Choice,
    next: AtomicU64,
    total: Mutex<Report>,
    failures: AtomicU64,
}

fn main() -> ExitCode {
    let Some(choice) = arguments(std::env::args().skip(1)) else {
        println!("histories [--seed N] [--cases N]");
        return ExitCode::from(2);
    };
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("models.yaml"), MODELS).expect("it is written");
    let begun = Instant::now();
    let run = Run {
        choice,
        next: AtomicU64::new(0),
        total: Mutex::default(),
        failures: AtomicU64::new(0),
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| run.work(folder.path()));
        }
    });
    run.report(begun.elapsed().as_secs_f64())
}

impl Run {
    fn work(&self, models: &Path) {
        loop {
            let first = self.next.fetch_add(BLOCK, Ordering::Relaxed);
            if first >= self.choice.cases || self.failures.load(Ordering::Relaxed) >= MOST_FAILURES {
                return;
            }
            let store = Store::open();
            for case in first..(first + BLOCK).min(self.choice.cases) {
                self.case(self.choice.seed.wrapping_add(case), &store, models);
            }
        }
    }

    fn case(&self, seed: u64, store: &Store, models: &Path) {
        let plan = Plan::new(seed);
        let ended = panic::catch_unwind(AssertUnwindSafe(|| {
            history::run(&plan, store, models, self.choice.log)
        }));
        match ended {
            Ok(Ok(report)) => *self.total.lock() += report,
            Ok(Err(what)) => self.fail(seed, &what),
            Err(_) => self.fail(seed, "a panic"),
        }
    }

    fn fail(&self, seed: u64, what: &str) {
        println!("FAILED, seed {seed}: {what}");
        println!("repeat: cargo test --workspace --test histories -- --seed {seed}");
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    fn report(&self, seconds: f64) -> ExitCode {
        let failures = self.failures.load(Ordering::Relaxed);
        let (total, Choice { seed, cases, .. }) = (self.total.lock(), &self.choice);
        println!(
            "histories: {cases} from seed {seed} in {seconds:.1} s, {failures} failed; {} calls, {} requests, {} kills, \
             {} objects left for a sweep",
            total.calls, total.requests, total.kills, total.unreferenced
        );
        ExitCode::from(u8::from(failures > 0))
    }
}

/// Ignores the options of the standard test harness, which `cargo test` passes to all tests; none if an option is invalid.
fn arguments(mut arguments: impl Iterator<Item = String>) -> Option<Choice> {
    let (mut seed, mut cases) = (None, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seed" => seed = Some(arguments.next()?.parse().ok()?),
            "--cases" => cases = Some(arguments.next()?.parse().ok()?),
            "--skip" | "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => {
                drop(arguments.next());
            }
            "--list" => cases = Some(0),
            option if option.starts_with('-') => {}
            name if "histories".contains(name) => {}
            // another test is meant
            _ => cases = Some(0),
        }
    }
    Some(Choice {
        log: seed.is_some() && cases.is_none(),
        cases: cases.unwrap_or(if seed.is_some() { 1 } else { CASES }),
        seed: seed.unwrap_or(1),
    })
}
