//! What was changed in the stores behind the gateway: reported as DATA_LOSS of that item, never returned.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use tollgate_proto::v1;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::{RawStores, Stored, text};
use tollgate_tests::values::{
    document, get, get_content, item, key, query, s, save, scan, secure_user, user,
};
use tollgate_tests::wiretap::Wiretap;
use tonic::Code;
use tonic_types::RpcStatusExt as _;

const ATTRIBUTES: [&str; 3] = ["ssn", "phone", "address"];

/// Three items of one partition, and what is stored of the middle one.
async fn three_items(wiretap: &Wiretap) -> (Gateway, Stored) {
    let gateway = Gateway::tapped(wiretap).await;
    for sort in ["U#1", "U#2", "U#3"] {
        gateway
            .save(save("SecureUser", secure_user("ORG", sort)))
            .await
            .ok();
    }
    let stored = wiretap
        .stores()
        .item("secure_users", "ORG", "U#2")
        .await
        .expect("it was saved");
    (gateway, stored)
}

fn bytes_of(stored: &Stored, attribute: &str) -> Vec<u8> {
    stored[attribute]
        .as_b()
        .unwrap_or_else(|_| panic!("{attribute} is not sealed"))
        .as_ref()
        .to_vec()
}

fn bytes(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes.into()))
}

/// The middle item with another value of one attribute.
async fn put(stores: &RawStores, stored: &Stored, attribute: &str, value: AttributeValue) {
    let mut changed = stored.clone();
    changed.insert(attribute.to_owned(), value);
    stores.put("secure_users", changed).await;
}

async fn is_lost(gateway: &Gateway, what: &str) {
    let refusal = Refusal::of(gateway.get(get("SecureUser", key("ORG", "U#2"))).await);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::DataLoss, "CIPHERTEXT_INVALID"),
        "{what}: {refusal:?}"
    );
}

/// The results of a page: two items are there, the middle one is an error with its key and reason.
fn survives(
    results: &[v1::ItemResult],
    whole: impl Fn(&str) -> HashMap<String, v1::AttributeValue>,
    reason: &str,
) {
    assert_eq!(results.len(), 3);
    for (result, sort) in results.iter().zip(["U#1", "U#2", "U#3"]) {
        if sort == "U#2" {
            let error = result.error.as_ref().expect("the changed item has an error");
            assert_eq!(error.code, Code::DataLoss as i32);
            let info = error.get_details_error_info().expect("with its reason");
            assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "tollgate"));
            assert_eq!(result.item, key("ORG", "U#2"), "and with its key alone");
        } else {
            assert_eq!(result.error, None);
            assert_eq!(result.item, whole(sort));
        }
    }
}

async fn page_survives(gateway: &Gateway) {
    let queried = gateway.query(query("SecureUser", "ORG")).await.ok();
    survives(
        &queried[0].results,
        |sort| secure_user("ORG", sort),
        "CIPHERTEXT_INVALID",
    );
    let mut scanned = gateway.scan(scan("SecureUser")).await.ok().remove(0).results;
    scanned.sort_by_key(|result| {
        result.item["sk"].kind.as_ref().map(|kind| match kind {
            v1::attribute_value::Kind::S(sort) => sort.clone(),
            _ => String::new(),
        })
    });
    survives(&scanned, |sort| secure_user("ORG", sort), "CIPHERTEXT_INVALID");
}

#[tokio::test]
async fn any_flipped_byte_is_detected() {
    let wiretap = Wiretap::counting();
    let (gateway, stored) = three_items(&wiretap).await;
    let original = bytes_of(&stored, "phone");
    for place in 0..original.len() {
        for bit in [0x01, 0x80] {
            let mut flipped = original.clone();
            flipped[place] ^= bit;
            put(wiretap.stores(), &stored, "phone", bytes(flipped)).await;
            is_lost(&gateway, &format!("byte {place} of {}", original.len())).await;
        }
    }
    page_survives(&gateway).await;
    wiretap.stores().put("secure_users", stored).await;
    assert_eq!(
        gateway.get(get("SecureUser", key("ORG", "U#2"))).await.ok().item,
        secure_user("ORG", "U#2")
    );
}

#[tokio::test]
async fn any_missing_or_added_byte_is_detected() {
    let wiretap = Wiretap::counting();
    let (gateway, stored) = three_items(&wiretap).await;
    let original = bytes_of(&stored, "phone");
    for length in 0..original.len() {
        put(wiretap.stores(), &stored, "phone", bytes(&original[..length])).await;
        is_lost(&gateway, &format!("cut to {length}")).await;
        let mut without = original.clone();
        without.remove(length);
        put(wiretap.stores(), &stored, "phone", bytes(without)).await;
        is_lost(&gateway, &format!("without byte {length}")).await;
    }
    put(
        wiretap.stores(),
        &stored,
        "phone",
        bytes([original.as_slice(), &[0]].concat()),
    )
    .await;
    is_lost(&gateway, "one more byte").await;
    page_survives(&gateway).await;
}

#[tokio::test]
async fn a_ciphertext_opens_only_in_its_own_attribute_and_item() {
    let wiretap = Wiretap::counting();
    let (gateway, stored) = three_items(&wiretap).await;
    let stores = wiretap.stores();
    let neighbour = stores.item("secure_users", "ORG", "U#1").await.unwrap();
    for attribute in ATTRIBUTES {
        put(stores, &stored, attribute, neighbour[attribute].clone()).await;
        is_lost(&gateway, &format!("{attribute} of another item")).await;
        page_survives(&gateway).await;
    }
    for (from, to) in [("ssn", "phone"), ("phone", "ssn"), ("ssn", "address")] {
        put(stores, &stored, to, stored[from].clone()).await;
        is_lost(&gateway, &format!("{from} in the place of {to}")).await;
    }
    // the same key and the same attribute, of another table
    let mut twin = user("ORG", "078-05-1120");
    twin.insert("sk".to_owned(), s("U#2"));
    gateway.save(save("User", twin)).await.ok();
    let mut twin = stores.item("users", "ORG", "U#2").await.unwrap();
    put(stores, &stored, "ssn", twin["ssn"].clone()).await;
    is_lost(&gateway, "ssn of another table").await;
    twin.insert("ssn".to_owned(), stored["ssn"].clone());
    stores.put("users", twin).await;
    let refusal = Refusal::of(gateway.get(get("User", key("ORG", "U#2"))).await);
    refusal.is("CIPHERTEXT_INVALID", &[]);
    // all of an item, under another key
    let mut moved = stored.clone();
    moved.insert("sk".to_owned(), text("U#9"));
    stores.put("secure_users", moved).await;
    Refusal::of(gateway.get(get("SecureUser", key("ORG", "U#9"))).await).is("CIPHERTEXT_INVALID", &[]);
}

#[tokio::test]
async fn other_values_are_not_accepted_as_ciphertext() {
    let wiretap = Wiretap::counting();
    let (gateway, stored) = three_items(&wiretap).await;
    let sealed = bytes_of(&stored, "ssn");
    let in_base64 = format!("ENC:{}", aws_smithy_types::base64::encode(&sealed));
    let as_pydynox = [&[1], &sealed[2..]].concat();
    let as_pydynox = format!("ENC:{}", aws_smithy_types::base64::encode(as_pydynox));
    let others = [
        text("078-05-1120"),
        text(""),
        text("ENC:"),
        text("ENC:not base64"),
        text("ENC:AAAA"),
        text(&in_base64),
        text(&as_pydynox),
        bytes(b"078-05-1120".as_slice()),
        bytes(in_base64.as_bytes()),
        AttributeValue::N("1".to_owned()),
        AttributeValue::Bool(true),
        AttributeValue::L(vec![stored["ssn"].clone()]),
        AttributeValue::M(HashMap::from([("B".to_owned(), stored["ssn"].clone())])),
        AttributeValue::Bs(vec![Blob::new(sealed.clone())]),
    ];
    for other in others {
        for attribute in ["ssn", "address"] {
            put(wiretap.stores(), &stored, attribute, other.clone()).await;
            is_lost(&gateway, &format!("{other:?} as {attribute}")).await;
        }
        page_survives(&gateway).await;
    }
}

#[tokio::test]
async fn a_read_without_the_damaged_attribute_succeeds() {
    let wiretap = Wiretap::counting();
    let (gateway, stored) = three_items(&wiretap).await;
    put(wiretap.stores(), &stored, "ssn", text("plaintext")).await;
    let fields = vec!["phone".to_owned()];
    let request = v1::GetRequest {
        fields,
        ..get("SecureUser", key("ORG", "U#2"))
    };
    let found = gateway.get(request).await.ok().item;
    assert_eq!(
        found,
        item([("phone", secure_user("ORG", "U#2")["phone"].clone())])
    );
}

/// Three documents of one partition; the bucket's key of the middle one's content.
async fn three_documents(wiretap: &Wiretap) -> (Gateway, String, Stored) {
    let gateway = Gateway::tapped(wiretap).await;
    for sort in ["U#1", "U#2", "U#3"] {
        let mut written = document("ORG", vec![7; 1000]);
        written.insert("sk".to_owned(), s(sort));
        gateway.save(save("Document", written)).await.ok();
    }
    let stored = wiretap
        .stores()
        .item("documents", "ORG", "U#2")
        .await
        .expect("as it was saved");
    let object_key = stored["content"].as_m().expect("as it was saved")["key"]
        .as_s()
        .expect("as it was saved")
        .clone();
    (gateway, object_key, stored)
}

async fn object_is_lost(gateway: &Gateway, what: &str) {
    let asked = v1::GetRequest {
        key: key("ORG", "U#2"),
        ..get_content("ORG")
    };
    let refusal = Refusal::of(gateway.get(asked).await);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::DataLoss, "OBJECT_INVALID"),
        "{what}: {refusal:?}"
    );
    let include_objects = vec!["content".to_owned()];
    let queried = gateway
        .query(v1::QueryRequest {
            include_objects,
            ..query("Document", "ORG")
        })
        .await
        .ok();
    let results = &queried[0].results;
    let errors: Vec<_> = results
        .iter()
        .map(|result| result.error.as_ref().map(|error| error.code))
        .collect();
    assert_eq!(errors, [None, Some(Code::DataLoss as i32), None], "{what}");
    for whole in [&results[0], &results[2]] {
        let Some(v1::attribute_value::Kind::Object(object)) = &whole.item["content"].kind else {
            panic!("no object")
        };
        assert_eq!(object.data.as_deref(), Some([7; 1000].as_slice()), "{what}");
    }
}

#[tokio::test]
async fn a_changed_or_missing_object_is_detected() {
    let wiretap = Wiretap::counting();
    let (gateway, object_key, _) = three_documents(&wiretap).await;
    let stores = wiretap.stores();
    let mut flipped = vec![7; 1000];
    flipped[999] ^= 1;
    for (what, content) in [
        ("flipped", flipped),
        ("shorter", vec![7; 999]),
        ("longer", vec![7; 1001]),
        ("much longer", vec![7; 3_000_000]),
        ("empty", Vec::new()),
    ] {
        stores.put_object("my-bucket", &object_key, content).await;
        object_is_lost(&gateway, what).await;
    }
    stores.delete_object("my-bucket", &object_key).await;
    object_is_lost(&gateway, "missing").await;
    // the item itself is whole: whoever does not ask for the content reads it
    let found = gateway.get(get("Document", key("ORG", "U#2"))).await.ok().item;
    assert_eq!(found["name"], s("report"));
    stores.put_object("my-bucket", &object_key, vec![7; 1000]).await;
    gateway
        .get(v1::GetRequest {
            key: key("ORG", "U#2"),
            ..get_content("ORG")
        })
        .await
        .ok();
}

#[tokio::test]
async fn a_broken_pointer_is_detected() {
    let wiretap = Wiretap::counting();
    let (gateway, _, stored) = three_documents(&wiretap).await;
    let pointer = stored["content"].as_m().unwrap().clone();
    let without = |name: &str| {
        let mut pointer = pointer.clone();
        pointer.remove(name);
        AttributeValue::M(pointer)
    };
    let with = |name: &str, value: AttributeValue| {
        let mut pointer = pointer.clone();
        pointer.insert(name.to_owned(), value);
        AttributeValue::M(pointer)
    };
    let broken = [
        without("bucket"),
        without("key"),
        without("size"),
        with("size", text("1000")),
        with("size", AttributeValue::N("-1".to_owned())),
        with("size", AttributeValue::N("999".to_owned())),
        with("sha256", text("00")),
        with("key", text("docs/ORG/U%232/nowhere/x")),
        with("key", AttributeValue::N("1".to_owned())),
        text("docs/nowhere"),
        AttributeValue::L(Vec::new()),
    ];
    for value in broken {
        let mut changed = stored.clone();
        changed.insert("content".to_owned(), value.clone());
        wiretap.stores().put("documents", changed).await;
        object_is_lost(&gateway, &format!("{value:?}")).await;
    }
}
