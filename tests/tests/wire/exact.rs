//! Bills are exact: what all trailers report, what the sessions, models and operations add up to, and
//! what arrived at the stores are equal, figure by figure, not nearly.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::{StreamExt as _, stream};
use tollgate_proto::v1;
use tollgate_tests::counted::compare_with_stores;
use tollgate_tests::figures::Figures;
use tollgate_tests::gateway::{Gateway, in_session};
use tollgate_tests::polling::eventually;
use tollgate_tests::values::{get, key};
use tollgate_tests::wiretap::Wiretap;
use tonic::Code;

use crate::load::{self, CALLERS, SESSIONS, Seen};

/// Bills asked for at once.
const ASKED_AT_ONCE: usize = 32;
/// Looks at all bills until they stand still: work that outlived its caller may add to some.
const LOOKS: usize = 40;

/// The bills of all calls that the server knows, with their calls.
type Bills<'a> = Vec<(&'a Seen, v1::GetCallMetricsResponse)>;

/// Asks for the bill of every call; one that never reached the server has none.
async fn bills<'a>(gateway: &Gateway, seen: &'a [Seen]) -> Bills<'a> {
    let asked = stream::iter(seen.iter().map(|call| async move {
        let request = v1::GetCallMetricsRequest {
            request_id: call.request_id.clone(),
        };
        match gateway.metrics().get_call_metrics(request).await {
            Ok(response) => Some((call, response.into_inner())),
            Err(status) => {
                assert_eq!(status.code(), Code::NotFound, "{status:?}");
                assert!(
                    call.trailers.is_none(),
                    "the bill of {} is forgotten",
                    call.request_id
                );
                None
            }
        }
    }));
    asked
        .buffer_unordered(ASKED_AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await
}

fn figures(bill: &v1::GetCallMetricsResponse) -> Figures {
    Figures::from_metrics(bill.metrics.as_ref().expect("a finished call has a bill"))
}

fn total(totals: &v1::GetTotalMetricsResponse) -> Figures {
    Figures::from_metrics(totals.total.as_ref().expect("a scope has a total"))
}

fn sum_by(
    bills: &[&(&Seen, v1::GetCallMetricsResponse)],
    name: impl Fn(&v1::GetCallMetricsResponse) -> String,
) -> BTreeMap<String, Figures> {
    let mut sums = BTreeMap::<String, Figures>::new();
    for (_, bill) in bills {
        *sums.entry(name(bill)).or_default() += &figures(bill);
    }
    sums
}

fn map_of(totals: std::collections::HashMap<String, v1::OperationMetrics>) -> BTreeMap<String, Figures> {
    totals
        .into_iter()
        .map(|(name, metrics)| (name, Figures::from_metrics(&metrics)))
        .collect()
}

/// Whether a scope's totals are the sum of these bills, by model and by operation too.
fn compare(
    scope: &str,
    totals: v1::GetTotalMetricsResponse,
    bills: &[&(&Seen, v1::GetCallMetricsResponse)],
) -> Result<(), String> {
    let model = |bill: &v1::GetCallMetricsResponse| match bill.model.as_str() {
        "" => "_".to_owned(),
        model => model.to_owned(),
    };
    let sum = total(&totals);
    let added: Vec<_> = bills.iter().map(|(_, bill)| figures(bill)).collect();
    let added = Figures::sum(&added);
    if added != sum {
        return Err(format!(
            "{scope}: bills and totals differ: {:?}",
            added.differences(&sum)
        ));
    }
    for (what, reported, expected) in [
        ("model", map_of(totals.by_model), sum_by(bills, model)),
        (
            "operation",
            map_of(totals.by_operation),
            sum_by(bills, |bill| bill.rpc.clone()),
        ),
    ] {
        if Figures::sum(reported.values()) != sum {
            return Err(format!("{scope} by {what} does not add up to its total"));
        }
        if reported != expected {
            return Err(format!("{scope} by {what} is not the sum of its bills"));
        }
    }
    Ok(())
}

/// The trailers of a call are the bill that the server keeps. A call that its deadline ended may have gone on.
fn compare_trailers(bills: &Bills<'_>) {
    for (seen, bill) in bills {
        let Some((code, trailers)) = &seen.trailers else {
            continue;
        };
        assert_eq!(*code as u32, bill.code, "{}", seen.request_id);
        assert_eq!(trailers.text("tollgate-request-id"), seen.request_id);
        assert_eq!(bill.session, seen.session);
        if *code != Code::DeadlineExceeded {
            let (reported, kept) = (
                Figures::of_trailers(trailers, "tollgate-"),
                figures(bill).as_trailers(),
            );
            assert_eq!(
                reported,
                kept,
                "{} {code:?}: {:?}",
                seen.request_id,
                reported.differences(&kept)
            );
        }
    }
}

/// The trailers of a call without cost contain the current totals of its session.
async fn compare_session_trailers(gateway: &Gateway, session: &str) {
    let before = total(&gateway.totals(session).await);
    let checked = v1::GetRequest {
        validate_only: true,
        ..get("User", key("P#1", "S#1"))
    };
    let bill = gateway.get(in_session(checked, session)).await.bill;
    assert_eq!(
        Figures::of_trailers(&bill, "tollgate-session-"),
        before.as_trailers()
    );
    assert_eq!(
        bill.count("tollgate-session-calls") as i64,
        before.get("call_count") + 1
    );
}

/// Looks at everything once the stores' own count is right: whether all of it is.
async fn look(gateway: &Gateway, wiretap: &Wiretap, seen: &[Seen]) -> Result<(), String> {
    eventually(async || compare_with_stores(wiretap, &total(&gateway.totals("").await))).await;
    let bills = bills(gateway, seen).await;
    for session in SESSIONS.into_iter().filter(|session| !session.is_empty()) {
        let of_session: Vec<_> = bills.iter().filter(|(seen, _)| seen.session == session).collect();
        compare(session, gateway.totals(session).await, &of_session)?;
    }
    compare(
        "the server",
        gateway.totals("").await,
        &bills.iter().collect::<Vec<_>>(),
    )?;
    compare_trailers(&bills);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bills_sum_up_to_the_requests_of_the_stores() {
    let wiretap = load::unreliable();
    let gateway = load::gateway(&wiretap).await;
    let seen = load::run(&gateway, 36).await;
    let mut looked = Err(String::new());
    for _ in 0..LOOKS {
        looked = look(&gateway, &wiretap, &seen).await;
        if looked.is_ok() {
            break;
        }
    }
    looked.unwrap();
    let totals = total(&gateway.totals("").await);
    let reported = seen.iter().filter(|call| call.trailers.is_some()).count();
    for happened in [
        "failed_call_count",
        "cancelled_call_count",
        "retries",
        "throttled_count",
        "estimated_wcu",
        "update_count",
        "query_count",
        "scan_count",
        "batch_get_count",
        "batch_write_count",
        "transact_get_count",
        "transact_write_count",
    ] {
        assert!(totals.get(happened) > 0, "{happened}: {totals:?}");
    }
    assert!(
        reported as u64 > CALLERS * 20,
        "most calls end with trailers: {reported}"
    );
    assert!(
        totals.get("call_count") > reported as i64,
        "some ended without, and are billed: {totals:?}"
    );
    for session in SESSIONS.into_iter().filter(|session| !session.is_empty()) {
        compare_session_trailers(&gateway, session).await;
    }
}

/// Clears one scope after the other until the test stops it; how often, and the sum of what was cleared by session.
async fn reset_until(gateway: Arc<Gateway>, stop: Arc<AtomicBool>) -> (u64, BTreeMap<&'static str, Figures>) {
    let mut resets = 0;
    let mut cleared = SESSIONS
        .map(|session| (session, Figures::default()))
        .into_iter()
        .collect::<BTreeMap<_, _>>();
    while !stop.load(Ordering::Relaxed) {
        for session in SESSIONS {
            let model = if resets % 3 == 0 { "User" } else { "" };
            let request = v1::ResetMetricsRequest {
                session: session.to_owned(),
                model: model.to_owned(),
            };
            let Ok(response) = gateway.metrics().reset_metrics(request).await else {
                continue;
            };
            let figures = Figures::from_metrics(&response.into_inner().cleared.expect("what was cleared"));
            resets += u64::from(figures.get("call_count") > 0);
            *cleared.entry(session).or_default() += &figures;
        }
        tokio::task::yield_now().await;
    }
    (resets, cleared)
}

#[tokio::test(flavor = "multi_thread")]
async fn resets_under_load_lose_nothing() {
    let wiretap = load::unreliable();
    let gateway = load::gateway(&wiretap).await;
    let stop = Arc::new(AtomicBool::new(false));
    let resetter = tokio::spawn(reset_until(Arc::clone(&gateway), Arc::clone(&stop)));
    let seen = load::run(&gateway, 12).await;
    stop.store(true, Ordering::Relaxed);
    let (resets, cleared) = resetter.await.unwrap();
    assert!(
        resets >= SESSIONS.len() as u64,
        "resets fell between the calls: {resets}"
    );
    let mut compared = Err(String::new());
    for _ in 0..LOOKS {
        compared = compare_with_cleared(&gateway, &seen, &cleared).await;
        if compared.is_ok() {
            break;
        }
    }
    compared.unwrap();
    // the server's own scope was reset too, and holds what the stores counted
    let server = &Figures::sum([&cleared[""], &total(&gateway.totals("").await)]);
    compare_with_stores(&wiretap, server).unwrap();
}

/// What was cleared of each session, and what is there, is what its calls cost.
async fn compare_with_cleared(
    gateway: &Gateway,
    seen: &[Seen],
    cleared: &BTreeMap<&'static str, Figures>,
) -> Result<(), String> {
    let bills = bills(gateway, seen).await;
    for session in SESSIONS {
        let of_session = bills
            .iter()
            .filter(|(seen, _)| session.is_empty() || seen.session == session);
        let billed = Figures::sum(&of_session.map(|(_, bill)| figures(bill)).collect::<Vec<_>>());
        let mut counted = total(&gateway.totals(session).await);
        counted += &cleared[session];
        if billed != counted {
            return Err(format!(
                "{session:?}: bills and resets differ: {:?}",
                billed.differences(&counted)
            ));
        }
    }
    Ok(())
}
