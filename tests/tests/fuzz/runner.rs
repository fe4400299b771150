//! Runs the cases of each target until one fails, all are done, or the time is over.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::input::Input;
use super::{Outcome, Target};

/// Cases that a thread takes at once.
const BLOCK: u64 = 16;

/// How much is run.
pub(crate) struct Plan {
    /// The seed of the first case; those after it have the next ones.
    pub(crate) seed: u64,
    cases: u64,
    time: Option<Duration>,
    cores: Cores,
}

/// Which cores a target runs on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    /// All of them: one target after the other.
    All,
    /// One: as many targets at once as there are cores.
    One,
}

/// The first case that failed.
struct Failure {
    seed: u64,
    message: String,
}

/// What all threads work on.
struct Run<'a> {
    target: &'a Target,
    plan: &'a Plan,
    begun: Instant,
    next: AtomicU64,
    done: AtomicU64,
    accepted: AtomicU64,
    is_over: AtomicBool,
    failure: Mutex<Option<Failure>>,
}

thread_local! {
    /// The message of the last panic of this thread.
    static MESSAGE: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Plan {
    /// Runs so many cases of each target, or each for so long.
    pub(crate) fn new(seed: u64, cases: Option<u64>, time: Option<Duration>, cores: Cores) -> Plan {
        Plan {
            seed,
            cases: cases.unwrap_or(u64::MAX),
            time,
            cores,
        }
    }
}

/// Runs the targets and prints a line about each. Returns how many failed.
pub(crate) fn run(targets: &[Target], plan: &Plan) -> usize {
    let standard = panic::take_hook();
    panic::set_hook(Box::new(|info| {
        MESSAGE.with_borrow_mut(|message| *message = info.to_string());
    }));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let (targets_at_once, threads_of_each) = match plan.cores {
        Cores::All => (1, cores),
        Cores::One => (cores, 1),
    };
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..targets_at_once {
            scope.spawn(|| {
                while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let is_failed = !run_one(target, plan, threads_of_each);
                    failed.fetch_add(usize::from(is_failed), Ordering::Relaxed);
                }
            });
        }
    });
    panic::set_hook(standard);
    failed.into_inner()
}

/// Runs a target and prints a line about it. Returns whether all cases passed.
fn run_one(target: &Target, plan: &Plan, threads: usize) -> bool {
    let run = Run {
        target,
        plan,
        begun: Instant::now(),
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        accepted: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
        failure: Mutex::new(None),
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| run.work());
        }
    });
    let failure = run.failure.lock().take();
    let notes = failure.as_ref().map(|failure| run.notes(failure.seed));
    run.report(failure.as_ref(), &notes.unwrap_or_default())
}

impl Run<'_> {
    fn work(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(BLOCK, Ordering::Relaxed);
            let last = first.saturating_add(BLOCK).min(self.plan.cases);
            if first >= last || self.plan.time.is_some_and(|time| self.begun.elapsed() >= time) {
                return;
            }
            for case in first..last {
                self.case(self.plan.seed.wrapping_add(case));
            }
            self.done.fetch_add(last - first, Ordering::Relaxed);
        }
    }

    fn case(&self, seed: u64) {
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            (self.target.run)(&mut Input::new(seed, false))
        }));
        match outcome {
            Ok(Outcome::Accepted) => _ = self.accepted.fetch_add(1, Ordering::Relaxed),
            Ok(Outcome::Refused) => {}
            Err(_) => {
                self.is_over.store(true, Ordering::Relaxed);
                let message = MESSAGE.take();
                self.failure.lock().get_or_insert(Failure { seed, message });
            }
        }
    }

    /// The input of a case that fails.
    fn notes(&self, seed: u64) -> Vec<String> {
        let mut input = Input::new(seed, true);
        let again = panic::catch_unwind(AssertUnwindSafe(|| (self.target.run)(&mut input)));
        let mut notes = input.into_notes();
        if again.is_ok() {
            notes.push("the same input passed when it was run again".to_owned());
        }
        notes
    }

    fn report(&self, failure: Option<&Failure>, notes: &[String]) -> bool {
        let name = self.target.name;
        let (done, accepted) = (
            self.done.load(Ordering::Relaxed),
            self.accepted.load(Ordering::Relaxed),
        );
        let rate = done as f64 / self.begun.elapsed().as_secs_f64();
        let share = 100.0 * accepted as f64 / done.max(1) as f64;
        let line = format!("fuzz {name}: {done} cases, {share:.0} % accepted, {rate:.0} per second");
        let Some(Failure { seed, message }) = failure else {
            println!("{line}");
            return true;
        };
        let notes = notes.join("\n  ");
        // in one piece: other targets print too
        println!(
            "{line}\nFAILED: {message}\n  {notes}\nrepeat: cargo test --workspace --test fuzz -- {name} --seed {seed} --cases 1"
        );
        false
    }
}
