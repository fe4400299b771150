//! Two gateways whose calls alternate: what one setting or build costs compared with another. Both call a DynamoDB with
//! canned responses over TCP, as every gateway on AWS does.

use std::path::Path;
use std::time::Duration;

use super::load::{Caller, Load, Work};
use super::process::{Cores, Gateway, aws_settings};
use super::table::{Table, at_most, median};
use super::{Plan, canned};

/// Two processes of one program differ by a per cent or two, from where the system lays them in memory: several pairs
/// are started, so that the median is not that of one layout.
const PAIRS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(500);
/// A machine's speed changes from second to second: turns are so much shorter than that, and as many more.
const PART_OF_TURN: u32 = 8;
/// What was put off is done by then, and belongs to the calls that put it off.
const SETTLE: Duration = Duration::from_millis(1500);

/// One of the two.
pub(crate) struct Side<'a> {
    pub(crate) program: &'a Path,
    pub(crate) settings: &'a [(&'a str, &'a str)],
    /// Who calls it.
    pub(crate) caller: Caller,
}

/// What both sides came to in calls of one kind.
pub(crate) struct Compared {
    pub(crate) work: Work,
    /// CPU per call of each.
    pub(crate) cpu_us: [f64; 2],
    /// Of the first over the second, the median of the pairs.
    pub(crate) ratio: f64,
}

/// What both came to, by kind of call, pair by pair.
#[derive(Default)]
pub(crate) struct Beside([Vec<[Total; 2]>; 2]);

/// All turns of one side of a pair, from the first to the last, with what the process did between them.
#[derive(Clone, Copy, Default)]
struct Total {
    calls: f64,
    cpu_seconds: f64,
}

/// Measures one side beside the other.
pub(crate) async fn beside(plan: &Plan, with: &Side<'_>, without: &Side<'_>) -> Beside {
    let endpoint = format!("http://{}", canned::serve().await);
    let mut measured = Beside::default();
    for _ in 0..PAIRS.min(plan.rounds) {
        measured.add_pair(plan, &endpoint, [with, without]).await;
    }
    measured
}

impl Beside {
    async fn add_pair(&mut self, plan: &Plan, endpoint: &str, sides: [&Side<'_>; 2]) {
        let [with, without] = sides.map(|side| side.start(plan, endpoint));
        let ((with, _gateway), (without, _other)) = (with.await, without.await);
        for (work, totals) in Work::ALL.into_iter().zip(&mut self.0) {
            totals.push(turns(plan, work, [&with, &without]).await);
        }
    }

    /// Both sides compared, by kind of call.
    pub(crate) fn compared(&self) -> impl Iterator<Item = Compared> {
        Work::ALL.into_iter().zip(&self.0).map(|(work, totals)| Compared {
            work,
            cpu_us: [0, 1].map(|side: usize| median(totals.iter().map(|pair| pair[side].cpu_us()))),
            ratio: median(
                totals
                    .iter()
                    .map(|[with, without]| with.cpu_us() / without.cpu_us()),
            ),
        })
    }

    /// Prints CPU per call of both, and their ratio beside its goal.
    pub(crate) fn print(&self, title: &str, names: [&str; 2], goal: f64) {
        let [with, without] = names;
        let mut table = Table::new(&["call", &format!("µs of CPU: {with}"), without, "ratio", "goal"]);
        for Compared { work, cpu_us, ratio } in self.compared() {
            table.row([
                work.name().to_owned(),
                format!("{:.1}", cpu_us[0]),
                format!("{:.1}", cpu_us[1]),
                format!("{ratio:.3}"),
                at_most(goal, ratio),
            ]);
        }
        table.print(title);
    }

    /// Calls of the first side in all turns.
    pub(crate) fn calls(&self) -> f64 {
        self.0.iter().flatten().map(|[with, _]| with.calls).sum()
    }
}

/// Both sides in turn, as long as the plan says, in many short turns.
async fn turns(plan: &Plan, work: Work, sides: [&Load; 2]) -> [Total; 2] {
    for side in sides {
        side.turn(work, WARM_UP).await;
    }
    tokio::time::sleep(SETTLE).await;
    let begun = sides.map(Load::cpu_seconds);
    let mut calls = [0.0; 2];
    let (rounds, turn) = (
        plan.rounds.div_ceil(2) * PART_OF_TURN as usize,
        plan.turn / PART_OF_TURN,
    );
    for round in 0..rounds {
        // whoever comes second finds the machine as the first one left it: each is second as often
        for side in [round % 2, (round + 1) % 2] {
            calls[side] += sides[side].turn(work, turn).await.calls;
        }
    }
    tokio::time::sleep(SETTLE).await;
    [0, 1].map(|side| Total {
        calls: calls[side],
        cpu_seconds: sides[side].cpu_seconds() - begun[side],
    })
}

impl Total {
    fn cpu_us(self) -> f64 {
        self.cpu_seconds * 1e6 / self.calls
    }
}

impl Side<'_> {
    async fn start(&self, plan: &Plan, endpoint: &str) -> (Load, Gateway) {
        let settings = [&aws_settings(endpoint)[..], self.settings].concat();
        let gateway = Gateway::start_on_aws(self.program, Cores::First, &settings).await;
        (Load::by(&self.caller, &gateway, plan.callers).await, gateway)
    }
}
