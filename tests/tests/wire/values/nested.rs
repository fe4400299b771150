//! Declared fields of maps and members of lists.

use aws_sdk_dynamodb::types::AttributeValue as Raw;
use tollgate_tests::values::{key, l, m, n, s, update};

use super::{Things, faults, thing};

const ATTRIBUTES: &str = "  address: { type: map, attributes: { city: { type: string, required: true, alias: c }, country: { type: string, default: PE } } }
  lines: { type: list, items: { type: map, attributes: { quantity: { type: number, min: 1, required: true }, when: { type: datetime } } } }";

#[tokio::test]
async fn nested_values_are_stored_under_their_aliases() {
    let things = Things::with(ATTRIBUTES, "").await;
    let line = m([("quantity", n(2)), ("when", s("2026-01-31T12:00:00Z"))]);
    things
        .save(thing([
            ("address", m([("city", s("Lima"))])),
            ("lines", l([line])),
        ]))
        .await;
    let stored = things.stored().await;
    let address = stored["address"].as_m().expect("a map");
    assert_eq!(
        (&address["c"], &address["country"]),
        (&Raw::S("Lima".into()), &Raw::S("PE".into()))
    );
    let item = things.get().await.item;
    assert_eq!(item["address"], m([("city", s("Lima")), ("country", s("PE"))]));
    assert_eq!(
        item["lines"],
        l([m([("quantity", n(2)), ("when", s("2026-01-31T12:00:00+00:00"))])])
    );
    things.save(item.clone()).await;
    assert_eq!(things.get().await.item, item);
}

#[tokio::test]
async fn nested_faults_have_their_paths() {
    let things = Things::with(ATTRIBUTES, "").await;
    let lines = l([
        m([("quantity", n(1))]),
        m([]),
        m([("quantity", n(0)), ("extra", n(1))]),
    ]);
    assert_eq!(
        things
            .faults(thing([("address", m([("street", s("x"))])), ("lines", lines)]))
            .await,
        [
            "item.address.city: is required",
            "item.address.street: is not a declared field of the map",
            "item.lines[1].quantity: is required",
            "item.lines[2].extra: is not a declared field of the map",
            "item.lines[2].quantity: must be at least 1",
        ]
    );
}

#[tokio::test]
async fn an_update_checks_nested_values_too() {
    let things = Things::with(ATTRIBUTES, "").await;
    things.save(thing([])).await;
    let set = |address| update("Thing", key("A", "1"), "SET address = :a", [(":a", address)]);
    let refused = things.gateway.update(set(m([("street", s("x"))]))).await.status();
    assert_eq!(
        faults(&refused),
        [
            "update.address.city: is required",
            "update.address.street: is not a declared field of the map",
        ]
    );
    things.gateway.update(set(m([("city", s("Lima"))]))).await.ok();
    let expected = m([("city", s("Lima")), ("country", s("PE"))]);
    assert_eq!(things.get().await.item["address"], expected);
    let stored = things.stored().await;
    assert!(stored["address"].as_m().expect("a map").contains_key("c"));
}
