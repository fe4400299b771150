//! Bodies that break, end early or stall while they are downloaded.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::wiretap::{Fate, Wiretap};

use super::{content, download, range, receive, store};

const BYTES: usize = 2_000_000;

/// The requests for objects meet these fates, one after the other; the rest pass.
fn fated(fates: &[Fate]) -> Wiretap {
    let fates = fates.to_vec();
    let asked = AtomicU64::new(0);
    Wiretap::new(move |operation| match operation {
        "GetObject" => {
            let number = asked.fetch_add(1, Ordering::SeqCst) as usize;
            fates.get(number).copied().unwrap_or(Fate::Pass)
        }
        _ => Fate::Pass,
    })
}

#[tokio::test]
async fn a_body_that_breaks_is_resumed_where_it_broke() {
    for fates in [
        &[Fate::BreakBody(0)] as &[Fate],
        &[Fate::BreakBody(1_500_000)],
        &[Fate::CutBody(1_500_000)],
        &[
            Fate::BreakBody(700_000),
            Fate::Error500,
            Fate::CutBody(700_000),
            Fate::BreakBody(0),
        ],
        &[Fate::BreakBody(100_000); 12],
    ] {
        for (request, start) in [(download("A"), 0), (range(10, 0), 10)] {
            let wiretap = fated(fates);
            let gateway = Gateway::tapped(&wiretap).await;
            let whole = content(BYTES);
            store(&gateway, &whole).await;
            let received = receive(&gateway, request).await;
            let (_, bill) = received.ok();
            assert!(received.content == whole[start..], "{fates:?}");
            let attempts = fates.len() as u64 + 1;
            assert_eq!(wiretap.count("GetObject"), attempts);
            assert_eq!(
                bill.count("tollgate-s3-calls"),
                attempts,
                "each attempt is billed"
            );
            assert_eq!(bill.count("tollgate-retries"), attempts - 1);
            assert_eq!(
                bill.count("tollgate-s3-bytes-downloaded"),
                (BYTES - start) as u64,
                "no byte twice: {fates:?}"
            );
            assert_eq!(bill.count("tollgate-dynamodb-calls"), 1);
        }
    }
}

#[tokio::test]
async fn three_attempts_in_a_row_without_a_new_byte_fail() {
    for (fates, attempts) in [
        (&[Fate::BreakBody(0); 9] as &[Fate], 3),
        (&[Fate::Error500; 9], 3),
        (
            &[
                Fate::BreakBody(1_000_000),
                Fate::BreakBody(0),
                Fate::Error500,
                Fate::CutBody(0),
            ],
            4,
        ),
    ] {
        let wiretap = fated(fates);
        let gateway = Gateway::tapped(&wiretap).await;
        store(&gateway, &content(BYTES)).await;
        let received = receive(&gateway, download("A")).await;
        assert!(received.content == content(BYTES)[..received.content.len()]);
        let refusal = received.refusal();
        refusal.is("STORE_UNAVAILABLE", &[]);
        assert_eq!(refusal.bill.count("tollgate-s3-calls"), attempts);
        assert_eq!(refusal.bill.count("tollgate-retries"), attempts - 1);
    }
}

#[tokio::test]
async fn an_object_that_is_cut_in_the_store_is_data_loss() {
    let wiretap = fated(&[
        Fate::CutBody(1_000_000),
        Fate::CutBody(0),
        Fate::CutBody(0),
        Fate::CutBody(0),
    ]);
    let gateway = Gateway::tapped(&wiretap).await;
    store(&gateway, &content(BYTES)).await;
    let received = receive(&gateway, download("A")).await;
    let refusal = received.refusal();
    refusal.is("OBJECT_INVALID", &[]);
    assert_eq!(refusal.bill.count("tollgate-s3-calls"), 4);
    assert_eq!(
        refusal.bill.count("tollgate-dynamodb-calls"),
        2,
        "the pointer is the same"
    );
}

/// A gateway whose calls have these deadlines, with an object of this size.
async fn within(deadline: &str, stream_deadline_max: &str, wiretap: &Wiretap, bytes: usize) -> Gateway {
    let settings = vec![
        ("TOLLGATE_LIMITS__DEADLINE", deadline.to_owned()),
        (
            "TOLLGATE_LIMITS__STREAM_DEADLINE_MAX",
            stream_deadline_max.to_owned(),
        ),
    ];
    let gateway = Gateway::with(Setup {
        settings,
        wiretap: Some(wiretap.clone()),
        ..Setup::default()
    })
    .await;
    store(&gateway, &content(bytes)).await;
    gateway
}

/// Longer than the SDK's timeout for stalled streams, and than the deadline of other calls.
#[tokio::test]
async fn a_body_that_stalls_is_waited_for() {
    let wiretap = fated(&[Fate::PauseBody(Duration::from_secs(7))]);
    let gateway = within("5s", "1h", &wiretap, 1000).await;
    let received = receive(&gateway, download("A")).await;
    assert_eq!(received.ok().1.count("tollgate-s3-calls"), 1);
    assert!(received.content == content(1000));
}

#[tokio::test]
async fn the_deadline_ends_a_body_that_stalls() {
    let wiretap = fated(&[
        Fate::PauseBody(Duration::from_secs(600)),
        Fate::BreakBody(1_500_000),
        Fate::PauseBody(Duration::from_secs(600)),
    ]);
    let gateway = within("3s", "3s", &wiretap, BYTES).await;
    for attempts in [1, 2] {
        // without a timer of the client
        let received = receive(&gateway, download("A")).await;
        assert!(received.content == content(BYTES)[..received.content.len()]);
        assert_eq!(received.content.is_empty(), attempts == 1);
        let refusal = received.refusal();
        refusal.is("DEADLINE_EXCEEDED", &[]);
        assert_eq!(refusal.bill.count("tollgate-s3-calls"), attempts);
    }
}
