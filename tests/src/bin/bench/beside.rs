//! The gateway beside what a user would write: a program that calls the SDK, and a tonic service that does. All call one
//! DynamoDB with canned responses over TCP, signed.

use std::time::Duration;

use super::direct::Direct;
use super::load::{Load, Turn, Work};
use super::naive::ALONE;
use super::process::{Cores, Gateway, aws_settings};
use super::table::{Table, at_least, median};
use super::{Plan, canned};

/// CPU of a direct call, of one through the gateway.
const GOAL: f64 = 0.9;
/// Before the first turn of a side.
const WARM_UP: Duration = Duration::from_millis(500);

/// All sides of one kind of call.
struct Sides {
    gateway: Load,
    direct: Direct,
    /// The service that calls the SDK, and the one that calls nothing.
    naive: [Load; 2],
}

/// The turns of one kind of call.
#[derive(Default)]
struct Turns {
    gateway: Vec<Turn>,
    direct: Vec<Turn>,
    naive: [Vec<Turn>; 2],
}

pub(crate) async fn measure(plan: &Plan) {
    let endpoint = format!("http://{}", canned::serve().await);
    let gateway = Gateway::start_on_aws(&plan.program, Cores::First, &aws_settings(&endpoint)).await;
    let service = Gateway::start_naive(&endpoint).await;
    let hop = Gateway::start_naive(ALONE).await;
    let mut sides = Sides {
        gateway: Load::on(&gateway, plan.callers, None).await,
        direct: Direct::on_network(&endpoint, plan.callers).await,
        naive: [
            Load::on(&service, plan.callers, None).await,
            Load::on(&hop, plan.callers, None).await,
        ],
    };
    let mut table = Table::new(&[
        "call",
        "µs of CPU: gateway",
        "SDK",
        "tonic and SDK",
        "tonic alone",
        "SDK over gateway",
        "goal",
    ]);
    for work in Work::NETWORK {
        table.row(sides.turns(plan, work).await.row(work));
    }
    table.print("The gateway beside direct SDK calls to a canned DynamoDB over TCP");
    println!(
        "\nCPU is that of the whole process, load generator and DynamoDB excluded. `SDK` is a program that calls the SDK \
         in a loop, with its defaults; `tonic and SDK` a service that calls it and checks nothing; `tonic alone` one \
         that returns an item from memory. Every request to DynamoDB is signed."
    );
}

impl Sides {
    async fn turns(&mut self, plan: &Plan, work: Work) -> Turns {
        let mut turns = Turns::default();
        self.round(work, WARM_UP, &mut Turns::default()).await;
        for _ in 0..plan.rounds {
            self.round(work, plan.turn, &mut turns).await;
        }
        turns
    }

    async fn round(&mut self, work: Work, time: Duration, turns: &mut Turns) {
        turns.gateway.push(self.gateway.turn(work, time).await);
        turns.direct.push(self.direct.turn(work, time).await);
        if work.items() == 1 {
            for (load, turns) in self.naive.iter().zip(&mut turns.naive) {
                turns.push(load.turn(work, time).await);
            }
        }
    }
}

impl Turns {
    fn row(&self, work: Work) -> Vec<String> {
        let cpu = |turns: &Vec<Turn>| match turns.is_empty() {
            true => "–".to_owned(),
            false => format!("{:.1}", median(turns.iter().map(|turn| turn.cpu_us))),
        };
        let pairs = self.gateway.iter().zip(&self.direct);
        let ratio = median(pairs.map(|(gateway, direct)| direct.cpu_us / gateway.cpu_us));
        let mut row = vec![work.name().to_owned()];
        row.extend([&self.gateway, &self.direct, &self.naive[0], &self.naive[1]].map(cpu));
        row.extend([format!("{ratio:.2}"), at_least(GOAL, ratio)]);
        row
    }
}
