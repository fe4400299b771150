//! Two gateways side by side, whose calls take turns: what one setting, or one build, costs beside another.

use std::path::Path;
use std::time::Duration;

use super::Plan;
use super::load::{Load, Turn, Work};
use super::process::{Cores, Gateway, Store};
use super::table::{Table, at_most, median};

/// Two processes of one program differ by a per cent or two, from where the system lays them in memory: several pairs
/// are started, so that the median is not that of one layout.
const PAIRS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(500);

/// One of the two.
pub(crate) struct Side<'a> {
    pub(crate) program: &'a Path,
    pub(crate) settings: &'a [(&'a str, &'a str)],
    /// The session that its calls name.
    pub(crate) session: Option<&'static str>,
}

/// The turns of both, by kind of call; the two of a pair belong to one round.
#[derive(Default)]
pub(crate) struct Beside([Vec<(Turn, Turn)>; 2]);

/// Measures one side beside the other, in memory.
pub(crate) async fn beside(plan: &Plan, with: &Side<'_>, without: &Side<'_>) -> Beside {
    let mut turns = Beside::default();
    let rounds = plan.rounds.div_ceil(2);
    for _ in 0..PAIRS.min(plan.rounds) {
        turns.add_pair(plan, rounds, [with, without]).await;
    }
    turns
}

impl Beside {
    async fn add_pair(&mut self, plan: &Plan, rounds: usize, sides: [&Side<'_>; 2]) {
        let [with, without] = sides.map(|side| side.start(plan));
        let ((with, _gateway), (without, _other)) = (with.await, without.await);
        for (work, turns) in Work::ALL.into_iter().zip(&mut self.0) {
            with.turn(work, WARM_UP).await;
            without.turn(work, WARM_UP).await;
            for round in 0..rounds {
                // whoever comes second finds the machine as the first one left it: each is second as often
                turns.push(if round % 2 == 0 {
                    let with = with.turn(work, plan.turn).await;
                    (with, without.turn(work, plan.turn).await)
                } else {
                    let without = without.turn(work, plan.turn).await;
                    (with.turn(work, plan.turn).await, without)
                });
            }
        }
    }

    /// Prints CPU per call of both, and their ratio beside its goal.
    pub(crate) fn print(&self, title: &str, names: [&str; 2], goal: f64) {
        let [with, without] = names;
        let mut table = Table::new(&["call", &format!("µs of CPU: {with}"), without, "ratio", "goal"]);
        for (work, turns) in Work::ALL.iter().zip(&self.0) {
            let ratio = median(turns.iter().map(|(with, without)| with.cpu_us / without.cpu_us));
            table.row([
                work.name().to_owned(),
                format!("{:.1}", median(turns.iter().map(|(with, _)| with.cpu_us))),
                format!("{:.1}", median(turns.iter().map(|(_, without)| without.cpu_us))),
                format!("{ratio:.3}"),
                at_most(goal, ratio),
            ]);
        }
        table.print(title);
    }

    /// Calls of the first side in all turns.
    pub(crate) fn calls(&self) -> f64 {
        let turns = self.0.iter().flatten();
        turns.map(|(with, _)| with.calls).sum()
    }
}

impl Side<'_> {
    async fn start(&self, plan: &Plan) -> (Load, Gateway) {
        let gateway = Gateway::start(self.program, Cores::First, Store::Memory, self.settings).await;
        (Load::on(&gateway, plan.callers, self.session).await, gateway)
    }
}
