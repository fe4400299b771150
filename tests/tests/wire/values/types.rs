//! Each type: its stored form, and what comes back.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Raw;
use tollgate_proto::v1::{self, attribute_value::Kind};
use tollgate_tests::values::{AttributeValue, b, n, s};

use super::{Things, thing};

fn of(kind: Kind) -> AttributeValue {
    AttributeValue { kind: Some(kind) }
}

fn strings(values: &[&str]) -> AttributeValue {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    of(Kind::Ss(v1::StringSet { values }))
}

fn numbers(values: &[&str]) -> AttributeValue {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    of(Kind::Ns(v1::NumberSet { values }))
}

fn null() -> AttributeValue {
    of(Kind::Null(0))
}

#[tokio::test]
async fn every_type_is_stored_in_its_form_and_comes_back() {
    let things = Things::with(
        "  when: { type: datetime, alias: w }\n  expires: { type: ttl }\n  data: { type: json }\n  \
         tags: { type: string_set }\n  sizes: { type: number_set, set_encoding: list }\n  \
         blobs: { type: binary_set }\n  epoch: { type: datetime, store: epoch_ms }",
        "",
    )
    .await;
    things
        .save(thing([
            ("when", s("2026-01-31T13:00:00.5+01:00")),
            ("expires", s("2100-01-01T00:00:00.9Z")),
            ("data", s("{ \"a\": [1.50, 1E+2] }")),
            ("tags", strings(&["b", "a"])),
            ("sizes", numbers(&["1E0", "2.50"])),
            (
                "blobs",
                of(Kind::Bs(v1::BinarySet {
                    values: vec![vec![1].into()],
                })),
            ),
            ("epoch", s("1970-01-01T00:00:01.234Z")),
        ]))
        .await;
    let stored = things.stored().await;
    assert_eq!(stored["w"], Raw::S("2026-01-31T12:00:00.500000+00:00".into()));
    assert_eq!(stored["expires"], Raw::N("4102444800".into()));
    assert_eq!(stored["data"], Raw::S("{\"a\":[1.50,1E+2]}".into()));
    assert_eq!(stored["tags"], Raw::Ss(vec!["a".into(), "b".into()]));
    assert_eq!(
        stored["sizes"],
        Raw::L(vec![Raw::S("1".into()), Raw::S("2.5".into())])
    );
    assert_eq!(stored["blobs"], Raw::Bs(vec![Blob::new([1])]));
    assert_eq!(stored["epoch"], Raw::N("1234".into()));
    let item = things.get().await.item;
    assert_eq!(item["when"], s("2026-01-31T12:00:00.500000+00:00"));
    assert_eq!(item["sizes"], numbers(&["1", "2.5"]));
    assert_eq!(item["epoch"], s("1970-01-01T00:00:01.234000+00:00"));
    assert!(!item.contains_key("w"));
    // what was read can be saved again, and changes nothing
    things.save(item.clone()).await;
    assert_eq!((things.stored().await, things.get().await.item), (stored, item));
}

#[tokio::test]
async fn null_and_absent_differ() {
    let things = Things::with(
        "  name: { type: string }\n  tags: { type: string_set }\n  expires: { type: ttl }",
        "",
    )
    .await;
    things
        .save(thing([("name", null()), ("tags", null()), ("expires", null())]))
        .await;
    let stored = things.stored().await;
    assert_eq!(stored.get("name"), Some(&Raw::Null(true)));
    assert!(!stored.contains_key("tags") && !stored.contains_key("expires"));
    assert_eq!(things.get().await.item, thing([]));
}

#[tokio::test]
async fn generated_values_come_back_as_they_are_read() {
    let things = Things::with(
        "  id: { type: string, generate: ulid }\n  uuid: { type: string, generate: uuid4 }\n  \
         created: { type: datetime, generate: utc_now, store: zulu_ms }\n  changed: { type: datetime, generate: utc_now_on_write }\n  \
         secret: { type: string, hidden: true, default: x }",
        "",
    )
    .await;
    let first = things.save(thing([])).await.generated;
    let read = things.get().await.item;
    for name in ["id", "uuid", "created", "changed"] {
        assert_eq!(first[name], read[name], "{name}");
    }
    assert!(!first.contains_key("secret") && !read.contains_key("secret"));
    assert_eq!(things.stored().await["secret"], Raw::S("x".into()));
    let second = things.save(read.clone()).await.generated;
    assert_eq!(
        second.keys().collect::<Vec<_>>(),
        ["changed"],
        "given values stay"
    );
    let third = things.save(thing([])).await.generated;
    let text = |value: &AttributeValue| match &value.kind {
        Some(Kind::S(text)) => text.clone(),
        other => panic!("{other:?}"),
    };
    assert!(text(&third["id"]) > text(&first["id"]), "ULIDs increase");
}

#[tokio::test]
async fn compressed_values_read_back_and_a_broken_one_spoils_only_itself() {
    let things = Things::with(
        "  zstd: { type: string, compressed: {} }\n  lz4: { type: string, compressed: { algorithm: lz4 } }\n  gzip: { type: json, compressed: { algorithm: gzip } }",
        "",
    )
    .await;
    let text = "again and ".repeat(100);
    let json = format!("[\"{text}\"]");
    things
        .save(thing([("zstd", s(&text)), ("lz4", s(&text)), ("gzip", s(&json))]))
        .await;
    let mut stored = things.stored().await;
    let prefix = |value: &Raw, prefix: &str| value.as_s().is_ok_and(|text| text.starts_with(prefix));
    assert!(prefix(&stored["zstd"], "ZSTD:"));
    assert!(prefix(&stored["lz4"], "LZ4:") && prefix(&stored["gzip"], "GZIP:"));
    assert_eq!(
        things.get().await.item,
        thing([("zstd", s(&text)), ("lz4", s(&text)), ("gzip", s(&json))])
    );
    stored.insert("lz4".to_owned(), Raw::S("LZ4://///w==".into()));
    things.wiretap.stores().put("things", stored).await;
    let read = things.get().await;
    assert_eq!(read.item, thing([("zstd", s(&text)), ("gzip", s(&json))]));
    assert_eq!(read.unreadable.len(), 1);
    assert_eq!(read.unreadable[0].attribute, "lz4");
    assert_eq!(
        read.unreadable[0].error.as_ref().map(|error| error.code),
        Some(15),
        "DATA_LOSS"
    );
    things.save(thing([("lz4", s("LZ4:plain"))])).await;
    assert_eq!(things.get().await.item["lz4"], s("LZ4:plain"));
}

#[tokio::test]
async fn values_of_the_wrong_type_are_refused_with_their_path() {
    let things = Things::with(
        "  when: { type: datetime }\n  expires: { type: ttl }\n  data: { type: json }\n  tags: { type: string_set, max_length: 1 }",
        "",
    )
    .await;
    let item = thing([
        ("when", s("2026-01-31")),
        ("expires", n("1700000000000")),
        ("data", s("{")),
        ("tags", strings(&["a", "b"])),
    ]);
    assert_eq!(
        things.faults(item).await,
        [
            "item.data: must be JSON text, nested at most 127 levels deep",
            "item.expires: must be seconds since 1970, at most 100000000000: milliseconds are not accepted",
            "item.tags: must have at most 1 members",
            "item.when: must be RFC 3339 with an offset, such as 2026-01-31T12:00:00Z",
        ]
    );
    let empty = thing([("tags", strings(&[])), ("when", b(vec![1]))]);
    assert_eq!(
        things.faults(empty).await,
        [
            "item.tags: a set must have at least one member",
            "item.when: must be a datetime such as 2026-01-31T12:00:00Z, got binary",
        ]
    );
}
