//! A Query whose every data key must be opened by a KMS that is far away: how well the Decrypts run in parallel.

use std::time::{Duration, Instant};

use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::values::{query, save, secure_user};
use tollgate_tests::wiretap::{Fate, Wiretap};

use super::Plan;
use super::table::{Table, at_most, median};

const ITEMS: u64 = 100;
const KMS_DELAY: Duration = Duration::from_millis(10);
/// Every data key from KMS, and every data key from the cache.
const GOALS_MS: [f64; 2] = [40.0, 5.0];

pub(crate) async fn measure(plan: &Plan) {
    let mut table = Table::new(&["data keys", "median ms", "most ms", "goal"]);
    // each item has a separate data key, so that the cache opens as many
    let cached = vec![
        ("TOLLGATE_KMS__CACHE", "on".to_owned()),
        ("TOLLGATE_KMS__CACHE__MAX_USES", "1".to_owned()),
    ];
    for (name, settings, goal) in [
        ("from KMS", Vec::new(), GOALS_MS[0]),
        ("from the cache", cached, GOALS_MS[1]),
    ] {
        let calls = if settings.is_empty() { ITEMS } else { 0 };
        let times_ms = times_ms(plan, settings, calls).await;
        let middle = median(times_ms.iter().copied());
        let most = times_ms.iter().copied().fold(0.0, f64::max);
        table.row([
            name.to_owned(),
            format!("{middle:.1}"),
            format!("{most:.1}"),
            at_most(goal, middle),
        ]);
    }
    table.print("A Query of 100 items of 3 encrypted fields each, every KMS call delayed by 10 ms");
}

/// How long Queries take, each with so many calls of KMS.
async fn times_ms(plan: &Plan, settings: Vec<(&'static str, String)>, kms_calls: u64) -> Vec<f64> {
    let wiretap = Wiretap::new(|operation| match operation {
        "Decrypt" | "GenerateDataKey" => Fate::Delay(KMS_DELAY),
        _ => Fate::Pass,
    });
    let gateway = Gateway::with(Setup {
        wiretap: Some(wiretap),
        settings,
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
    for round in 0..=plan.rounds {
        let begun = Instant::now();
        let response = gateway.query(query("SecureUser", "USER#1")).await;
        let took_ms = begun.elapsed().as_secs_f64() * 1000.0;
        let called = response.bill.count("tollgate-kms-calls");
        let items: usize = response.ok().iter().map(|page| page.results.len()).sum();
        assert_eq!(items as u64, ITEMS);
        // the first one warms up
        if round > 0 {
            assert_eq!(called, kms_calls);
            times_ms.push(took_ms);
        }
    }
    gateway.stop().await;
    times_ms
}
