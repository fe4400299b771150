//! What was changed in the store.

use super::*;
use tollgate_tests::values::{query, scan};

/// A card that was written twice: what was stored first and last.
async fn two_versions(wiretap: &Wiretap) -> (Gateway, Stored, Stored) {
    let gateway = protecting(wiretap).await;
    gateway.save(save("Card", card("A"))).await.ok();
    let first = stored(wiretap, "cards", "A").await;
    let mut newer = card("A");
    newer.insert("ssn".to_owned(), s("987-65-4321"));
    newer.insert("phone".to_owned(), s("777"));
    gateway.save(save("Card", newer)).await.ok();
    let last = stored(wiretap, "cards", "A").await;
    (gateway, first, last)
}

#[tokio::test]
async fn removed_nulled_and_older_values_are_data_loss() {
    let wiretap = Wiretap::counting();
    let (gateway, first, last) = two_versions(&wiretap).await;
    let with = |changes: &[(&str, Option<Raw>)]| {
        let mut changed = last.clone();
        for (name, value) in changes {
            match value {
                Some(value) => changed.insert((*name).to_owned(), value.clone()),
                None => changed.remove(*name),
            };
        }
        changed
    };
    let older = |name: &str| Some(first[name].clone());
    for (what, changed) in [
        ("removed", with(&[("ssn", None)])),
        ("all removed", with(&[("ssn", None), ("phone", None)])),
        ("NULL", with(&[("ssn", Some(Raw::Null(true)))])),
        ("older ciphertext", with(&[("ssn", older("ssn"))])),
        (
            "two versions mixed",
            with(&[("ssn", older("ssn")), (SEAL, older(SEAL))]),
        ),
        ("older seal", with(&[(SEAL, older(SEAL))])),
        ("no seal", with(&[(SEAL, None)])),
        ("seal NULL", with(&[(SEAL, Some(Raw::Null(true)))])),
        (
            "seal of other type",
            with(&[(SEAL, Some(Raw::S("x".to_owned())))]),
        ),
        ("empty seal", with(&[(SEAL, Some(bytes([])))])),
    ] {
        wiretap.stores().put("cards", changed).await;
        is_lost(gateway.get(get("Card", key("A", "1"))).await, what);
    }
    // the replacement of the whole item by an older whole one is not seen, and the documentation says so
    wiretap.stores().put("cards", first).await;
    assert_eq!(read(&gateway, "Card", "A").await, card("A"));
}

#[tokio::test]
async fn any_flipped_byte_of_the_seal_is_detected() {
    let wiretap = Wiretap::counting();
    let (gateway, _, last) = two_versions(&wiretap).await;
    let seal = last[SEAL].as_b().expect("B").as_ref().to_vec();
    for place in 0..seal.len() {
        let mut flipped = seal.clone();
        flipped[place] ^= 1;
        let mut changed = last.clone();
        changed.insert(SEAL.to_owned(), bytes(flipped));
        wiretap.stores().put("cards", changed).await;
        is_lost(
            gateway.get(get("Card", key("A", "1"))).await,
            &format!("byte {place}"),
        );
    }
}

#[tokio::test]
async fn a_seal_of_another_item_is_not_accepted() {
    let wiretap = Wiretap::counting();
    let gateway = protecting(&wiretap).await;
    for partition in ["A", "B"] {
        gateway.save(save("Note", note(partition))).await.ok();
    }
    let mut copied = stored(&wiretap, "notes", "A").await;
    copied.insert("pk".to_owned(), Raw::S("B".to_owned()));
    wiretap.stores().put("notes", copied).await;
    is_lost(gateway.get(get("Note", key("B", "1"))).await, "copied");
}

#[tokio::test]
async fn plain_attributes_are_covered_only_with_all() {
    let wiretap = Wiretap::counting();
    let gateway = protecting(&wiretap).await;
    gateway.save(save("Card", card("A"))).await.ok();
    let mut changed = stored(&wiretap, "cards", "A").await;
    changed.insert("name".to_owned(), Raw::S("Eve".to_owned()));
    wiretap.stores().put("cards", changed).await;
    assert_eq!(read(&gateway, "Card", "A").await["name"], s("Eve"));

    gateway.save(save("Note", note("A"))).await.ok();
    let whole = stored(&wiretap, "notes", "A").await;
    for (name, value) in [
        ("text", Some(Raw::S("bye".to_owned()))),
        ("text", None),
        ("count", Some(Raw::N("6".to_owned()))),
        ("added", Some(Raw::Bool(true))),
        ("rev", Some(Raw::N("7".to_owned()))),
        ("tags", Some(Raw::L(Vec::new()))),
    ] {
        let mut changed = whole.clone();
        match value {
            Some(value) => changed.insert(name.to_owned(), value),
            None => changed.remove(name),
        };
        wiretap.stores().put("notes", changed).await;
        is_lost(gateway.get(get("Note", key("A", "1"))).await, name);
    }
}

#[tokio::test]
async fn a_changed_item_spoils_neither_a_page_nor_a_batch() {
    let wiretap = Wiretap::counting();
    let gateway = protecting(&wiretap).await;
    for sort in ["1", "2", "3"] {
        let mut one = card("A");
        one.insert("sk".to_owned(), s(sort));
        gateway.save(save("Card", one)).await.ok();
    }
    let mut changed = wiretap
        .stores()
        .item("cards", "A", "2")
        .await
        .expect("it was saved");
    changed.remove("ssn");
    wiretap.stores().put("cards", changed).await;
    let queried = gateway.query(query("Card", "A")).await.ok().remove(0).results;
    let scanned = gateway.scan(scan("Card")).await.ok().remove(0).results;
    for results in [queried, scanned] {
        assert_eq!(results.len(), 3);
        for result in results {
            let error = result.error.map(|error| error.code);
            let expected = (result.item["sk"] == s("2")).then_some(Code::DataLoss as i32);
            assert_eq!(error, expected);
        }
    }
    let request = tollgate_proto::v1::TransactGetRequest {
        requests: ["1", "2"].map(|sort| get("Card", key("A", sort))).into(),
        ..Default::default()
    };
    let read = gateway
        .data()
        .transact_get(request)
        .await
        .expect("it responds")
        .into_inner();
    let is_error = |index: usize| {
        matches!(
            &read.results[index].result,
            Some(tollgate_proto::v1::get_result::Result::Error(error)) if error.code == Code::DataLoss as i32
        )
    };
    assert!(!is_error(0) && is_error(1));
}
