//! What the gateway adds to the time of a Get, beside the same call by a program that calls the SDK: with one caller, and at
//! half the load that the gateway can take. And the CPU of both per Get with one caller in a loop, whose calls find every
//! thread asleep. Both have the first core, and the DynamoDB, which is in this process, the others.

use std::time::Duration;

use super::direct::Direct;
use super::load::{self, ITEMS};
use super::loops::{Callers, in_turn, paced, percentiles_ms};
use super::process::{Cores, Gateway, aws_settings};
use super::table::{Table, at_most, median};
use super::{Plan, canned};

const GOAL_ADDED_MS: f64 = 0.12;
const GOAL_HALF_P50_MS: f64 = 0.15;
const GOAL_HALF_P99_MS: f64 = 0.6;
const GOAL_CPU_US: f64 = 150.0;
/// Before anything is measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// One side: its percentiles, turn by turn, and its CPU per call.
#[derive(Default)]
struct Side {
    percentiles: [Vec<f64>; 2],
    cpu_us: Vec<f64>,
}

pub(crate) async fn measure(plan: &Plan) {
    let endpoint = format!("http://{}", canned::serve().await);
    let gateway = Gateway::start_on_aws(&plan.program, Cores::First, &aws_settings(&endpoint)).await;
    let callers = Callers::of(&gateway).await;
    let mut direct = Direct::on_network(&endpoint, plan.callers).await;
    let one = one_caller(plan, &gateway, &callers, &mut direct).await;
    let capacity = callers.turn(plan.callers, WARM_UP * 2, through_gateway).await;
    let half = capacity.calls / (WARM_UP * 2).as_secs_f64() / 2.0;
    let loaded = half_load(plan, &callers, &mut direct, half).await;
    let mut table = Table::new(&["load", "figure", "ms: gateway", "SDK", "added", "goal"]);
    for (load, sides, index, name, goal) in [
        ("one caller", &one, 0, "p50", Some(GOAL_ADDED_MS)),
        ("one caller", &one, 1, "p99", None),
        ("half load", &loaded, 0, "p50", Some(GOAL_HALF_P50_MS)),
        ("half load", &loaded, 1, "p99", Some(GOAL_HALF_P99_MS)),
    ] {
        let [through, direct] =
            [0, 1].map(|side: usize| median(sides[side].percentiles[index].iter().copied()));
        table.row([
            load.to_owned(),
            name.to_owned(),
            format!("{through:.3}"),
            format!("{direct:.3}"),
            format!("{:.3}", through - direct),
            goal.map_or_else(|| "-".to_owned(), |goal| at_most(goal, through - direct)),
        ]);
    }
    table.print("Time of a Get beside the direct SDK call, to a canned DynamoDB over TCP");
    println!("\nHalf load is {half:.0} calls per second, evenly spaced, on both sides.");
    let [through, direct] = [0, 1].map(|side: usize| median(one[side].cpu_us.iter().copied()));
    let mut table = Table::new(&["callers", "µs of CPU per Get: gateway", "SDK", "goal"]);
    table.row([
        "1".to_owned(),
        format!("{through:.1}"),
        format!("{direct:.1}"),
        at_most(GOAL_CPU_US, through),
    ]);
    table.print("CPU with one caller in a loop");
    gateway.kill().await;
}

async fn one_caller(plan: &Plan, gateway: &Gateway, callers: &Callers, direct: &mut Direct) -> [Side; 2] {
    let mut sides = <[Side; 2]>::default();
    let client = callers.client(0);
    for round in 0..=plan.rounds {
        let time = if round == 0 { WARM_UP } else { plan.turn };
        let client = client.clone();
        let calling = in_turn(time, move |number| through_gateway(client.clone(), number));
        let mut times = Vec::new();
        let turn = load::measure(gateway.id(), async {
            times = tokio::spawn(calling).await.expect("no call panics");
            times.len() as u64
        });
        let through = (turn.await.cpu_us, percentiles_ms(times));
        let direct = direct.times(None, time).await;
        if round > 0 {
            for (side, (cpu_us, percentiles)) in sides.iter_mut().zip([through, direct]) {
                side.cpu_us.push(cpu_us);
                side.add(percentiles);
            }
        }
    }
    sides
}

async fn half_load(plan: &Plan, callers: &Callers, direct: &mut Direct, per_second: f64) -> [Side; 2] {
    let mut sides = <[Side; 2]>::default();
    for round in 0..=plan.rounds {
        let time = if round == 0 { WARM_UP } else { plan.turn };
        let clients: Vec<_> = (0..load::CONNECTIONS)
            .map(|caller| callers.client(caller))
            .collect();
        let call = move |number: u64| {
            let client = clients[number as usize % clients.len()].clone();
            through_gateway(client, number)
        };
        let through = percentiles_ms(paced(per_second, time, call).await);
        let (_, direct) = direct.times(Some(per_second), time).await;
        if round > 0 {
            sides[0].add(through);
            sides[1].add(direct);
        }
    }
    sides
}

impl Side {
    fn add(&mut self, percentiles: [f64; 2]) {
        for (all, percentile) in self.percentiles.iter_mut().zip(percentiles) {
            all.push(percentile);
        }
    }
}

async fn through_gateway(mut client: super::loops::Client, number: u64) {
    let found = client
        .get(load::get(number % ITEMS))
        .await
        .expect("a Get succeeds");
    assert_eq!(found.into_inner().item.len(), 5);
}
