//! What reads verify, and what that costs.

use super::*;
use futures::StreamExt as _;
use tollgate_client::{Client, Key, Options, Partial, Scan};
use tollgate_proto::v1;
use tollgate_tests::values::{expression, scan};

#[tokio::test]
async fn a_read_of_nothing_protected_costs_no_kms_call_when_sealed_and_one_with_all() {
    let wiretap = Wiretap::counting();
    let gateway = protecting(&wiretap).await;
    gateway.save(save("Card", card("A"))).await.ok();
    gateway.save(save("Note", note("A"))).await.ok();
    for (model, field, calls) in [("Card", "name", 0), ("Card", "ssn", 1), ("Note", "text", 1)] {
        let mut request = get(model, key("A", "1"));
        request.fields = vec![field.to_owned()];
        let got = gateway.get(request).await;
        assert_eq!(got.bill.count("tollgate-kms-calls"), calls, "{model}.{field}");
        let got = got.ok();
        assert_eq!(got.item.keys().collect::<Vec<_>>(), [field]);
        assert!(!got.unverified);
    }
}

#[tokio::test]
async fn a_read_of_some_fields_verifies_the_whole_item() {
    let wiretap = Wiretap::counting();
    let gateway = protecting(&wiretap).await;
    gateway.save(save("Card", card("A"))).await.ok();
    let mut changed = stored(&wiretap, "cards", "A").await;
    changed.remove("phone");
    wiretap.stores().put("cards", changed.clone()).await;
    let of = |field: &str| {
        let mut request = get("Card", key("A", "1"));
        request.fields = vec![field.to_owned()];
        request
    };
    is_lost(gateway.get(of("ssn")).await, "another attribute was removed");
    assert_eq!(gateway.get(of("name")).await.ok().item["name"], s("Ada"));
    changed.remove(SEAL);
    wiretap.stores().put("cards", changed).await;
    is_lost(
        gateway.get(of("name")).await,
        "a missing seal shows without a key",
    );
}

#[tokio::test]
async fn nested_fields_are_the_same_as_of_an_item_that_is_not_protected() {
    let gateway = protecting(&Wiretap::counting()).await;
    gateway.save(save("Note", note("A"))).await.ok();
    let mut request = get("Note", key("A", "1"));
    request.fields = ["place.city", "tags[0]", "tags[2]", "place.none", "count"]
        .map(str::to_owned)
        .into();
    let got = gateway.get(request).await.ok().item;
    let expected = item([
        ("place", m([("city", s("Bern"))])),
        ("tags", l([s("a"), s("c")])),
        ("count", n(5)),
    ]);
    assert_eq!(got, expected);
    let mut request = get("Note", key("A", "1"));
    request.fields = vec!["place.none".to_owned()];
    assert!(gateway.get(request).await.ok().item.is_empty());
}

#[tokio::test]
async fn an_index_that_does_not_project_everything_is_unverified() {
    let wiretap = Wiretap::counting();
    let gateway = protecting(&wiretap).await;
    gateway.save(save("Card", card("A"))).await.ok();
    let of_index = |index: &str, text: &str, value| v1::QueryRequest {
        model: "Card".to_owned(),
        index: index.to_owned(),
        key_condition: expression(text, [(":v", value)]),
        ..Default::default()
    };
    let by_name = of_index("by_name", "name = :v", s("Ada"));
    let result = gateway
        .query(by_name.clone())
        .await
        .ok()
        .remove(0)
        .results
        .remove(0);
    assert_eq!((result.item, result.unverified), (card("A"), false));
    let by_count = of_index("by_count", "count = :v", n(1));
    let result = gateway.query(by_count).await.ok().remove(0).results.remove(0);
    assert!(result.unverified && result.error.is_none() && result.partial);
    let mut changed = stored(&wiretap, "cards", "A").await;
    changed.remove("ssn");
    wiretap.stores().put("cards", changed).await;
    let result = gateway.query(by_name).await.ok().remove(0).results.remove(0);
    assert_eq!(result.error.map(|error| error.code), Some(Code::DataLoss as i32));
}

#[tokio::test]
async fn a_table_that_is_being_adopted_has_items_without_a_seal() {
    let wiretap = Wiretap::counting();
    let gateway = protecting(&wiretap).await;
    gateway
        .save(save(
            "Old",
            item([
                ("pk", s("A")),
                ("sk", s("1")),
                ("ssn", s("1")),
                ("name", s("Ada")),
            ]),
        ))
        .await
        .ok();
    assert!(!gateway.get(get("Old", key("A", "1"))).await.ok().unverified);
    let mut unsealed = stored(&wiretap, "olds", "A").await;
    unsealed.remove(SEAL);
    wiretap.stores().put("olds", unsealed).await;
    let got = gateway.get(get("Old", key("A", "1"))).await.ok();
    assert!(got.unverified && got.item["ssn"] == s("1"));
    let page = gateway.scan(scan("Old")).await.ok().remove(0).results;
    assert!(page[0].unverified && page[0].error.is_none());
    let client = Client::from_channel(gateway.channel(), Options::default());
    let old = Key::new("pk", "A").and("sk", "1");
    let got = client
        .get::<Partial<tollgate_client::Item>>("Old", old.clone())
        .await
        .unwrap();
    assert!(got.value.is_unverified() && got.value.is_complete());
    let mut scanned = client.scan::<Partial<tollgate_client::Item>>(Scan::new("Old"));
    assert!(scanned.next().await.unwrap().unwrap().is_unverified());
    change(&gateway, "Old", "SET name = :v", [(":v", s("Eve"))])
        .await
        .ok();
    let got = gateway.get(get("Old", key("A", "1"))).await.ok();
    assert!(!got.unverified && got.item["ssn"] == s("1") && got.item["name"] == s("Eve"));
    let mut changed = stored(&wiretap, "olds", "A").await;
    changed.remove("ssn");
    wiretap.stores().put("olds", changed).await;
    is_lost(
        gateway.get(get("Old", key("A", "1"))).await,
        "a seal that is there must match",
    );
}
