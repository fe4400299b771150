//! Which objects an item owns: keys that belong to nobody else, old pointers that are read first, and versioned buckets.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::FutureExt as _;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_proto::v1::data_service_client::DataServiceClient;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::text;
use tollgate_tests::values::{delete, document, expression, get_content, key, object, save};
use tollgate_tests::versions::Versions;
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::transport::Channel;

const BUCKET: &str = "my-bucket";

async fn read(gateway: &Gateway, partition: &str) -> v1::Object {
    let found = gateway.get(get_content(partition)).await.ok();
    match &found.item["content"].kind {
        Some(Kind::Object(object)) => (**object).clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_folder_of_uploads_belongs_to_no_partition() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    let stores = wiretap.stores();
    gateway
        .save(save("Document", document(".uploads", "own")))
        .await
        .ok();
    let [own] = <[String; 1]>::try_from(stores.objects(BUCKET).await).expect("one object");
    assert!(own.starts_with("docs/%2Euploads/V1/"), "{own}");

    // a pointer into the folder of uploads is foreign, to an item of that name too
    let ulid = own.split('/').nth(3).expect("a ULID");
    let upload = format!("docs/.uploads/V1/{ulid}/report.pdf");
    stores.put_object(BUCKET, &upload, b"own".to_vec()).await;
    let mut planted = stores
        .item("documents", ".uploads", "V1")
        .await
        .expect("it was saved");
    let mut pointer = planted["content"].as_m().expect("a pointer").clone();
    pointer.insert("key".to_owned(), text(&upload));
    planted.insert(
        "content".to_owned(),
        aws_sdk_dynamodb::types::AttributeValue::M(pointer),
    );
    stores.put("documents", planted).await;
    let refusal = Refusal::of(gateway.get(get_content(".uploads")).await);
    assert_eq!(refusal.reason, "FOREIGN_POINTER");
    gateway
        .delete(delete("Document", key(".uploads", "V1")))
        .await
        .ok();
    assert!(
        stores.objects(BUCKET).await.contains(&upload),
        "it is not deleted"
    );
}

#[tokio::test]
async fn keys_beyond_the_limit_of_s3_are_hashed() {
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    let stores = wiretap.stores();
    // 3 bytes each in a key of S3
    let partition = "/".repeat(600);
    for content in ["first", "second"] {
        gateway
            .save(save("Document", document(&partition, content)))
            .await
            .ok();
        let object = read(&gateway, &partition).await;
        assert_eq!(object.data.as_deref(), Some(content.as_bytes()));
        assert!(
            object.key.len() <= 1024 && object.key.starts_with("docs/sha256-"),
            "{}",
            object.key
        );
        assert_eq!(stores.objects(BUCKET).await.concat(), object.key);
        let metadata = stores
            .object_metadata(BUCKET, &object.key)
            .await
            .expect("it is there");
        assert_eq!(
            metadata["tollgate-partition"],
            "%2F".repeat(600),
            "the whole value"
        );
    }
    gateway
        .delete(delete("Document", key(&partition, "V1")))
        .await
        .ok();
    assert!(stores.objects(BUCKET).await.is_empty());
}

/// A gateway whose `times` first updates find that another call replaced the object of document A.
async fn racing(times: u64) -> (Wiretap, Gateway) {
    let writer: Arc<OnceLock<DataServiceClient<Channel>>> = Arc::default();
    let (sent, of_hook) = (AtomicU64::new(0), writer.clone());
    let wiretap = Wiretap::before(move |operation| {
        if operation != "UpdateItem" {
            return async {}.boxed();
        }
        let number = sent.fetch_add(1, Ordering::SeqCst);
        let writer = of_hook.get().cloned().filter(|_| number < times);
        async move {
            let Some(mut writer) = writer else { return };
            let other = save("Document", document("A", format!("other {number}")));
            writer.save(other).await.expect("the writer is served");
        }
        .boxed()
    });
    let gateway = Gateway::tapped(&wiretap).await;
    gateway.save(save("Document", document("A", "first"))).await.ok();
    assert!(writer.set(gateway.data()).is_ok());
    (wiretap, gateway)
}

#[tokio::test]
async fn an_update_that_returns_new_values_pins_the_old_pointer() {
    differs_on!(Moto, "updated-values");
    for returned in [v1::ReturnValues::AllNew, v1::ReturnValues::UpdatedNew] {
        let (wiretap, gateway) = racing(1).await;
        wiretap.clear();
        let update = v1::UpdateRequest {
            model: "Document".to_owned(),
            key: key("A", "V1"),
            update: expression("SET content = :o", [(":o", object("second"))]),
            return_values: returned.into(),
            ..v1::UpdateRequest::default()
        };
        let updated = gateway.update(update).await;
        assert_eq!(wiretap.count("UpdateItem"), 2, "a lost race is tried again");
        assert_eq!(
            wiretap.count("GetItem"),
            1,
            "the failed condition returned the item"
        );
        assert!(updated.bill.decimal("tollgate-rcu") >= 1.0, "the read is billed");
        let item = updated.ok().item;
        assert!(item.contains_key("content"), "{returned:?}");
        let live = read(&gateway, "A").await;
        assert_eq!(live.data.as_deref(), Some(&b"second"[..]));
        let left = wiretap.stores().objects(BUCKET).await;
        assert_eq!(left, [live.key], "no object is left behind");
    }
}

fn models(options: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let model = format!(
        "name: Document\ntable: documents\npartition_key: pk\nsort_key: sk\nattributes:\n  pk: {{ type: string }}\n  \
         sk: {{ type: string }}\n  name: {{ type: string }}\n  content: {{ type: object, s3: {{ bucket: my-bucket, \
         prefix: docs/{options} }} }}\n"
    );
    std::fs::write(folder.path().join("document.yaml"), model).expect("the model");
    folder
}

/// A gateway over versioned buckets.
async fn versioned(options: &str, wiretap: &Wiretap) -> (Gateway, tempfile::TempDir) {
    let folder = models(options);
    let gateway = Gateway::with(Setup {
        models: Some(folder.path().to_path_buf()),
        settings: vec![("TOLLGATE_EMBEDDED__HTTP", "127.0.0.1:0".to_owned())],
        wiretap: Some(wiretap.clone()),
        ..Setup::default()
    })
    .await;
    (gateway, folder)
}

fn version(number: u64) -> Option<String> {
    Some(format!("v{number}"))
}

#[tokio::test]
async fn versioned_objects_are_read_by_version_and_deleted_behind_a_marker() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    for (options, deleted) in [("", None), (", purge_versions: true", version(1))] {
        let versions = Versions::default();
        let wiretap = Wiretap::counting().versioned(&versions);
        let (gateway, _models) = versioned(options, &wiretap).await;
        gateway.save(save("Document", document("A", "first"))).await.ok();
        assert_eq!(read(&gateway, "A").await.version_id, "v1");
        assert_eq!(versions.named("GetObject"), [version(1)]);
        let url = v1::PresignRequest {
            model: "Document".to_owned(),
            key: key("A", "V1"),
            attribute: "content".to_owned(),
            method: v1::PresignMethod::Get.into(),
            ..v1::PresignRequest::default()
        };
        let url = gateway.data().presign(url).await.expect("a URL").into_inner().url;
        assert!(url.contains("versionId=v1"), "{url}");

        // the object of the replaced item
        gateway
            .save(save("Document", document("A", vec![7; 6_000_000])))
            .await
            .ok();
        assert_eq!(
            read(&gateway, "A").await.version_id,
            "v2",
            "of a multipart upload"
        );
        assert_eq!(
            versions.named("DeleteObject").as_slice(),
            std::slice::from_ref(&deleted)
        );

        // an object that no item ever pointed to is gone for good
        let refused = v1::SaveRequest {
            condition: expression("attribute_not_exists(pk)", []),
            ..save("Document", document("A", "third"))
        };
        assert_eq!(
            Refusal::of(gateway.save(refused).await).reason,
            "CONDITION_FAILED"
        );
        assert_eq!(versions.named("DeleteObject"), [deleted, version(3)]);
    }
}

#[tokio::test]
async fn a_fresh_object_whose_version_is_unknown_is_deleted_all_the_same() {
    differs_on!(Moto | DynamoDbLocal, "urls");
    let versions = Versions::default();
    let wiretap = Wiretap::new(|operation| match operation {
        "PutObject" => Fate::LoseResponse,
        _ => Fate::Pass,
    })
    .versioned(&versions);
    let (gateway, _models) = versioned("", &wiretap).await;
    let failed = gateway.save(save("Document", document("A", "first"))).await;
    assert_eq!(Refusal::of(failed).reason, "STORE_UNAVAILABLE");
    assert_eq!(versions.named("DeleteObject"), [None]);
    assert!(wiretap.stores().objects(BUCKET).await.is_empty());
}
