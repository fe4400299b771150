//! `cargo bench-gateway`: what the gate costs, in one run, as tables with their goals. The gateway and the direct SDK
//! calls run in processes of their own, so that what is told of them is their CPU alone; the load comes from here.
//! Never part of what ships. Needs Linux: `/proc` tells CPU time and memory.

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

mod beside;
mod direct;
mod load;
mod process;
mod slow_keys;
mod start;
mod table;
mod trailers;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const USAGE: &str = "cargo bench-gateway [--quick] [--tollgate FILE] [beside|trailers|keys|start ...]

  --quick           a fifth of the rounds: to see that it runs, not to compare
  --tollgate FILE   the program that is measured; without it this one, which has the same server in it
  beside ...        only these parts; without any, all four";

/// How much is measured, and of what.
#[derive(Clone)]
struct Plan {
    /// The program that serves.
    program: PathBuf,
    /// How often each side has its turn.
    rounds: usize,
    /// How long a turn is.
    turn: Duration,
    /// Which parts; empty: all.
    parts: Vec<String>,
}

const PARTS: [&str; 4] = ["beside", "trailers", "keys", "start"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        // the program under measurement, where no other was named
        Some("serve") => tollgate::cli::main(),
        Some(direct::ROLE) => block_on(direct::run(&arguments[1..])),
        _ => match plan(arguments) {
            Some(plan) => block_on(measure(&plan)),
            None => {
                println!("{USAGE}");
                ExitCode::from(2)
            }
        },
    }
}

fn plan(arguments: Vec<String>) -> Option<Plan> {
    let program = std::env::current_exe().expect("a process knows its program");
    let mut plan = Plan {
        program,
        rounds: 10,
        turn: Duration::from_secs(2),
        parts: Vec::new(),
    };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => plan.rounds = 2,
            "--tollgate" => plan.program = arguments.next()?.into(),
            part if PARTS.contains(&part) => plan.parts.push(argument),
            _ => return None,
        }
    }
    Some(plan)
}

impl Plan {
    fn has(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|chosen| chosen == part)
    }
}

async fn measure(plan: &Plan) {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "tollgate {version}, {cores} cores; {callers} calls in flight on {connections} connections; \
         {rounds} turns of {turn:?} per side, sides in turn, medians",
        version = env!("CARGO_PKG_VERSION"),
        callers = load::CALLERS,
        connections = load::CONNECTIONS,
        rounds = plan.rounds,
        turn = plan.turn,
    );
    if cfg!(debug_assertions) {
        println!("this is a debug build: its figures mean nothing");
    }
    if plan.has("beside") {
        beside::measure(plan).await;
    }
    if plan.has("trailers") {
        trailers::measure(plan).await;
    }
    if plan.has("keys") {
        slow_keys::measure(plan).await;
    }
    if plan.has("start") {
        start::measure(plan).await;
    }
}

fn block_on(work: impl Future<Output = ()>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("threads start").block_on(work);
    ExitCode::SUCCESS
}
