//! What an update changes and returns.

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{Gateway, in_session};
use tollgate_tests::values::{
    AttributeValue, Item, b, expression, get, item, key, l, m, n, s, save, update, user,
};
use tollgate_tests::wiretap::Wiretap;
use v1::ReturnValues::{AllNew, AllOld, UpdatedNew, UpdatedOld};

use super::{ACCOUNT, accounts, gateway_of, read, returning};

async fn saved(fields: &[(&str, AttributeValue)]) -> Gateway {
    let gateway = accounts().await;
    let mut account = key("A", "1");
    account.insert("owner".to_owned(), s("Ada"));
    account.extend(
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone())),
    );
    gateway.save(save("Account", account)).await.ok();
    gateway
}

fn account<const N: usize>(text: &str, values: [(&str, AttributeValue); N]) -> v1::UpdateRequest {
    update("Account", key("A", "1"), text, values)
}

fn strings(members: &[&str]) -> AttributeValue {
    let values = members.iter().map(|member| (*member).to_owned()).collect();
    AttributeValue {
        kind: Some(Kind::Ss(v1::StringSet { values })),
    }
}

fn numbers(members: &[&str]) -> AttributeValue {
    let values = members.iter().map(|member| (*member).to_owned()).collect();
    AttributeValue {
        kind: Some(Kind::Ns(v1::NumberSet { values })),
    }
}

fn flag(flag: bool) -> AttributeValue {
    AttributeValue {
        kind: Some(Kind::Bool(flag)),
    }
}

fn null() -> AttributeValue {
    AttributeValue {
        kind: Some(Kind::Null(0)),
    }
}

#[tokio::test]
async fn every_action_applies_to_every_kind_of_attribute() {
    let gateway = saved(&[
        ("balance", n(10)),
        ("tags", l([s("a")])),
        ("address", m([("city", s("London")), ("lines", l([n(1), n(2)]))])),
        ("note", s("gone soon")),
        ("groups", strings(&["x", "y"])),
    ])
    .await;
    let text = "SET balance = balance + :five, tags = list_append(tags, :tags), address.city = :city, \
                address.lines[0] = :five, active = :on, raw = :raw, state = if_not_exists(state, :closed), \
                copy = note REMOVE note, address.lines[1] ADD visits :five, groups :more DELETE other :more";
    let values = [
        (":five", n(5)),
        (":tags", l([s("b")])),
        (":city", s("Paris")),
        (":on", flag(true)),
        (":raw", b("bytes")),
        (":closed", s("closed")),
        (":more", strings(&["y", "z"])),
    ];
    gateway.update(account(text, values)).await.ok();
    let expected = item([
        ("pk", s("A")),
        ("sk", s("1")),
        ("owner", s("Ada")),
        ("balance", n(15)),
        ("tags", l([s("a"), s("b")])),
        ("address", m([("city", s("Paris")), ("lines", l([n(5)]))])),
        ("active", flag(true)),
        ("raw", b("bytes")),
        ("state", s("open")),
        ("copy", s("gone soon")),
        ("visits", n(5)),
        ("groups", strings(&["x", "y", "z"])),
    ]);
    assert_eq!(read(&gateway).await, expected);
}

#[tokio::test]
async fn add_and_delete_compare_numbers_by_value() {
    let gateway = saved(&[("scores", numbers(&["1", "2.50"]))]).await;
    let add = account("ADD scores :more", [(":more", numbers(&["1E0", "2.5", "3.0"]))]);
    gateway.update(add).await.ok();
    let Some(Kind::Ns(set)) = &read(&gateway).await["scores"].kind else {
        panic!("a number set")
    };
    let mut members = set.values.clone();
    members.sort();
    assert_eq!(members, ["1", "2.5", "3"]);
    let delete = account("DELETE scores :some", [(":some", numbers(&["10e-1", "3.00"]))]);
    gateway.update(delete).await.ok();
    assert_eq!(read(&gateway).await["scores"], numbers(&["2.5"]));
}

#[tokio::test]
async fn returns_old_or_new_values_whole_or_updated() {
    let gateway = saved(&[("balance", n(1)), ("note", s("x"))]).await;
    let add = || account("SET balance = balance + :one", [(":one", n(1))]);
    let nothing = gateway.update(add()).await.ok();
    assert!(nothing.old_item.is_empty() && nothing.item.is_empty());
    let old = gateway.update(returning(add(), AllOld)).await.ok();
    assert_eq!(
        (&old.old_item["balance"], &old.old_item["note"]),
        (&n(2), &s("x"))
    );
    assert!(old.item.is_empty());
    let new = gateway.update(returning(add(), AllNew)).await.ok();
    assert_eq!((&new.item["balance"], &new.item["pk"]), (&n(4), &s("A")));
    assert!(new.old_item.is_empty());
    let old = gateway.update(returning(add(), UpdatedOld)).await.ok();
    assert_eq!(old.old_item, item([("balance", n(4))]));
    let new = gateway.update(returning(add(), UpdatedNew)).await.ok();
    assert_eq!(new.item, item([("balance", n(6))]));
}

#[tokio::test]
async fn an_update_creates_the_item_with_its_defaults() {
    let gateway = accounts().await;
    let created = account("SET owner = :o ADD balance :n", [(":o", s("Ada")), (":n", n(7))]);
    let updated = gateway.update(returning(created, AllNew)).await.ok();
    let mut expected: Item = key("A", "1");
    expected.extend(item([
        ("owner", s("Ada")),
        ("balance", n(7)),
        ("state", s("open")),
    ]));
    assert_eq!(updated.item, expected);
    // the default is not applied again over a value
    let closed = account(
        "SET state = :s, owner = :o",
        [(":s", s("closed")), (":o", s("Bob"))],
    );
    gateway.update(closed).await.ok();
    gateway
        .update(account("SET owner = :o", [(":o", s("Eve"))]))
        .await
        .ok();
    assert_eq!(read(&gateway).await["state"], s("closed"));
}

#[tokio::test]
async fn encrypted_attributes_are_sealed_with_one_data_key() {
    differs_on!(Moto, "updated-values");
    let wiretap = Wiretap::counting();
    let gateway = Gateway::tapped(&wiretap).await;
    gateway.save(save("User", user("A", "078-05-1120"))).await.ok();
    wiretap.clear();
    let request = update(
        "User",
        key("A", "PROFILE"),
        "SET ssn = :ssn, name = :name",
        [(":ssn", s("987-65-4320")), (":name", s("Eve"))],
    );
    let updated = gateway.update(request.clone()).await;
    assert_eq!(updated.bill.count("tollgate-kms-calls"), 1);
    assert_eq!(updated.bill.count("tollgate-dynamodb-calls"), 1);
    assert_eq!(
        (wiretap.count("GenerateDataKey"), wiretap.count("UpdateItem")),
        (1, 1)
    );
    let stored = wiretap
        .stores()
        .item("users", "A", "PROFILE")
        .await
        .expect("the item");
    assert!(stored["ssn"].as_b().is_ok(), "it is a ciphertext");
    let read = gateway.get(get("User", key("A", "PROFILE"))).await.ok().item;
    assert_eq!((&read["ssn"], &read["name"]), (&s("987-65-4320"), &s("Eve")));
    // what is returned is opened, though the response lacks the key that the ciphertext is bound to
    let new = gateway.update(returning(request, UpdatedNew)).await.ok();
    assert_eq!(new.item, item([("ssn", s("987-65-4320")), ("name", s("Eve"))]));
    let old = update("User", key("A", "PROFILE"), "REMOVE ssn", []);
    let old = gateway.update(returning(old, UpdatedOld)).await.ok();
    assert_eq!(old.old_item, item([("ssn", s("987-65-4320"))]));
    let read = gateway.get(get("User", key("A", "PROFILE"))).await.ok().item;
    assert!(!read.contains_key("ssn"));
}

#[tokio::test]
async fn null_stays_null() {
    let gateway = saved(&[("note", s("x")), ("pin", s("1234"))]).await;
    let nulls = account("SET note = :n, pin = :n, free = :n", [(":n", null())]);
    let updated = gateway.update(nulls).await;
    assert_eq!(updated.bill.count("tollgate-kms-calls"), 0);
    updated.ok();
    let item = read(&gateway).await;
    // NULL of a declared attribute reads as absent, elsewhere as null
    assert!(!item.contains_key("note") && !item.contains_key("pin"));
    assert_eq!(item["free"], null());
    let is_null = account("SET note = :s", [(":s", s("y"))]);
    let condition = expression("attribute_type(note, :null)", [(":null", s("NULL"))]);
    gateway
        .update(v1::UpdateRequest { condition, ..is_null })
        .await
        .ok();
    assert_eq!(read(&gateway).await["note"], s("y"));
}

#[tokio::test]
async fn an_update_is_billed_exactly() {
    differs_on!(Moto, "capacity");
    let wiretap = Wiretap::counting();
    let gateway = gateway_of(&wiretap, ACCOUNT).await;
    let request = account("SET owner = :o", [(":o", s("x".repeat(1500)))]);
    let first = gateway.update(in_session(request, "billed")).await;
    assert_eq!(first.bill.decimal("tollgate-wcu"), 2.0);
    first.ok();
    let totals = gateway.totals("billed").await;
    let total = totals.total.expect("a total");
    assert_eq!((total.update_count, total.operation_count), (1, 1));
    assert_eq!(totals.by_operation["Update"].total_wcu, 2.0);
    assert_eq!(wiretap.count("UpdateItem"), 1);
}
