//! The cache of data keys: what it saves, what it never shares, and how it is emptied.

use std::path::Path;

use tollgate_proto::v1;
use tollgate_proto::v1::admin_service_client::AdminServiceClient;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::values::{get, key, query, save, secure_user};
use tollgate_tests::wiretap::Wiretap;

/// A gateway with this value of `kms.cache`, and the models of a folder.
async fn gateway(wiretap: &Wiretap, settings: &[(&'static str, &str)], models: Option<&Path>) -> Gateway {
    let settings = settings
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect();
    Gateway::with(Setup {
        wiretap: Some(wiretap.clone()),
        models: models.map(Path::to_owned),
        settings,
        ..Setup::default()
    })
    .await
}

/// Saves an item and reads it. Returns the KMS requests and the cache hits of both.
async fn save_and_read(gateway: &Gateway, sort: &str) -> [(u64, u64); 2] {
    let figures = |bill: &tollgate_tests::gateway::Bill| {
        (
            bill.count("tollgate-kms-calls"),
            bill.count("tollgate-kms-cache-hits"),
        )
    };
    let saved = gateway.save(save("SecureUser", secure_user("ORG", sort))).await;
    let written = figures(&saved.bill);
    saved.ok();
    let read = gateway.get(get("SecureUser", key("ORG", sort))).await;
    let opened = figures(&read.bill);
    assert_eq!(read.ok().item, secure_user("ORG", sort));
    [written, opened]
}

#[tokio::test]
async fn without_the_cache_every_call_requests_its_keys() {
    let wiretap = Wiretap::counting();
    let gateway = gateway(&wiretap, &[], None).await;
    for sort in ["U#1", "U#2"] {
        assert_eq!(save_and_read(&gateway, sort).await, [(1, 0), (1, 0)]);
    }
}

#[tokio::test]
async fn the_cache_saves_requests_and_bills_its_hits() {
    let wiretap = Wiretap::counting();
    let gateway = gateway(&wiretap, &[("TOLLGATE_KMS__CACHE", "on")], None).await;
    assert_eq!(save_and_read(&gateway, "U#1").await, [(1, 0), (1, 0)]);
    for sort in ["U#2", "U#3"] {
        // the same data key wrote all of them
        assert_eq!(save_and_read(&gateway, sort).await, [(0, 1), (0, 1)]);
    }
    wiretap.clear();
    let page = gateway.query(query("SecureUser", "ORG")).await;
    assert_eq!(page.bill.count("tollgate-kms-calls"), 0);
    assert_eq!(page.ok().remove(0).results.len(), 3);
    assert_eq!(wiretap.count("Decrypt") + wiretap.count("GenerateDataKey"), 0);
}

#[tokio::test]
async fn a_key_is_used_no_more_often_than_allowed() {
    let wiretap = Wiretap::counting();
    let gateway = gateway(&wiretap, &[("TOLLGATE_KMS__CACHE__MAX_USES", "2")], None).await;
    for sort in ["U#1", "U#2", "U#3", "U#4", "U#5"] {
        gateway
            .save(save("SecureUser", secure_user("ORG", sort)))
            .await
            .ok();
    }
    assert_eq!(wiretap.count("GenerateDataKey"), 3);
}

#[tokio::test]
async fn a_model_can_do_without_the_cache() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = "name: SecureUser\ntable: secure_users\npartition_key: pk\nsort_key: sk\nkms_cache: off\nattributes:\n  \
         pk: { type: string }\n  sk: { type: string }\n  phone: { type: string }\n  address: { type: map }\n  \
         ssn: { type: string, encrypted: { key_id: alias/uncached } }\n";
    std::fs::write(folder.path().join("models.yaml"), model).expect("it is written");
    let wiretap = Wiretap::counting();
    let gateway = gateway(&wiretap, &[("TOLLGATE_KMS__CACHE", "on")], Some(folder.path())).await;
    for sort in ["U#1", "U#2"] {
        assert_eq!(save_and_read(&gateway, sort).await, [(1, 0), (1, 0)]);
    }
}

#[tokio::test]
async fn flushing_drops_all_keys() {
    let wiretap = Wiretap::counting();
    let gateway = gateway(&wiretap, &[("TOLLGATE_KMS__CACHE", "on")], None).await;
    assert_eq!(save_and_read(&gateway, "U#1").await, [(1, 0), (1, 0)]);
    let mut admin = AdminServiceClient::new(gateway.channel());
    let flushed = admin
        .flush_keys(v1::FlushKeysRequest {})
        .await
        .expect("it is flushed");
    assert_eq!(flushed.into_inner().keys, 2);
    assert_eq!(save_and_read(&gateway, "U#1").await, [(1, 0), (1, 0)]);
    gateway.reloader().flush_keys();
    assert_eq!(save_and_read(&gateway, "U#1").await, [(1, 0), (1, 0)]);
    assert_eq!(save_and_read(&gateway, "U#1").await, [(0, 1), (0, 1)]);
}
