//! Update: reads, verifies, and writes on condition of the seal that it read.

use super::*;
use tollgate_tests::values::expression;

async fn with_card(wiretap: &Wiretap) -> Gateway {
    let gateway = protecting(wiretap).await;
    gateway.save(save("Card", card("A"))).await.ok();
    wiretap.clear();
    gateway
}

#[tokio::test]
async fn an_update_of_a_sealed_item_costs_one_more_read() {
    let wiretap = Wiretap::counting();
    let gateway = with_card(&wiretap).await;
    let updated = change(
        &gateway,
        "Card",
        "SET ssn = :ssn, count = count + :one REMOVE name",
        [(":ssn", s("000")), (":one", n(1))],
    )
    .await;
    let calls = ["GetItem", "UpdateItem", "GenerateDataKey", "Decrypt"].map(|name| wiretap.count(name));
    assert_eq!(calls, [1, 1, 1, 1]);
    assert_eq!(updated.bill.count("tollgate-dynamodb-calls"), 2);
    assert_eq!(updated.bill.count("tollgate-kms-calls"), 2);
    updated.ok();
    let mut expected = card("A");
    expected.remove("name");
    expected.insert("ssn".to_owned(), s("000"));
    expected.insert("count".to_owned(), n(2));
    // the values have two data keys, one of which the seal has too
    let got = gateway.get(get("Card", key("A", "1"))).await;
    assert_eq!(got.bill.count("tollgate-kms-calls"), 2);
    assert_eq!(got.ok().item, expected);
}

#[tokio::test]
async fn all_forms_of_an_update_leave_an_item_that_verifies() {
    let wiretap = Wiretap::counting();
    let gateway = protecting(&wiretap).await;
    gateway.save(save("Note", note("A"))).await.ok();
    for (text, values) in [
        ("SET text = :v", vec![(":v", s("new"))]),
        ("SET count = count + :v", vec![(":v", n("0.5"))]),
        ("SET count = count - :v", vec![(":v", n(1))]),
        ("ADD count :v", vec![(":v", n(10))]),
        ("SET tags = list_append(tags, :v)", vec![(":v", l([s("d")]))]),
        ("SET tags[1] = :v REMOVE tags[0]", vec![(":v", s("B"))]),
        ("SET place.zip = :v, place.land = place.city", vec![(":v", n(1))]),
        ("REMOVE place.city", vec![]),
        ("SET extra = if_not_exists(extra, :v)", vec![(":v", s("x"))]),
        ("REMOVE text", vec![]),
    ] {
        let mut request = update("Note", key("A", "1"), text, []);
        if let Some(update) = &mut request.update {
            update.values = values
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect();
        }
        let result = gateway.update(request).await;
        assert!(result.outcome.is_ok(), "{text}: {:?}", result.outcome);
        gateway.get(get("Note", key("A", "1"))).await.ok();
    }
    let expected = item([
        ("pk", s("A")),
        ("sk", s("1")),
        ("count", n("14.5")),
        ("tags", l([s("B"), s("c"), s("d")])),
        ("place", m([("zip", n(1)), ("land", s("Bern"))])),
        ("extra", s("x")),
        ("rev", n(11)),
    ]);
    assert_eq!(read(&gateway, "Note", "A").await, expected);
}

#[tokio::test]
async fn an_update_creates_a_protected_item() {
    let gateway = protecting(&Wiretap::counting()).await;
    change(
        &gateway,
        "Note",
        "SET text = :v ADD count :one",
        [(":v", s("x")), (":one", n(1))],
    )
    .await
    .ok();
    change(&gateway, "Card", "SET ssn = :v", [(":v", s("1"))])
        .await
        .ok();
    let note = item([
        ("pk", s("A")),
        ("sk", s("1")),
        ("text", s("x")),
        ("count", n(1)),
        ("rev", n(1)),
    ]);
    assert_eq!(read(&gateway, "Note", "A").await, note);
    assert_eq!(read(&gateway, "Card", "A").await["ssn"], s("1"));
}

#[tokio::test]
async fn an_update_does_not_seal_what_was_changed_in_the_store() {
    let wiretap = Wiretap::counting();
    let gateway = with_card(&wiretap).await;
    let mut changed = stored(&wiretap, "cards", "A").await;
    changed.remove("phone");
    wiretap.stores().put("cards", changed.clone()).await;
    let refused = change(&gateway, "Card", "SET ssn = :v", [(":v", s("1"))]).await;
    is_lost(refused, "removed");
    assert_eq!(
        stored(&wiretap, "cards", "A").await,
        changed,
        "nothing was written"
    );
    assert_eq!(wiretap.count("UpdateItem"), 0);
}

#[tokio::test]
async fn what_does_not_fit_the_item_is_refused_as_by_dynamodb() {
    let gateway = protecting(&Wiretap::counting()).await;
    gateway.save(save("Note", note("A"))).await.ok();
    for (text, values) in [
        ("SET text = extra, other = :v", [(":v", n(1))]),
        ("SET extra.a.b = :v", [(":v", n(1))]),
        ("ADD count :v", [(":v", n(1000))]),
    ] {
        let refusal = Refusal::of(change(&gateway, "Note", text, values).await);
        assert_eq!(refusal.code, Code::FailedPrecondition, "{text}: {refusal:?}");
    }
    let mut conditional = update("Note", key("A", "1"), "SET text = :v", [(":v", s("x"))]);
    conditional.condition = expression("count > :n", [(":n", n(100))]);
    let refusal = Refusal::of(gateway.update(conditional).await);
    assert_eq!(refusal.reason, "CONDITION_FAILED", "{refusal:?}");
    read(&gateway, "Note", "A").await;
}

#[tokio::test]
async fn concurrent_updates_are_all_applied() {
    differs_on!(Moto, "old-items");
    for (model, whole) in [("Card", card("A")), ("Note", note("A"))] {
        let gateway = protecting(&Wiretap::counting()).await;
        gateway.save(save(model, whole.clone())).await.ok();
        let updates = (0..8).map(|_| change(&gateway, model, "SET count = count + :one", [(":one", n(1))]));
        for result in futures::future::join_all(updates).await {
            result.ok();
        }
        let before = if model == "Card" { 1 } else { 5 };
        assert_eq!(read(&gateway, model, "A").await["count"], n(before + 8));
    }
}

#[tokio::test]
async fn a_lost_response_is_settled_by_the_seal() {
    for model in ["Card", "Note"] {
        let wiretap = once("UpdateItem", Fate::LoseResponse);
        let gateway = protecting(&wiretap).await;
        let whole = if model == "Card" { card("A") } else { note("A") };
        gateway.save(save(model, whole)).await.ok();
        let count = if model == "Card" { 2 } else { 6 };
        change(&gateway, model, "SET count = count + :one", [(":one", n(1))])
            .await
            .ok();
        assert_eq!(
            read(&gateway, model, "A").await["count"],
            n(count),
            "{model}: applied once"
        );
    }
}

#[tokio::test]
async fn old_and_new_items_come_without_the_seal() {
    differs_on!(Moto, "updated-values");
    let gateway = protecting(&Wiretap::counting()).await;
    gateway.save(save("Note", note("A"))).await.ok();
    for (values, is_old) in [
        (tollgate_proto::v1::ReturnValues::AllOld, true),
        (tollgate_proto::v1::ReturnValues::AllNew, false),
        (tollgate_proto::v1::ReturnValues::UpdatedNew, false),
    ] {
        let mut request = update("Note", key("A", "1"), "SET text = :v", [(":v", s("new"))]);
        request.return_values = values as i32;
        let updated = gateway.update(request).await.ok();
        let returned = if is_old { updated.old_item } else { updated.item };
        assert!(
            returned.contains_key("text") && !returned.contains_key(SEAL),
            "{returned:?}"
        );
    }
    let mut replaced = save("Note", note("A"));
    replaced.item.insert("rev".to_owned(), n(4));
    replaced.return_values = tollgate_proto::v1::ReturnValues::AllOld as i32;
    let old = gateway.save(replaced).await.ok().old_item;
    assert_eq!((old.get("text"), old.get(SEAL)), (Some(&s("new")), None));
}
