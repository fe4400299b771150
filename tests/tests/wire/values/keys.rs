//! Keys that are built from templates, in the RPCs that take a key.

use aws_sdk_dynamodb::types::AttributeValue as Raw;
use tollgate_tests::values::{Item, delete, get, item, n, s, save};

use super::{Things, faults};

const MODEL: &str = "name: Thing
table: things
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string, template: \"USER#{user}\" }
  sk: { type: string, template: \"ORDER#{number:05}\" }
  user: { type: string, required: true }
  number: { type: number }
  status: { type: string, default: open }
  kind: { type: string, template: ORDER, hidden: true }
";

fn order() -> Item {
    item([("user", s("Ann")), ("number", n(42))])
}

#[tokio::test]
async fn a_template_works_both_ways() {
    let things = Things::of(MODEL).await;
    let generated = things.save(order()).await.generated;
    assert_eq!(
        (&generated["pk"], &generated["sk"]),
        (&s("USER#Ann"), &s("ORDER#00042"))
    );
    let stored = things
        .wiretap
        .stores()
        .item("things", "USER#Ann", "ORDER#00042")
        .await;
    assert_eq!(stored.expect("it is stored")["kind"], Raw::S("ORDER".into()));
    let keys = item([("pk", s("USER#Ann")), ("sk", s("ORDER#00042"))]);
    let mixed = item([("pk", s("USER#Ann")), ("number", n("4.2E+1"))]);
    for key in [order(), keys.clone(), mixed] {
        let read = things.gateway.get(get("Thing", key)).await.ok().item;
        assert_eq!(
            (&read["user"], &read["number"], &read["status"]),
            (&s("Ann"), &n(42), &s("open"))
        );
        assert!(!read.contains_key("kind"));
        things.save(read).await;
    }
    things.gateway.delete(delete("Thing", order())).await.ok();
    let gone = things.gateway.get(get("Thing", keys)).await.status();
    assert_eq!(gone.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn parts_that_an_item_lacks_are_taken_from_its_key() {
    let things = Things::of(MODEL).await;
    let stored = [("pk", "USER#Bob"), ("sk", "ORDER#00007")];
    let stored = stored.map(|(name, text)| (name.to_owned(), Raw::S(text.to_owned())));
    things.wiretap.stores().put("things", stored.into()).await;
    let key = item([("user", s("Bob")), ("number", n(7))]);
    let read = things.gateway.get(get("Thing", key)).await.ok().item;
    assert_eq!((&read["user"], &read["number"]), (&s("Bob"), &n(7)));
}

#[tokio::test]
async fn keys_and_parts_that_disagree_are_refused() {
    let things = Things::of(MODEL).await;
    let refused = |key| async { faults(&things.gateway.get(get("Thing", key)).await.status()) };
    assert_eq!(
        refused(item([("user", s("Ann"))])).await,
        ["key.number: is required"]
    );
    assert_eq!(
        refused(item([
            ("pk", s("USER#Bob")),
            ("user", s("Ann")),
            ("number", n(1))
        ]))
        .await,
        ["key.pk: must be what its template USER#{user} makes of the other attributes"]
    );
    assert_eq!(
        refused(item([("pk", s("ORDER#1")), ("sk", s("ORDER#1"))])).await,
        [
            "key.pk: must match its template USER#{user}",
            "key.sk: must match its template ORDER#{number:05}",
        ]
    );
    let holds_delimiter = item([("user", s("a#b")), ("number", n(100_000))]);
    assert_eq!(
        faults(&things.gateway.save(save("Thing", holds_delimiter)).await.status()),
        [
            "item.number: must be a whole number from 0, of at most 5 digits: it is part of a key",
            "item.user: must not contain `#`, the delimiter of a key",
        ]
    );
}
