//! Reads.

use futures::StreamExt as _;

use super::*;

#[tokio::test]
async fn a_field_that_may_not_be_read_is_withheld_and_never_decrypted() {
    let harness = Harness::new().await;
    let reader = caller("rob", "readers");
    let request = harness.get("User", &[("pk", "A")]);
    let opened = get(&harness.gateway, &reader, request).await.unwrap().unwrap();
    assert_eq!(names(&opened.item), ["city", "email", "made", "pk"]);
    assert_eq!(opened.withheld, ["age", "ssn", "*"]);
    assert_eq!(harness.faulty.take_sent(), ["GetItem"], "no request to KMS");
    let admin = caller("root", "admins");
    let request = harness.get("User", &[("pk", "A")]);
    let opened = get(&harness.gateway, &admin, request).await.unwrap().unwrap();
    assert_eq!(opened.item["ssn"], text("secret"));
    assert!(opened.withheld.is_empty() && opened.item.contains_key("extra"));
    assert_eq!(harness.faulty.take_sent(), ["GetItem", "Decrypt"]);
}

#[tokio::test]
async fn a_withheld_field_is_named_whether_the_item_has_it_or_not() {
    let harness = Harness::new().await;
    let admin = caller("root", "admins");
    let plain = harness.save("User", &[("pk", "B")]);
    save(&harness.gateway, &admin, plain).await.unwrap();
    let reader = caller("rob", "readers");
    let opened = get(&harness.gateway, &reader, harness.get("User", &[("pk", "B")])).await;
    assert_eq!(opened.unwrap().unwrap().withheld, ["age", "ssn", "*"]);
    let request = Get {
        fields: vec!["ssn".to_owned(), "city".to_owned()],
        ..harness.get("User", &[("pk", "A")])
    };
    let opened = get(&harness.gateway, &reader, request).await.unwrap().unwrap();
    assert_eq!(
        (names(&opened.item), opened.withheld),
        (vec!["city"], vec!["ssn".to_owned()])
    );
}

#[tokio::test]
async fn a_caller_without_permission_learns_nothing_of_a_model() {
    let harness = Harness::new().await;
    let nobody = caller("nora", "guests");
    let mut invalid = harness.get("User", &[("no", "key")]);
    invalid.faults.push("key", "is wrong");
    let outcome = get(&harness.gateway, &nobody, invalid).await;
    assert_eq!(denied(outcome), refusal(Action::Get, "Model::\"User\"", ""));
    let unknown = harness.gateway.model(&nobody, &[Action::Get], "Usr").map(drop);
    assert_eq!(denied(unknown), refusal(Action::Get, "Model::\"Usr\"", ""));
    let admin = caller("root", "admins");
    let unknown = harness.gateway.model(&admin, &[Action::Get], "Usr").map(drop);
    assert!(matches!(unknown, Err(Error::UnknownModel { near, .. }) if near.is_empty()));
}

#[tokio::test]
async fn the_key_of_a_request_decides() {
    let harness = Harness::new().await;
    let ann = caller("ann", "guests");
    for key in [&[("number", "ann")][..], &[("pk", "O#ann")][..]] {
        let found = get(&harness.gateway, &ann, harness.get("Order", key)).await;
        assert_eq!(found.unwrap().unwrap().item["number"], text("ann"));
    }
    let other = get(&harness.gateway, &ann, harness.get("Order", &[("number", "bob")])).await;
    assert_eq!(denied(other), refusal(Action::Get, "Model::\"Order\"", ""));
    let page = |condition: Expression| {
        let request = harness.query(harness.selection("Order"), condition);
        query(&harness.gateway, &ann, request).map(drop)
    };
    assert!(page(expression("pk = :p", &[(":p", text("O#ann"))])).is_ok());
    assert!(page(expression("number = :p", &[(":p", text("ann"))])).is_ok());
    denied(page(expression("pk = :p", &[(":p", text("O#bob"))])));
    denied(page(expression("pk < :p", &[(":p", text("O#ann"))])));
    let all = scan(&harness.gateway, &ann, harness.scan(harness.selection("Order")));
    assert_eq!(
        denied(all.map(drop)),
        refusal(Action::Scan, "Model::\"Order\"", "")
    );
}

#[tokio::test]
async fn filters_conditions_and_indexes_leak_nothing() {
    let harness = Harness::new().await;
    let reader = caller("rob", "readers");
    let scan_with = |selection: Selection| scan(&harness.gateway, &reader, harness.scan(selection)).map(drop);
    for (filter, field) in [
        ("age > :v", "User.age"),
        ("city = :v OR NOT age = :v", "User.age"),
        ("attribute_exists(ssn)", "User.ssn"),
        ("size(extra) > :v", "User.*"),
    ] {
        let selection = Selection {
            filter: Some(expression(filter, &[(":v", number("1"))])),
            ..harness.selection("User")
        };
        let expected = refusal(Action::ReadField, &format!("Field::{field:?}"), "filter.text");
        assert_eq!(denied(scan_with(selection)), expected, "{filter}");
    }
    let by = |index: &str| Selection {
        index: index.to_owned(),
        ..harness.selection("User")
    };
    assert_eq!(
        denied(scan_with(by("by_city"))),
        refusal(Action::ReadField, "Field::\"User.age\"", "index")
    );
    assert!(scan_with(by("by_email")).is_ok());
    let condition = expression("email = :v AND age = :v", &[(":v", number("1"))]);
    let queried = query(
        &harness.gateway,
        &reader,
        harness.query(by("by_email"), condition),
    );
    assert_eq!(
        denied(queried.map(drop)),
        refusal(Action::ReadField, "Field::\"User.age\"", "key_condition.text")
    );
}

#[tokio::test]
async fn pages_withhold_what_a_get_withholds() {
    let harness = Harness::new().await;
    let reader = caller("rob", "readers");
    let pages = scan(&harness.gateway, &reader, harness.scan(harness.selection("User"))).unwrap();
    let pages: Vec<_> = pages.collect().await;
    let mut results = pages.into_iter().flat_map(|page| page.unwrap().results);
    let opened = results.next().expect("an item").outcome.expect("readable");
    assert_eq!(names(&opened.item), ["city", "email", "made", "pk"]);
    assert_eq!(opened.withheld, ["age", "ssn", "*"]);
    assert_eq!(harness.faulty.take_sent(), ["Scan"], "no request to KMS");
}

#[tokio::test]
async fn each_part_of_a_batch_needs_both_actions() {
    let harness = Harness::new().await;
    let ann = caller("ann", "guests");
    let request = |numbers: &[&str]| BatchGet {
        gets: numbers
            .iter()
            .map(|number| Ok(harness.get("Order", &[("number", number)])))
            .collect(),
        validate_only: false,
    };
    assert!(batch_get(&harness.gateway, &ann, request(&["ann"])).is_ok());
    let outcome = batch_get(&harness.gateway, &ann, request(&["ann", "bob"])).map(drop);
    assert_eq!(
        denied(outcome),
        refusal(Action::BatchGet, "Model::\"Order\"", "requests[1]")
    );
    let outcome = transact_get(
        &harness.gateway,
        &ann,
        TransactGet {
            gets: vec![Ok(harness.get("User", &[("pk", "A")]))],
            validate_only: false,
        },
    );
    assert_eq!(
        denied(outcome.await.map(drop)),
        refusal(Action::TransactGet, "Model::\"User\"", "requests[0]")
    );
}
