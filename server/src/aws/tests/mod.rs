//! Counts, kinds and deadlines of the typed requests, over the embedded engines with injected faults.

mod batches;
mod faults;
mod keys;

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::testing::{Fault, FaultyStores};
use super::{
    DeleteItem, Doubt, DownloadError, Error, GetItem, Kind, Location, PutItem, Query, Resource, Scan,
    Selected, missing,
};
use crate::call::Call;
use crate::figure::AwsOperation;
use crate::model::testing::{KEY_ID, encrypted, model, object};
use crate::model::{AttributeType, Item, Models, Value};

const SERVER_ERROR: Fault = Fault::Respond(500, "InternalServerError");
const THROTTLED: Fault = Fault::Respond(400, "ProvisionedThroughputExceededException");

fn models() -> Models {
    let attributes = vec![encrypted("ssn", AttributeType::String), object("file", "docs/")];
    Models::new([model(attributes)])
}

fn text(text: &str) -> Value {
    Value::S(text.to_owned())
}

fn item(partition: &str, note: &str) -> Item {
    Item::from([
        ("pk".into(), text(partition)),
        ("sk".into(), text("1")),
        ("note".into(), text(note)),
    ])
}

fn key(partition: &str) -> Item {
    Item::from([("pk".into(), text(partition)), ("sk".into(), text("1"))])
}

fn put(item: Item) -> PutItem {
    PutItem {
        table: "users".into(),
        item,
        ..PutItem::default()
    }
}

fn put_new(item: Item) -> PutItem {
    PutItem {
        condition: Some("attribute_not_exists(pk)".into()),
        ..put(item)
    }
}

fn get(partition: &str) -> GetItem {
    GetItem {
        table: "users".into(),
        key: key(partition),
        consistent_read: true,
        ..GetItem::default()
    }
}

fn soon(call: &Call) -> Call {
    call.with_deadline(Instant::now() + Duration::from_millis(150))
}

const FILE: Location<'static> = Location {
    bucket: "files",
    key: "docs/a b/ü",
    region: None,
};

#[tokio::test]
async fn items_are_written_read_and_billed_as_reported() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    let first = item("a", &"x".repeat(2000));
    assert_eq!(
        faulty
            .stores
            .dynamodb
            .put_item(&call, put(first.clone()))
            .await
            .unwrap(),
        None
    );
    let replacing = PutItem {
        return_old: true,
        ..put(item("a", "short"))
    };
    assert_eq!(
        faulty.stores.dynamodb.put_item(&call, replacing).await.unwrap(),
        Some(first)
    );
    assert_eq!(
        faulty.stores.dynamodb.get_item(&call, get("a")).await.unwrap(),
        Some(item("a", "short"))
    );
    assert_eq!(
        faulty.stores.dynamodb.get_item(&call, get("b")).await.unwrap(),
        None
    );
    let bill = call.bill();
    assert_eq!(
        (bill.dynamodb_calls, bill.put_count, bill.get_count, bill.items),
        (4, 2, 2, 1)
    );
    assert_eq!((bill.write_milliunits, bill.read_milliunits), (4000, 2000));
    assert_eq!(
        (bill.retries, bill.throttled, bill.estimated_write_milliunits),
        (0, 0, 0)
    );
    assert!(bill.dynamodb_us > 0);
    assert_eq!(faulty.take_sent(), ["PutItem", "PutItem", "GetItem", "GetItem"]);
}

#[tokio::test]
async fn pages_have_counts_and_a_last_key() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    for sort in ["1", "2", "3"] {
        let mut member = item("a", "x");
        member.insert("sk".into(), text(sort));
        faulty.stores.dynamodb.put_item(&call, put(member)).await.unwrap();
    }
    let before = call.bill();
    let query = Query {
        table: "users".into(),
        key_condition: "pk = :p".into(),
        values: Item::from([(":p".into(), text("a"))]),
        limit: Some(2),
        descending: true,
        ..Query::default()
    };
    let page = faulty.stores.dynamodb.query(&call, query).await.unwrap();
    assert_eq!(
        page.items
            .iter()
            .map(|item| item["sk"].clone())
            .collect::<Vec<_>>(),
        [text("3"), text("2")]
    );
    assert_eq!(
        (
            page.count,
            page.scanned_count,
            page.last_key.unwrap()["sk"].clone()
        ),
        (2, 2, text("2"))
    );
    let scan = Scan {
        table: "users".into(),
        select: Selected::Count,
        ..Scan::default()
    };
    let page = faulty.stores.dynamodb.scan(&call, scan).await.unwrap();
    assert_eq!((page.items.len(), page.count, page.last_key), (0, 3, None));
    let bill = call.bill();
    assert_eq!((bill.query_count, bill.scan_count), (1, 1));
    assert_eq!((bill.items - before.items, bill.scanned), (5, 5));
    assert_eq!(bill.read_milliunits, 1000);
}

#[tokio::test]
async fn a_failed_condition_is_billed_by_the_size_of_the_current_item() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    let large = item("a", &"x".repeat(3000));
    faulty
        .stores
        .dynamodb
        .put_item(&call, put(large.clone()))
        .await
        .unwrap();
    let error = faulty
        .stores
        .dynamodb
        .put_item(&call, put_new(item("a", "y")))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.doubt),
        (Kind::ConditionFailed { item: Some(large) }, Doubt::None)
    );
    assert_eq!(call.bill().estimated_write_milliunits, 3000);
    let delete = DeleteItem {
        table: "users".into(),
        key: key("b"),
        condition: Some("attribute_exists(pk)".into()),
        ..DeleteItem::default()
    };
    let error = faulty
        .stores
        .dynamodb
        .delete_item(&call, delete)
        .await
        .unwrap_err();
    assert_eq!(error.kind, Kind::ConditionFailed { item: None });
    assert_eq!(call.bill().estimated_write_milliunits, 4000);
    assert_eq!(
        (
            call.bill().put_count,
            call.bill().delete_count,
            call.bill().retries
        ),
        (2, 1, 0)
    );
}

#[tokio::test]
async fn errors_name_the_missing_resource() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    let nowhere = GetItem {
        table: "nowhere".into(),
        ..get("a")
    };
    let table = faulty.stores.dynamodb.get_item(&call, nowhere).await.unwrap_err();
    assert_eq!(
        table.kind,
        Kind::Missing {
            what: Resource::Table,
            name: "nowhere".into()
        }
    );
    let key = faulty
        .stores
        .kms
        .generate_data_key(&call, "alias/nobodys", &BTreeMap::new())
        .await
        .err()
        .unwrap();
    assert_eq!(
        key.kind,
        Kind::Missing {
            what: Resource::Key,
            name: "alias/nobodys".into()
        }
    );
    let elsewhere = Location {
        bucket: "elsewhere",
        ..FILE
    };
    let bucket = faulty
        .stores
        .s3
        .put_object(&call, elsewhere, Bytes::new(), None, &HashMap::new())
        .await
        .unwrap_err();
    assert_eq!(
        bucket.kind,
        Kind::Missing {
            what: Resource::Bucket,
            name: "elsewhere".into()
        }
    );
    let object = faulty.stores.s3.whole_object(&call, FILE).await.unwrap_err();
    assert_eq!(
        kind(object),
        Kind::Missing {
            what: Resource::Object,
            name: "files".into()
        }
    );
    let bill = call.bill();
    assert_eq!(
        (bill.dynamodb_calls, bill.kms_calls, bill.s3_calls, bill.retries),
        (1, 1, 2, 0)
    );
}

fn kind(error: DownloadError) -> Kind {
    match error {
        DownloadError::Store(error) => error.kind,
        DownloadError::Damaged(_) | DownloadError::Checksum => panic!("{error}"),
    }
}

#[tokio::test]
async fn data_keys_are_decrypted_only_in_their_context() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    let context = BTreeMap::from([("app".to_owned(), "test".to_owned())]);
    let generated = faulty
        .stores
        .kms
        .generate_data_key(&call, KEY_ID, &context)
        .await
        .unwrap();
    let opened = faulty
        .stores
        .kms
        .decrypt(&call, KEY_ID, &generated.wrapped, &context)
        .await
        .unwrap();
    assert_eq!(opened, generated.plaintext);
    for (wrapped, context) in [
        (&generated.wrapped[..], &BTreeMap::new()),
        (b"nonsense", &context),
    ] {
        let decrypted = faulty.stores.kms.decrypt(&call, KEY_ID, wrapped, context);
        assert_eq!(decrypted.await.unwrap_err().kind, Kind::InvalidCiphertext);
    }
    assert_eq!((call.bill().kms_calls, call.bill().dynamodb_calls), (4, 0));
    assert!(call.bill().kms_us > 0);
}

#[tokio::test]
async fn objects_are_billed_by_their_content() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    let content = Bytes::from(vec![7; 100_000]);
    let s3 = &faulty.stores.s3;
    s3.put_object(&call, FILE, content.clone(), Some("text/plain"), &HashMap::new())
        .await
        .unwrap();
    faulty.inject("PutObject", Fault::Respond(503, "SlowDown"));
    s3.put_object(&call, FILE, content.clone(), None, &HashMap::new())
        .await
        .unwrap();
    let bill = call.bill();
    assert_eq!(
        (bill.s3_calls, bill.uploaded_bytes, bill.retries, bill.throttled),
        (3, 300_000, 1, 1)
    );
    assert_eq!(s3.whole_object(&call, FILE).await.unwrap(), content);
    assert_eq!(call.bill().downloaded_bytes, 100_000);
    s3.delete_object(&call, FILE, None).await.unwrap();
    s3.delete_object(&call, FILE, None).await.unwrap();
    let bill = call.bill();
    assert_eq!((bill.s3_calls, bill.downloaded_bytes), (6, 100_000));
    assert!(bill.s3_us > 0);
}

#[tokio::test]
async fn parses_a_completion_with_another_root_element() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    let s3 = &faulty.stores.s3;
    let upload = s3
        .create_multipart_upload(&call, FILE, None, &HashMap::new())
        .await
        .unwrap();
    let part = s3
        .upload_part(&call, &upload, 1, Bytes::from_static(b"abc"))
        .await
        .unwrap();
    let named = "<CompleteMultipartUploadResponse><Key>k</Key><ETag>&quot;e-1&quot;</ETag></CompleteMultipartUploadResponse>";
    for (body, etag) in [(named, Some("\"e-1\"")), ("<Nonsense/>", None)] {
        faulty.inject("CompleteMultipartUpload", Fault::Body(body));
        let stored = s3
            .complete_multipart_upload(&call, &upload, vec![part.clone()])
            .await;
        match etag {
            Some(etag) => assert_eq!(stored.unwrap().etag, etag),
            None => assert_eq!(stored.unwrap_err().kind, Kind::Unavailable),
        }
    }
    assert_eq!(call.bill().s3_calls, 4);
    let stored = s3
        .complete_multipart_upload(&call, &upload, vec![part])
        .await
        .unwrap();
    assert_eq!(s3.head_object(&call, FILE).await.unwrap().stored, stored);
}

#[tokio::test]
async fn creates_and_reports_what_the_models_need() {
    let faulty = FaultyStores::new(&models()).await;
    assert!(missing(&faulty.stores, &models()).await.is_empty());
    assert_eq!(
        faulty.take_sent().len(),
        3,
        "one request per table, bucket and key"
    );
    let again = super::provision(&faulty.stores, &models()).await.unwrap();
    assert!(again.is_empty());
    assert_eq!(
        faulty.take_sent().len(),
        3,
        "existing resources are not created again"
    );

    let mut other = model(vec![encrypted("ssn", AttributeType::String)]);
    other.sort_key = None;
    other.attributes[2].encrypted.as_mut().unwrap().key_id = "alias/other".into();
    let mut third = other.clone();
    (third.name, third.table) = ("Third".into(), "thirds".into());
    let reported = missing(&faulty.stores, &Models::new([other, third])).await;
    let texts: Vec<&str> = reported.iter().map(|warning| warning.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "the KMS key alias/other is missing",
            "the table thirds is missing",
            "the table users has the keys pk and sk, but its models require pk",
        ]
    );
}

#[tokio::test]
async fn errors_name_the_service_and_no_value() {
    let faulty = FaultyStores::new(&models()).await;
    let call = Call::for_test();
    let keyless = PutItem {
        item: Item::from([("note".into(), text("s3cret"))]),
        ..put(Item::new())
    };
    let error = faulty.stores.dynamodb.put_item(&call, keyless).await.unwrap_err();
    assert_eq!(
        (error.kind.clone(), error.operation),
        (Kind::Refused, AwsOperation::PutItem)
    );
    let text_of_error = format!("{error} {error:?}");
    assert!(
        text_of_error.contains("ValidationException") && !text_of_error.contains("s3cret"),
        "{text_of_error}"
    );
    let huge = faulty
        .stores
        .dynamodb
        .put_item(&call, put(item("a", &"x".repeat(410 * 1024))))
        .await;
    assert_eq!(huge.unwrap_err().kind, Kind::TooLarge);
    assert!(std::mem::size_of::<Error>() <= 128);
}
