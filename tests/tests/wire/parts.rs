//! Keys that are built from templates: key conditions over their parts, in the table and in indexes.

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{Item, expression, get, item, n, query, s, save, scan};

const MODELS: &str = r#"
name: Purchase
table: shop
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string, template: "USER#{user}" }
  sk: { type: string, template: "ORDER#{number:04}#{line}" }
  user: { type: string, required: true }
  number: { type: number, required: true }
  line: { type: string, required: true }
  status: { type: string, alias: st }
  by: { type: string, alias: g1pk, template: "STATUS#{status}" }
  at: { type: string, alias: g1sk, template: "{line}#{number:04}" }
indexes:
  by_status: { name: gsi1, partition_key: by, sort_key: at }
---
name: Profile
table: shop
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string, template: "USER#{user}" }
  sk: { type: string, template: PROFILE }
  user: { type: string, required: true }
  status: { type: string, alias: st }
"#;

async fn shop() -> Gateway {
    let gateway = Gateway::of_models(MODELS, Setup::default()).await;
    for (user, number, line, status) in [
        ("7", 1, "a", "open"),
        ("7", 1, "b", "paid"),
        ("7", 2, "a", "open"),
        ("7", 10, "a", "open"),
        ("7", 10, "ab", "paid"),
        ("8", 2, "a", "open"),
    ] {
        let purchase = item([
            ("user", s(user)),
            ("number", n(number)),
            ("line", s(line)),
            ("status", s(status)),
        ]);
        gateway.save(save("Purchase", purchase)).await.ok();
    }
    for user in ["7", "8"] {
        let profile = item([("user", s(user)), ("status", s("active"))]);
        gateway.save(save("Profile", profile)).await.ok();
    }
    gateway
}

fn request(text: &str, values: &[(&str, v1::AttributeValue)]) -> v1::QueryRequest {
    let mut condition = expression(text, []).expect("an expression");
    condition.values = values
        .iter()
        .filter(|(name, _)| text.contains(name))
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    v1::QueryRequest {
        key_condition: Some(condition),
        ..query("Purchase", "")
    }
}

fn lines(pages: &[v1::QueryResponse]) -> Vec<String> {
    let results = pages.iter().flat_map(|page| &page.results);
    results
        .map(|result| format!("{}{}", text(&result.item, "number"), text(&result.item, "line")))
        .collect()
}

fn text(item: &Item, name: &str) -> String {
    match item.get(name).and_then(|value| value.kind.as_ref()) {
        Some(Kind::S(text) | Kind::N(text)) => text.clone(),
        other => panic!("{name} is {other:?}"),
    }
}

#[tokio::test]
async fn parts_are_compared_in_the_order_of_the_template() {
    let gateway = shop().await;
    let values = [
        (":u", s("7")),
        (":k", s("USER#7")),
        (":n", n(1)),
        (":m", n(2)),
        (":l", s("a")),
    ];
    for (condition, expected) in [
        ("user = :u", &["1a", "1b", "2a", "10a", "10ab"] as &[&str]),
        (":k = pk", &["1a", "1b", "2a", "10a", "10ab"]),
        ("number = :n AND :u = user", &["1a", "1b"]),
        ("user = :u AND number = :n AND line = :l", &["1a"]),
        ("user = :u AND number > :n", &["2a", "10a", "10ab"]),
        ("user = :u AND :n <= number", &["1a", "1b", "2a", "10a", "10ab"]),
        ("user = :u AND number < :m", &["1a", "1b"]),
        ("user = :u AND number <= :m", &["1a", "1b", "2a"]),
        ("user = :u AND number BETWEEN :n AND :m", &["1a", "1b", "2a"]),
        ("user = :u AND number = :n AND begins_with(line, :l)", &["1a"]),
        ("user = :u AND number = :n AND line > :l", &["1b"]),
    ] {
        let pages = gateway.query(request(condition, &values)).await.ok();
        assert_eq!(lines(&pages), expected, "{condition}");
        let counted = v1::QueryRequest {
            select: v1::Select::Count as i32,
            ..request(condition, &values)
        };
        let pages = gateway.query(counted).await.ok();
        let count: u32 = pages.iter().map(|page| page.count).sum();
        assert_eq!(count as usize, expected.len(), "{condition}");
        // a range never reaches the profile
        let scanned: u32 = pages.iter().map(|page| page.scanned_count).sum();
        assert_eq!(scanned as usize, expected.len(), "{condition}");
    }
}

#[tokio::test]
async fn a_skipped_part_is_refused_by_name() {
    let gateway = shop().await;
    let values = [(":u", s("7")), (":n", n(1)), (":l", s("a")), (":b", s("a#b"))];
    for (condition, field, expected) in [
        (
            "user = :u AND line = :l",
            "key_condition.text",
            r#""line" can only be compared if "number" equals one value"#,
        ),
        ("number = :n", "key_condition.text", "needs `user = :value`"),
        ("user = :b", "key_condition.values.:b", "#"),
    ] {
        let refused = Refusal::of(gateway.query(request(condition, &values)).await);
        refused.is("INVALID_EXPRESSION", &[field]);
        assert!(refused.message.contains(expected), "{}", refused.message);
        refused.cost_nothing();
    }
}

#[tokio::test]
async fn an_index_of_aliased_templates_is_queried_by_its_parts() {
    let gateway = shop().await;
    let values = [
        (":s", s("open")),
        (":l", s("a")),
        (":n", n(2)),
        (":k", s("STATUS#open")),
    ];
    for (condition, expected) in [
        ("status = :s", &["1a", "2a", "2a", "10a"] as &[&str]),
        ("by = :k AND line = :l", &["1a", "2a", "2a", "10a"]),
        ("status = :s AND line = :l AND number >= :n", &["2a", "2a", "10a"]),
    ] {
        for limit in [0, 1, 3] {
            let (mut found, mut page_token) = (Vec::new(), String::new());
            loop {
                let resumed = v1::QueryRequest {
                    index: "by_status".to_owned(),
                    limit,
                    page_token,
                    ..request(condition, &values)
                };
                let pages = gateway.query(resumed).await.ok();
                found.extend(lines(&pages));
                page_token = pages.last().expect("a page").next_page_token.clone();
                if page_token.is_empty() {
                    break;
                }
                assert!(found.len() <= 4, "it never ends: {found:?}");
            }
            assert_eq!(found, expected, "{condition}, limit {limit}");
        }
    }
    // names of the model, not of the store
    let fields = v1::QueryRequest {
        index: "by_status".to_owned(),
        fields: vec!["status".to_owned(), "at".to_owned()],
        limit: 1,
        ..request("status = :s", &values)
    };
    let pages = gateway.query(fields).await.ok();
    assert_eq!(
        pages[0].results[0].item,
        item([("status", s("open")), ("at", s("a#0001"))])
    );
}

#[tokio::test]
async fn templates_say_whose_an_item_is() {
    let gateway = shop().await;
    let profile = gateway.get(get("Profile", item([("user", s("7"))]))).await.ok();
    assert_eq!(text(&profile.item, "status"), "active");
    let both = v1::QueryRequest {
        models: vec!["Profile".to_owned()],
        ..request("user = :u", &[(":u", s("7"))])
    };
    let pages = gateway.query(both).await.ok();
    let models: Vec<_> = pages[0]
        .results
        .iter()
        .map(|result| result.model.as_str())
        .collect();
    assert_eq!(
        models,
        ["Purchase"; 5].into_iter().chain(["Profile"]).collect::<Vec<_>>()
    );
    for (model, expected) in [("Purchase", 6), ("Profile", 2)] {
        let pages = gateway.scan(scan(model)).await.ok();
        assert_eq!(pages.iter().map(|page| page.count).sum::<u32>(), expected);
        let counted = v1::ScanRequest {
            select: v1::Select::Count as i32,
            ..scan(model)
        };
        let pages = gateway.scan(counted).await.ok();
        assert_eq!(pages.iter().map(|page| page.count).sum::<u32>(), expected);
    }
}

#[tokio::test]
async fn a_limit_reads_no_more_than_it_returns() {
    let gateway = shop().await;
    let limited = v1::QueryRequest {
        limit: 2,
        ..request("user = :u", &[(":u", s("7"))])
    };
    let pages = gateway.query(limited).await.ok();
    assert_eq!(pages.iter().map(|page| page.scanned_count).sum::<u32>(), 2);
    assert_eq!(lines(&pages), ["1a", "1b"]);
    let limited = v1::ScanRequest {
        limit: 2,
        ..scan("Profile")
    };
    let pages = gateway.scan(limited).await.ok();
    assert_eq!(pages.iter().map(|page| page.count).sum::<u32>(), 2);
}

#[tokio::test]
async fn a_filter_names_aliased_attributes_as_the_model_does() {
    let gateway = shop().await;
    for (filter, expected) in [
        ("status = :s", &["1b", "10ab"] as &[&str]),
        ("NOT begins_with(status, :p) AND number > :n", &["2a", "10a"]),
        ("status IN (:s) OR line = :l", &["1a", "1b", "2a", "10a", "10ab"]),
    ] {
        let mut condition = expression(filter, []).expect("an expression");
        condition.values = [(":s", s("paid")), (":p", s("pa")), (":n", n(1)), (":l", s("a"))]
            .into_iter()
            .filter(|(name, _)| filter.contains(name))
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let filtered = v1::QueryRequest {
            filter: Some(condition),
            ..request("user = :u", &[(":u", s("7"))])
        };
        let pages = gateway.query(filtered).await.ok();
        assert_eq!(lines(&pages), expected, "{filter}");
    }
}
