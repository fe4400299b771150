//! A Query whose every data key must be opened by a KMS that is far away: how well the Decrypts run in parallel.

use std::time::{Duration, Instant};

use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::values::{query, save, secure_user};
use tollgate_tests::wiretap::{Fate, Wiretap};

use super::Plan;
use super::table::{Table, at_most, median};

const ITEMS: u64 = 100;
const KMS_DELAY: Duration = Duration::from_millis(10);
const GOAL_MS: f64 = 150.0;

pub(crate) async fn measure(plan: &Plan) {
    let wiretap = Wiretap::new(|operation| match operation {
        "Decrypt" | "GenerateDataKey" => Fate::Delay(KMS_DELAY),
        _ => Fate::Pass,
    });
    let gateway = Gateway::with(Setup {
        wiretap: Some(wiretap),
        ..Setup::default()
    })
    .await;
    for number in 0..ITEMS {
        gateway
            .save(save("SecureUser", secure_user("USER#1", &number.to_string())))
            .await
            .ok();
    }
    let mut times_ms = Vec::new();
    for _ in 0..=plan.rounds {
        let begun = Instant::now();
        let response = gateway.query(query("SecureUser", "USER#1")).await;
        times_ms.push(begun.elapsed().as_secs_f64() * 1000.0);
        assert_eq!(response.bill.count("tollgate-kms-calls"), ITEMS);
        let items: usize = response.ok().iter().map(|page| page.results.len()).sum();
        assert_eq!(items as u64, ITEMS);
    }
    // the first one warms up
    let times_ms = &times_ms[1..];
    let middle = median(times_ms.iter().copied());
    let most = times_ms.iter().copied().fold(0.0, f64::max);
    let mut table = Table::new(&["median ms", "most ms", "goal"]);
    table.row([
        format!("{middle:.1}"),
        format!("{most:.1}"),
        at_most(GOAL_MS, middle),
    ]);
    table.print("A Query of 100 items of 3 encrypted fields each, every KMS call delayed by 10 ms");
    gateway.stop().await;
}
