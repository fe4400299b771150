//! What encryption costs once its data keys are cached: a Get of three sealed fields beside one of three plain fields, of
//! the same gateway in turn.

use std::time::Duration;

use tollgate_tests::values::{self, Item, key, s};

use super::load::Turn;
use super::loops::{Callers, Client};
use super::process::{Cores, Gateway, aws_settings};
use super::sized::{self, KEPT};
use super::table::{Table, at_most, median};
use super::{Plan, load};

/// CPU of a Get that opens three fields, of one that opens none.
const GOAL: f64 = 1.15;
const WARM_UP: Duration = Duration::from_millis(500);

pub(crate) async fn measure(plan: &Plan) {
    let endpoint = format!("http://{}", sized::serve().await);
    let mut settings = aws_settings(&endpoint).to_vec();
    settings.push(("TOLLGATE_KMS__CACHE", "on"));
    let gateway = Gateway::start_on_aws(&plan.program, Cores::First, &settings).await;
    let callers = Callers::of(&gateway).await;
    for (model, item) in [
        ("SecureUser", values::secure_user(KEPT, load::SORT)),
        ("User", plain()),
    ] {
        let saved = callers.client(0).save(values::save(model, item)).await;
        saved.expect("an item is saved");
    }
    let (mut sealed, mut open) = (Vec::<Turn>::new(), Vec::<Turn>::new());
    for round in 0..=plan.rounds {
        let time = if round == 0 { WARM_UP } else { plan.turn };
        let turns = [
            callers.turn(plan.callers, time, get_sealed).await,
            callers.turn(plan.callers, time, get_plain).await,
        ];
        if round > 0 {
            sealed.push(turns[0]);
            open.push(turns[1]);
        }
    }
    let cpu = |turns: &[Turn]| median(turns.iter().map(|turn| turn.cpu_us));
    let pairs = sealed.iter().zip(&open);
    let ratio = median(pairs.map(|(sealed, open)| sealed.cpu_us / open.cpu_us));
    let mut table = Table::new(&["µs of CPU: 3 encrypted fields", "3 plain fields", "ratio", "goal"]);
    table.row([
        format!("{:.1}", cpu(&sealed)),
        format!("{:.1}", cpu(&open)),
        format!("{ratio:.3}"),
        at_most(GOAL, ratio),
    ]);
    table.print("A Get with the data-key cache, encrypted beside plain, from a canned DynamoDB over TCP");
    gateway.kill().await;
}

fn plain() -> Item {
    let mut user = key(KEPT, load::SORT);
    user.extend(values::item([
        ("name", s(load::NAME)),
        ("email", s(load::EMAIL)),
        ("age", values::n(load::AGE)),
    ]));
    user
}

async fn get_sealed(client: Client, _number: u64) {
    get(client, "SecureUser").await;
}

async fn get_plain(client: Client, _number: u64) {
    get(client, "User").await;
}

async fn get(mut client: Client, model: &str) {
    let found = client.get(values::get(model, key(KEPT, load::SORT))).await;
    assert_eq!(found.expect("a Get succeeds").into_inner().item.len(), 5);
}
