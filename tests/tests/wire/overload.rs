//! Fewer calls while the processors cannot keep up. That they cannot is simulated: the delay that calls observe is reported
//! to the server's capacity directly.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_tests::gateway::{CallResult, Gateway, Setup, connect};
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{get, key};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// More than the lowest limit, which depends on the machine.
const IN_FLIGHT: usize = 4096;

/// A clock that is ahead of the real one, so that the delays of real calls end no window.
struct Ahead(Instant);

impl Ahead {
    /// Reports delays to the server until its limit no longer changes, and returns that.
    fn observe(&mut self, gateway: &Gateway, delay: Duration) -> usize {
        let capacity = gateway.capacity();
        let mut limits = vec![capacity.admitted()];
        loop {
            // several windows: the first one may have delays of real calls and of the last time
            for _ in 0..32 {
                self.0 += Duration::from_secs(1);
                capacity.observe_delay(delay, self.0);
            }
            let limit = capacity.admitted();
            if limits.last() == Some(&limit) {
                return limit;
            }
            limits.push(limit);
        }
    }
}

#[tokio::test]
async fn an_overloaded_server_refuses_calls_until_it_keeps_up() {
    let hangs = Wiretap::new(|operation| match operation {
        "GetItem" => Fate::Hang,
        _ => Fate::Pass,
    });
    let gateway = Gateway::with(Setup {
        settings: vec![
            ("TOLLGATE_LIMITS__ADAPTIVE", "true".to_owned()),
            ("TOLLGATE_LIMITS__IN_FLIGHT", IN_FLIGHT.to_string()),
        ],
        ..Setup::tapped(&hangs)
    })
    .await;
    assert_eq!(gateway.capacity().admitted(), IN_FLIGHT);
    let mut clock = Ahead(Instant::now());
    let least = clock.observe(&gateway, Duration::from_secs(1));
    assert!(least < IN_FLIGHT, "{least}");
    let channels = join_all((0..4).map(|_| connect(gateway.address()))).await;
    let held: Vec<_> = (0..least)
        .map(|number| {
            let mut client = DataServiceClient::new(channels[number % channels.len()].clone());
            tokio::spawn(async move { client.get(get("User", key("A", "1"))).await })
        })
        .collect();
    until("all are under way", async || {
        hangs.count("GetItem") == least as u64
    })
    .await;
    assert_eq!(clock.observe(&gateway, Duration::from_secs(1)), least);

    let channel = connect(gateway.address()).await;
    let mut client = DataServiceClient::new(channel.clone());
    let refused = CallResult::from_response(client.get(get("User", key("A", "1"))).await);
    let refused = Refusal::of(refused);
    refused.is("TOO_MANY_CALLS", &[]);
    refused.cost_nothing();
    assert!(refused.message.contains("overloaded"), "{refused:?}");
    let quota = refused.details.quota_failure().expect("the limit is named");
    assert_eq!(quota.violations[0].subject, "limits.in_flight");
    assert_eq!(refused.bill.text("grpc-retry-pushback-ms"), "200");
    let delay = refused.details.retry_info().and_then(|retry| retry.retry_delay);
    assert_eq!(delay, Some(Duration::from_millis(200)));

    let health = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await;
    assert_eq!(health.unwrap().into_inner().status, 1, "health is not affected");
    let totals = gateway.totals("").await.total.expect("metrics are not affected");
    assert_eq!(totals.failed_call_count, 1);

    assert_eq!(clock.observe(&gateway, Duration::ZERO), IN_FLIGHT);
    let admitted = tokio::spawn(async move { client.get(get("User", key("A", "1"))).await });
    until("another call is admitted", async || {
        hangs.count("GetItem") == least as u64 + 1
    })
    .await;
    for call in held.into_iter().chain([admitted]) {
        call.abort();
    }
    drop(channels);
    until("all have left", async || gateway.capacity().reserved_bytes() == 0).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_call_over_a_fixed_limit_says_when_to_retry() {
    let gateway = Gateway::with(Setup {
        settings: vec![("TOLLGATE_LIMITS__MESSAGE_BYTES", "1 KiB".to_owned())],
        ..Setup::default()
    })
    .await;
    let refused = Refusal::of(gateway.get(get("User", key("A", &"x".repeat(2000)))).await);
    assert_eq!(refused.code, Code::ResourceExhausted);
    assert!(
        !refused.bill.has("grpc-retry-pushback-ms"),
        "a retry of a message that is too large does not help"
    );
    gateway.stop().await;
}
