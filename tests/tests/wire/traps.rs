//! Expressions over attributes with an alias, sets in list form, and the corners of comparisons, as callers meet them.

use std::collections::HashMap;

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::differs_on;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{AttributeValue, expression, get, item, m, n, query, s, save, scan};

const BOOK: &str = r#"
name: Book
table: books
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string, alias: p, template: "SHELF#{shelf}" }
  sk: { type: string, alias: k, template: "BOOK#{number:03}" }
  shelf: { type: string, alias: sh, required: true }
  number: { type: number, alias: nr, required: true }
  title: { type: string, alias: t }
  pages: { type: number, alias: pg }
  note: { type: string, alias: nt }
  tags: { type: string_set, alias: tg, set_encoding: list }
  place: { type: map, alias: pl, attributes: { room: { type: string, alias: r } } }
  secret: { type: map, encrypted: { key_id: alias/my-app-key } }
"#;

async fn books() -> Gateway {
    let gateway = Gateway::of_models(BOOK, Setup::default()).await;
    for (number, title) in [(1, "Alpha"), (2, "Beta"), (3, "Alps"), (4, "Gamma")] {
        let mut book = item([
            ("shelf", s("A")),
            ("number", n(number)),
            ("title", s(title)),
            ("tags", set(&["x", title])),
            ("place", m([("room", s(format!("room {number}")))])),
        ]);
        if number > 2 {
            book.insert("pages".to_owned(), n(number * 100));
            book.insert("note".to_owned(), s("a note"));
        }
        gateway.save(save("Book", book)).await.ok();
    }
    gateway
}

fn set(members: &[&str]) -> AttributeValue {
    let values = members.iter().map(|member| (*member).to_owned()).collect();
    AttributeValue {
        kind: Some(Kind::Ss(v1::StringSet { values })),
    }
}

fn numbers(pages: &[v1::ScanResponse]) -> Vec<String> {
    let results = pages.iter().flat_map(|page| &page.results);
    let mut numbers: Vec<String> = results
        .map(|result| match &result.item["number"].kind {
            Some(Kind::N(number)) => number.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    numbers.sort();
    numbers
}

#[tokio::test]
async fn filters_over_aliases_are_rewritten_wherever_they_stand() {
    differs_on!(Moto, "size-of-nothing");
    let gateway = books().await;
    let named = [("#t".to_owned(), "title".to_owned())];
    let cases: Vec<(&str, HashMap<String, AttributeValue>, &[&str])> = vec![
        ("begins_with(title, :a)", item([(":a", s("Al"))]), &["1", "3"]),
        ("begins_with(#t, :a)", item([(":a", s("Al"))]), &["1", "3"]),
        (
            "NOT (title = :a OR NOT pages >= :n)",
            item([(":a", s("Alps")), (":n", n(1))]),
            &["4"],
        ),
        (
            "title IN (:a, :b)",
            item([(":a", s("Beta")), (":b", s("Gamma"))]),
            &["2", "4"],
        ),
        ("size(title) = :n", item([(":n", n(5))]), &["1", "4"]),
        // the size of an attribute that an item lacks compares with nothing
        ("size(note) >= :n", item([(":n", n(0))]), &["3", "4"]),
        ("NOT attribute_exists(pages)", HashMap::new(), &["1", "2"]),
        ("place.room = :r", item([(":r", s("room 3"))]), &["3"]),
        ("begins_with(place.room, :r)", item([(":r", s("room 4"))]), &["4"]),
        ("contains(tags, :t)", item([(":t", s("Beta"))]), &["2"]),
        (
            "shelf = :s AND number > :n",
            item([(":s", s("A")), (":n", n(3))]),
            &["4"],
        ),
    ];
    for (text, values, expected) in cases {
        let names = named
            .iter()
            .filter(|(name, _)| text.contains(name.as_str()))
            .cloned();
        let request = v1::ScanRequest {
            filter: Some(v1::Expression {
                text: text.to_owned(),
                values,
                names: names.collect(),
            }),
            ..scan("Book")
        };
        let pages = gateway.scan(request).await.ok();
        assert_eq!(numbers(&pages), expected, "{text}");
        assert_eq!(
            pages.iter().map(|page| page.scanned_count).sum::<u32>(),
            4,
            "{text}"
        );
    }
    // `#names` name attributes, not stored aliases
    let stored = v1::ScanRequest {
        filter: Some(v1::Expression {
            text: "#t = :a".to_owned(),
            values: item([(":a", s("Beta"))]),
            names: [("#t".to_owned(), "t".to_owned())].into(),
        }),
        ..scan("Book")
    };
    Refusal::of(gateway.scan(stored).await).is("INVALID_EXPRESSION", &["filter.names.#t"]);
}

#[tokio::test]
async fn comparisons_have_their_corners() {
    let gateway = books().await;
    let reversed = v1::ScanRequest {
        filter: expression("pages BETWEEN :a AND :b", [(":a", n(400)), (":b", n(300))]),
        ..scan("Book")
    };
    Refusal::of(gateway.scan(reversed).await).is("INVALID_EXPRESSION", &["filter.values.:b"]);
    let many = |count: usize| {
        let names: Vec<String> = (0..count).map(|index| format!(":v{index}")).collect();
        let values = names
            .iter()
            .enumerate()
            .map(|(index, name)| (name.clone(), n(index + 250)));
        v1::ScanRequest {
            filter: Some(v1::Expression {
                text: format!("pages IN ({})", names.join(",")),
                values: values.collect(),
                names: HashMap::new(),
            }),
            ..scan("Book")
        }
    };
    assert_eq!(numbers(&gateway.scan(many(100)).await.ok()), ["3"]);
    let refusal = Refusal::of(gateway.scan(many(101)).await);
    assert_eq!(refusal.reason, "INVALID_EXPRESSION");
    refusal.cost_nothing();
    // the operands of a key condition can be swapped
    let swapped = v1::QueryRequest {
        key_condition: expression(":s = shelf AND :n < number", [(":s", s("A")), (":n", n(2))]),
        ..query("Book", "")
    };
    let pages = gateway.query(swapped).await.ok();
    assert_eq!(pages[0].results.len(), 2);
}

#[tokio::test]
async fn fields_return_the_models_names_and_no_part_of_a_ciphertext() {
    let gateway = books().await;
    let with = |fields: &[&str]| v1::GetRequest {
        fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        ..get("Book", item([("shelf", s("A")), ("number", n(1))]))
    };
    let got = gateway.get(with(&["title", "place.room"])).await.ok().item;
    assert_eq!(
        got,
        item([("title", s("Alpha")), ("place", m([("room", s("room 1"))]))])
    );
    let refusal = Refusal::of(gateway.get(with(&["secret.part"])).await);
    refusal.is("INVALID_FIELD", &["fields[0]"]);
    refusal.cost_nothing();
}
