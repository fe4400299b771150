//! Updates of the parts of index keys: the keys are built anew, or removed, so that the item moves within the index,
//! enters or leaves it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use aws_sdk_dynamodb::types::AttributeValue as StoredValue;
use futures::FutureExt as _;
use tollgate_proto::v1;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{CallResult, Gateway};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::{RawStores, Stored, text};
use tollgate_tests::values::{AttributeValue, Item, expression, get, item, n, s, save, update};
use tollgate_tests::wiretap::{Fate, Wiretap};
use v1::transact_operation::Operation;
use v1::transact_result::Result as Outcome;

use super::{gateway_of, returning};

/// Tickets by queue and due date while they are open, and all of a customer by priority.
const TICKET: &str = r#"
name: Ticket
table: tickets
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string, hidden: true, template: "CUSTOMER#{customer:lower}" }
  sk: { type: string, hidden: true, template: "TICKET#{number:04}" }
  customer: { type: string, required: true, min_length: 2 }
  number: { type: number, required: true }
  queue: { type: string, alias: q, enum: [billing, support] }
  status: { type: string, enum: [open, waiting, closed], default: open }
  due: { type: datetime }
  priority: { type: number, min: 0, max: 9 }
  assignee: { type: string }
  phone: { type: string }
  updated: { type: datetime, generate: utc_now_on_write }
  queue_pk: { type: string, alias: g1p, template: "QUEUE#{queue}#{status}" }
  queue_sk: { type: string, alias: g1s, template: "DUE#{due:day}#{number:04}" }
  rank_pk: { type: string, hidden: true, template: "RANK#{customer:lower}" }
  rank_sk: { type: string, hidden: true, template: "P{priority:01}#{assignee}#{number:04}" }
indexes:
  by_queue: { partition_key: queue_pk, sort_key: queue_sk, when: { status: [open, waiting] } }
  by_rank: { partition_key: rank_pk, sort_key: rank_sk }
  by_phone: { partition_key: phone }
"#;

fn ticket_key() -> Item {
    item([("customer", s("Ann")), ("number", n(7))])
}

/// An update that can create the ticket.
fn upsert<const N: usize>(text: &str, values: [(&str, AttributeValue); N]) -> v1::UpdateRequest {
    update("Ticket", ticket_key(), text, values)
}

/// An update of a ticket that must exist.
fn change<const N: usize>(text: &str, values: [(&str, AttributeValue); N]) -> v1::UpdateRequest {
    v1::UpdateRequest {
        must_exist: true,
        ..upsert(text, values)
    }
}

async fn saved(wiretap: &Wiretap) -> Gateway {
    let gateway = gateway_of(wiretap, TICKET).await;
    let mut ticket = ticket_key();
    ticket.extend(item([
        ("queue", s("billing")),
        ("due", s("2026-03-01T10:00:00Z")),
        ("priority", n(5)),
        ("assignee", s("bob")),
    ]));
    gateway.save(save("Ticket", ticket)).await.ok();
    wiretap.clear();
    gateway
}

/// The item as stored.
async fn stored(stores: &RawStores) -> Stored {
    let item = stores.item("tickets", "CUSTOMER#ann", "TICKET#0007").await;
    item.expect("it is stored")
}

/// The stored index keys: of the queue, and the rank within the customer.
async fn keys(wiretap: &Wiretap) -> [Option<String>; 3] {
    let stored = stored(wiretap.stores()).await;
    ["g1p", "g1s", "rank_sk"].map(|name| match stored.get(name) {
        Some(StoredValue::S(key)) => Some(key.clone()),
        Some(other) => panic!("{name} is {other:?}"),
        None => None,
    })
}

fn some<const N: usize>(keys: [&str; N]) -> [Option<String>; N] {
    keys.map(|key| Some(key).filter(|key| !key.is_empty()).map(str::to_owned))
}

#[tokio::test]
async fn a_part_that_is_set_rebuilds_the_keys_from_the_stored_parts() {
    differs_on!(Moto, "capacity");
    let wiretap = Wiretap::counting();
    let gateway = saved(&wiretap).await;
    let updated = gateway
        .update(change("SET queue = :q", [(":q", s("support"))]))
        .await;
    assert_eq!((wiretap.count("GetItem"), wiretap.count("UpdateItem")), (1, 1));
    // 1 unit for the consistent read of an item under 4 KB
    assert_eq!(updated.bill.decimal("tollgate-rcu"), 1.0);
    assert_eq!(updated.ok().generated["queue_pk"], s("QUEUE#support#open"));
    assert_eq!(
        keys(&wiretap).await,
        some(["QUEUE#support#open", "DUE#2026-03-01#0007", "P5#bob#0007"])
    );
    // all parts are given, or those of the key: nothing is read
    wiretap.clear();
    let text = "SET priority = :p, assignee = :a, due = :d, status = :s, queue = :q";
    let values = [
        (":q", s("support")),
        (":s", s("open")),
        (":p", n(1)),
        (":a", s("eve")),
        (":d", s("2026-04-02T23:00:00-02:00")),
    ];
    let updated = gateway.update(change(text, values)).await.ok();
    assert_eq!(updated.generated["queue_sk"], s("DUE#2026-04-03#0007"));
    assert!(!updated.generated.contains_key("rank_sk"), "it is hidden");
    assert_eq!(wiretap.count("GetItem"), 0);
    assert_eq!(
        keys(&wiretap).await,
        some(["QUEUE#support#open", "DUE#2026-04-03#0007", "P1#eve#0007"])
    );
    let request = v1::QueryRequest {
        index: "by_queue".to_owned(),
        key_condition: expression(
            "queue = :q AND status = :s AND due = :d",
            [
                (":q", s("support")),
                (":s", s("open")),
                (":d", s("2026-04-03T12:00:00Z")),
            ],
        ),
        ..tollgate_tests::values::query("Ticket", "")
    };
    let found = gateway.query(request).await.ok();
    assert_eq!(found[0].results.len(), 1, "{found:?}");
    assert_eq!(found[0].results[0].item["priority"], n(1));
}

#[tokio::test]
async fn an_item_leaves_a_sparse_index_and_enters_it_again() {
    let wiretap = Wiretap::counting();
    let gateway = saved(&wiretap).await;
    // `when` does not hold any more, which needs no read
    gateway
        .update(change("SET status = :s", [(":s", s("closed"))]))
        .await
        .ok();
    assert_eq!(wiretap.count("GetItem"), 0);
    assert_eq!(keys(&wiretap).await, some(["", "", "P5#bob#0007"]));
    // nor does a part that goes away
    gateway.update(change("REMOVE assignee", [])).await.ok();
    assert_eq!(wiretap.count("GetItem"), 0);
    assert_eq!(keys(&wiretap).await, some(["", "", ""]));
    // a part of a key that is not built changes nothing
    gateway
        .update(change("SET queue = :q", [(":q", s("support"))]))
        .await
        .ok();
    assert_eq!(keys(&wiretap).await, some(["", "", ""]));
    gateway
        .update(change(
            "SET status = :s, assignee = if_not_exists(assignee, :a)",
            [(":s", s("waiting")), (":a", s("zoe"))],
        ))
        .await
        .ok();
    assert_eq!(
        keys(&wiretap).await,
        some(["QUEUE#support#waiting", "DUE#2026-03-01#0007", "P5#zoe#0007"])
    );
    gateway
        .update(change("SET due = :null", [(":null", null())]))
        .await
        .ok();
    assert_eq!(
        keys(&wiretap).await,
        some(["QUEUE#support#waiting", "", "P5#zoe#0007"])
    );
    // what is untouched stays as it is, without a read
    wiretap.clear();
    gateway
        .update(change("SET phone = :p", [(":p", s("+44"))]))
        .await
        .ok();
    assert_eq!((wiretap.count("GetItem"), wiretap.count("UpdateItem")), (0, 1));
    // an update that could create the item has to know whether the default of a part applies
    gateway
        .update(upsert("SET phone = :p", [(":p", s("+44"))]))
        .await
        .ok();
    assert_eq!((wiretap.count("GetItem"), wiretap.count("UpdateItem")), (1, 2));
}

fn null() -> AttributeValue {
    AttributeValue {
        kind: Some(v1::attribute_value::Kind::Null(0)),
    }
}

#[tokio::test]
async fn an_upsert_writes_the_parts_of_the_key_and_the_index_keys() {
    let wiretap = Wiretap::counting();
    let gateway = gateway_of(&wiretap, TICKET).await;
    let text = "SET queue = :q, due = :d, phone = :p";
    let values = || {
        [
            (":q", s("billing")),
            (":d", s("2026-03-01T10:00:00Z")),
            (":p", s("+1")),
        ]
    };
    let request = returning(upsert(text, values()), v1::ReturnValues::AllNew);
    let updated = gateway.update(request).await.ok();
    assert_eq!(updated.item["customer"], s("Ann"));
    assert_eq!(updated.item["number"], n(7));
    assert_eq!(updated.item["status"], s("open"));
    assert_eq!(updated.item["queue_pk"], s("QUEUE#billing#open"));
    assert_eq!(
        keys(&wiretap).await,
        some(["QUEUE#billing#open", "DUE#2026-03-01#0007", ""])
    );
    assert_eq!(stored(wiretap.stores()).await["rank_pk"], text_of("RANK#ann"));
    // again, in another case: the stored part and status stay, and so does the key
    gateway
        .update(change("SET status = :s", [(":s", s("closed"))]))
        .await
        .ok();
    let again = v1::UpdateRequest {
        key: item([("customer", s("ANN")), ("number", n(7))]),
        ..upsert(text, values())
    };
    gateway.update(again).await.ok();
    assert_eq!(keys(&wiretap).await, some(["", "", ""]));
    let read = gateway.get(get("Ticket", ticket_key())).await.ok().item;
    assert_eq!((&read["customer"], &read["status"]), (&s("Ann"), &s("closed")));
    // what a Save would refuse is not created
    let short = v1::UpdateRequest {
        key: item([("customer", s("x")), ("number", n(7))]),
        ..upsert(text, values())
    };
    let refusal = Refusal::of(gateway.update(short).await);
    refusal.is("INVALID_FIELD", &["key.customer"]);
    refusal.cost_nothing();
    // a key whose parts are not known cannot create the item
    let by_key = v1::UpdateRequest {
        key: tollgate_tests::values::key("CUSTOMER#dan", "TICKET#0001"),
        ..upsert(text, values())
    };
    assert_eq!(Refusal::of(gateway.update(by_key).await).reason, "ITEM_NOT_FOUND");
}

fn text_of(value: &str) -> StoredValue {
    text(value)
}

#[tokio::test]
async fn an_item_of_another_program_gets_its_keys_from_what_is_there() {
    let wiretap = Wiretap::counting();
    let gateway = gateway_of(&wiretap, TICKET).await;
    let mut foreign: Stored = [("pk", "CUSTOMER#ann"), ("sk", "TICKET#0007"), ("q", "billing")]
        .map(|(name, value)| (name.to_owned(), text(value)))
        .into();
    wiretap.stores().put("tickets", foreign.clone()).await;
    // neither the number nor the customer is stored
    let request = v1::UpdateRequest {
        key: tollgate_tests::values::key("CUSTOMER#ann", "TICKET#0007"),
        ..change(
            "SET due = :d, status = :s, priority = :p, assignee = :a",
            [
                (":d", s("2026-03-01T00:00:00Z")),
                (":s", s("open")),
                (":p", n(2)),
                (":a", s("bob")),
            ],
        )
    };
    gateway.update(request.clone()).await.ok();
    assert_eq!(
        keys(&wiretap).await,
        some(["QUEUE#billing#open", "DUE#2026-03-01#0007", "P2#bob#0007"])
    );
    // a stored part that cannot be in a key is named, and nothing is changed
    foreign.insert("q".to_owned(), text("bill#ing"));
    wiretap.stores().put("tickets", foreign).await;
    let refusal = Refusal::of(gateway.update(request).await);
    assert_eq!(refusal.reason, "CONDITION_FAILED");
    let failure = refusal.details.precondition_failure().expect("a failure");
    assert_eq!(failure.violations[0].subject, "item.queue");
    assert!(!refusal.message.contains("bill#ing"), "{refusal:?}");
    assert_eq!(keys(&wiretap).await, some(["", "", ""]));
}

/// A gateway, before whose first writes of this operation the stored queue changes to each of these.
async fn racing(write: &'static str, queues: &'static [&'static str]) -> (Wiretap, Gateway) {
    let (asked, stores) = (AtomicU64::new(0), Arc::new(OnceLock::<RawStores>::new()));
    let of_hook = Arc::clone(&stores);
    let wiretap = Wiretap::before(move |operation| {
        let Some(stores) = of_hook.get().filter(|_| operation == write).cloned() else {
            return async {}.boxed();
        };
        let number = usize::try_from(asked.fetch_add(1, Ordering::SeqCst)).expect("a small number");
        async move {
            let Some(queue) = queues.get(number) else { return };
            let mut item = stored(&stores).await;
            item.insert("q".to_owned(), text(queue));
            stores.put("tickets", item).await;
        }
        .boxed()
    });
    let gateway = saved(&wiretap).await;
    stores.set(wiretap.stores().clone()).expect("it is set once");
    (wiretap, gateway)
}

#[tokio::test]
async fn a_lost_race_is_tried_again_with_the_new_parts() {
    let (wiretap, gateway) = racing("UpdateItem", &["support", "billing", "support"]).await;
    gateway
        .update(change("SET status = :s", [(":s", s("waiting"))]))
        .await
        .ok();
    assert_eq!((wiretap.count("GetItem"), wiretap.count("UpdateItem")), (1, 4));
    assert_eq!(keys(&wiretap).await[0].as_deref(), Some("QUEUE#support#waiting"));
    // the caller's condition is judged by the item that the update would change
    let (wiretap, gateway) = racing("UpdateItem", &["support"]).await;
    let request = v1::UpdateRequest {
        condition: expression("queue = :q", [(":q", s("billing"))]),
        ..change("SET status = :s", [(":s", s("waiting"))])
    };
    let refusal = Refusal::of(gateway.update(request).await);
    refusal.is("CONDITION_FAILED", &[]);
    assert_eq!(wiretap.count("UpdateItem"), 2);
    assert_eq!(keys(&wiretap).await[0].as_deref(), Some("QUEUE#billing#open"));
}

#[tokio::test]
async fn an_update_in_a_transaction_rebuilds_keys_too() {
    let (wiretap, gateway) = racing("TransactWriteItems", &["support"]).await;
    let operation = Operation::Update(change("SET status = :s", [(":s", s("waiting"))]));
    let request = v1::TransactWriteRequest {
        operations: vec![v1::TransactOperation {
            operation: Some(operation),
        }],
        ..v1::TransactWriteRequest::default()
    };
    let sent = gateway.data().transact_write(request).await;
    let response = CallResult::from_response(sent).ok();
    let Some(Outcome::Updated(updated)) = &response.results[0].result else {
        panic!("{response:?}");
    };
    assert_eq!(updated.generated["queue_pk"], s("QUEUE#support#waiting"));
    assert!(!updated.generated.contains_key("rank_sk"));
    assert_eq!(wiretap.count("TransactWriteItems"), 2);
    assert_eq!(
        keys(&wiretap).await,
        some(["QUEUE#support#waiting", "DUE#2026-03-01#0007", "P5#bob#0007"])
    );
}

#[tokio::test]
async fn a_lost_response_is_no_lost_race() {
    let asked = AtomicU64::new(0);
    let wiretap =
        Wiretap::new(
            move |name| match name == "UpdateItem" && asked.fetch_add(1, Ordering::SeqCst) == 1 {
                true => Fate::LoseResponse,
                false => Fate::Pass,
            },
        );
    let gateway = saved(&wiretap).await;
    gateway.update(change("REMOVE queue", [])).await.ok();
    let text = "SET status = :s, queue = if_not_exists(queue, :q)";
    let values = [(":s", s("waiting")), (":q", s("support"))];
    let updated = gateway.update(change(text, values)).await;
    assert_eq!(updated.bill.count("tollgate-retries"), 1);
    assert_eq!(updated.ok().generated["queue_pk"], s("QUEUE#support#waiting"));
    assert_eq!(keys(&wiretap).await[0].as_deref(), Some("QUEUE#support#waiting"));
}

#[tokio::test]
async fn values_that_cannot_be_keys_are_refused_before_anything_is_spent() {
    let wiretap = Wiretap::counting();
    let gateway = saved(&wiretap).await;
    let text = "update.text";
    let cases: Vec<(v1::UpdateRequest, &str)> = vec![
        (change("SET queue_pk = :v", [(":v", s("x"))]), text),
        (change("REMOVE rank_sk", []), text),
        (change("SET customer = :v", [(":v", s("Bob"))]), text),
        (change("SET sk = :v", [(":v", s("x"))]), text),
        (change("SET priority = priority + :v", [(":v", n(1))]), text),
        (change("ADD priority :v", [(":v", n(1))]), text),
        (change("SET assignee = phone", []), text),
        (
            change("SET assignee = if_not_exists(phone, :v)", [(":v", s("x"))]),
            text,
        ),
        (
            change("SET assignee = :v", [(":v", s("a#b"))]),
            "update.values.:v",
        ),
        (change("SET assignee = :v", [(":v", s(""))]), "update.values.:v"),
        (
            change(
                "SET assignee = :v, priority = :p",
                [(":v", s("x".repeat(1020))), (":p", n(1))],
            ),
            text,
        ),
        (change("SET status = :v", [(":v", s("lost"))]), "update.values.:v"),
        (
            change("SET priority = :v", [(":v", n("1.5"))]),
            "update.values.:v",
        ),
        (change("SET phone = :v", [(":v", null())]), "update.values.:v"),
        (change("SET phone = :v", [(":v", s(""))]), "update.values.:v"),
        (
            change("SET phone = :v", [(":v", s("x".repeat(2049)))]),
            "update.values.:v",
        ),
        (change("SET phone = :v", [(":v", n(1))]), "update.values.:v"),
    ];
    for (request, field) in cases {
        let described = format!("{request:?}");
        let refusal = Refusal::of(gateway.update(request).await);
        assert_eq!(refusal.fields, [field], "{described}: {refusal:?}");
        assert_eq!(refusal.reason, "INVALID_EXPRESSION", "{described}");
        refusal.cost_nothing();
    }
    let refusal = Refusal::of(gateway.update(change("SET phone = :v", [(":v", null())])).await);
    assert!(refusal.message.contains("by_phone"), "{refusal:?}");
    // to leave the index, remove the key
    gateway.update(change("REMOVE phone", [])).await.ok();
}
