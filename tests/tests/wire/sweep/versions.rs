//! Versioned buckets: an orphan is deleted with its version, for good.

use tollgate_tests::aged::Aged;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::versions::Versions;
use tollgate_tests::wiretap::Wiretap;

use super::{BUCKET, remove_item, saved, sweep_all};

#[tokio::test]
async fn orphans_in_versioned_buckets_are_deleted_by_their_version() {
    let (aged, versions) = (Aged::default(), Versions::default());
    let wiretap = Wiretap::counting().with_aged(&aged).versioned(&versions);
    let gateway = Gateway::tapped(&wiretap).await;
    let stores = wiretap.stores();
    let live = saved(&gateway, stores, "live").await;
    let orphan = saved(&gateway, stores, "gone").await;
    // beyond 2 KB the metadata holds only a hash
    let long = "p".repeat(2000);
    let hashed = saved(&gateway, stores, &long).await;
    for partition in ["gone", &long] {
        remove_item(stores, partition).await;
    }
    for key in [&live, &orphan, &hashed] {
        aged.add(key);
    }
    assert_eq!(sweep_all(&gateway).await.sums.deleted, 2);
    let mut deleted = versions.named("DeleteObject");
    deleted.sort();
    assert_eq!(deleted, ["v2", "v3"].map(|version| Some(version.to_owned())));
    assert_eq!(stores.objects(BUCKET).await, [live]);
}
