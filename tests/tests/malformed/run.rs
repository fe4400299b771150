//! Runs the cases, with valid calls between them, and compares what the process holds before and after.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};
use tokio::time::timeout;

use super::Choice;
use super::input::Input;
use super::process::command;
use super::world::{Proof, World};
use super::{bytes, certificates, files, frames, headers, messages, tokens};

/// Cases at the same time.
const AT_ONCE: usize = 4;
/// How long a case may take: the deadline of a call, and some time for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// Valid calls are made once in so many cases.
const PROBE_EVERY: u64 = 20;
/// Files are replaced this often: it takes long.
const FILES_EVERY: u64 = 50;
/// A tenth of the cases fills pools, caches and what is kept on purpose, but never fewer than these.
const LEAST_WARM_UP: u64 = 100;

/// Failures after which no further case begins.
const MOST_FAILURES: usize = 10;

/// Of the memory before, what it may grow by: a twentieth.
const GROWTH: u64 = 20;
/// What it may grow by in short runs, whose first cases do not meet every burst: what an allocator keeps of one for each of
/// its threads.
const SLACK_BYTES: u64 = 16 << 20;
/// The cases of a run that is not short.
const LONG_RUN: u64 = 50_000;
/// Descriptors of connections that are just being closed, and of threads that wait for work.
const SLACK_DESCRIPTORS: usize = 8;
/// How long memory and descriptors may take to be released.
const SETTLE: Duration = Duration::from_secs(60);

/// What the process holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    bytes: u64,
    descriptors: Option<usize>,
}

impl Held {
    fn of(world: &World) -> Held {
        Held {
            bytes: world.process.resident_bytes(),
            descriptors: world.process.descriptors(),
        }
    }

    /// Whether it is about as much as before, after so many cases.
    fn is_like(self, before: Held, cases: u64) -> bool {
        let slack = if cases < LONG_RUN { SLACK_BYTES } else { 0 };
        let most = before.bytes + (before.bytes / GROWTH).max(slack);
        let descriptors = self.descriptors.zip(before.descriptors);
        self.bytes <= most && descriptors.is_none_or(|(now, before)| now <= before + SLACK_DESCRIPTORS)
    }
}

/// Runs the cases.
pub(crate) async fn run(choice: Choice) -> Result<(), String> {
    let begun = Instant::now();
    let world = World::start().await;
    for proof in [Proof::Opaque, Proof::Jwt, Proof::Certificate] {
        world.probe(proof).await?;
    }
    let last = choice.first + choice.cases;
    let warm = (choice.first + (choice.cases / 10).max(LEAST_WARM_UP)).min(last);
    let warmed = cases(&world, choice, choice.first, warm).await;
    let before = Held::of(&world);
    cases(&world, choice, warm, last).await.and(warmed)?;
    let after = match warm < last {
        true => settle(&world, before, choice.cases).await?,
        false => before,
    };
    let faults = world.process.log.faults();
    if !faults.is_empty() {
        return Err(format!("the log: {faults:#?}"));
    }
    let (lines, folder) = (world.process.log.count(), world.setting.path(""));
    let ended = world.process.terminate().await?;
    if !ended.success() {
        return Err(format!("it ended with {ended}"));
    }
    verify_audit(&folder)?;
    println!(
        "malformed: {} cases from seed {} in {:.1} s; memory {} KiB after the first {}, {} KiB at the end; descriptors \
         {:?}, then {:?}; {lines} lines of log",
        choice.cases,
        choice.seed,
        begun.elapsed().as_secs_f64(),
        before.bytes >> 10,
        warm - choice.first,
        after.bytes >> 10,
        before.descriptors,
        after.descriptors,
    );
    Ok(())
}

/// Runs the cases from one to another.
async fn cases(world: &World, choice: Choice, from: u64, to: u64) -> Result<(), String> {
    let mut running = stream::iter(from..to)
        .map(|case| checked(world, choice.seed, case))
        .buffer_unordered(AT_ONCE);
    let mut failures = Vec::new();
    while let Some(ended) = running.next().await {
        failures.extend(ended.err());
        if failures.len() >= MOST_FAILURES {
            break;
        }
    }
    match failures.is_empty() {
        true => Ok(()),
        false => Err(failures.join("\n\n")),
    }
}

/// Runs a case, and says how to repeat it if it fails.
async fn checked(world: &World, seed: u64, case: u64) -> Result<(), String> {
    let ended = timeout(PATIENCE, one(world, seed, case)).await;
    let ended = ended.unwrap_or_else(|_| Err("it does not end".to_owned()));
    let ended = ended.and_then(|()| match world.process.is_alive() {
        true => Ok(()),
        false => Err("the process is gone".to_owned()),
    });
    ended.map_err(|what| {
        format!(
            "case {case} of seed {seed}, {}: {what}\nlast lines of the log: {:#?}\n\
             repeat: cargo test --workspace --test malformed -- --seed {seed} --case {case}",
            kind(case),
            world.process.log.last(3)
        )
    })
}

/// The kinds of cases, each as often as it is there.
const KINDS: [&str; 16] = [
    "bytes",
    "headers",
    "messages",
    "frames",
    "tokens",
    "messages",
    "certificates",
    "headers",
    "messages",
    "frames",
    "records",
    "tokens",
    "messages",
    "frames",
    "certificates",
    "messages",
];

fn kind(case: u64) -> &'static str {
    match case % FILES_EVERY {
        10 => "policies",
        20 => "token file",
        30 => "keys",
        _ => KINDS[usize::try_from(case % KINDS.len() as u64).expect("a small number")],
    }
}

async fn one(world: &World, seed: u64, case: u64) -> Result<(), String> {
    let input = &mut Input::new(seed, case);
    match kind(case) {
        "bytes" => bytes::plain(world, input).await?,
        "records" => bytes::records(world, input).await?,
        "certificates" => certificates::certificates(world, input).await?,
        "frames" => frames::frames(world, input).await?,
        "headers" => headers::headers(world, input).await?,
        "messages" => messages::messages(world, input).await?,
        "tokens" => tokens::tokens(world, input).await?,
        "policies" => files::policies(world, input).await?,
        "token file" => files::token_file(world, input).await?,
        _ => files::keys(world, input).await?,
    }
    if case.is_multiple_of(PROBE_EVERY) {
        let proofs = [Proof::Certificate, Proof::Jwt, Proof::Opaque];
        world
            .probe(proofs[usize::try_from(case / PROBE_EVERY % 3).expect("below 3")])
            .await?;
    }
    Ok(())
}

/// Waits until the process holds about as much as before, by valid calls: they let its allocator return memory.
async fn settle(world: &World, before: Held, cases: u64) -> Result<Held, String> {
    let begun = Instant::now();
    loop {
        let held = Held::of(world);
        if held.is_like(before, cases) {
            return Ok(held);
        }
        if begun.elapsed() > SETTLE {
            return Err(format!("it held {before:?}, and holds {held:?} afterwards"));
        }
        world.probe(Proof::Opaque).await?;
    }
}

/// The audit log, to which every case could write, is one chain.
fn verify_audit(folder: &str) -> Result<(), String> {
    let variables = [("TOLLGATE_AUDIT__KEY", format!("{:0>42}A=", 7))];
    let verified = command(folder.as_ref(), &variables)
        .args(["audit", "verify", "audit.jsonl"])
        .output();
    let verified = verified.map_err(|error| error.to_string())?;
    match verified.status.success() {
        true => Ok(()),
        false => Err(format!(
            "the audit log: {}",
            String::from_utf8_lossy(&verified.stderr)
        )),
    }
}
