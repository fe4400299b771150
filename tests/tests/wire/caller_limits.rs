//! What each caller may use: calls in flight, calls, capacity units and cost. The rates are so low that nothing is repaid
//! while a test runs, except where a stream waits for it.

use std::time::{Duration, Instant};

use tollgate_proto::v1;
use tollgate_tests::callers::{Setting, bearing};
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{CallResult, Gateway, Setup};
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{document, get, item, key, s, save, scan};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const MODELS: &str = "
name: Thing
table: things
partition_key: pk
attributes:
  pk: { type: string }
  text: { type: string }
---
name: Document
table: documents
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  name: { type: string }
  content: { type: object, s3: { bucket: my-bucket, prefix: docs/ } }
";
const PER_CALLER: &str = "TOLLGATE_LIMITS__PER_CALLER";
const CALLERS: &str = "TOLLGATE_LIMITS__CALLERS";
/// Read capacity units of a [`thing`], eventually consistent.
const THING_RCU: f64 = 12.5;

/// An item of almost 100 KB.
fn thing(number: u32) -> v1::SaveRequest {
    let text = s("x".repeat(99_000));
    save("Thing", item([("pk", s(format!("{number}"))), ("text", text)]))
}

fn get_thing(number: u32) -> v1::GetRequest {
    get("Thing", item([("pk", s(format!("{number}")))]))
}

async fn gateway(tokens: &Setting, limits: &[(&'static str, &str)], wiretap: &Wiretap) -> Gateway {
    let limits = limits.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let settings = tokens.settings().into_iter().chain(limits).collect();
    let setup = Setup {
        settings,
        ..Setup::tapped(wiretap)
    };
    Gateway::of_models(MODELS, setup).await
}

/// The setting of a refusal by a limit, which says when to retry and cost nothing.
fn limit(refusal: &Refusal) -> &str {
    refusal.is("LIMIT_EXCEEDED", &[]);
    refusal.cost_nothing();
    let quota = refusal.details.quota_failure().expect("the limit is named");
    let delay = delay(refusal).as_millis();
    assert_eq!(refusal.bill.text("grpc-retry-pushback-ms"), delay.to_string());
    &quota.violations[0].subject
}

fn delay(refusal: &Refusal) -> Duration {
    let retry = refusal.details.retry_info().expect("when to retry");
    retry.retry_delay.expect("a delay")
}

async fn refused(gateway: &Gateway, token: &str) -> Refusal {
    Refusal::of(gateway.get(bearing(get_thing(1), token)).await)
}

#[tokio::test]
async fn calls_over_the_rate_are_refused_before_they_are_decoded_and_others_are_served() {
    let mut tokens = Setting::default();
    let (fast, other) = (tokens.token("fast", ""), tokens.token("other", ""));
    let wiretap = Wiretap::counting();
    let limits = [(PER_CALLER, r#"{"calls_per_second": 0.001}"#)];
    let gateway = gateway(&tokens, &limits, &wiretap).await;
    let code = async |token: &str| gateway.get(bearing(get_thing(1), token)).await.status().code();
    assert_eq!(code(&fast).await, Code::NotFound);
    let second = refused(&gateway, &fast).await;
    assert_eq!(limit(&second), "limits.per_caller.calls_per_second");
    assert!(second.message.contains("calls_per_second: 0.001"), "{second:?}");
    let after = Duration::from_secs(900)..=Duration::from_secs(1000);
    assert!(after.contains(&delay(&second)), "{second:?}");
    // no model has this name, but nobody looks
    let unread = Refusal::of(gateway.get(bearing(get("Nope", item([])), &fast)).await);
    assert_eq!(limit(&unread), "limits.per_caller.calls_per_second");
    assert_eq!(wiretap.count("GetItem"), 1);
    // authentication comes first, and needs no place on an account
    assert_eq!(code("no-such-token").await, Code::Unauthenticated);
    assert_eq!(code(&other).await, Code::NotFound);

    let mut health = HealthClient::new(gateway.channel());
    let check = health.check(HealthCheckRequest::default()).await;
    assert_eq!(check.unwrap().into_inner().status, 1);
    let request = v1::GetTotalMetricsRequest::default();
    let totals = gateway.metrics().get_total_metrics(bearing(request, &fast)).await;
    let total = totals
        .unwrap()
        .into_inner()
        .total
        .expect("metrics are not limited");
    // two Gets of nothing, two over the limit, one without an identity
    assert_eq!((total.call_count, total.failed_call_count), (5, 5));
    gateway.stop().await;
}

#[tokio::test]
async fn an_own_entry_is_before_that_of_a_group_and_that_before_the_one_of_all() {
    let mut tokens = Setting::default();
    let callers = [
        ("own", ", groups: [large, small]", 4, "limits.callers.in_flight"),
        (
            "grouped",
            ", groups: [large, small]",
            2,
            "limits.callers.in_flight",
        ),
        (
            "larger",
            ", groups: [large, unlisted]",
            3,
            "limits.callers.in_flight",
        ),
        ("other", "", 1, "limits.per_caller.in_flight"),
    ];
    let callers = callers.map(|(name, more, most, setting)| (tokens.token(name, more), most, setting));
    let hangs = Wiretap::new(|operation| match operation {
        "GetItem" => Fate::Hang,
        _ => Fate::Pass,
    });
    let limits = [
        (PER_CALLER, r#"{"in_flight": 1}"#),
        (
            CALLERS,
            r#"{"own": {"in_flight": 4}, "large": {"in_flight": 3}, "small": {"in_flight": 2}}"#,
        ),
    ];
    let gateway = gateway(&tokens, &limits, &hangs).await;
    let mut held = Vec::new();
    for (token, most, setting) in &callers {
        for _ in 0..*most {
            let (mut data, request) = (gateway.data(), bearing(get_thing(1), token));
            held.push(tokio::spawn(async move { data.get(request).await }));
        }
        until("all are under way", async || {
            hangs.count("GetItem") == held.len() as u64
        })
        .await;
        let refusal = refused(&gateway, token).await;
        assert_eq!(limit(&refusal), *setting);
        assert!(refusal.message.ends_with(&format!(": {most}")), "{refusal:?}");
    }
    // those that end make room
    let before = held.len() as u64;
    for call in &held {
        call.abort();
    }
    until("all have left", async || gateway.capacity().reserved_bytes() == 0).await;
    let (mut data, request) = (gateway.data(), bearing(get_thing(1), &callers[3].0));
    let again = tokio::spawn(async move { data.get(request).await });
    until("another one is under way", async || {
        hangs.count("GetItem") == before + 1
    })
    .await;
    again.abort();
    gateway.stop().await;
}

#[tokio::test]
async fn consumption_is_charged_and_a_debt_refuses_unary_calls() {
    differs_on!(Moto, "capacity");
    let mut tokens = Setting::default();
    let limits = [
        ("reader", "rcu_per_second", 0.01, THING_RCU / 0.01),
        ("writer", "wcu_per_second", 0.1, 97.0 / 0.1),
        // what a Save costs: 97 units of 0.625 dollars per million
        (
            "payer",
            "cost_usd_per_hour",
            0.0001,
            97.0 * 0.625e-6 / (0.0001 / 3600.0),
        ),
    ];
    let callers = limits.map(|(name, key, value, seconds)| (tokens.token(name, ""), key, value, seconds));
    let free = tokens.token("free", "");
    let entries = limits.map(|(name, key, value, _)| format!(r#""{name}": {{"{key}": {value}}}"#));
    let entries = format!("{{{}}}", entries.join(", "));
    let gateway = gateway(&tokens, &[(CALLERS, &entries)], &Wiretap::counting()).await;
    gateway.save(bearing(thing(1), &free)).await.ok();
    for (token, key, value, seconds) in &callers {
        match *key {
            "rcu_per_second" => drop(gateway.get(bearing(get_thing(1), token)).await.ok()),
            _ => drop(gateway.save(bearing(thing(2), token)).await.ok()),
        }
        let refusal = refused(&gateway, token).await;
        assert_eq!(limit(&refusal), format!("limits.callers.{key}"));
        // less the burst: the rate of a second, or of a minute
        let repaid = delay(&refusal).as_secs_f64();
        assert!(
            (seconds - 120.0..=*seconds).contains(&repaid),
            "{key}: {repaid} of {seconds}"
        );
        assert!(
            refusal.message.ends_with(&format!("{key}: {value}")),
            "{refusal:?}"
        );
    }
    for _ in 0..3 {
        gateway.get(bearing(get_thing(1), &free)).await.ok();
    }
    gateway.stop().await;
}

async fn filled(tokens: &mut Setting, rcu_per_second: &str, wiretap: &Wiretap) -> (Gateway, String) {
    let (reader, free) = (tokens.token("reader", ""), tokens.token("free", ""));
    let entries = format!(r#"{{"reader": {{"rcu_per_second": {rcu_per_second}}}}}"#);
    let gateway = gateway(tokens, &[(CALLERS, &entries)], wiretap).await;
    for number in 0..8 {
        gateway.save(bearing(thing(number), &free)).await.ok();
    }
    (gateway, reader)
}

fn pages(token: &str) -> Request<v1::ScanRequest> {
    let request = v1::ScanRequest {
        page_size: 1,
        ..scan("Thing")
    };
    bearing(request, token)
}

#[tokio::test]
async fn a_stream_in_debt_waits_before_it_reads_more() {
    differs_on!(Moto, "capacity");
    let wiretap = Wiretap::counting();
    let (gateway, reader) = filled(&mut Setting::default(), "0.01", &wiretap).await;
    let mut request = pages(&reader);
    request.set_timeout(Duration::from_secs(1));
    let mut stream = gateway.data().scan(request).await.unwrap().into_inner();
    let page = stream.message().await.unwrap().expect("what was paid for");
    assert_eq!(page.results.len(), 1);
    assert_eq!(stream.message().await.unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(wiretap.count("Scan"), 1, "the next page was never requested");
    // one that could not begin before its deadline is refused at once
    let late = CallResult::read_stream(gateway.data().scan(pages(&reader)).await).await;
    assert_eq!(limit(&Refusal::of(late)), "limits.callers.rcu_per_second");
    gateway.stop().await;
}

#[tokio::test]
async fn a_stream_goes_on_once_its_debt_is_repaid() {
    differs_on!(Moto, "capacity");
    const RATE: f64 = 80.0;
    let wiretap = Wiretap::counting();
    let (gateway, reader) = filled(&mut Setting::default(), "80", &wiretap).await;
    let started = Instant::now();
    for _ in 0..2 {
        // the second one begins while the first one's debt is not repaid
        let read = gateway.scan(pages(&reader)).await.ok();
        let items: usize = read.iter().map(|page| page.results.len()).sum();
        assert_eq!(items, 8);
    }
    // the last page is read on credit
    let paid = 16.0 * THING_RCU - RATE - THING_RCU;
    let least = Duration::from_secs_f64(paid / RATE);
    assert!(started.elapsed() >= least, "{:?} < {least:?}", started.elapsed());
    gateway.stop().await;
}

#[tokio::test]
async fn a_download_in_debt_waits_between_its_pieces_and_ends_with_the_last_one() {
    differs_on!(Moto, "capacity");
    const LARGE_BYTES: usize = 5 << 20;
    let mut tokens = Setting::default();
    let (large, small, free) = (
        tokens.token("large", ""),
        tokens.token("small", ""),
        tokens.token("free", ""),
    );
    // the item costs half a unit, which takes most of a minute to repay
    let entries = r#"{"large": {"rcu_per_second": 0.01}, "small": {"rcu_per_second": 0.01}}"#;
    let wiretap = Wiretap::counting();
    let gateway = gateway(&tokens, &[(CALLERS, entries)], &wiretap).await;
    for (partition, bytes) in [("large", LARGE_BYTES), ("small", 10)] {
        let document = save("Document", document(partition, vec![7; bytes]));
        gateway.save(bearing(document, &free)).await.ok();
    }
    let received = async |partition: &str, token: &str| {
        let mut request = bearing(
            v1::DownloadRequest {
                model: "Document".to_owned(),
                key: key(partition, "V1"),
                attribute: "content".to_owned(),
                ..v1::DownloadRequest::default()
            },
            token,
        );
        request.set_timeout(Duration::from_secs(3));
        let mut stream = gateway.data().download(request).await.unwrap().into_inner();
        let mut bytes = 0;
        loop {
            match stream.message().await {
                Ok(Some(message)) => bytes += message.data.len(),
                Ok(None) => return (bytes, Code::Ok),
                Err(status) => return (bytes, status.code()),
            }
        }
    };
    let (bytes, code) = received("large", &large).await;
    assert_eq!(code, Code::DeadlineExceeded);
    assert!((1..LARGE_BYTES).contains(&bytes), "{bytes}");
    assert_eq!(received("small", &small).await, (10, Code::Ok));
    gateway.stop().await;
}
