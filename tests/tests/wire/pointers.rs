//! Pointers that another writer stored: an object is read only from the item's own folder, unless the attribute allows
//! others, and deleted only if the item certainly owns it.

use std::collections::HashMap;
use std::path::PathBuf;

use aws_sdk_dynamodb::types::AttributeValue;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::{RawStores, Stored, text};
use tollgate_tests::values::{delete, document, get, get_content, item, key, query, s, save, scan};
use tollgate_tests::wiretap::Wiretap;
use tonic::Code;
use tonic_types::{RpcStatusExt as _, pb};

const BUCKET: &str = "my-bucket";

/// What is stored of a document.
async fn stored(stores: &RawStores, partition: &str) -> Stored {
    let found = stores.item("documents", partition, "V1").await;
    found.expect("it was saved")
}

/// The fields of the pointer that an item holds.
fn pointer(stored: &Stored) -> HashMap<String, AttributeValue> {
    stored["content"].as_m().expect("a pointer").clone()
}

fn object_key(stored: &Stored) -> String {
    pointer(stored)["key"].as_s().expect("a key").clone()
}

/// Writes a pointer into a document past the gateway.
async fn plant(stores: &RawStores, partition: &str, pointer: HashMap<String, AttributeValue>) {
    let mut planted = stored(stores, partition).await;
    planted.insert("content".to_owned(), AttributeValue::M(pointer));
    stores.put("documents", planted).await;
}

/// A and B with their objects.
async fn two_documents(wiretap: &Wiretap) -> Gateway {
    let gateway = Gateway::tapped(wiretap).await;
    for partition in ["A", "B"] {
        let content = document(partition, partition.repeat(100));
        gateway.save(save("Document", content)).await.ok();
    }
    gateway
}

/// Pointers that do not lead into A's folder, built from B's or from A's own.
async fn planted(stores: &RawStores) -> Vec<(String, HashMap<String, AttributeValue>)> {
    let own = pointer(&stored(stores, "A").await);
    let others = pointer(&stored(stores, "B").await);
    let own_key = own["key"].as_s().expect("a key").clone();
    let others_key = others["key"].as_s().expect("a key").clone();
    let tail = others_key.strip_prefix("docs/B/V1/").expect("B's folder");
    stores.create_bucket("other-bucket").await;
    stores
        .put_object("other-bucket", &own_key, b"A".repeat(100))
        .await;
    stores.put_object(BUCKET, "docs/A/V1", b"A".repeat(100)).await;
    stores.put_object(BUCKET, "docs/A/V1/", b"A".repeat(100)).await;
    let mut planted = Vec::new();
    for key in [
        others_key.clone(),
        "docs/A/V1".to_owned(),
        "docs/A/V1/".to_owned(),
        format!("docs/A/V1/../../B/V1/{tail}"),
        format!("docs/A/../B/V1/{tail}"),
        format!("docs/A%2FV1/{tail}"),
        format!("docs/%41/V1/{tail}"),
        format!("docs/a/V1/{tail}"),
        format!("docs/A/V11/{tail}"),
        format!("docs//A/V1/{tail}"),
        format!("/{own_key}"),
        format!("docs/A/V1/x/{tail}"),
    ] {
        let mut pointer = others.clone();
        pointer.insert("key".to_owned(), text(&key));
        planted.push((key, pointer));
    }
    for bucket in [
        "other-bucket",
        "nobodys-bucket",
        "my-bucket/docs",
        "arn:aws:s3:::my-bucket",
    ] {
        let mut pointer = own.clone();
        pointer.insert("bucket".to_owned(), text(bucket));
        planted.push((bucket.to_owned(), pointer));
    }
    let mut of_another_table = own.clone();
    of_another_table.insert("table".to_owned(), text("documents_restored"));
    planted.push(("another table".to_owned(), of_another_table));
    planted
}

fn is_foreign(status: &pb::Status) {
    assert_eq!(status.code, Code::FailedPrecondition as i32, "{status:?}");
    let info = status.get_details_error_info().expect("with its reason");
    assert_eq!(info.reason, "FOREIGN_POINTER");
}

#[tokio::test]
async fn a_pointer_out_of_the_items_folder_is_not_read() {
    let wiretap = Wiretap::counting();
    let gateway = two_documents(&wiretap).await;
    let stores = wiretap.stores();
    for (what, pointer) in planted(stores).await {
        plant(stores, "A", pointer).await;
        wiretap.clear();
        let refusal = Refusal::of(gateway.get(get_content("A")).await);
        refusal.is("FOREIGN_POINTER", &[]);
        let violations = refusal.details.precondition_failure().expect("details");
        assert_eq!(violations.violations[0].subject, "content", "{what}");
        assert_eq!(wiretap.count("GetObject"), 0, "{what}");
        // the item itself reads
        let found = gateway.get(get("Document", key("A", "V1"))).await.ok().item;
        assert_eq!(found["name"], s("report"), "{what}");
        assert!(matches!(found["content"].kind, Some(Kind::Object(_))), "{what}");
        let include_objects = vec!["content".to_owned()];
        let queried = gateway
            .query(v1::QueryRequest {
                include_objects: include_objects.clone(),
                ..query("Document", "A")
            })
            .await
            .ok();
        let result = &queried[0].results[0];
        is_foreign(result.error.as_ref().expect("it is refused"));
        assert_eq!(result.item, key("A", "V1"));
        let scanned = gateway
            .scan(v1::ScanRequest {
                include_objects,
                ..scan("Document")
            })
            .await
            .ok();
        let errors = scanned
            .iter()
            .flat_map(|page| &page.results)
            .filter_map(|result| result.error.as_ref());
        let errors: Vec<_> = errors.collect();
        assert_eq!(errors.len(), 1, "the other item reads: {what}");
        is_foreign(errors[0]);
    }
}

#[tokio::test]
async fn a_pointer_out_of_the_items_folder_deletes_nothing() {
    let wiretap = Wiretap::counting();
    let gateway = two_documents(&wiretap).await;
    let stores = wiretap.stores();
    let own = stored(stores, "A").await;
    let planted = planted(stores).await;
    let before = stores.objects(BUCKET).await;
    let before_elsewhere = stores.objects("other-bucket").await;
    for (what, pointer) in planted {
        for deletes in [true, false] {
            stores.put("documents", own.clone()).await;
            plant(stores, "A", pointer.clone()).await;
            wiretap.clear();
            if deletes {
                gateway.delete(delete("Document", key("A", "V1"))).await.ok();
            } else {
                gateway.save(save("Document", key("A", "V1"))).await.ok();
            }
            assert_eq!(wiretap.count("DeleteObject"), 0, "{what}");
            assert_eq!(stores.objects(BUCKET).await, before, "{what}");
            assert_eq!(stores.objects("other-bucket").await, before_elsewhere, "{what}");
        }
    }
    let content = gateway.get(get_content("B")).await.ok().item["content"].clone();
    let Some(Kind::Object(object)) = content.kind else {
        panic!("no object")
    };
    assert_eq!(object.data.as_deref(), Some("B".repeat(100).as_bytes()));
}

#[tokio::test]
async fn the_same_folder_of_another_table_is_another_items() {
    let wiretap = Wiretap::counting();
    let gateway = two_documents(&wiretap).await;
    let stores = wiretap.stores();
    // what another table's item of this key wrote to the same bucket and prefix
    let foreign_key = "docs/A/V1/01ARZ3NDEKTSV4RRFFQ69G5FAV/report.pdf";
    let put = stores.s3.put_object().bucket(BUCKET).key(foreign_key);
    let put = put.metadata("tollgate-table", "invoices");
    let put = put
        .metadata("tollgate-partition", "A")
        .metadata("tollgate-sort", "V1");
    put.body(b"secret".to_vec().into())
        .send()
        .await
        .expect("the engine responds");
    let planted = HashMap::from([
        ("bucket".to_owned(), text(BUCKET)),
        ("key".to_owned(), text(foreign_key)),
        ("size".to_owned(), AttributeValue::N("6".to_owned())),
        ("etag".to_owned(), text("\"x\"")),
    ]);
    plant(stores, "A", planted).await;
    Refusal::of(gateway.get(get_content("A")).await).is("FOREIGN_POINTER", &[]);
    let saved = gateway.save(save("Document", key("A", "V1"))).await;
    assert_eq!(
        saved.bill.count("tollgate-s3-calls"),
        1,
        "its metadata was asked for"
    );
    saved.ok();
    assert!(stores.objects(BUCKET).await.contains(&foreign_key.to_owned()));
}

#[tokio::test]
async fn an_old_pointer_is_deleted_only_if_the_object_names_the_table() {
    let wiretap = Wiretap::counting();
    let gateway = two_documents(&wiretap).await;
    let stores = wiretap.stores();
    let mut old = pointer(&stored(stores, "A").await);
    assert_eq!(old.remove("table"), Some(text("documents")));
    plant(stores, "A", old.clone()).await;
    gateway.get(get_content("A")).await.ok();
    wiretap.clear();
    let deleted = gateway.delete(delete("Document", key("A", "V1"))).await;
    assert_eq!(deleted.bill.count("tollgate-s3-calls"), 2);
    deleted.ok();
    assert_eq!(
        (wiretap.count("HeadObject"), wiretap.count("DeleteObject")),
        (1, 1)
    );
    let unnamed = "docs/B/V1/01ARZ3NDEKTSV4RRFFQ69G5FAV/report.pdf";
    stores.put_object(BUCKET, unnamed, b"unnamed".to_vec()).await;
    let mut pointer = pointer(&stored(stores, "B").await);
    pointer.remove("table");
    pointer.insert("key".to_owned(), text(unnamed));
    plant(stores, "B", pointer).await;
    gateway.delete(delete("Document", key("B", "V1"))).await.ok();
    assert_eq!(wiretap.count("DeleteObject"), 1, "nothing says whose it is");
    assert!(stores.objects(BUCKET).await.contains(&unnamed.to_owned()));
}

#[tokio::test]
async fn an_object_that_another_attribute_still_points_to_stays() {
    let models = models("twin", TWO_OBJECTS);
    let wiretap = Wiretap::counting();
    let gateway = gateway_of(models.path().into(), &wiretap).await;
    let stores = wiretap.stores();
    let object = document("A", "one")["content"].clone();
    let mut written = key("A", "V1");
    written.insert("one".to_owned(), object.clone());
    gateway.save(save("Pair", written)).await.ok();
    let mut stored = stores.item("pairs", "A", "V1").await.expect("it was saved");
    let pointer = stored["one"].clone();
    stored.insert("other".to_owned(), pointer.clone());
    stores.put("pairs", stored).await;
    let mut rewritten = key("A", "V1");
    rewritten.insert("one".to_owned(), object);
    gateway.save(save("Pair", rewritten)).await.ok();
    assert_eq!(
        wiretap.count("DeleteObject"),
        1,
        "one object, pointed to twice, is deleted once"
    );
    assert_eq!(stores.objects(BUCKET).await.len(), 1);
}

const TWO_OBJECTS: &str = "
name: Pair
table: pairs
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  one: { type: object, s3: { bucket: my-bucket, prefix: pairs/ } }
  other: { type: object, s3: { bucket: my-bucket, prefix: pairs/ } }
";

const LENIENT: &str = "
name: Copy
table: copies
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  content: { type: object, s3: { bucket: my-bucket, prefix: docs/, foreign_pointers: read } }
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

fn models(name: &str, yaml: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join(format!("{name}.yaml")), yaml).expect("a model");
    folder
}

async fn gateway_of(models: PathBuf, wiretap: &Wiretap) -> Gateway {
    Gateway::with(Setup {
        models: Some(models),
        wiretap: Some(wiretap.clone()),
        ..Setup::default()
    })
    .await
}

#[tokio::test]
async fn foreign_pointers_are_read_where_the_model_says_so_and_never_deleted() {
    let models = models("copy", LENIENT);
    let wiretap = Wiretap::counting();
    let gateway = gateway_of(models.path().into(), &wiretap).await;
    let stores = wiretap.stores();
    gateway.save(save("Document", document("A", "copied"))).await.ok();
    stores.create_bucket("pydynox-bucket").await;
    stores
        .put_object("pydynox-bucket", "any/where.pdf", b"copied".to_vec())
        .await;
    let document = stored(stores, "A").await;
    let mut elsewhere = pointer(&document);
    for name in ["table", "sha256"] {
        elsewhere.remove(name);
    }
    elsewhere.insert("bucket".to_owned(), text("pydynox-bucket"));
    elsewhere.insert("key".to_owned(), text("any/where.pdf"));
    for content in [pointer(&document), elsewhere] {
        let content = ("content".to_owned(), AttributeValue::M(content));
        let copied = HashMap::from([
            ("pk".to_owned(), text("A")),
            ("sk".to_owned(), text("V1")),
            content,
        ]);
        stores.put("copies", copied).await;
        let read = v1::GetRequest {
            model: "Copy".to_owned(),
            ..get_content("A")
        };
        let found = gateway.get(read).await.ok().item;
        let Some(Kind::Object(object)) = &found["content"].kind else {
            panic!("no object")
        };
        assert_eq!(object.data.as_deref(), Some(b"copied".as_slice()));
        gateway.delete(delete("Copy", key("A", "V1"))).await.ok();
    }
    assert_eq!(wiretap.count("DeleteObject"), 0);
    assert_eq!(stores.objects(BUCKET).await, [object_key(&document)]);
    assert_eq!(stores.objects("pydynox-bucket").await, ["any/where.pdf"]);
    let schema = v1::GetModelRequest {
        name: "Copy".to_owned(),
    };
    let model = gateway
        .schema()
        .get_model(schema)
        .await
        .expect("it is served")
        .into_inner();
    let attributes = model.model.expect("a model").attributes;
    let content = attributes.iter().find(|attribute| attribute.name == "content");
    let content = content.expect("it is declared");
    assert_eq!(content.s3.as_ref().expect("in S3").foreign_pointers, "read");
}

#[tokio::test]
async fn metadata_is_the_same_in_the_pointer_and_on_s3() {
    differs_on!(Moto, "s3-metadata-names");
    differs_on!(DynamoDbLocal, "key-segments");
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    let stores = wiretap.stores();
    let with = |metadata: &[(&str, &str)]| {
        let object = v1::Object {
            data: Some("x".into()),
            metadata: metadata
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            ..v1::Object::default()
        };
        let mut document = key(&"p".repeat(900), "V1");
        let kind = Some(Kind::Object(Box::new(object)));
        document.extend(item([("content", v1::AttributeValue { kind })]));
        save("Document", document)
    };
    let given = [
        ("Author", "Ada"),
        ("X-Case_Id.2!", "a  b"),
        ("long", &*"v".repeat(1700)),
    ];
    let saved = gateway.save(with(&given)).await.ok();
    let Some(Kind::Object(object)) = &saved.generated["content"].kind else {
        panic!("no object")
    };
    let lower: HashMap<String, String> = given
        .iter()
        .map(|(name, value)| (name.to_lowercase(), (*value).to_owned()))
        .collect();
    assert_eq!(object.metadata, lower);
    let mut on_s3 = stores
        .object_metadata(BUCKET, &object.key)
        .await
        .expect("it is there");
    let bytes: usize = on_s3.iter().map(|(name, value)| name.len() + value.len()).sum();
    assert!(bytes <= 2048, "S3 takes no more: {bytes}");
    assert_eq!(on_s3.remove("tollgate-table").as_deref(), Some("documents"));
    assert_eq!(on_s3.remove("tollgate-sort").as_deref(), Some("V1"));
    let partition = on_s3.remove("tollgate-partition").expect("its owner");
    assert!(
        partition.starts_with("sha256-") && partition.len() == 71,
        "{partition}"
    );
    assert_eq!(on_s3, lower);
    for _ in 0..5 {
        let refused = gateway.save(with(&[("B", "1"), ("A", "1"), ("a", "2")])).await;
        Refusal::of(refused).is("INVALID_FIELD", &["item.content.metadata.a"]);
    }
    let refused = Refusal::of(gateway.save(with(&[("Tollgate-Table", "x")])).await);
    assert_eq!(
        (refused.reason.as_str(), refused.fields.len()),
        ("INVALID_FIELD", 1)
    );
}
