//! Calls of many items through the gateway beside the SDK's: CPU per item.

use std::time::Duration;

use super::Plan;
use super::direct::{Direct, Setting};
use super::load::{Load, Turn, Work};
use super::process::{Cores, Gateway, Store};
use super::table::{Table, at_least, median};

/// CPU per item, of direct calls with the same client.
const GOAL: f64 = 0.7;
/// Before the first turn of a side.
const WARM_UP: Duration = Duration::from_millis(500);
/// A call has many items: fewer calls are in flight than of those that have one.
const CALLERS: usize = 8;

pub(crate) async fn measure(plan: &Plan) {
    let head = [
        "call",
        "items",
        "µs of CPU per item: gateway",
        "SDK",
        "SDK, signed",
        "SDK over gateway",
        "signed",
        "goal",
    ];
    let mut table = Table::new(&head);
    let gateway = Gateway::start(&plan.program, Cores::First, Store::Memory, &[]).await;
    let load = Load::on(&gateway, CALLERS, None).await;
    let mut minimal = Direct::start(Store::Memory, Setting::Minimal, CALLERS).await;
    let mut default = Direct::start(Store::Memory, Setting::Default, CALLERS).await;
    for work in Work::MANY {
        load.turn(work, WARM_UP).await;
        minimal.turn(work, WARM_UP).await;
        default.turn(work, WARM_UP).await;
        let mut turns: [Vec<Turn>; 3] = Default::default();
        for _ in 0..plan.rounds {
            turns[0].push(load.turn(work, plan.turn).await);
            turns[1].push(minimal.turn(work, plan.turn).await);
            turns[2].push(default.turn(work, plan.turn).await);
        }
        table.row(row(work, &turns));
    }
    table.print(&format!(
        "Calls of many items beside direct SDK calls, in memory, {CALLERS} calls in flight"
    ));
    println!(
        "\nA BatchWrite of 100 saves beside four BatchWriteItem requests in parallel, a BatchGet beside one BatchGetItem, \
         a Query of one partition beside one Query."
    );
}

fn row(work: Work, turns: &[Vec<Turn>; 3]) -> Vec<String> {
    let items = work.items() as f64;
    let cpu = |side: usize| median(turns[side].iter().map(|turn| turn.cpu_us / items));
    let ratio = |side: usize| {
        let pairs = turns[0].iter().zip(&turns[side]);
        median(pairs.map(|(gateway, direct)| direct.cpu_us / gateway.cpu_us))
    };
    vec![
        work.name().to_owned(),
        work.items().to_string(),
        format!("{:.2}", cpu(0)),
        format!("{:.2}", cpu(1)),
        format!("{:.2}", cpu(2)),
        format!("{:.2}", ratio(1)),
        format!("{:.2}", ratio(2)),
        at_least(GOAL, ratio(1)),
    ]
}
