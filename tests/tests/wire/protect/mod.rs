//! Items that are protected as a whole: what is written is what is read, and whatever was changed in the store is data
//! loss.

mod objects;
mod reads;
mod tamper;
mod transactions;
mod updates;

use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Raw;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{CallResult, Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::Stored;
use tollgate_tests::values::{AttributeValue, Item, get, item, key, l, m, n, s, save, update};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;

const SEAL: &str = "tollgate:seal";

const MODELS: &str = "
name: Card
table: cards
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  ssn: { type: string, encrypted: { key_id: alias/my-app-key } }
  phone: { type: string, encrypted: { key_id: alias/my-app-key } }
  name: { type: string }
  count: { type: number }
indexes:
  by_name: { partition_key: name, projection: all }
  by_count: { partition_key: count, projection: keys_only }
protect: sealed
---
name: Note
table: notes
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  text: { type: string }
  count: { type: number, min: 0, max: 1000 }
  tags: { type: list }
  place: { type: map }
  roles: { type: string_set }
  rev: { type: version }
protect: { mode: all, key_id: alias/notes }
unknown_attributes: keep
---
name: Old
table: olds
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  ssn: { type: string, encrypted: { key_id: alias/my-app-key } }
  name: { type: string }
protect: sealed
allow_unsealed: true
";

async fn protecting(wiretap: &Wiretap) -> Gateway {
    Gateway::of_models(MODELS, Setup::tapped(wiretap)).await
}

fn card(partition: &str) -> Item {
    item([
        ("pk", s(partition)),
        ("sk", s("1")),
        ("ssn", s("123-45-6789")),
        ("phone", s("555")),
        ("name", s("Ada")),
        ("count", n(1)),
    ])
}

fn note(partition: &str) -> Item {
    item([
        ("pk", s(partition)),
        ("sk", s("1")),
        ("text", s("hello")),
        ("count", n(5)),
        ("tags", l([s("a"), s("b"), s("c")])),
        ("place", m([("city", s("Bern")), ("zip", n(3000))])),
    ])
}

/// A wiretap under which the first request of an operation has this fate.
fn once(operation: &'static str, fate: Fate) -> Wiretap {
    let sent = AtomicU64::new(0);
    Wiretap::new(
        move |name| match name == operation && sent.fetch_add(1, Ordering::SeqCst) == 0 {
            true => fate,
            false => Fate::Pass,
        },
    )
}

fn bytes(value: impl Into<Vec<u8>>) -> Raw {
    Raw::B(Blob::new(value.into()))
}

async fn stored(wiretap: &Wiretap, table: &str, partition: &str) -> Stored {
    wiretap
        .stores()
        .item(table, partition, "1")
        .await
        .expect("it was saved")
}

/// The item as callers read it.
async fn read(gateway: &Gateway, model: &str, partition: &str) -> Item {
    gateway.get(get(model, key(partition, "1"))).await.ok().item
}

fn is_lost<T: std::fmt::Debug>(response: CallResult<T>, what: &str) {
    let refusal = Refusal::of(response);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::DataLoss, "SEAL_INVALID"),
        "{what}: {refusal:?}"
    );
}

/// Changes a card or a note.
async fn change<const N: usize>(
    gateway: &Gateway,
    model: &str,
    text: &str,
    values: [(&str, AttributeValue); N],
) -> CallResult<tollgate_proto::v1::UpdateResponse> {
    gateway.update(update(model, key("A", "1"), text, values)).await
}

#[tokio::test]
async fn a_protected_item_reads_as_it_was_written() {
    let wiretap = Wiretap::counting();
    let gateway = protecting(&wiretap).await;
    for (model, table, whole) in [("Card", "cards", card("A")), ("Note", "notes", note("A"))] {
        wiretap.clear();
        let saved = gateway.save(save(model, whole.clone())).await;
        assert_eq!(saved.bill.count("tollgate-kms-calls"), 1, "{model}");
        let generated = saved.ok().generated;
        assert!(!generated.contains_key(SEAL));
        let seal = stored(&wiretap, table, "A").await[SEAL]
            .as_b()
            .expect("B")
            .clone();
        assert_eq!(seal.as_ref()[0], 5, "the format id");
        let got = gateway.get(get(model, key("A", "1"))).await;
        assert_eq!(got.bill.count("tollgate-kms-calls"), 1, "{model}");
        let got = got.ok();
        assert!(!got.unverified);
        let mut expected = whole;
        expected.extend(generated);
        assert_eq!(got.item, expected, "{model}");
    }
}

#[tokio::test]
async fn each_write_makes_another_seal() {
    let wiretap = Wiretap::counting();
    let gateway = protecting(&wiretap).await;
    gateway.save(save("Card", card("A"))).await.ok();
    let first = stored(&wiretap, "cards", "A").await;
    gateway.save(save("Card", card("A"))).await.ok();
    let second = stored(&wiretap, "cards", "A").await;
    assert_ne!(first[SEAL], second[SEAL]);
}

#[tokio::test]
async fn nobody_names_the_seal() {
    let gateway = protecting(&Wiretap::counting()).await;
    let mut forged = note("A");
    forged.insert(SEAL.to_owned(), s("x"));
    Refusal::of(gateway.save(save("Note", forged)).await).is("INVALID_FIELD", &["item.tollgate:seal"]);
    gateway.save(save("Note", note("B"))).await.ok();
    let text = "REMOVE #seal";
    let mut removal = update("Note", key("B", "1"), text, []);
    if let Some(update) = &mut removal.update {
        update.names.insert("#seal".to_owned(), SEAL.to_owned());
    }
    let refusal = Refusal::of(gateway.update(removal).await);
    assert_eq!(refusal.code, Code::InvalidArgument, "{refusal:?}");
    let mut named = get("Note", key("B", "1"));
    named.fields = vec!["\"tollgate:seal\"".to_owned()];
    let refusal = Refusal::of(gateway.get(named).await);
    assert_eq!(refusal.code, Code::InvalidArgument, "{refusal:?}");
}

#[tokio::test]
async fn an_item_of_the_largest_size_leaves_room_for_its_seal() {
    differs_on!(Moto, "item-size");
    let gateway = protecting(&Wiretap::counting()).await;
    let mut large = note("A");
    large.remove("tags");
    large.insert("text".to_owned(), s("x".repeat(400 * 1024 - 150)));
    let refusal = Refusal::of(gateway.save(save("Note", large.clone())).await);
    assert_eq!(refusal.reason, "ITEM_TOO_LARGE", "{refusal:?}");
    large.insert("text".to_owned(), s("x".repeat(400 * 1024 - 1000)));
    gateway.save(save("Note", large)).await.ok();
}

#[tokio::test]
async fn the_schema_shows_the_protection() {
    let gateway = protecting(&Wiretap::counting()).await;
    let request = tollgate_proto::v1::GetModelRequest {
        name: "Note".to_owned(),
    };
    let model = gateway.schema().get_model(request).await.expect("it is served");
    let protect = model
        .into_inner()
        .model
        .expect("a model")
        .protect
        .expect("protected");
    assert_eq!(
        (
            protect.mode.as_str(),
            protect.key_id.as_str(),
            protect.allow_unsealed
        ),
        ("all", "alias/notes", false)
    );
}
