//! Updates within transactions check and do what Update does.

use std::sync::atomic::{AtomicU64, Ordering};

use aws_sdk_dynamodb::types::AttributeValue as Stored;
use tollgate_proto::v1;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::stores::text;
use tollgate_tests::values::{
    AttributeValue, Item, expression, get, item, key, n, object, s, save, update, user,
};
use tollgate_tests::wiretap::{Fate, Wiretap};
use tonic::Code;

use super::{checking, creating, failures, saving, transaction, updated, updating, write};

/// A model with bounds, a required attribute, a default, encrypted and compressed attributes, and a version.
const ACCOUNT: &str = "
name: Account
table: accounts
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  balance: { type: number, min: 0, max: 100 }
  state: { type: string, enum: [open, closed], default: open }
  owner: { type: string, required: true }
  tags: { type: string_set }
  note: { type: string, compressed: { algorithm: zstd, min_size: 10 } }
  pin: { type: string, encrypted: { key_id: alias/my-app-key } }
  code: { type: string, encrypted: { key_id: alias/my-app-key } }
  changed: { type: datetime, generate: utc_now_on_write }
  rev: { type: version }
";

async fn accounts(wiretap: &Wiretap) -> Gateway {
    Gateway::of_models(ACCOUNT, Setup::tapped(wiretap)).await
}

/// A change of the account with this partition key, which has the sort key `1`.
fn change<const N: usize>(
    partition: &str,
    text: &str,
    values: [(&str, AttributeValue); N],
) -> v1::UpdateRequest {
    update("Account", key(partition, "1"), text, values)
}

async fn opened(gateway: &Gateway, partition: &str, balance: u64) {
    let mut account = key(partition, "1");
    account.extend(item([("owner", s("Ada")), ("balance", n(balance))]));
    gateway.save(save("Account", account)).await.ok();
}

async fn read(gateway: &Gateway, partition: &str) -> Item {
    gateway.get(get("Account", key(partition, "1"))).await.ok().item
}

#[tokio::test]
async fn an_update_is_converted_sealed_compressed_and_generated() {
    let wiretap = Wiretap::counting();
    let gateway = accounts(&wiretap).await;
    opened(&gateway, "A", 10).await;
    wiretap.clear();
    let text = "SET pin = :p, code = :c, note = :n, balance = balance - :b ADD tags :t";
    let tags = AttributeValue {
        kind: Some(v1::attribute_value::Kind::Ss(v1::StringSet {
            values: vec!["vip".to_owned()],
        })),
    };
    let operations = vec![
        updating(change(
            "A",
            text,
            [
                (":p", s("1234")),
                (":c", s("5678")),
                (":n", s("ab".repeat(100))),
                (":b", n(3)),
                (":t", tags.clone()),
            ],
        )),
        updating(change(
            "B",
            "SET owner = :o ADD balance :b",
            [(":o", s("Eve")), (":b", n(3))],
        )),
    ];
    let answer = write(&gateway, transaction(operations)).await;
    assert_eq!(wiretap.count("GenerateDataKey"), 1, "two values under one key");
    assert_eq!(wiretap.counts().len(), 2, "{:?}", wiretap.counts());
    assert_eq!(answer.bill.count("tollgate-dynamodb-calls"), 1);
    let results = answer.ok().results;
    assert!(updated(&results[0]).generated.contains_key("changed"));
    assert!(
        !updated(&results[0]).generated.contains_key("rev"),
        "the version was not checked"
    );
    let account = read(&gateway, "A").await;
    for (name, value) in [
        ("pin", s("1234")),
        ("code", s("5678")),
        ("note", s("ab".repeat(100))),
        ("balance", n(7)),
        ("tags", tags),
        ("rev", n(2)),
    ] {
        assert_eq!(account[name], value, "{name}");
    }
    let stored = wiretap
        .stores()
        .item("accounts", "A", "1")
        .await
        .expect("it is stored");
    assert!(matches!(&stored["pin"], Stored::B(_)));
    assert!(matches!(&stored["note"], Stored::S(note) if note.starts_with("ZSTD:")));
    let created = read(&gateway, "B").await;
    assert_eq!((&created["state"], &created["balance"]), (&s("open"), &n(3)));
}

#[tokio::test]
async fn faults_of_an_update_are_found_before_anything_is_sent() {
    let gateway = accounts(&Wiretap::counting()).await;
    let operations = vec![
        updating(change("A", "SET balance = :b, pk = :b", [(":b", s("x"))])),
        updating(change("B", "SET state = :s REMOVE owner", [(":s", s("ajar"))])),
        updating(change("C", "SET balance = :b", [(":b", n(101))])),
        updating(v1::UpdateRequest {
            validate_only: true,
            ..change("D", "SET owner = :o", [(":o", s("Ada"))])
        }),
        updating(v1::UpdateRequest {
            update: None,
            ..change("E", "", [])
        }),
        updating(v1::UpdateRequest {
            request_id: "id".to_owned(),
            ..change("F", "SET owner = :o", [(":o", s("Ada"))])
        }),
    ];
    let refusal = Refusal::of(write(&gateway, transaction(operations)).await);
    refusal.cost_nothing();
    for field in [
        "operations[0].update.update.values.:b",
        "operations[0].update.update.text",
        "operations[1].update.update.values.:s",
        "operations[1].update.update.text",
        "operations[2].update.update.values.:b",
        "operations[3].update.validate_only",
        "operations[4].update.update",
        "operations[5].request_id",
    ] {
        assert!(
            refusal.fields.iter().any(|one| one == field),
            "{field}: {refusal:?}"
        );
    }
}

#[tokio::test]
async fn bounds_required_attributes_and_must_exist_are_conditions_of_the_operation() {
    let gateway = accounts(&Wiretap::counting()).await;
    opened(&gateway, "A", 10).await;
    let operations = vec![
        updating(v1::UpdateRequest {
            return_values: v1::ReturnValues::AllOld as i32,
            ..change("A", "SET balance = balance - :b", [(":b", n(11))])
        }),
        updating(change("B", "SET balance = :b", [(":b", n(1))])),
        updating(v1::UpdateRequest {
            must_exist: true,
            ..change("C", "SET owner = :o", [(":o", s("Eve"))])
        }),
        updating(v1::UpdateRequest {
            condition: expression("owner = :o OR owner = :p", [(":o", s("Bob")), (":p", s("Eve"))]),
            ..change("D", "SET owner = :o", [(":o", s("Eve"))])
        }),
        updating(change("E", "SET owner = :o", [(":o", s("Eve"))])),
    ];
    let answer = write(&gateway, transaction(operations)).await;
    assert!(answer.bill.decimal("tollgate-wcu").abs() < f64::EPSILON);
    let status = answer.status();
    assert_eq!(Refusal::of_status(&status).reason, "TRANSACTION_CANCELLED");
    let failures = failures(&status);
    let reasons: Vec<_> = failures
        .iter()
        .map(|failure| (failure.index, failure.reason.as_str()))
        .collect();
    assert_eq!(
        reasons,
        [
            (0, "CONDITION_FAILED"),
            (1, "ITEM_NOT_FOUND"),
            (2, "ITEM_NOT_FOUND"),
            (3, "CONDITION_FAILED"),
        ]
    );
    assert!(failures[0].message.contains("item.balance"), "{failures:?}");
    assert_eq!(failures[0].item["balance"], n(10));
    assert!(failures[1].item.is_empty());
    let absent = gateway.get(get("Account", key("E", "1"))).await.status();
    assert_eq!(absent.code(), Code::NotFound, "nothing was applied");
}

#[tokio::test]
async fn versions_are_checked_and_raised() {
    let gateway = accounts(&Wiretap::counting()).await;
    opened(&gateway, "A", 10).await;
    opened(&gateway, "B", 10).await;
    let expecting = |partition, version| v1::UpdateRequest {
        version,
        ..change(partition, "SET balance = :b", [(":b", n(1))])
    };
    let answer = write(&gateway, transaction(vec![updating(expecting("A", 1))])).await;
    assert_eq!(updated(&answer.ok().results[0]).generated["rev"], n(2));
    let stale = transaction(vec![updating(expecting("A", 1)), updating(expecting("B", 1))]);
    let status = write(&gateway, stale).await.status();
    let refusal = Refusal::of_status(&status);
    assert_eq!(
        (refusal.code, refusal.reason.as_str()),
        (Code::Aborted, "VERSION_MISMATCH"),
        "all refused operations are mismatches"
    );
    let found = failures(&status);
    assert_eq!((found.len(), found[0].reason.as_str()), (1, "VERSION_MISMATCH"));
    assert!(found[0].message.contains("another version, 2"), "{found:?}");
    assert_eq!(read(&gateway, "B").await["rev"], n(1));
    let mut created = key("B", "1");
    created.extend(item([("owner", s("Eve"))]));
    let mixed = transaction(vec![
        updating(expecting("A", 7)),
        saving(save("Account", created.clone())),
    ]);
    let status = write(&gateway, mixed).await.status();
    assert_eq!(Refusal::of_status(&status).reason, "TRANSACTION_CANCELLED");
    let reasons: Vec<_> = failures(&status).into_iter().map(|one| one.reason).collect();
    assert_eq!(reasons, ["VERSION_MISMATCH", "ALREADY_EXISTS"]);
    created.insert("rev".to_owned(), n(1));
    let both = transaction(vec![
        saving(save("Account", created)),
        super::deleting(v1::DeleteRequest {
            version: 2,
            ..tollgate_tests::values::delete("Account", key("A", "1"))
        }),
    ]);
    write(&gateway, both).await.ok();
    assert_eq!(read(&gateway, "B").await["rev"], n(2));
    let gone = gateway.get(get("Account", key("A", "1"))).await.status();
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test]
async fn an_update_that_does_not_fit_the_stored_item_says_so() {
    differs_on!(Moto | DynamoDbLocal, "transaction-updates");
    let wiretap = Wiretap::counting();
    let gateway = accounts(&wiretap).await;
    let stored = [
        ("pk", text("A")),
        ("sk", text("1")),
        ("owner", text("Ada")),
        ("tags", text("x")),
    ];
    let stored = stored.map(|(name, value)| (name.to_owned(), value));
    wiretap.stores().put("accounts", stored.into()).await;
    let tags = AttributeValue {
        kind: Some(v1::attribute_value::Kind::Ss(v1::StringSet {
            values: vec!["vip".to_owned()],
        })),
    };
    let adding = updating(change("A", "ADD tags :t", [(":t", tags)]));
    let status = write(&gateway, transaction(vec![adding])).await.status();
    let failures = failures(&status);
    assert_eq!(failures[0].reason, "CONDITION_FAILED");
    assert!(failures[0].message.contains("another type"), "{failures:?}");
}

#[tokio::test]
async fn a_counter_is_raised_once_however_many_attempts_are_made() {
    differs_on!(Moto, "transaction-tokens");
    let asked = AtomicU64::new(0);
    let wiretap = Wiretap::new(move |operation| match operation {
        "TransactWriteItems" if asked.fetch_add(1, Ordering::SeqCst) == 0 => Fate::LoseResponse,
        _ => Fate::Pass,
    });
    let gateway = Gateway::tapped(&wiretap).await;
    gateway.save(save("User", user("U#1", "1"))).await.ok();
    let adding = update("User", key("U#1", "PROFILE"), "ADD age :n", [(":n", n(1))]);
    let answer = write(&gateway, transaction(vec![updating(adding), creating("U#2")])).await;
    assert_eq!(answer.bill.count("tollgate-retries"), 1);
    answer.ok();
    let found = gateway.get(get("User", key("U#1", "PROFILE"))).await.ok();
    assert_eq!(found.item["age"], n(37));
}

#[tokio::test]
async fn request_id_covers_updates_whose_stored_bytes_the_request_determines() {
    differs_on!(Moto, "transaction-tokens");
    let gateway = Gateway::start().await;
    gateway.save(save("User", user("U#1", "1"))).await.ok();
    let request = |operation| v1::TransactWriteRequest {
        request_id: "order-1".to_owned(),
        ..transaction(vec![operation, checking("U#1", "attribute_exists(pk)")])
    };
    let adding = || update("User", key("U#2", "PROFILE"), "ADD age :n", [(":n", n(1))]);
    for _ in 0..2 {
        write(&gateway, request(updating(adding()))).await.ok();
    }
    let found = gateway.get(get("User", key("U#2", "PROFILE"))).await.ok();
    assert_eq!(found.item["age"], n(1), "the repeat changed nothing");
    let sealed = update("User", key("U#2", "PROFILE"), "SET ssn = :s", [(":s", s("1"))]);
    let object = update(
        "Document",
        key("D", "V1"),
        "SET content = :o",
        [(":o", object("x"))],
    );
    for change in [sealed, object] {
        let refusal = Refusal::of(write(&gateway, request(updating(change))).await);
        refusal.is("INVALID_FIELD", &["request_id"]);
        refusal.cost_nothing();
    }
}
