//! Memory of a gateway: idle, with 100,000 sessions, and a minute after a burst of 512 callers.

use std::time::Duration;

use tollgate_tests::gateway::in_session;

use super::load::{self, ITEMS};
use super::loops::{Callers, Client};
use super::process::{Cores, Gateway, aws_settings, peak_mib, resident_mib};
use super::table::{Table, at_most};
use super::{Plan, canned};

const SESSIONS: u64 = 100_000;
const BURST: usize = 512;
const BURST_TIME: Duration = Duration::from_secs(5);
/// After the burst.
const REST: Duration = Duration::from_secs(60);
/// What a start sets in motion has come to rest by then.
const SETTLE: Duration = Duration::from_secs(2);
const GOAL_IDLE_MIB: f64 = 30.0;
const GOAL_SESSIONS_MIB: f64 = 100.0;
const GOAL_REST_MIB: f64 = 40.0;

pub(crate) async fn measure(plan: &Plan) {
    let endpoint = format!("http://{}", canned::serve().await);
    let mut settings = aws_settings(&endpoint).to_vec();
    settings.push(("TOLLGATE_LIMITS__ADAPTIVE", "false"));
    let start = || Gateway::start_on_aws(&plan.program, Cores::All, &settings);
    let (burst, with_sessions) = (start().await, start().await);
    tokio::time::sleep(SETTLE).await;
    let idle = resident_mib(burst.id());
    let callers = Callers::of(&burst).await;
    callers.turn(BURST, BURST_TIME, get).await;
    drop(callers);
    let peak = peak_mib(burst.id());
    let sessions = async {
        let callers = Callers::of(&with_sessions).await;
        callers.calls(SESSIONS, get_in_session).await;
        tokio::time::sleep(SETTLE).await;
        resident_mib(with_sessions.id())
    };
    let (sessions, ()) = tokio::join!(sessions, tokio::time::sleep(REST));
    let rested = resident_mib(burst.id());
    let mut table = Table::new(&["state", "MiB resident", "goal"]);
    for (state, mib, goal) in [
        ("idle", idle, Some(GOAL_IDLE_MIB)),
        ("100,000 sessions", sessions, Some(GOAL_SESSIONS_MIB)),
        ("most in a burst of 512 calls in flight", peak, None),
        ("a minute after it", rested, Some(GOAL_REST_MIB)),
    ] {
        let goal = goal.map_or_else(|| "-".to_owned(), |goal| at_most(goal, mib));
        table.row([state.to_owned(), format!("{mib:.1}"), goal]);
    }
    table.print("Memory, on a canned DynamoDB over TCP");
    burst.kill().await;
    with_sessions.kill().await;
}

/// A Get of any item.
pub(crate) async fn get(mut client: Client, number: u64) {
    client
        .get(load::get(number % ITEMS))
        .await
        .expect("a Get succeeds");
}

async fn get_in_session(mut client: Client, number: u64) {
    let request = in_session(load::get(number % ITEMS), &format!("session-{number}"));
    client.get(request).await.expect("a Get succeeds");
}
