//! Downloads that race with writes: an outdated pointer leads to the new object as long as nothing was sent, and an object
//! that is replaced later ends the call. Only an unchanged pointer to a missing object is data loss.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use futures::FutureExt as _;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{delete, document, get_content, key, s, save};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;
use tonic::transport::Channel;

use super::{BUCKET, Received, content, download, receive, store};

/// More than the messages that are sent before the body breaks.
const BYTES: usize = 2_000_000;
/// Where the body breaks.
const BREAK: usize = 1_500_000;

/// What happens to the item while it is being read.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Overwritten,
    LosesItsObject,
    Deleted,
    /// Not to the item, but to the object.
    ObjectDeleted,
    ObjectReplaced,
}

/// Downloads an object of this size. The first request for it breaks after so many bytes, and `meanwhile` happens before
/// the second one; before the first one if that never begins (`None`).
async fn racing(bytes: usize, breaks_after: Option<usize>, meanwhile: Meanwhile) -> Received {
    let ready: Arc<OnceLock<(DataServiceClient<Channel>, String)>> = Arc::default();
    let (asked, of_hook) = (Arc::new(AtomicU64::new(0)), ready.clone());
    let of_judge = asked.clone();
    let wiretap: Arc<OnceLock<Wiretap>> = Arc::default();
    let tap = wiretap.clone();
    let judged = Wiretap::new(move |operation| match (operation, breaks_after) {
        ("GetObject", Some(after)) if of_judge.load(Ordering::SeqCst) == 0 => Fate::BreakBody(after),
        _ => Fate::Pass,
    });
    let changes_at = u64::from(breaks_after.is_some());
    let judged = judged.and_before(move |operation| {
        if operation != "GetObject" || asked.fetch_add(1, Ordering::SeqCst) != changes_at {
            return async {}.boxed();
        }
        let (mut writer, object) = of_hook.get().cloned().expect("the object is stored");
        let tap = tap.get().cloned().expect("it is set");
        async move {
            match meanwhile {
                Meanwhile::Overwritten => {
                    let new = document("A", vec![9; 1000]);
                    writer.save(save("Document", new)).await.map(drop)
                }
                Meanwhile::LosesItsObject => {
                    let mut without = key("A", "V1");
                    without.insert("name".to_owned(), s("no content"));
                    writer.save(save("Document", without)).await.map(drop)
                }
                Meanwhile::Deleted => writer.delete(delete("Document", key("A", "V1"))).await.map(drop),
                Meanwhile::ObjectDeleted => {
                    tap.stores().delete_object(BUCKET, &object).await;
                    Ok(())
                }
                Meanwhile::ObjectReplaced => {
                    tap.stores().put_object(BUCKET, &object, vec![8; bytes]).await;
                    Ok(())
                }
            }
            .expect("the writer is served");
        }
        .boxed()
    });
    let gateway = Gateway::tapped(&judged).await;
    assert!(wiretap.set(judged).is_ok());
    let object = store(&gateway, &content(bytes)).await;
    assert!(ready.set((gateway.data(), object.key)).is_ok());
    receive(&gateway, download("A")).await
}

#[tokio::test]
async fn an_object_that_is_replaced_before_anything_was_sent_is_read_anew() {
    for (bytes, breaks_after) in [(1000, None), (BYTES, None), (1000, Some(400)), (100_000, Some(0))] {
        let received = racing(bytes, breaks_after, Meanwhile::Overwritten).await;
        let (object, bill) = received.ok();
        assert_eq!(object.size, 1000, "the description is that of the new object");
        assert!(received.content == [9; 1000]);
        assert_eq!(bill.count("tollgate-dynamodb-calls"), 2);
        assert_eq!(bill.decimal("tollgate-rcu"), 1.5, "the second read is consistent");
        assert_eq!(bill.count("tollgate-items"), 1);
        for meanwhile in [Meanwhile::LosesItsObject, Meanwhile::Deleted] {
            let received = racing(bytes, breaks_after, meanwhile).await;
            assert!(received.object.is_none());
            received.refusal().is("ITEM_NOT_FOUND", &[]);
        }
    }
}

#[tokio::test]
async fn an_object_that_is_replaced_midway_ends_the_call() {
    for meanwhile in [
        Meanwhile::Overwritten,
        Meanwhile::LosesItsObject,
        Meanwhile::Deleted,
    ] {
        let received = racing(BYTES, Some(BREAK), meanwhile).await;
        assert!(!received.content.is_empty() && received.content.len() <= BREAK);
        assert!(received.content == content(BYTES)[..received.content.len()]);
        let refusal = received.refusal();
        refusal.is("OBJECT_CHANGED", &[]);
        assert_eq!(refusal.code, Code::Aborted, "{meanwhile:?}");
        assert_eq!(refusal.bill.count("tollgate-dynamodb-calls"), 2);
        assert_eq!(refusal.bill.count("tollgate-s3-calls"), 2);
    }
}

#[tokio::test]
async fn an_unchanged_pointer_to_another_object_is_data_loss() {
    for meanwhile in [Meanwhile::ObjectDeleted, Meanwhile::ObjectReplaced] {
        for (bytes, breaks_after) in [(1000, None), (1000, Some(400)), (BYTES, Some(BREAK))] {
            let received = racing(bytes, breaks_after, meanwhile).await;
            assert!(received.content == content(bytes)[..received.content.len()]);
            let refusal = received.refusal();
            refusal.is("OBJECT_INVALID", &[]);
            assert_eq!(
                refusal.bill.count("tollgate-dynamodb-calls"),
                2,
                "{meanwhile:?}: it was read again"
            );
        }
    }
}

/// The first response to a GetItem is remembered; all later reads that are not consistent get the same one.
fn stale() -> Wiretap {
    let reads = AtomicU64::new(0);
    Wiretap::new(move |operation| match operation {
        "GetItem" => match reads.fetch_add(1, Ordering::SeqCst) {
            0 => Fate::Remember,
            _ => Fate::Replay,
        },
        _ => Fate::Pass,
    })
}

#[tokio::test]
async fn a_stale_read_is_followed_by_a_consistent_one() {
    let gateway = Gateway::tapped(&stale()).await;
    store(&gateway, b"old").await;
    receive(&gateway, download("A")).await.ok();
    for number in 0..3 {
        let new = content(1000 + number);
        store(&gateway, &new).await;
        let received = receive(&gateway, download("A")).await;
        let (object, bill) = received.ok();
        assert_eq!(object.size, new.len() as u64);
        assert!(received.content == new);
        assert_eq!(bill.count("tollgate-dynamodb-calls"), 2);
        assert_eq!(bill.count("tollgate-s3-calls"), 2, "the old object is gone");
        let got = gateway.get(get_content("A")).await;
        assert_eq!(got.bill.count("tollgate-dynamodb-calls"), 2);
        assert!(inline(&got.ok()) == new);
    }
    gateway.save(save("Document", key("A", "V1"))).await.ok();
    let refusal = receive(&gateway, download("A")).await.refusal();
    refusal.is("ITEM_NOT_FOUND", &[]);
}

fn inline(response: &v1::GetResponse) -> &[u8] {
    match &response.item["content"].kind {
        Some(Kind::Object(object)) => object.data.as_deref().expect("its content"),
        other => panic!("{other:?}"),
    }
}

/// The bytes of a version are all alike, and as many as its number says.
#[tokio::test(flavor = "multi_thread")]
async fn writers_and_readers_of_one_item_see_whole_versions() {
    for wiretap in [Wiretap::counting(), stale()] {
        let gateway = Gateway::tapped(&wiretap).await;
        store(&gateway, &vec![0; size_of(0)]).await;
        receive(&gateway, download("A")).await.ok();
        let is_over = AtomicBool::new(false);
        let writer = async {
            for version in 1..=40_u8 {
                store(&gateway, &vec![version; size_of(version)]).await;
            }
            is_over.store(true, Ordering::SeqCst);
        };
        let reader = async || {
            let mut whole = 0;
            while !is_over.load(Ordering::SeqCst) {
                whole += u64::from(downloads_a_version(&gateway).await);
                whole += u64::from(gets_a_version(&gateway).await);
            }
            whole
        };
        let ((), one, other, third) = tokio::join!(writer, reader(), reader(), reader());
        assert!(one + other + third > 0);
        gateway.stop().await;
    }
}

fn size_of(version: u8) -> usize {
    200_000 + usize::from(version) * 10_000
}

/// Whether a whole version arrived; else the object was replaced meanwhile.
async fn downloads_a_version(gateway: &Gateway) -> bool {
    let received = receive(gateway, download("A")).await;
    let version = received.content.first().copied().unwrap_or_default();
    assert!(received.content.iter().all(|byte| *byte == version));
    let is_whole = received.outcome.is_ok();
    match is_whole {
        true => assert_eq!(received.content.len(), size_of(version)),
        false => received.refusal().is("OBJECT_CHANGED", &[]),
    }
    is_whole
}

async fn gets_a_version(gateway: &Gateway) -> bool {
    let got = gateway.get(get_content("A")).await;
    if got.outcome.is_err() {
        Refusal::of(got).is("OBJECT_CHANGED", &[]);
        return false;
    }
    let response = got.ok();
    let content = inline(&response);
    assert!(content.iter().all(|byte| *byte == content[0]));
    assert_eq!(content.len(), size_of(content[0]));
    true
}
