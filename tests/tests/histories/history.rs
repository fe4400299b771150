//! Runs one history: step by step, with the stores looked at after each, and everything read through the server at the end.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use futures::future::{join_all, select};
use tollgate_proto::v1;
use tollgate_tests::counted::compare_with_stores;
use tollgate_tests::figures::Figures;

use super::calls::Caller;
use super::content::Slot;
use super::faults::Weather;
use super::plan::{Call, ITEMS, Model, Plan, Step};
use super::process::{Killed, Process};
use super::state::{Event, World, possible};
use super::store::Store;
use super::sweeping::{Found, sweep};

/// What work may take that goes on when its callers have left: the deadline of a call, the grace of a commit, and its reads.
const SETTLE: Duration = Duration::from_secs(120);
/// The callers of a step begin within this time.
const STAGGER_MS: u64 = 7;

/// What a history came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Report {
    pub(crate) calls: u64,
    pub(crate) requests: u64,
    pub(crate) kills: u64,
    pub(crate) unreferenced: u64,
}

/// A history that is under way.
struct History<'a> {
    plan: &'a Plan,
    store: &'a Store,
    models: &'a Path,
    log: bool,
    process: Process,
    partitions: Vec<String>,
    world: World,
    report: Report,
}

/// Runs the history of a seed. Prints what happens if `log` is set.
///
/// # Errors
///
/// What is wrong.
pub(crate) fn run(plan: &Plan, store: &Store, models: &Path, log: bool) -> Result<Report, String> {
    let mut history = History {
        plan,
        store,
        models,
        log,
        process: Process::start(store, models, log),
        partitions: (0..ITEMS).map(|item| plan.partition(item)).collect(),
        world: vec![None; ITEMS],
        report: Report::default(),
    };
    for (number, step) in plan.steps.iter().enumerate() {
        history
            .step(number, step)
            .map_err(|what| format!("step {number}: {what}\n{step:?}"))?;
    }
    history.read_all()?;
    history.look_for_orphans()?;
    store.clear(&plan.items());
    Ok(history.report)
}

impl History<'_> {
    fn step(&mut self, number: usize, step: &Step) -> Result<(), String> {
        for call in &step.calls {
            if let Call::Copy { item, .. } = call {
                self.store.copy_pointers(self.plan.model, &self.partitions[*item]);
            }
        }
        let (partitions, is_alone) = (self.partitions.clone(), step.calls.len() == 1);
        let callers = step.calls.iter().enumerate().map(|(index, call)| {
            let request_id = format!("r{}-{number}-{index}", self.plan.seed);
            Caller::new(
                call,
                self.plan.model,
                &partitions,
                request_id,
                is_alone,
                self.plan.streams(),
            )
            .in_weather(&step.weather)
        });
        let callers: Vec<_> = callers.collect();
        self.report.calls += callers.len() as u64;
        self.process.network().set_weather(step.weather.clone());
        self.say(|| format!("step {number}: {step:?}"));
        let ended = self.process.run(all(&self.process, &callers), SETTLE);
        self.process.network().set_weather(Weather::calm(0));
        match ended {
            Ok(()) => self.compare_bills()?,
            Err(Killed) => self.restart(&callers)?,
        }
        self.say_log();
        let (mut events, mut wrong) = (Vec::new(), Vec::new());
        for caller in callers {
            let known = caller.known.into_inner();
            events.extend(known.events);
            wrong.extend(known.wrong);
        }
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        self.observe(&events)
    }

    /// Starts the server again, and repeats the calls that may be repeated.
    fn restart(&mut self, callers: &[Caller<'_>]) -> Result<(), String> {
        self.report.kills += 1;
        self.say_log();
        self.process = Process::start(self.store, self.models, self.log);
        let open = callers
            .iter()
            .filter(|caller| caller.is_repeatable() && caller.is_open());
        let open: Vec<_> = open.collect();
        let again = async {
            for caller in open {
                caller.run(&self.process).await;
            }
        };
        let again = self.process.run(again, SETTLE);
        again.map_err(|Killed| "killed in calm weather".to_owned())
    }

    /// What the stores hold is a state that the events lead to.
    fn observe(&mut self, events: &[Event]) -> Result<(), String> {
        let observed: Result<World, String> = self
            .partitions
            .iter()
            .map(|partition| self.store.read(self.plan.model, partition))
            .collect();
        let observed = observed.map_err(|what| format!("{what}\nafter {events:?}"))?;
        let possible = possible(&self.world, events);
        if !possible.contains(&observed) {
            return Err(format!(
                "the items are\n{observed:?}\nbefore\n{:?}\nafter {events:?}\npossible {possible:?}",
                self.world
            ));
        }
        self.world = observed;
        Ok(())
    }

    /// The totals of the server are what arrived at the stores.
    fn compare_bills(&mut self) -> Result<(), String> {
        let mut metrics = self.process.metrics();
        let request = v1::GetTotalMetricsRequest::default();
        let totals = self
            .process
            .run(metrics.get_total_metrics(request), Duration::ZERO);
        let totals = totals.map_err(|Killed| "killed in calm weather".to_owned())?;
        let totals = totals.map_err(|status| status.to_string())?.into_inner().total;
        let totals = Figures::from_metrics(&totals.unwrap_or_default());
        self.report.requests = self.process.wiretap().counts().values().sum();
        compare_with_stores(self.process.wiretap(), &totals)
    }

    /// Every item reads through the server as the stores hold it.
    fn read_all(&mut self) -> Result<(), String> {
        for item in 0..ITEMS {
            let mut reads = vec![Call::Get { item }];
            reads.extend(Slot::ALL.map(|slot| Call::Download {
                item,
                slot,
                offset: 0,
            }));
            let callers = reads.iter().map(|call| {
                Caller::new(
                    call,
                    self.plan.model,
                    &self.partitions,
                    String::new(),
                    true,
                    false,
                )
            });
            let callers: Vec<_> = callers.collect();
            let read = self.process.run(all(&self.process, &callers), Duration::ZERO);
            read.map_err(|Killed| "killed in calm weather".to_owned())?;
            for caller in callers {
                let known = caller.known.into_inner();
                let is_right =
                    !known.events.is_empty() && possible(&self.world, &known.events).contains(&self.world);
                if !known.wrong.is_empty() || !is_right {
                    return Err(format!("item {item} does not read: {known:?}\n{:?}", self.world));
                }
            }
        }
        self.compare_bills()
    }

    /// Without faults, no object is left behind. With them, a sweep finds what was.
    fn look_for_orphans(&mut self) -> Result<(), String> {
        let (unreferenced, uploads) = self.store.unreferenced(&self.plan.items());
        let expected = Found {
            orphans: unreferenced.clone(),
            uploads,
            ..Found::default()
        };
        let partitions = self.partitions.iter();
        let folders: Vec<_> = partitions
            .map(|partition| format!("{}{partition}/", self.plan.model.prefix()))
            .collect();
        let sweeping = sweep(&self.process, &folders, Model::Copied.table());
        let found = self.process.run(sweeping, Duration::ZERO);
        let found = found.map_err(|Killed| "killed in calm weather".to_owned())?;
        let found = found.map_err(|status| status.to_string())?;
        if found != expected {
            return Err(format!("a sweep found {found:?} of {expected:?}"));
        }
        self.report.unreferenced = unreferenced.len() as u64;
        if self.plan.is_calm() && (!unreferenced.is_empty() || uploads > 0) {
            return Err(format!(
                "without a fault, these were left: {unreferenced:?}, {uploads} uploads"
            ));
        }
        Ok(())
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.log {
            println!("{}", what());
        }
    }

    fn say_log(&self) {
        for line in self.process.network().take_log() {
            println!("  {line}");
        }
    }
}

/// All callers at once, until all are done or they leave.
async fn all(process: &Process, callers: &[Caller<'_>]) {
    let calls = callers.iter().enumerate().map(|(index, caller)| async move {
        tokio::time::sleep(Duration::from_millis(index as u64 * STAGGER_MS)).await;
        caller.run(process).await;
    });
    select(pin!(process.network().departure()), pin!(join_all(calls))).await;
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Report) {
        self.calls += other.calls;
        self.requests += other.requests;
        self.kills += other.kills;
        self.unreferenced += other.unreferenced;
    }
}
