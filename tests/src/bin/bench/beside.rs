//! The gateway beside direct calls of the SDK to the same engine: CPU per call, calls per second, and what share of
//! the direct calls a core does through the gateway.

use std::path::Path;
use std::time::Duration;

use super::Plan;
use super::direct::{Direct, Setting};
use super::load::{Load, Turn, Work};
use super::process::{Cores, Gateway, Store};
use super::table::{Table, at_least, median};

/// Throughput per core, of direct calls with the same client.
const GOAL: f64 = 0.6;
/// Before the first turn of a side.
const WARM_UP: Duration = Duration::from_millis(500);

/// The three sides over engines of one kind.
struct Sides {
    load: Load,
    minimal: Direct,
    default: Direct,
    _gateway: Gateway,
}

/// The turns of one kind of call.
#[derive(Default)]
struct Turns {
    gateway: Vec<Turn>,
    minimal: Vec<Turn>,
    default: Vec<Turn>,
}

pub(crate) async fn measure(plan: &Plan) {
    let head = [
        "call",
        "engine",
        "µs of CPU: gateway",
        "SDK",
        "SDK, signed",
        "calls/s: gateway",
        "SDK",
        "SDK, signed",
    ];
    let mut table = Table::new(&[&head[..], &["per core", "per core, signed", "goal"]].concat());
    let folder = tempfile::tempdir().expect("a folder");
    for (name, folder) in [("memory", None), ("folder, normal", Some(folder.path()))] {
        let mut sides = Sides::start(plan, folder).await;
        for work in Work::ALL {
            table.row(sides.turns(plan, work).await.row(work, name));
        }
    }
    table.print("The gateway beside direct SDK calls to the same engine");
    println!(
        "\nCPU is that of the whole process, engine included, load generator excluded. `SDK` is a program that calls the \
         SDK in a loop, unsigned and without stalled-stream protection, as the gateway's own client is; `signed` has \
         the SDK's defaults."
    );
}

impl Sides {
    async fn start(plan: &Plan, folder: Option<&Path>) -> Sides {
        let places: Option<Vec<_>> = folder.map(|folder| {
            ["gateway", "minimal", "default"]
                .map(|name| folder.join(name))
                .into()
        });
        let store = |number: usize| {
            places
                .as_ref()
                .map_or(Store::Memory, |places| Store::Folder(&places[number]))
        };
        let normal = [("TOLLGATE_EMBEDDED__SYNCHRONOUS", "normal")];
        let gateway = Gateway::start(&plan.program, Cores::First, store(0), &normal).await;
        Sides {
            load: Load::on(&gateway, plan.callers, None).await,
            minimal: Direct::start(store(1), Setting::Minimal, plan.callers).await,
            default: Direct::start(store(2), Setting::Default, plan.callers).await,
            _gateway: gateway,
        }
    }

    async fn turns(&mut self, plan: &Plan, work: Work) -> Turns {
        self.load.turn(work, WARM_UP).await;
        self.minimal.turn(work, WARM_UP).await;
        self.default.turn(work, WARM_UP).await;
        let mut turns = Turns::default();
        for _ in 0..plan.rounds {
            turns.gateway.push(self.load.turn(work, plan.turn).await);
            turns.minimal.push(self.minimal.turn(work, plan.turn).await);
            turns.default.push(self.default.turn(work, plan.turn).await);
        }
        turns
    }
}

impl Turns {
    fn row(&self, work: Work, engine: &str) -> Vec<String> {
        let cpu = |turns: &[Turn]| format!("{:.1}", median(turns.iter().map(|turn| turn.cpu_us)));
        let rate = |turns: &[Turn]| format!("{:.0}", median(turns.iter().map(|turn| turn.rate)));
        let (per_core, per_core_signed) = (self.per_core(&self.minimal), self.per_core(&self.default));
        let mut row = vec![work.name().to_owned(), engine.to_owned()];
        row.extend([&self.gateway, &self.minimal, &self.default].map(|turns| cpu(turns)));
        row.extend([&self.gateway, &self.minimal, &self.default].map(|turns| rate(turns)));
        row.extend([
            format!("{per_core:.2}"),
            format!("{per_core_signed:.2}"),
            at_least(GOAL, per_core),
        ]);
        row
    }

    /// Calls of the gateway per CPU second, of the direct calls in the same round.
    fn per_core(&self, direct: &[Turn]) -> f64 {
        median(
            self.gateway
                .iter()
                .zip(direct)
                .map(|(gateway, direct)| direct.cpu_us / gateway.cpu_us),
        )
    }
}
