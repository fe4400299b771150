//! Object bodies from S3 that break, end early or pause.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{document, get_content, save};
use tollgate_tests::wiretap::{Fate, Wiretap};

const BYTES: usize = 1000;
/// Longer than the SDK's timeout for stalled streams.
const PAUSE: &[Fate] = &[Fate::PauseBody(Duration::from_secs(8))];

/// The requests for objects meet these fates, one after the other; the rest pass.
async fn fated(fates: &'static [Fate]) -> (Wiretap, Gateway) {
    let asked = AtomicU64::new(0);
    let wiretap = Wiretap::new(move |operation| match operation {
        "GetObject" => {
            let number = asked.fetch_add(1, Ordering::SeqCst) as usize;
            fates.get(number).copied().unwrap_or(Fate::Pass)
        }
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    gateway
        .save(save("Document", document("A", vec![7; BYTES])))
        .await
        .ok();
    (wiretap, gateway)
}

fn assert_whole(response: &v1::GetResponse) {
    let Some(Kind::Object(object)) = &response.item["content"].kind else {
        panic!("no object")
    };
    assert!(object.data.as_deref() == Some([7; BYTES].as_slice()));
}

#[tokio::test]
async fn a_body_that_breaks_is_resumed_where_it_broke() {
    for fates in [
        &[Fate::BreakBody(400)] as &[Fate],
        &[Fate::BreakBody(0), Fate::BreakBody(999)],
        &[Fate::BreakBody(1); 9],
        &[Fate::CutBody(400)],
        &[Fate::CutBody(400), Fate::CutBody(400)],
        &[Fate::Error500, Fate::BreakBody(400)],
        &[Fate::Error500, Fate::Error500, Fate::BreakBody(400)],
        &[Fate::BreakBody(400), Fate::Error500, Fate::Error500],
        &[Fate::BreakBody(400), Fate::BreakBody(0), Fate::CutBody(0)],
    ] {
        let (wiretap, gateway) = fated(fates).await;
        let got = gateway.get(get_content("A")).await;
        let attempts = fates.len() as u64 + 1;
        assert_eq!(wiretap.count("GetObject"), attempts, "{fates:?}");
        assert_eq!(got.bill.count("tollgate-s3-calls"), attempts, "{fates:?}");
        assert_eq!(got.bill.count("tollgate-retries"), attempts - 1, "{fates:?}");
        let downloaded = got.bill.count("tollgate-s3-bytes-downloaded");
        assert_eq!(downloaded, BYTES as u64, "no byte twice: {fates:?}");
        assert_whole(&got.ok());
    }
    let (wiretap, gateway) = fated(&[Fate::BreakBody(BYTES)]).await;
    assert_whole(&gateway.get(get_content("A")).await.ok());
    assert_eq!(wiretap.count("GetObject"), 1, "nothing was missing");
}

#[tokio::test]
async fn three_attempts_in_a_row_without_a_new_byte_fail() {
    for (fates, attempts) in [
        (&[Fate::BreakBody(0); 9] as &[Fate], 3),
        (&[Fate::CutBody(0), Fate::BreakBody(0), Fate::CutBody(0)], 3),
        (&[Fate::Error500, Fate::Error500, Fate::BreakBody(0)], 3),
        (
            &[
                Fate::BreakBody(400),
                Fate::BreakBody(0),
                Fate::CutBody(0),
                Fate::BreakBody(0),
            ],
            4,
        ),
        (
            &[
                Fate::BreakBody(400),
                Fate::Error500,
                Fate::Error500,
                Fate::Error500,
            ],
            4,
        ),
    ] {
        let (wiretap, gateway) = fated(fates).await;
        let refusal = Refusal::of(gateway.get(get_content("A")).await);
        refusal.is("STORE_UNAVAILABLE", &[]);
        assert_eq!(refusal.bill.count("tollgate-s3-calls"), attempts, "{fates:?}");
        assert_eq!(refusal.bill.count("tollgate-retries"), attempts - 1, "{fates:?}");
        assert_eq!(wiretap.count("GetObject"), attempts, "{fates:?}");
    }
}

#[tokio::test]
async fn a_body_that_always_ends_at_the_same_byte_is_truncated_in_the_store() {
    for (fates, attempts) in [
        (&[Fate::CutBody(0); 9] as &[Fate], 3),
        (
            &[
                Fate::CutBody(400),
                Fate::CutBody(0),
                Fate::CutBody(0),
                Fate::CutBody(0),
            ],
            4,
        ),
    ] {
        let (_wiretap, gateway) = fated(fates).await;
        let refusal = Refusal::of(gateway.get(get_content("A")).await);
        refusal.is("OBJECT_INVALID", &[]);
        assert_eq!(refusal.bill.count("tollgate-s3-calls"), attempts, "{fates:?}");
    }
}

/// Large enough for a separate file, and small enough for a row of the index.
#[tokio::test]
async fn a_body_truncated_on_disk_is_data_loss() {
    differs_on!(Moto | DynamoDbLocal, "files");
    let folder = tempfile::tempdir().expect("a folder");
    let setup = || Setup {
        data: Some(folder.path().join("data")),
        ..Setup::default()
    };
    let gateway = Gateway::with(setup()).await;
    gateway
        .save(save("Document", document("A", vec![7; 100_000])))
        .await
        .ok();
    let bodies = folder.path().join("data/s3/objects");
    let files: Vec<_> = std::fs::read_dir(bodies)
        .expect("bodies")
        .flat_map(|entry| std::fs::read_dir(entry.expect("a folder").path()).expect("bodies"))
        .map(|entry| entry.expect("a body").path())
        .collect();
    let [body] = files.as_slice() else {
        panic!("{files:?}")
    };
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(body)
        .expect("it opens");
    for bytes in [99_999, 50_000, 0] {
        file.set_len(bytes).expect("it is cut");
        let refusal = Refusal::of(gateway.get(get_content("A")).await);
        refusal.is("OBJECT_INVALID", &[]);
    }
    std::fs::remove_file(body).expect("it is removed");
    Refusal::of(gateway.get(get_content("A")).await).is("OBJECT_INVALID", &[]);
    gateway.stop().await;
}

#[tokio::test]
async fn a_body_that_pauses_is_waited_for_until_the_deadline() {
    let (_wiretap, gateway) = fated(PAUSE).await;
    let got = gateway.get(get_content("A")).await;
    assert_eq!(got.bill.count("tollgate-s3-calls"), 1);
    assert_whole(&got.ok());
    let wiretap = Wiretap::new(|operation| match operation {
        "GetObject" => Fate::PauseBody(Duration::from_secs(600)),
        _ => Fate::Pass,
    });
    let gateway = Gateway::with(Setup {
        settings: vec![("TOLLGATE_LIMITS__DEADLINE", "2s".to_owned())],
        wiretap: Some(wiretap),
        ..Setup::default()
    })
    .await;
    let written = save("Document", document("A", vec![7; BYTES]));
    gateway.save(written).await.ok();
    let refusal = Refusal::of(gateway.get(get_content("A")).await);
    refusal.is("DEADLINE_EXCEEDED", &[]);
    assert_eq!(refusal.bill.count("tollgate-s3-calls"), 1);
}
