//! Updates that set or remove objects.

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{
    AttributeValue, document, expression, get_content, key, object, s, save, update,
};
use tollgate_tests::wiretap::{Fate, Wiretap};
use v1::ReturnValues::{AllNew, AllOld, UpdatedNew, UpdatedOld};

use super::returning;

const BUCKET: &str = "my-bucket";

fn request<const N: usize>(text: &str, values: [(&str, AttributeValue); N]) -> v1::UpdateRequest {
    update("Document", key("A", "V1"), text, values)
}

async fn saved(wiretap: &Wiretap) -> Gateway {
    let gateway = Gateway::tapped(wiretap).await;
    gateway.save(save("Document", document("A", "first"))).await.ok();
    wiretap.clear();
    gateway
}

async fn content(gateway: &Gateway) -> Option<Vec<u8>> {
    let item = gateway.get(get_content("A")).await.ok().item;
    let Kind::Object(object) = item.get("content")?.kind.as_ref()? else {
        panic!("no object")
    };
    Some(object.data.as_deref().expect("its content").to_vec())
}

fn key_of(value: &AttributeValue) -> &str {
    match &value.kind {
        Some(Kind::Object(object)) => &object.key,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_update_replaces_an_object_and_removes_the_old_one() {
    differs_on!(Moto, "updated-values");
    for values in [v1::ReturnValues::None, AllOld, UpdatedOld, AllNew, UpdatedNew] {
        let wiretap = Wiretap::counting();
        let gateway = saved(&wiretap).await;
        let set = request(
            "SET content = :o, name = :n",
            [(":o", object("second")), (":n", s("n"))],
        );
        let updated = gateway.update(returning(set, values)).await;
        let reads = wiretap.count("GetItem");
        assert_eq!(
            reads,
            u64::from(matches!(values, AllNew | UpdatedNew)),
            "{values:?}"
        );
        assert_eq!(
            updated.bill.count("tollgate-dynamodb-calls") + updated.bill.count("tollgate-s3-calls"),
            3 + reads
        );
        let updated = updated.ok();
        let live = key_of(&updated.generated["content"]).to_owned();
        assert_eq!(
            wiretap.stores().objects(BUCKET).await,
            std::slice::from_ref(&live),
            "{values:?}"
        );
        assert_eq!(content(&gateway).await.as_deref(), Some(b"second".as_slice()));
        match values {
            AllOld | UpdatedOld => assert_ne!(key_of(&updated.old_item["content"]), live),
            AllNew | UpdatedNew => assert_eq!(key_of(&updated.item["content"]), live),
            _ => assert!(updated.item.is_empty() && updated.old_item.is_empty()),
        }
    }
}

#[tokio::test]
async fn an_update_removes_an_object() {
    let null = AttributeValue {
        kind: Some(Kind::Null(0)),
    };
    for removal in [
        request("REMOVE content", []),
        request("SET content = :n", [(":n", null)]),
    ] {
        let wiretap = Wiretap::counting();
        let gateway = saved(&wiretap).await;
        gateway.update(removal).await.ok();
        assert_eq!(content(&gateway).await, None);
        assert!(wiretap.stores().objects(BUCKET).await.is_empty());
        let stored = wiretap
            .stores()
            .item("documents", "A", "V1")
            .await
            .expect("the item");
        assert!(!stored.contains_key("content"));
    }
}

#[tokio::test]
async fn a_refused_update_leaves_only_the_live_object() {
    let wiretap = Wiretap::counting();
    let gateway = saved(&wiretap).await;
    let refused = v1::UpdateRequest {
        condition: expression("attribute_not_exists(pk)", []),
        ..request("SET content = :o", [(":o", object("second"))])
    };
    for values in [v1::ReturnValues::None, AllNew] {
        let refusal = Refusal::of(gateway.update(returning(refused.clone(), values)).await);
        refusal.is("CONDITION_FAILED", &[]);
        assert_eq!(wiretap.stores().objects(BUCKET).await.len(), 1);
        assert_eq!(content(&gateway).await.as_deref(), Some(b"first".as_slice()));
    }
}

#[tokio::test]
async fn an_object_is_set_with_its_data() {
    let gateway = saved(&Wiretap::counting()).await;
    let mut kept = object("x");
    if let Some(Kind::Object(object)) = &mut kept.kind {
        object.data = None;
        object.bucket = BUCKET.to_owned();
    }
    let refusal = Refusal::of(gateway.update(request("SET content = :o", [(":o", kept)])).await);
    refusal.is(
        "INVALID_EXPRESSION",
        &["update.values.:o.bucket", "update.values.:o.data"],
    );
    refusal.cost_nothing();
}

#[tokio::test]
async fn a_lost_response_loses_no_object() {
    let wiretap = Wiretap::new(|operation| match operation {
        "UpdateItem" => Fate::LoseResponse,
        _ => Fate::Pass,
    });
    let gateway = saved(&wiretap).await;
    let updated = gateway
        .update(request("SET content = :o", [(":o", object("second"))]))
        .await
        .ok();
    assert_eq!(content(&gateway).await.as_deref(), Some(b"second".as_slice()));
    let live = key_of(&updated.generated["content"]).to_owned();
    assert!(wiretap.stores().objects(BUCKET).await.contains(&live));
}
