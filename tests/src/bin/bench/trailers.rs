//! What the bill costs: every trailer and a session, beside no trailers and no session. The bill itself is counted
//! on both sides; nothing turns that off.

use std::time::Duration;

use super::Plan;
use super::load::{Load, Turn, Work};
use super::process::{Cores, Gateway, Store};
use super::table::{Table, at_most, median};

/// CPU per call with, of that without.
const GOAL: f64 = 1.05;
/// Two processes of one program differ by a per cent or two, from where the system lays them in memory: several pairs
/// are started, so that the median is not that of one layout.
const PAIRS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(500);

pub(crate) async fn measure(plan: &Plan) {
    let mut turns: [Vec<(Turn, Turn)>; 2] = Default::default();
    let rounds = plan.rounds.div_ceil(2);
    for _ in 0..PAIRS.min(plan.rounds) {
        pair(plan, rounds, &mut turns).await;
    }
    let mut table = Table::new(&["call", "µs of CPU: on", "off", "ratio", "goal"]);
    for (work, turns) in Work::ALL.iter().zip(&turns) {
        let ratio = median(turns.iter().map(|(on, off)| on.cpu_us / off.cpu_us));
        table.row([
            work.name().to_owned(),
            format!("{:.1}", median(turns.iter().map(|(on, _)| on.cpu_us))),
            format!("{:.1}", median(turns.iter().map(|(_, off)| off.cpu_us))),
            format!("{ratio:.3}"),
            at_most(GOAL, ratio),
        ]);
    }
    table.print("All trailers and a session, on beside off (in memory)");
}

async fn pair(plan: &Plan, rounds: usize, turns: &mut [Vec<(Turn, Turn)>; 2]) {
    let on = Gateway::start(&plan.program, Cores::First, Store::Memory, &[]).await;
    let off = Gateway::start(
        &plan.program,
        Cores::First,
        Store::Memory,
        &[("TOLLGATE_TRAILERS", "")],
    )
    .await;
    let (with, without) = (
        Load::on(&on, plan.callers, Some("bench")).await,
        Load::on(&off, plan.callers, None).await,
    );
    for (work, turns) in Work::ALL.into_iter().zip(turns) {
        with.turn(work, WARM_UP).await;
        without.turn(work, WARM_UP).await;
        for _ in 0..rounds {
            turns.push((
                with.turn(work, plan.turn).await,
                without.turn(work, plan.turn).await,
            ));
        }
    }
}
