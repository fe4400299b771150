//! Malformed input of every kind against the real program: bytes in place of TLS, certificates, HTTP/2 frames, headers,
//! messages, tokens, and the files and keys that it reads again while it runs. Every case ends with a clear error or a
//! closed connection, valid calls are served meanwhile, and the process has as much memory and as many descriptors
//! afterwards as before. Each case follows from its seed and its number and can be repeated.
//!
//! ```text
//! cargo test --workspace --test malformed -- [--seed N] [--cases N | --case N]
//! ```
//!
//! Without arguments a share of the cases runs. The program is this one: it runs `tollgate` in a process when the variable
//! [`ROLE`] is set.

#![allow(clippy::print_stdout, reason = "a program whose output is its report")]

mod bytes;
mod certificates;
mod client;
mod ending;
mod files;
mod frames;
mod headers;
mod input;
mod log;
mod messages;
mod process;
mod requests;
mod run;
mod tokens;
mod world;

use std::process::ExitCode;

use process::ROLE;

/// As the program itself has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Cases of every test run.
const CASES: u64 = 1500;

/// What runs.
#[derive(Clone, Copy)]
pub(crate) struct Choice {
    /// All cases follow from it.
    pub(crate) seed: u64,
    /// The first case.
    pub(crate) first: u64,
    /// How many follow.
    pub(crate) cases: u64,
}

fn main() -> ExitCode {
    if std::env::var_os(ROLE).is_some() {
        return tollgate::cli::main();
    }
    let Some(choice) = arguments(std::env::args().skip(1)) else {
        println!("malformed [--seed N] [--cases N | --case N]");
        return ExitCode::from(2);
    };
    if choice.cases == 0 {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    match runtime.block_on(run::run(choice)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            println!("FAILED: {what}");
            ExitCode::FAILURE
        }
    }
}

/// Ignores the options of the standard test harness, which `cargo test` passes to all tests; none if an option is invalid.
fn arguments(mut arguments: impl Iterator<Item = String>) -> Option<Choice> {
    let mut choice = Choice {
        seed: 1,
        first: 0,
        cases: CASES,
    };
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seed" => choice.seed = arguments.next()?.parse().ok()?,
            "--cases" => choice.cases = arguments.next()?.parse().ok()?,
            "--case" => {
                choice.first = arguments.next()?.parse().ok()?;
                choice.cases = 1;
            }
            "--skip" | "--test-threads" | "--format" | "--color" | "--logfile" | "-Z" => {
                drop(arguments.next());
            }
            "--list" => choice.cases = 0,
            option if option.starts_with('-') => {}
            name if "malformed".contains(name) => {}
            // another test is meant
            _ => choice.cases = 0,
        }
    }
    Some(choice)
}
