//! Fuzzing: random inputs, most of them nearly valid, for whatever reads texts and bytes from outside. Beside that nothing
//! panics, it checks what must be true of every input. Each case follows from its seed and can be repeated.
//!
//! ```text
//! cargo test --workspace --test fuzz -- [TARGET ...] [--seed N] [--cases N] [--seconds N | --seconds-each N]
//! ```
//!
//! Without arguments all targets together run for a second. With `--seconds-each`, every target runs for so long on one core,
//! as many at once as there are cores.

#![allow(clippy::print_stdout, reason = "a program whose output is its report")]

mod callers;
mod conversions;
mod documents;
mod expressions;
mod files;
mod grammar;
mod input;
mod model_files;
mod models;
mod mutation;
mod runner;
mod sealed_objects;
mod stored;
mod templates;
mod tree;
mod upload_tokens;
mod values;

use std::process::ExitCode;
use std::time::Duration;

use input::Input;
use runner::{Cores, Plan};

/// What became of one input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was valid.
    Accepted,
    /// It was refused.
    Refused,
}

/// What is fuzzed.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    /// The name, as arguments have it.
    pub(crate) name: &'static str,
    /// Runs one case; panics if something is wrong.
    pub(crate) run: fn(&mut Input) -> Outcome,
}

// add-a-parser: add its target; `.ci/run` runs each of them for a minute
const TARGETS: [Target; 21] = [
    target("conditions", expressions::conditions),
    target("key_conditions", expressions::key_conditions),
    target("updates", expressions::updates),
    target("projections", expressions::projections),
    target("templates", templates::templates),
    target("models", model_files::models),
    target("conversions", conversions::conversions),
    target("numbers", conversions::numbers),
    target("envelopes", stored::envelopes),
    target("item_seals", stored::item_seals),
    target("compressed", stored::compressed),
    target("sealed_objects", sealed_objects::sealed_objects),
    target("tokens", stored::tokens),
    target("upload_tokens", upload_tokens::upload_tokens),
    target("jwts", callers::jwts),
    target("key_sets", callers::key_sets),
    target("bearer_files", callers::token_files),
    target("certificates", callers::certificates),
    target("policies", files::policies),
    target("settings", files::settings),
    target("audit_logs", files::audit_logs),
];

const fn target(name: &'static str, run: fn(&mut Input) -> Outcome) -> Target {
    Target { name, run }
}

/// How long all targets together run, if the arguments do not say.
const SECONDS: f64 = 1.0;

fn main() -> ExitCode {
    let Some((plan, targets)) = arguments(std::env::args().skip(1)) else {
        println!(
            "fuzz [TARGET ...] [--seed N] [--cases N of each target] [--seconds N in all | --seconds-each N]"
        );
        return ExitCode::from(2);
    };
    let failed = runner::run(&targets, &plan);
    println!(
        "fuzz: {} targets, {failed} failed, seed {}",
        targets.len(),
        plan.seed
    );
    ExitCode::from(u8::from(failed > 0))
}

/// The plan and the targets. Ignores the options of the standard test harness, which `cargo test` passes to all tests;
/// none if an option is invalid.
fn arguments(arguments: impl Iterator<Item = String>) -> Option<(Plan, Vec<Target>)> {
    let (mut seed, mut cases, mut seconds, mut seconds_each) = (1, None, None, None);
    let mut names = Vec::new();
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seed" => seed = arguments.next()?.parse().ok()?,
            "--cases" => cases = Some(arguments.next()?.parse().ok()?),
            "--seconds" => seconds = Some(arguments.next()?.parse::<f64>().ok()?),
            "--seconds-each" => seconds_each = Some(arguments.next()?.parse::<f64>().ok()?),
            "--skip" | "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => {
                drop(arguments.next());
            }
            "--list" => return Some((Plan::new(seed, Some(0), None, Cores::All), Vec::new())),
            option if option.starts_with('-') => {}
            _ => names.push(argument),
        }
    }
    let is_named =
        |target: &Target| names.is_empty() || names.iter().any(|name| target.name.contains(name.as_str()));
    let targets: Vec<Target> = TARGETS.into_iter().filter(is_named).collect();
    if cases.is_none() && seconds.is_none() {
        seconds = Some(SECONDS);
    }
    let share = seconds.map(|seconds| seconds / targets.len().max(1) as f64);
    let cores = match seconds_each {
        Some(_) => Cores::One,
        None => Cores::All,
    };
    let each = seconds_each.or(share).map(Duration::try_from_secs_f64);
    let each = each.transpose().ok()?;
    Some((Plan::new(seed, cases, each, cores), targets))
}
