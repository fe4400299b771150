//! What the gateway adds to the time of a Get, beside the direct call of the SDK from the same process: with one caller,
//! and at half the load that the gateway can take. And its CPU per Get with one caller in a loop, whose calls find every
//! thread asleep.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client as Sdk;
use tollgate_tests::sdk::default_client;

use super::direct::{TABLE, key};
use super::load::{self, ITEMS};
use super::loops::{Callers, paced, percentile_ms};
use super::process::{self, Cores, Gateway, aws_settings};
use super::table::{Table, at_most, median};
use super::{Plan, canned};

const GOAL_ADDED_MS: f64 = 0.12;
const GOAL_HALF_P50_MS: f64 = 0.15;
const GOAL_HALF_P99_MS: f64 = 0.6;
const GOAL_CPU_US: f64 = 150.0;
/// Before anything is measured.
const WARM_UP: Duration = Duration::from_millis(500);

/// Percentiles of one side, turn by turn: 50 and 99.
#[derive(Default)]
struct Side([Vec<f64>; 2]);

pub(crate) async fn measure(plan: &Plan) {
    let endpoint = format!("http://{}", canned::serve().await);
    let gateway = Gateway::start_on_aws(&plan.program, Cores::First, &aws_settings(&endpoint)).await;
    let callers = Callers::of(&gateway).await;
    let sdk = default_client(&endpoint);
    let (one, cpu_us) = one_caller(plan, &gateway, &callers, &sdk).await;
    let capacity = callers.turn(plan.callers, WARM_UP * 2, through_gateway).await;
    let half = capacity.calls / (WARM_UP * 2).as_secs_f64() / 2.0;
    let loaded = half_load(plan, &callers, &sdk, half).await;
    let mut table = Table::new(&["load", "figure", "ms: gateway", "SDK", "added", "goal"]);
    for (load, sides, index, name, goal) in [
        ("one caller", &one, 0, "p50", Some(GOAL_ADDED_MS)),
        ("one caller", &one, 1, "p99", None),
        ("half load", &loaded, 0, "p50", Some(GOAL_HALF_P50_MS)),
        ("half load", &loaded, 1, "p99", Some(GOAL_HALF_P99_MS)),
    ] {
        let [through, direct] = [0, 1].map(|side: usize| median(sides[side].0[index].iter().copied()));
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
    let mut table = Table::new(&["callers", "µs of CPU per Get", "goal"]);
    table.row([
        "1".to_owned(),
        format!("{cpu_us:.1}"),
        at_most(GOAL_CPU_US, cpu_us),
    ]);
    table.print("CPU of the gateway with one caller in a loop");
    gateway.kill().await;
}

async fn one_caller(plan: &Plan, gateway: &Gateway, callers: &Callers, sdk: &Sdk) -> ([Side; 2], f64) {
    let (mut sides, mut cpu_us) = (<[Side; 2]>::default(), Vec::new());
    let client = callers.client(0);
    for round in 0..=plan.rounds {
        let time = if round == 0 { WARM_UP } else { plan.turn };
        let cpu = process::cpu_seconds(gateway.id());
        let through = in_turn(time, |number| through_gateway(client.clone(), number)).await;
        let used = process::cpu_seconds(gateway.id()) - cpu;
        let direct = in_turn(time, |number| directly(sdk.clone(), number)).await;
        if round > 0 {
            cpu_us.push(used * 1e6 / through.len() as f64);
            sides[0].add(through);
            sides[1].add(direct);
        }
    }
    (sides, median(cpu_us))
}

async fn half_load(plan: &Plan, callers: &Callers, sdk: &Sdk, per_second: f64) -> [Side; 2] {
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
        let through = paced(per_second, time, call).await;
        let sdk = sdk.clone();
        let direct = paced(per_second, time, move |number| directly(sdk.clone(), number)).await;
        if round > 0 {
            sides[0].add(through);
            sides[1].add(direct);
        }
    }
    sides
}

impl Side {
    fn add(&mut self, mut times: Vec<Duration>) {
        for (percentiles, part) in self.0.iter_mut().zip([0.5, 0.99]) {
            percentiles.push(percentile_ms(&mut times, part));
        }
    }
}

/// Call after call, for this time.
async fn in_turn<F: Future<Output = ()>>(time: Duration, call: impl Fn(u64) -> F) -> Vec<Duration> {
    let until = Instant::now() + time;
    let mut times = Vec::new();
    while Instant::now() < until {
        let begun = Instant::now();
        call(times.len() as u64).await;
        times.push(begun.elapsed());
    }
    times
}

async fn through_gateway(mut client: super::loops::Client, number: u64) {
    let found = client
        .get(load::get(number % ITEMS))
        .await
        .expect("a Get succeeds");
    assert_eq!(found.into_inner().item.len(), 5);
}

async fn directly(sdk: Sdk, number: u64) {
    let request = sdk
        .get_item()
        .table_name(TABLE)
        .set_key(Some(key(number % ITEMS)));
    let found = request.send().await.expect("GetItem succeeds");
    assert_eq!(found.item.map(|item| item.len()), Some(5));
}
