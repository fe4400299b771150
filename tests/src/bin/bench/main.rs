//! `cargo bench-gateway`: what the gate costs, in one run, as tables with their goals. The gateway and the direct SDK
//! calls run in separate processes, so that only their CPU time is counted; the load comes from here.
//! Never part of what ships. Needs Linux: its clocks tell CPU time, `/proc` memory.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod allocations;
mod batches;
mod beside;
mod big_scan;
mod cache;
mod canned;
mod direct;
mod direct_many;
mod direct_objects;
mod growth;
mod growth_objects;
mod identity;
mod latency;
mod link;
mod load;
mod loops;
mod many;
mod memory;
mod model_folder;
mod naive;
mod object_stores;
mod objects;
mod overload;
mod pair;
mod process;
mod program;
mod sized;
mod slow_keys;
mod start;
mod sweep;
mod table;
mod telemetry;
mod trailers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use process::Cores;

const USAGE: &str = "cargo bench-gateway [--quick] [--callers N] [--tollgate FILE] [--bare FILE] [--counting FILE] [--collector URL] \
[beside|batches|scan|objects|trailers|telemetry|keys|cache|latency|memory|growth|allocations|start|sweep|overload|identity ...]

  --quick           a fifth of the rounds: to see that it runs, not to compare
  --callers N       calls in flight, 64 where nothing is said
  --tollgate FILE   the program that is measured; without it `tollgate` is built, in this benchmark's own profile
  --bare FILE       the same program without telemetry; without it that is built too, where it is needed
  --counting FILE   the program `allocations`, which counts them; without it that is built, where it is needed
  --collector URL   the OTLP collector that everything is exported to, over gRPC; without it one in this process
  beside ...        only these parts; without any, all of them";

/// How much is measured, and of what.
#[derive(Clone)]
struct Plan {
    /// The program that serves.
    program: PathBuf,
    /// The same, built without telemetry; empty where no part needs it.
    bare_program: PathBuf,
    /// The program that counts its allocations; empty where no part needs it.
    counting_program: PathBuf,
    /// Where to export to; none: to this process.
    collector: Option<String>,
    /// Calls in flight.
    callers: usize,
    /// How often each side has its turn.
    rounds: usize,
    /// How long a turn is.
    turn: Duration,
    /// Which parts; empty: all.
    parts: Vec<String>,
}

const PARTS: [&str; 16] = [
    "beside",
    "batches",
    "scan",
    "objects",
    "trailers",
    "telemetry",
    "keys",
    "cache",
    "latency",
    "memory",
    "growth",
    "allocations",
    "start",
    "sweep",
    "overload",
    "identity",
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(direct::ROLE) => block_on(direct::run(&arguments[1..])),
        Some(naive::ROLE) => block_on(naive::run(&arguments[1..])),
        _ => match plan(arguments) {
            Some(plan) => {
                introduce(&plan);
                process::bind_self(Cores::Others);
                block_on(measure(&plan))
            }
            None => {
                println!("{USAGE}");
                ExitCode::from(2)
            }
        },
    }
}

fn plan(arguments: Vec<String>) -> Option<Plan> {
    let (mut program, mut bare_program, mut counting_program) = (None, None, None);
    let mut plan = Plan {
        program: PathBuf::new(),
        bare_program: PathBuf::new(),
        counting_program: PathBuf::new(),
        collector: None,
        callers: 64,
        rounds: 10,
        turn: Duration::from_secs(2),
        parts: Vec::new(),
    };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => plan.rounds = 2,
            "--callers" => plan.callers = arguments.next()?.parse().ok()?,
            "--tollgate" => program = Some(path(&arguments.next()?)),
            "--bare" => bare_program = Some(path(&arguments.next()?)),
            "--counting" => counting_program = Some(path(&arguments.next()?)),
            "--collector" => plan.collector = Some(arguments.next()?),
            part if PARTS.contains(&part) => plan.parts.push(argument),
            _ => return None,
        }
    }
    if plan.has("telemetry") {
        plan.bare_program = bare_program.unwrap_or_else(program::build_bare);
    }
    if plan.has("allocations") {
        plan.counting_program = counting_program.unwrap_or_else(program::build_counting);
    }
    plan.program = program.unwrap_or_else(program::build);
    Some(plan)
}

/// Seen from here: programs are started in another folder.
fn path(text: &str) -> PathBuf {
    std::path::absolute(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

impl Plan {
    fn has(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|chosen| chosen == part)
    }
}

fn introduce(plan: &Plan) {
    println!(
        "{program}, version {version}, {cores} cores; {callers} calls in flight on {connections} connections; \
         {rounds} turns of {turn:?} per side, sides in turn, medians; what is measured per call has one core to itself",
        program = plan.program.display(),
        version = env!("CARGO_PKG_VERSION"),
        cores = process::core_count(),
        callers = plan.callers,
        connections = load::CONNECTIONS,
        rounds = plan.rounds,
        turn = plan.turn,
    );
    if cfg!(debug_assertions) {
        println!("this is a debug build: its figures mean nothing");
    }
}

async fn measure(plan: &Plan) {
    if plan.has("beside") {
        beside::measure(plan).await;
    }
    if plan.has("batches") {
        batches::measure(plan).await;
    }
    if plan.has("scan") {
        big_scan::measure(plan).await;
    }
    if plan.has("objects") {
        objects::measure(plan).await;
    }
    if plan.has("trailers") {
        trailers::measure(plan).await;
    }
    if plan.has("telemetry") {
        telemetry::measure(plan).await;
    }
    if plan.has("keys") {
        slow_keys::measure(plan).await;
    }
    if plan.has("cache") {
        cache::measure(plan).await;
    }
    if plan.has("latency") {
        latency::measure(plan).await;
    }
    if plan.has("memory") {
        memory::measure(plan).await;
    }
    if plan.has("growth") {
        growth::measure(plan).await;
    }
    if plan.has("allocations") {
        allocations::measure(plan).await;
    }
    if plan.has("start") {
        start::measure(plan).await;
    }
    if plan.has("sweep") {
        Box::pin(sweep::measure(plan)).await;
    }
    if plan.has("overload") {
        overload::measure(plan).await;
    }
    if plan.has("identity") {
        Box::pin(identity::measure(plan)).await;
    }
}

fn block_on(work: impl Future<Output = ()>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("threads start").block_on(work);
    ExitCode::SUCCESS
}
