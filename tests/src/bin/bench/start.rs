//! From the start of the process to its `listening` line, when health says SERVING; and its memory when it is idle.

use std::time::Duration;

use super::Plan;
use super::process::{Cores, Gateway, Store, resident_mib};
use super::table::{Table, at_most, median};

const GOAL_MS: f64 = 200.0;
const GOAL_MIB: f64 = 40.0;
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
}

async fn start(plan: &Plan, store: Store<'_>) -> (f64, f64) {
    let gateway = Gateway::start(&plan.program, Cores::All, store, &[]).await;
    tokio::time::sleep(SETTLE).await;
    let figures = (
        gateway.started_in.as_secs_f64() * 1000.0,
        resident_mib(gateway.id()),
    );
    gateway.kill().await;
    figures
}
