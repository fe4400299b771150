//! Query and Scan on global and local indexes: every projection, order, and what they cost.

mod pages;
mod refusals;

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::differs_on;
use tollgate_tests::external::{Store, store};
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{Item, expression, get, item, n, object, query, s, save};

const MODELS: &str = r#"
name: Order
table: orders
partition_key: customer
sort_key: id
attributes:
  customer: { type: string }
  id: { type: string }
  status: { type: string }
  total: { type: number }
  note: { type: string }
  place: { type: map }
  secret: { type: string, encrypted: { key_id: alias/orders } }
  memo: { type: string, compressed: { algorithm: gzip, min_size: 10 } }
  invoice: { type: object, s3: { bucket: orders-invoices } }
indexes:
  by_status: { partition_key: status, sort_key: total }
  by_total: { local: true, sort_key: total, projection: [note] }
  by_note: { name: gsi-1, partition_key: status, sort_key: note, projection: keys_only }
  by_both: { partition_key: [status, customer], sort_key: [total, id], projection: [secret, invoice, memo] }
"#;

/// Whether an index of the stores can have several partition keys and sort keys.
fn supports_key_lists() -> bool {
    store() != Store::DynamoDbLocal
}

/// The models, without the index that the stores do not support.
fn models() -> String {
    let supported = |line: &&str| supports_key_lists() || !line.contains("by_both");
    MODELS.lines().filter(supported).collect::<Vec<_>>().join("\n")
}

async fn orders() -> Gateway {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("order.yaml"), models()).expect("the models are written");
    Gateway::with(Setup {
        models: Some(folder.path().to_owned()),
        ..Setup::default()
    })
    .await
}

fn order(customer: &str, id: &str, status: &str, total: &str) -> Item {
    item([
        ("customer", s(customer)),
        ("id", s(id)),
        ("status", s(status)),
        ("total", n(total)),
        ("note", s(format!("note {id}"))),
        ("secret", s(format!("secret {id}"))),
    ])
}

/// A Query of one status in an index.
fn of_status(index: &str, status: &str) -> v1::QueryRequest {
    v1::QueryRequest {
        index: index.to_owned(),
        key_condition: expression("status = :s", [(":s", s(status))]),
        ..query("Order", "")
    }
}

/// A Query of one customer in the local index.
fn by_total(customer: &str) -> v1::QueryRequest {
    v1::QueryRequest {
        index: "by_total".to_owned(),
        key_condition: expression("customer = :c", [(":c", s(customer))]),
        ..query("Order", "")
    }
}

fn results(pages: &[v1::QueryResponse]) -> Vec<v1::ItemResult> {
    pages.iter().flat_map(|page| page.results.clone()).collect()
}

fn text(result: &v1::ItemResult, name: &str) -> String {
    assert_eq!(result.error, None);
    match result.item.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::S(text) | Kind::N(text)) => text.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

fn texts(pages: &[v1::QueryResponse], name: &str) -> Vec<String> {
    results(pages).iter().map(|result| text(result, name)).collect()
}

fn names(result: &v1::ItemResult) -> Vec<&str> {
    let mut names: Vec<_> = result.item.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn each_projection_returns_what_it_contains() {
    differs_on!(DynamoDbLocal, "key-lists");
    let gateway = orders().await;
    let mut written = order("A", "1", "open", "5");
    written.insert("invoice".to_owned(), object(vec![7; 300]));
    let memo = s("memo ".repeat(200));
    written.insert("memo".to_owned(), memo.clone());
    gateway.save(save("Order", written.clone())).await.ok();
    let all = results(&gateway.query(of_status("by_status", "open")).await.ok());
    assert_eq!(
        names(&all[0]),
        [
            "customer", "id", "invoice", "memo", "note", "secret", "status", "total"
        ]
    );
    assert!(!all[0].partial);
    assert_eq!(text(&all[0], "secret"), "secret 1");
    let keys = results(&gateway.query(of_status("by_note", "open")).await.ok());
    assert_eq!(names(&keys[0]), ["customer", "id", "note", "status"]);
    assert!(keys[0].partial);
    let request = v1::QueryRequest {
        key_condition: expression(
            "status = :s AND customer = :c",
            [(":s", s("open")), (":c", s("A"))],
        ),
        include_objects: vec!["invoice".to_owned()],
        ..of_status("by_both", "open")
    };
    let both = results(&gateway.query(request).await.ok());
    assert_eq!(
        names(&both[0]),
        ["customer", "id", "invoice", "memo", "secret", "status", "total"]
    );
    assert_eq!(text(&both[0], "secret"), "secret 1");
    assert_eq!((&all[0].item["memo"], &both[0].item["memo"]), (&memo, &memo));
    match &both[0].item["invoice"].kind {
        Some(Kind::Object(object)) => assert_eq!(object.data.as_deref(), Some([7; 300].as_slice())),
        other => panic!("{other:?}"),
    }
    let local = results(&gateway.query(by_total("A")).await.ok());
    assert_eq!(names(&local[0]), ["customer", "id", "note", "total"]);
    assert!(local[0].partial);
    let whole = gateway.query(query_of_table("A")).await.ok();
    assert!(!results(&whole)[0].partial);
}

fn query_of_table(customer: &str) -> v1::QueryRequest {
    v1::QueryRequest {
        index: String::new(),
        ..by_total(customer)
    }
}

#[tokio::test]
async fn a_numeric_sort_key_sorts_and_compares_as_numbers() {
    let gateway = orders().await;
    for (id, total) in ["10", "9", "-5", "2.5", "1E+2", "-0.5"].into_iter().enumerate() {
        gateway
            .save(save("Order", order("A", &id.to_string(), "open", total)))
            .await
            .ok();
    }
    let sorted = ["-5", "-0.5", "2.5", "9", "10", "100"];
    assert_eq!(
        texts(&gateway.query(of_status("by_status", "open")).await.ok(), "total"),
        sorted
    );
    let descending = v1::QueryRequest {
        descending: true,
        ..by_total("A")
    };
    let mut reversed = texts(&gateway.query(descending).await.ok(), "total");
    reversed.reverse();
    assert_eq!(reversed, sorted);
    for (condition, expected) in [
        (":low < total AND status = :s", &sorted[3..]),
        ("status = :s AND total >= :low", &sorted[2..]),
        (":s = status AND total <= :low", &sorted[..3]),
    ] {
        let request = v1::QueryRequest {
            key_condition: expression(condition, [(":s", s("open")), (":low", n("2.50"))]),
            ..of_status("by_status", "open")
        };
        assert_eq!(
            texts(&gateway.query(request).await.ok(), "total"),
            expected,
            "{condition}"
        );
    }
}

#[tokio::test]
async fn several_key_attributes_are_compared_in_order() {
    differs_on!(DynamoDbLocal, "key-lists");
    let gateway = orders().await;
    for (customer, id, total) in [("A", "1", "5"), ("A", "2", "5"), ("A", "3", "7"), ("B", "4", "5")] {
        gateway
            .save(save("Order", order(customer, id, "open", total)))
            .await
            .ok();
    }
    let values = [(":s", s("open")), (":c", s("A")), (":t", n(5)), (":i", s("2"))];
    let request = |text: &str, values: &[(&str, v1::AttributeValue)]| {
        let mut condition = expression(text, []).expect("an expression");
        condition.values = values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        v1::QueryRequest {
            key_condition: Some(condition),
            ..of_status("by_both", "open")
        }
    };
    let both = gateway
        .query(request("customer = :c AND :s = status", &values[..2]))
        .await
        .ok();
    assert_eq!(texts(&both, "id"), ["1", "2", "3"]);
    let range = "status = :s AND customer = :c AND total = :t AND id >= :i";
    assert_eq!(
        texts(&gateway.query(request(range, &values)).await.ok(), "id"),
        ["2"]
    );
    let refused = Refusal::of(gateway.query(request("status = :s", &values[..1])).await);
    refused.is("INVALID_EXPRESSION", &["key_condition.text"]);
    let skipped = [values[0].clone(), values[1].clone(), values[3].clone()];
    let refused = Refusal::of(
        gateway
            .query(request("status = :s AND customer = :c AND id = :i", &skipped))
            .await,
    );
    refused.is("INVALID_EXPRESSION", &["key_condition.text"]);
    assert!(
        refused
            .message
            .contains(r#""id" can only be compared if "total" equals one value"#)
    );
}

#[tokio::test]
async fn a_local_index_reads_other_fields_from_the_table_and_bills_them() {
    differs_on!(Moto, "capacity");
    let gateway = orders().await;
    for id in ["1", "2", "3"] {
        let mut written = order("A", id, "open", id);
        written.insert("place".to_owned(), s_map("city", id));
        gateway.save(save("Order", written)).await.ok();
    }
    let projected = gateway.query(by_total("A")).await;
    // three small entries together, read eventually
    assert_eq!(projected.bill.decimal("tollgate-rcu"), 0.5);
    let consistent = v1::QueryRequest {
        consistent_read: true,
        ..by_total("A")
    };
    let consistent = gateway.query(consistent).await;
    assert_eq!(consistent.bill.decimal("tollgate-rcu"), 1.0);
    let fields = v1::QueryRequest {
        fields: vec!["secret".to_owned(), "total".to_owned()],
        ..by_total("A")
    };
    let fetched = gateway.query(fields).await;
    // the entries of the index, and half a unit for each item of the table
    assert_eq!(fetched.bill.decimal("tollgate-rcu"), 2.0);
    let fetched = results(&fetched.ok());
    assert_eq!(fetched.len(), 3);
    assert_eq!(names(&fetched[2]), ["secret", "total"]);
    assert_eq!(text(&fetched[2], "secret"), "secret 3");
    let filtered = v1::QueryRequest {
        filter: expression("note = :n AND total < :t", [(":n", s("note 2")), (":t", n(3))]),
        select: v1::Select::Count as i32,
        ..by_total("A")
    };
    // the sort key of the index is compared in the key condition alone
    Refusal::of(gateway.query(filtered.clone()).await).is("INVALID_EXPRESSION", &["filter.text"]);
    let filtered = v1::QueryRequest {
        filter: expression("note = :n", [(":n", s("note 2"))]),
        ..filtered
    };
    let counted = gateway.query(filtered).await.ok();
    assert_eq!(counted.iter().map(|page| page.count).sum::<u32>(), 1);
    for (text, value) in [("status = :v", "open"), ("place.city = :v", "2")] {
        let filtered = v1::QueryRequest {
            filter: expression(text, [(":v", s(value))]),
            ..by_total("A")
        };
        Refusal::of(gateway.query(filtered).await).is("INVALID_EXPRESSION", &["filter.text"]);
    }
    let nested = v1::QueryRequest {
        fields: vec!["place.city".to_owned()],
        ..by_total("A")
    };
    Refusal::of(gateway.query(nested).await).is("INVALID_FIELD", &["fields[0]"]);
}

fn s_map(name: &str, value: &str) -> v1::AttributeValue {
    tollgate_tests::values::m([(name, s(value))])
}

#[tokio::test]
async fn a_damaged_ciphertext_of_an_index_spoils_its_item_alone() {
    let gateway = orders().await;
    for id in ["1", "2"] {
        gateway
            .save(save("Order", order("A", id, "open", "5")))
            .await
            .ok();
    }
    let read = gateway
        .get(get("Order", item([("customer", s("A")), ("id", s("1"))])))
        .await
        .ok();
    assert_eq!(read.item["secret"], s("secret 1"));
    let request = v1::QueryRequest {
        fields: vec!["secret".to_owned()],
        ..of_status("by_status", "open")
    };
    let read = results(&gateway.query(request).await.ok());
    assert_eq!(read.len(), 2);
    assert!(
        read.iter()
            .all(|result| result.partial && names(result) == ["secret"])
    );
}

#[tokio::test]
async fn a_table_gets_the_global_indexes_that_its_models_add() {
    let folder = tempfile::tempdir().expect("a folder");
    let (models, data) = (folder.path().join("models"), folder.path().join("data"));
    std::fs::create_dir(&models).expect("a folder of models");
    let without = MODELS.split("indexes:").next().expect("the attributes");
    std::fs::write(models.join("order.yaml"), without).expect("the models are written");
    let start = || {
        Gateway::with(Setup {
            data: Some(data.clone()),
            models: Some(models.clone()),
            ..Setup::default()
        })
    };
    let gateway = start().await;
    gateway
        .save(save("Order", order("A", "1", "open", "5")))
        .await
        .ok();
    gateway.stop().await;
    std::fs::write(models.join("order.yaml"), self::models()).expect("the models are written");
    let gateway = start().await;
    for index in ["by_status", "by_note"] {
        let pages = gateway.query(of_status(index, "open")).await.ok();
        assert_eq!(texts(&pages, "id"), ["1"], "{index}");
    }
    gateway.stop().await;
}
