//! Overload: an open load, which does not wait for responses, at half of what saturates the gateway, at that, and at
//! twice that. Latency counts from the moment a call was due, so that a late generator hides nothing; how late calls were
//! sent is printed too, since what the generator waits for is no fault of the gateway. The calls are Queries of 100 items
//! from a DynamoDB with canned responses, which cost the gateway more than its caller and its store together. Goodput is
//! what succeeded before the load ended.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::mpsc;
use tollgate_proto::v1;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_tests::gateway::connect;
use tollgate_tests::values;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::load::{CONNECTIONS, LIST, PAGE};
use super::process::{Cores, Gateway, aws_settings, cpu_seconds};
use super::table::{Table, at_least, at_most, median};
use super::{Plan, canned};

/// The loads, as parts of the saturating one.
const LOADS: [f64; 3] = [0.5, 1.0, 2.0];
/// Goodput at twice the saturating load, over the peak.
const GOODPUT: f64 = 0.9;
/// The 99th percentile of admitted calls at twice the saturating load, over that at half of it.
const LATENCY: f64 = 3.0;
/// Calls in flight that saturate a processor, and that are few enough for none to be refused.
const SATURATING: usize = 8;
/// Before each load: the limit settles.
const SETTLE: Duration = Duration::from_secs(1);
/// How often due calls are started.
const TICK: Duration = Duration::from_millis(1);

/// What became of the calls of one load.
#[derive(Default)]
struct Outcome {
    /// Latencies of calls that succeeded, in ms.
    succeeded: Vec<f64>,
    /// How many of them did before the load ended.
    in_time: u64,
    /// Latencies of refusals, in ms.
    refused: Vec<f64>,
    /// How late calls were sent, in ms.
    late: Vec<f64>,
    failed: u64,
    seconds: f64,
    /// Of the gateway.
    cpu_seconds: f64,
}

/// One call that returned.
struct Returned {
    code: Code,
    late: Duration,
    latency: Duration,
    at: Instant,
}

pub(crate) async fn measure(plan: &Plan) {
    let endpoint = format!("http://{}", canned::serve().await);
    let gateway = Gateway::start_on_aws(&plan.program, Cores::First, &aws_settings(&endpoint)).await;
    let channels = join_all((0..CONNECTIONS * 4).map(|_| connect(gateway.address))).await;
    let clients: Vec<_> = channels.into_iter().map(DataServiceClient::new).collect();
    saturate(&clients, SETTLE).await;
    let mut rates = Vec::new();
    for _ in 0..plan.rounds.div_ceil(2) {
        rates.push(saturate(&clients, plan.turn).await);
    }
    let saturation = median(rates);
    let mut outcomes: [Vec<Outcome>; 3] = Default::default();
    for _ in 0..plan.rounds.div_ceil(2) {
        for (part, outcomes) in LOADS.into_iter().zip(&mut outcomes) {
            offer(&clients, &gateway, saturation * part, SETTLE).await;
            outcomes.push(offer(&clients, &gateway, saturation * part, plan.turn).await);
        }
    }
    print(saturation, &outcomes);
}

/// The calls per second of callers that each wait for a response before the next call.
async fn saturate(clients: &[DataServiceClient<Channel>], time: Duration) -> f64 {
    let until = Instant::now() + time;
    let callers = clients.iter().take(SATURATING).cloned().map(|mut client| {
        tokio::spawn(async move {
            let mut calls = 0_u32;
            while Instant::now() < until {
                read(&mut client).await.expect("a Query succeeds");
                calls += 1;
            }
            calls
        })
    });
    let calls: u32 = join_all(callers)
        .await
        .into_iter()
        .map(|calls| calls.expect("no caller panics"))
        .sum();
    f64::from(calls) / time.as_secs_f64()
}

/// A Query of a page.
async fn read(client: &mut DataServiceClient<Channel>) -> Result<(), Status> {
    let request = v1::QueryRequest {
        limit: PAGE as u32,
        ..values::query("User", LIST)
    };
    let mut pages = client.query(request).await?.into_inner();
    while pages.message().await?.is_some() {}
    Ok(())
}

/// Starts calls at this rate, per second, whatever becomes of them.
async fn offer(
    clients: &[DataServiceClient<Channel>],
    gateway: &Gateway,
    rate: f64,
    time: Duration,
) -> Outcome {
    let cpu = cpu_seconds(gateway.id());
    let (returned, mut returns) = mpsc::unbounded_channel();
    let begun = Instant::now();
    let mut started = 0_u64;
    let mut tick = tokio::time::interval(TICK);
    while begun.elapsed() < time {
        tick.tick().await;
        let due = (begun.elapsed().as_secs_f64() * rate) as u64;
        for number in started..due {
            let client = clients[(number % clients.len() as u64) as usize].clone();
            let due = begun + Duration::from_secs_f64(number as f64 / rate);
            tokio::spawn(call(client, due, returned.clone()));
        }
        started = due;
    }
    drop(returned);
    let ended = Instant::now();
    let mut outcome = Outcome {
        seconds: ended.duration_since(begun).as_secs_f64(),
        cpu_seconds: cpu_seconds(gateway.id()) - cpu,
        ..Outcome::default()
    };
    while let Some(Returned {
        code,
        late,
        latency,
        at,
    }) = returns.recv().await
    {
        let latency = latency.as_secs_f64() * 1e3;
        outcome.late.push(late.as_secs_f64() * 1e3);
        match code {
            Code::Ok => {
                outcome.succeeded.push(latency);
                outcome.in_time += u64::from(at <= ended);
            }
            Code::ResourceExhausted => outcome.refused.push(latency),
            _ => outcome.failed += 1,
        }
    }
    outcome
}

async fn call(
    mut client: DataServiceClient<Channel>,
    due: Instant,
    returned: mpsc::UnboundedSender<Returned>,
) {
    let late = due.elapsed();
    let code = match read(&mut client).await {
        Ok(()) => Code::Ok,
        Err(status) => status.code(),
    };
    let at = Instant::now();
    let latency = at.duration_since(due);
    let _ = returned.send(Returned {
        code,
        late,
        latency,
        at,
    });
}

fn print(saturation: f64, outcomes: &[Vec<Outcome>; 3]) {
    let mut table = Table::new(&[
        "load",
        "offered per s",
        "goodput per s",
        "refused per s",
        "failed",
        "p50 ms",
        "p99 ms",
        "p99 of refusals ms",
        "p99 sent late ms",
        "cores used",
    ]);
    let middle = |outcomes: &Vec<Outcome>, figure: fn(&Outcome) -> f64| median(outcomes.iter().map(figure));
    for (part, outcomes) in LOADS.into_iter().zip(outcomes) {
        let goodput = middle(outcomes, Outcome::goodput);
        let refused = middle(outcomes, |outcome| outcome.refused.len() as f64 / outcome.seconds);
        table.row([
            format!("{part} × saturation"),
            format!("{:.0}", saturation * part),
            format!("{goodput:.0}"),
            format!("{refused:.0}"),
            outcomes
                .iter()
                .map(|outcome| outcome.failed)
                .sum::<u64>()
                .to_string(),
            format!(
                "{:.2}",
                middle(outcomes, |outcome| percentile(&outcome.succeeded, 0.5))
            ),
            format!("{:.2}", middle(outcomes, Outcome::p99)),
            format!(
                "{:.2}",
                middle(outcomes, |outcome| percentile(&outcome.refused, 0.99))
            ),
            format!(
                "{:.2}",
                middle(outcomes, |outcome| percentile(&outcome.late, 0.99))
            ),
            format!(
                "{:.2}",
                middle(outcomes, |outcome| outcome.cpu_seconds / outcome.seconds)
            ),
        ]);
    }
    table.print("Query of 100 items under an open load, the gateway on one core");
    let goodput = outcomes
        .each_ref()
        .map(|outcomes| middle(outcomes, Outcome::goodput));
    let peak = goodput.into_iter().fold(0.0, f64::max);
    let latency = middle(&outcomes[2], Outcome::p99) / middle(&outcomes[0], Outcome::p99);
    println!(
        "\nGoodput at twice the saturating load over the peak: {:.2} ({}). p99 of admitted calls at twice the saturating \
         load over that at half of it: {latency:.2} ({}).",
        goodput[2] / peak,
        at_least(GOODPUT, goodput[2] / peak),
        at_most(LATENCY, latency),
    );
}

impl Outcome {
    fn goodput(&self) -> f64 {
        self.in_time as f64 / self.seconds
    }

    fn p99(&self) -> f64 {
        percentile(&self.succeeded, 0.99)
    }
}

/// The figure below which this part of the figures is; 0 without figures.
fn percentile(figures: &[f64], part: f64) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    let index = (figures.len() as f64 * part) as usize;
    figures
        .get(index.min(figures.len().saturating_sub(1)))
        .copied()
        .unwrap_or(0.0)
}
