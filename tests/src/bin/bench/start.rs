//! From the start of the process to its `listening` line, when health says SERVING; and its memory when it is idle. With
//! the example models, and with many models on a DynamoDB over TCP.

use std::path::Path;
use std::time::Duration;

use super::model_folder::models;
use super::process::{Cores, Gateway, Store, aws_settings, resident_mib};
use super::table::{Table, at_most, median};
use super::{Plan, canned};

const GOAL_MS: f64 = 200.0;
const GOAL_MIB: f64 = 40.0;
/// Models, and milliseconds.
const GOALS_OF_MODELS: [(usize, f64); 2] = [(20, 50.0), (1000, 300.0)];
/// What a start sets in motion has come to rest by then.
const SETTLE: Duration = Duration::from_secs(1);

pub(crate) async fn measure(plan: &Plan) {
    let (mut fresh, mut existing) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        let folder = tempfile::tempdir().expect("a folder");
        // killed, so that the second start has a log to go through
        fresh.push(start(plan, Store::Folder(folder.path())).await);
        existing.push(start(plan, Store::Folder(folder.path())).await);
    }
    let mut memory = Vec::new();
    for _ in 0..plan.rounds {
        memory.push(start(plan, Store::Memory).await);
    }
    let mut table = Table::new(&["data", "ms to SERVING", "goal", "idle MiB", "goal"]);
    for (name, starts) in [
        ("fresh folder", fresh),
        ("existing folder", existing),
        ("memory", memory),
    ] {
        let ms = median(starts.iter().map(|(ms, _)| *ms));
        let mib = median(starts.iter().map(|(_, mib)| *mib));
        table.row([
            name.to_owned(),
            format!("{ms:.0}"),
            at_most(GOAL_MS, ms),
            format!("{mib:.1}"),
            at_most(GOAL_MIB, mib),
        ]);
    }
    table.print("Start and idle memory");
    many_models(plan).await;
}

async fn many_models(plan: &Plan) {
    let endpoint = format!("http://{}", canned::serve().await);
    let mut table = Table::new(&["models", "ms to SERVING", "goal", "idle MiB"]);
    for (count, goal) in GOALS_OF_MODELS {
        let folder = models(count);
        let mut starts = Vec::new();
        for _ in 0..plan.rounds {
            starts.push(start_with(plan, &endpoint, folder.path()).await);
        }
        let ms = median(starts.iter().map(|(ms, _)| *ms));
        let mib = median(starts.iter().map(|(_, mib)| *mib));
        table.row([
            count.to_string(),
            format!("{ms:.0}"),
            at_most(goal, ms),
            format!("{mib:.1}"),
        ]);
    }
    table.print("Start with many models, on a canned DynamoDB over TCP");
}

/// Milliseconds to SERVING, and MiB when idle.
pub(crate) async fn start_with(plan: &Plan, endpoint: &str, models: &Path) -> (f64, f64) {
    let mut settings = aws_settings(endpoint).to_vec();
    settings.push(("TOLLGATE_MODELS", models.to_str().expect("a path of this bench")));
    rested(Gateway::start_on_aws(&plan.program, Cores::All, &settings).await).await
}

async fn start(plan: &Plan, store: Store<'_>) -> (f64, f64) {
    rested(Gateway::start(&plan.program, Cores::All, store, &[]).await).await
}

async fn rested(gateway: Gateway) -> (f64, f64) {
    tokio::time::sleep(SETTLE).await;
    let figures = (
        gateway.started_in.as_secs_f64() * 1000.0,
        resident_mib(gateway.id()),
    );
    gateway.kill().await;
    figures
}
