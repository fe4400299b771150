//! Objects that were read and are sent back in a Save of their item are kept if the item still owns them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::text;
use tollgate_tests::values::{Item, document, expression, get, get_content, key, s, save};
use tollgate_tests::wiretap::Wiretap;

const BUCKET: &str = "my-bucket";

/// What a test does to an object before it sends it back.
type Change = fn(&mut v1::Object);

async fn saved_document(wiretap: &Wiretap) -> (Gateway, Item) {
    let gateway = Gateway::tapped(wiretap).await;
    gateway.save(save("Document", document("A", "kept"))).await.ok();
    let item = gateway.get(get("Document", key("A", "V1"))).await.ok().item;
    wiretap.clear();
    (gateway, item)
}

fn object(item: &mut Item) -> &mut v1::Object {
    match item.get_mut("content").and_then(|value| value.kind.as_mut()) {
        Some(Kind::Object(object)) => object,
        other => panic!("{other:?}"),
    }
}

async fn content(gateway: &Gateway) -> Vec<u8> {
    let mut item = gateway.get(get_content("A")).await.ok().item;
    object(&mut item).data.as_deref().expect("its content").to_vec()
}

fn renamed(item: &Item) -> Item {
    let mut renamed = item.clone();
    renamed.insert("name".to_owned(), s("renamed"));
    renamed
}

#[tokio::test]
async fn an_object_sent_back_as_it_was_read_is_kept() {
    let wiretap = Wiretap::counting();
    let (gateway, item) = saved_document(&wiretap).await;
    let stored = wiretap
        .stores()
        .item("documents", "A", "V1")
        .await
        .expect("it was saved");
    let request = v1::SaveRequest {
        return_values: v1::ReturnValues::AllNew as i32,
        ..save("Document", renamed(&item))
    };
    let kept = gateway.save(request).await;
    assert_eq!(kept.bill.count("tollgate-dynamodb-calls"), 1);
    assert_eq!(kept.bill.count("tollgate-s3-calls"), 0);
    let kept = kept.ok();
    assert_eq!(kept.item, renamed(&item));
    assert!(kept.generated.is_empty(), "nothing of it is new");
    let now = wiretap
        .stores()
        .item("documents", "A", "V1")
        .await
        .expect("it was saved");
    assert_eq!(now["content"], stored["content"]);
    assert_eq!(now["name"], text("renamed"));
    assert_eq!(content(&gateway).await, b"kept");
    // left out, it is deleted
    let mut without = renamed(&item);
    without.remove("content");
    gateway.save(save("Document", without)).await.ok();
    assert!(wiretap.stores().objects(BUCKET).await.is_empty());
}

#[tokio::test]
async fn location_and_etag_are_enough_to_keep_an_object() {
    let wiretap = Wiretap::counting();
    let (gateway, mut item) = saved_document(&wiretap).await;
    let stored = wiretap
        .stores()
        .item("documents", "A", "V1")
        .await
        .expect("it was saved");
    let read = object(&mut item).clone();
    *object(&mut item) = v1::Object {
        bucket: read.bucket.clone(),
        key: read.key.clone(),
        etag: read.etag.clone(),
        ..v1::Object::default()
    };
    let request = v1::SaveRequest {
        return_values: v1::ReturnValues::AllNew as i32,
        ..save("Document", item.clone())
    };
    let mut kept = gateway.save(request).await.ok().item;
    assert_eq!(*object(&mut kept), read, "the response has all of it");
    let now = wiretap
        .stores()
        .item("documents", "A", "V1")
        .await
        .expect("it was saved");
    assert_eq!(now["content"], stored["content"]);
    assert_eq!(content(&gateway).await, b"kept");
}

#[tokio::test]
async fn a_pointer_with_other_fields_stays_as_it_is() {
    let wiretap = Wiretap::counting();
    let (gateway, item) = saved_document(&wiretap).await;
    let stores = wiretap.stores();
    let mut stored = stores.item("documents", "A", "V1").await.expect("it was saved");
    let mut pointer = stored["content"].as_m().expect("a pointer").clone();
    pointer.remove("table");
    pointer.insert("last_modified".to_owned(), text("2026-01-01T00:00:00Z"));
    stored.insert("content".to_owned(), AttributeValue::M(pointer.clone()));
    stores.put("documents", stored).await;
    let condition = expression("#n = :n", [(":n", s("report"))]);
    let condition = condition.map(|condition| v1::Expression {
        names: HashMap::from([("#n".to_owned(), "name".to_owned())]),
        ..condition
    });
    let request = v1::SaveRequest {
        condition,
        ..save("Document", renamed(&item))
    };
    let kept = gateway.save(request.clone()).await;
    assert_eq!(kept.bill.count("tollgate-dynamodb-calls"), 2);
    kept.ok();
    let now = stores.item("documents", "A", "V1").await.expect("it was saved");
    assert_eq!(now["content"], AttributeValue::M(pointer));
    // the caller's own condition is not met any more
    Refusal::of(gateway.save(request).await).is("CONDITION_FAILED", &[]);
    assert_eq!(content(&gateway).await, b"kept");
}

#[tokio::test]
async fn an_object_that_is_not_the_items_any_more_is_refused() {
    let wiretap = Wiretap::counting();
    let (gateway, item) = saved_document(&wiretap).await;
    gateway.save(save("Document", document("A", "newer"))).await.ok();
    let objects = wiretap.stores().objects(BUCKET).await;
    Refusal::of(gateway.save(save("Document", renamed(&item))).await).is("OBJECT_CHANGED", &[]);
    // with a fresh object beside it, and a condition that is met
    let condition = expression("attribute_exists(pk)", []);
    let request = v1::SaveRequest {
        condition,
        ..save("Document", renamed(&item))
    };
    Refusal::of(gateway.save(request).await).is("OBJECT_CHANGED", &[]);
    assert_eq!(wiretap.stores().objects(BUCKET).await, objects);
    assert_eq!(content(&gateway).await, b"newer");
    let mut moved = item.clone();
    moved.insert("pk".to_owned(), s("B"));
    let refusal = Refusal::of(gateway.save(save("Document", moved)).await);
    assert_eq!(refusal.reason, "INVALID_FIELD", "it can only be another item's");
    refusal.cost_nothing();
    assert!(wiretap.stores().item("documents", "B", "V1").await.is_none());
}

#[tokio::test]
async fn a_failed_condition_of_the_caller_is_distinguished() {
    let wiretap = Wiretap::counting();
    let (gateway, item) = saved_document(&wiretap).await;
    let condition = expression("attribute_not_exists(pk)", []);
    let request = v1::SaveRequest {
        condition,
        return_values: v1::ReturnValues::AllOld as i32,
        ..save("Document", renamed(&item))
    };
    Refusal::of(gateway.save(request).await).is("CONDITION_FAILED", &[]);
    let condition = expression("attribute_not_exists(pk) OR attribute_exists(sk)", []);
    let request = v1::SaveRequest {
        condition,
        ..save("Document", renamed(&item))
    };
    gateway.save(request).await.ok();
    assert_eq!(content(&gateway).await, b"kept");
}

#[tokio::test]
async fn refuses_wrong_statements_about_a_kept_object() {
    let wiretap = Wiretap::counting();
    let (gateway, item) = saved_document(&wiretap).await;
    let alterations: [(&str, Change); 4] = [
        ("size", |object| object.size += 1),
        ("sha256", |object| object.sha256 = "00".repeat(32)),
        ("name", |object| object.name = "other.pdf".to_owned()),
        ("content_type", |object| {
            object.content_type = "text/html".to_owned();
        }),
    ];
    for (field, alter) in alterations {
        let mut altered = item.clone();
        alter(object(&mut altered));
        let refusal = Refusal::of(gateway.save(save("Document", altered)).await);
        refusal.is("INVALID_FIELD", &[&format!("item.content.{field}")]);
    }
    let replacements: [Change; 2] = [
        |object| object.etag = "\"other\"".to_owned(),
        |object| object.key.push('x'),
    ];
    for replace in replacements {
        let mut replaced = item.clone();
        replace(object(&mut replaced));
        Refusal::of(gateway.save(save("Document", replaced)).await).is("OBJECT_CHANGED", &[]);
    }
    let misplacements: [Change; 2] = [
        |object| object.key = object.key.replace("docs/A/", "docs/B/"),
        |object| object.bucket = "other-bucket".to_owned(),
    ];
    for misplace in misplacements {
        let mut misplaced = item.clone();
        misplace(object(&mut misplaced));
        let refusal = Refusal::of(gateway.save(save("Document", misplaced)).await);
        assert_eq!(refusal.reason, "INVALID_FIELD");
        refusal.cost_nothing();
    }
    let incomplete: [Change; 3] = [
        |object| object.etag.clear(),
        |object| object.key.clear(),
        |object| object.bucket.clear(),
    ];
    for clear in incomplete {
        let mut cleared = item.clone();
        clear(object(&mut cleared));
        let refusal = Refusal::of(gateway.save(save("Document", cleared)).await);
        assert!(
            refusal.fields.contains(&"item.content.data".to_owned()),
            "{refusal:?}"
        );
        refusal.cost_nothing();
    }
    assert_eq!(content(&gateway).await, b"kept");
}

#[tokio::test]
async fn an_object_read_with_its_content_is_kept_too() {
    let wiretap = Wiretap::counting();
    let (gateway, pointer) = saved_document(&wiretap).await;
    let read = gateway.get(get_content("A")).await.ok().item;
    wiretap.clear();
    let kept = gateway.save(save("Document", renamed(&read))).await;
    assert_eq!(kept.bill.count("tollgate-dynamodb-calls"), 1);
    assert_eq!(
        kept.bill.count("tollgate-s3-calls"),
        0,
        "nothing is uploaded again"
    );
    kept.ok();
    let now = gateway.get(get("Document", key("A", "V1"))).await.ok().item;
    assert_eq!(now, renamed(&pointer));
    // whether other content replaces the object, or was put there by mistake, is for the caller to say
    let changes: [Change; 3] = [
        |object| object.data = Some(b"tpek".to_vec().into()),
        |object| object.data = Some(Vec::new().into()),
        |object| object.sha256.clear(),
    ];
    for change in changes {
        let mut changed = read.clone();
        change(object(&mut changed));
        let refusal = Refusal::of(gateway.save(save("Document", changed)).await);
        assert!(
            refusal.fields.contains(&"item.content.key".to_owned()),
            "{refusal:?}"
        );
        refusal.cost_nothing();
    }
    let mut elsewhere = read.clone();
    object(&mut elsewhere).key = "docs/B/V1/x/content".to_owned();
    let refusal = Refusal::of(gateway.save(save("Document", elsewhere)).await);
    assert_eq!(refusal.reason, "INVALID_FIELD");
    assert_eq!(content(&gateway).await, b"kept");
}
