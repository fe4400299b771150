//! Bounds on what callers can make the gateway hold: permits, bytes and time, in total and per connection, for every
//! service; others are served meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use h2::Reason;
use tollgate_proto::v1;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_tests::gateway::{CallResult, Gateway, Setup, connect};
use tollgate_tests::polling::until;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::streams::{End, Http2, prefix};
use tollgate_tests::values::{document, get, get_content, key, save, user};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

const GET: &str = "/tollgate.v1.DataService/Get";
const SAVE: &str = "/tollgate.v1.DataService/Save";
const MIB: usize = 1024 * 1024;

async fn gateway(settings: &[(&'static str, &str)], wiretap: Option<&Wiretap>) -> Gateway {
    let settings = settings
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    Gateway::with(Setup {
        settings,
        wiretap: wiretap.cloned(),
        ..Setup::default()
    })
    .await
}

fn refusal(end: End) -> Refusal {
    match end {
        End::Status(status) => Refusal::of_status(&status),
        End::Reset(reason, _) => panic!("reset: {reason}"),
    }
}

fn quota(refusal: &Refusal) -> &str {
    let quota = refusal.details.quota_failure().expect("the limit is named");
    &quota.violations[0].subject
}

#[tokio::test]
async fn headers_without_a_message_hold_no_permit_and_time_out() {
    let limits = [
        ("TOLLGATE_LIMITS__IN_FLIGHT", "8"),
        ("TOLLGATE_LIMITS__RECEIVE", "1s"),
    ];
    let gateway = gateway(&limits, None).await;
    let mut hostile = Http2::connect(&gateway, 65_535).await;
    let mut calls = Vec::new();
    for _ in 0..200 {
        calls.push(hostile.begin(GET, &[("grpc-timeout", "99999999H")]).await);
    }
    let met = gateway.get(get("User", key("A", "1"))).await.status();
    assert_eq!(met.code(), Code::NotFound, "places are free");
    for end in join_all(calls.into_iter().map(|call| call.unread())).await {
        let refusal = refusal(end);
        assert_eq!(refusal.reason, "DEADLINE_EXCEEDED");
        assert!(refusal.message.contains("limits.receive (1s)"), "{refusal:?}");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn all_bytes_of_headers_count_for_every_service() {
    const HEADS: usize = 20;
    let gateway = gateway(&[], None).await;
    let long = "x".repeat(12 * 1024);
    for path in [GET, "/tollgate.v1.SchemaService/GetModel"] {
        let mut connection = Http2::connect(&gateway, 65_535).await;
        let mut calls = Vec::new();
        for _ in 0..HEADS {
            calls.push(connection.begin(path, &[("x-long", &long)]).await);
        }
        until("all heads are counted", async || {
            gateway.capacity().reserved_bytes() >= 2 * HEADS * long.len()
        })
        .await;
        drop((calls, connection));
        until("all have left", async || gateway.capacity().reserved_bytes() == 0).await;
    }
    gateway.stop().await;
}

#[tokio::test]
async fn an_incomplete_message_times_out_and_is_billed() {
    let gateway = gateway(&[("TOLLGATE_LIMITS__RECEIVE", "300ms")], None).await;
    let mut connection = Http2::connect(&gateway, 65_535).await;
    let mut call = connection.begin(SAVE, &[("tollgate-request-id", "half")]).await;
    call.send(Bytes::from_static(&[0, 0, 0, 1, 0, 7, 7]), |_| ())
        .await;
    assert_eq!(refusal(call.unread().await).code, Code::DeadlineExceeded);
    let asked = v1::GetCallMetricsRequest {
        request_id: "half".to_owned(),
    };
    let bill = gateway
        .metrics()
        .get_call_metrics(asked)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(bill.code, Code::DeadlineExceeded as u32);
    gateway.stop().await;
}

#[tokio::test]
async fn very_long_timeouts_are_capped() {
    let limits = [
        ("TOLLGATE_LIMITS__DEADLINE_MAX", "300ms"),
        ("TOLLGATE_LIMITS__STREAM_DEADLINE_MAX", "400ms"),
    ];
    let hangs = Wiretap::new(|operation| match operation {
        "GetItem" | "Scan" => Fate::Hang,
        _ => Fate::Pass,
    });
    let gateway = gateway(&limits, Some(&hangs)).await;
    let mut connection = Http2::connect(&gateway, 65_535).await;
    let years = [("grpc-timeout", "99999999H")];
    let message = get("User", key("A", "1"));
    let get = connection.call(GET, &years, &message).await;
    let message = v1::ScanRequest {
        model: "User".to_owned(),
        ..v1::ScanRequest::default()
    };
    let scan = connection
        .call("/tollgate.v1.DataService/Scan", &years, &message)
        .await;
    for call in [get, scan] {
        assert_eq!(refusal(call.unread().await).reason, "DEADLINE_EXCEEDED");
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_connection_has_a_share_of_the_permits_and_probes_have_their_own() {
    let hangs = Wiretap::new(|operation| match operation {
        "GetItem" => Fate::Hang,
        _ => Fate::Pass,
    });
    let gateway = gateway(&[("TOLLGATE_LIMITS__IN_FLIGHT", "8")], Some(&hangs)).await;
    let mut connections = Vec::new();
    let mut held = Vec::new();
    let message = get("User", key("A", "1"));
    for number in 1..=4_u64 {
        let mut connection = Http2::connect(&gateway, 65_535).await;
        held.push(connection.call(GET, &[], &message).await);
        held.push(connection.call(GET, &[], &message).await);
        until("both are under way", async || {
            hangs.count("GetItem") == 2 * number
        })
        .await;
        let third = refusal(connection.call(GET, &[], &message).await.unread().await);
        assert_eq!(third.reason, "TOO_MANY_CALLS");
        assert_eq!(quota(&third), "limits.in_flight_per_connection");
        assert!(third.bill.has("tollgate-cost-usd"), "refused calls are billed");
        connections.push(connection);
    }
    let channel = connect(gateway.address()).await;
    let ninth = CallResult::from_response(DataServiceClient::new(channel.clone()).get(message).await);
    assert_eq!(quota(&Refusal::of_status(&ninth.status())), "limits.in_flight");
    let mut health = HealthClient::new(channel);
    let check = health.check(HealthCheckRequest::default()).await;
    assert_eq!(check.unwrap().into_inner().status, 1);
    let totals = gateway.totals("").await.total.expect("totals");
    assert_eq!(totals.failed_call_count, 5);
    drop((held, connections));
    until("all have left", async || gateway.capacity().reserved_bytes() == 0).await;
    gateway.stop().await;
}

#[tokio::test]
async fn unfinished_messages_stay_within_the_limit_while_others_are_served() {
    let limits = [
        ("TOLLGATE_LIMITS__MEMORY", "64 MiB"),
        ("TOLLGATE_LIMITS__RECEIVE", "1s"),
        ("TOLLGATE_LIMITS__DEADLINE", "3s"),
    ];
    let gateway = Arc::new(gateway(&limits, None).await);
    let length = 32 * MIB;
    let unfinished: Bytes = [&prefix(length)[..], &vec![b'x'; length - 1]].concat().into();
    let (live, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let mut connection = Http2::connect(&gateway, 65_535).await;
        let mut calls = Vec::new();
        for _ in 0..25 {
            calls.push(connection.begin(SAVE, &[]).await);
        }
        for mut call in calls {
            let (unfinished, live, most) = (unfinished.clone(), live.clone(), most.clone());
            tasks.push(tokio::spawn(async move {
                let own = AtomicUsize::new(0);
                call.send(unfinished, |bytes| {
                    own.fetch_add(bytes, Ordering::SeqCst);
                    let all = live.fetch_add(bytes, Ordering::SeqCst) + bytes;
                    most.fetch_max(all, Ordering::SeqCst);
                })
                .await;
                let end = call.unread().await;
                live.fetch_sub(own.into_inner(), Ordering::SeqCst);
                end
            }));
        }
        tasks.push(tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(connection);
            unreachable!()
        }));
    }
    let (connections, calls): (Vec<_>, Vec<_>) = tasks
        .into_iter()
        .enumerate()
        .partition(|(index, _)| index % 26 == 25);
    let mut served = 0;
    let hostile = join_all(calls.into_iter().map(|(_, task)| task));
    tokio::pin!(hostile);
    let ends = loop {
        tokio::select! {
            ends = &mut hostile => break ends,
            response = gateway.save(save("User", user("A", "123-45-6789"))) => {
                response.ok();
                served += 1;
            }
        }
    };
    for end in ends {
        let refusal = refusal(end.unwrap());
        assert!(
            ["DEADLINE_EXCEEDED", "OUT_OF_MEMORY"].contains(&refusal.reason.as_str()),
            "{refusal:?}"
        );
    }
    assert!(served > 10, "{served} calls of others");
    // what HTTP/2 itself holds: a window per connection
    let most = most.load(Ordering::SeqCst);
    assert!(most <= 64 * MIB + 4 * 2 * MIB, "{} MiB at once", most / MIB);
    for (_, connection) in connections {
        connection.abort();
    }
    until("all is free", async || gateway.capacity().reserved_bytes() == 0).await;
}

#[tokio::test]
async fn a_message_that_exceeds_the_memory_limit_is_refused_immediately() {
    let gateway = gateway(&[("TOLLGATE_LIMITS__MEMORY", "4 MiB")], None).await;
    let started = Instant::now();
    let large = gateway
        .save(save("Document", document("A", vec![7; 4 * MIB])))
        .await;
    let refused = Refusal::of(large);
    assert_eq!(
        (refused.reason.as_str(), quota(&refused)),
        ("OUT_OF_MEMORY", "limits.memory")
    );
    assert!(refused.bill.has("tollgate-cost-usd"), "refused calls are billed");
    assert!(started.elapsed() < Duration::from_secs(20), "not at its deadline");
    gateway
        .save(save("Document", document("A", vec![7; MIB])))
        .await
        .ok();
    let content = gateway.get(get_content("A")).await;
    assert_eq!(content.ok().item["pk"], key("A", "V1")["pk"]);
    until("all is free", async || gateway.capacity().reserved_bytes() == 0).await;
    gateway.stop().await;
}

#[tokio::test]
async fn other_services_are_bounded_too() {
    let limits = [
        ("TOLLGATE_LIMITS__MEMORY", "4 MiB"),
        ("TOLLGATE_LIMITS__RECEIVE", "300ms"),
    ];
    let gateway = gateway(&limits, None).await;
    let mut connection = Http2::connect(&gateway, 65_535).await;
    for path in [
        "/tollgate.v1.MetricsService/GetTotalMetrics",
        "/tollgate.v1.SchemaService/ListModels",
        "/grpc.health.v1.Health/Check",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    ] {
        let mut large = connection.begin(path, &[]).await;
        let length = 4 * MIB;
        let message = [&prefix(length)[..], &vec![0; 70_000]].concat();
        large.send(message.into(), |_| ()).await;
        let silent = connection.begin(path, &[]).await;
        let ended = large.unread().await;
        // a stream of requests may have begun to respond
        if !path.contains("reflection") {
            assert_eq!(refusal(ended).reason, "OUT_OF_MEMORY", "{path}");
            assert_eq!(
                refusal(silent.unread().await).reason,
                "DEADLINE_EXCEEDED",
                "{path}"
            );
        }
    }
    let watch = "/grpc.health.v1.Health/Watch";
    let mut watches = Vec::new();
    for _ in 0..8 {
        watches.push(connection.call(watch, &[], &HealthCheckRequest::default()).await);
    }
    let ninth = connection.call(watch, &[], &HealthCheckRequest::default()).await;
    assert_eq!(refusal(ninth.unread().await).reason, "TOO_MANY_CALLS");
    drop((watches, connection));
    until("all is free", async || gateway.capacity().reserved_bytes() == 0).await;
    gateway.stop().await;
}

#[tokio::test]
async fn unread_responses_are_bounded_and_reset_once_their_calls_are_over() {
    let gateway = gateway(&[("TOLLGATE_LIMITS__MEMORY", "64 MiB")], None).await;
    gateway
        .save(save("Document", document("A", vec![7; 8 * MIB])))
        .await
        .ok();
    let mut connection = Http2::connect(&gateway, 65_535).await;
    let mut calls = Vec::new();
    for _ in 0..60 {
        let timeout = [("grpc-timeout", "2S")];
        calls.push(connection.call(GET, &timeout, &get_content("A")).await);
    }
    let mut reset = 0;
    let ends = join_all(calls.into_iter().map(|call| call.unread()));
    tokio::pin!(ends);
    let mut most = 0;
    let ends = loop {
        tokio::select! {
            ends = &mut ends => break ends,
            () = tokio::task::yield_now() => most = most.max(gateway.capacity().reserved_bytes()),
        }
    };
    for end in ends {
        match end {
            End::Reset(Reason::CANCEL, taken) => {
                assert!(taken <= 65_535, "{taken} bytes were sent");
                reset += 1;
            }
            other => {
                let reason = refusal(other).reason;
                assert!(
                    ["OUT_OF_MEMORY", "DEADLINE_EXCEEDED"].contains(&reason.as_str()),
                    "{reason}"
                );
            }
        }
    }
    assert!(reset > 0, "some had a response");
    assert!((8 * MIB..=64 * MIB).contains(&most), "{} MiB", most / MIB);
    // the connection is open, and nothing of all that is left
    until("all is free", async || gateway.capacity().reserved_bytes() == 0).await;
    let response = connection.call(GET, &[], &get("User", key("A", "1"))).await;
    assert_eq!(refusal(response.unread().await).reason, "ITEM_NOT_FOUND");
    gateway.stop().await;
}

#[tokio::test]
async fn writes_of_disconnected_callers_keep_their_permit() {
    let slow = Wiretap::new(|operation| match operation {
        "PutItem" => Fate::Delay(Duration::from_secs(2)),
        _ => Fate::Pass,
    });
    let limits = [
        ("TOLLGATE_LIMITS__IN_FLIGHT", "8"),
        ("TOLLGATE_LIMITS__IN_FLIGHT_PER_CONNECTION", "8"),
    ];
    let gateway = Arc::new(gateway(&limits, Some(&slow)).await);
    let write = |number: usize| {
        let gateway = Arc::clone(&gateway);
        let item = document(&format!("A{number}"), vec![7; 100]);
        tokio::spawn(async move { gateway.save(save("Document", item)).await })
    };
    let first: Vec<_> = (0..8).map(write).collect();
    until("all places are taken", async || slow.count("PutItem") == 8).await;
    first.iter().for_each(tokio::task::JoinHandle::abort);
    join_all(first).await;
    let mut refused = 0;
    for number in 8..80 {
        if let Err(status) = write(number).await.unwrap().outcome {
            assert_eq!(Refusal::of_status(&status).reason, "TOO_MANY_CALLS");
            refused += 1;
        }
        if slow.count("PutItem") > 8 {
            break;
        }
    }
    assert!(refused > 0, "the places were kept");
    assert_eq!(slow.most_under_way("PutItem"), 8);
    until("the writes have ended", async || {
        write(80).await.unwrap().outcome.is_ok()
    })
    .await;
    assert_eq!(slow.most_under_way("PutItem"), 8);
}
