//! Several models in one table: whose items reads return, collections, and items that have expired.

use tollgate_proto::v1;
use tollgate_proto::v1::attribute_value::Kind;
use tollgate_tests::gateway::{CallResult, Gateway, Setup};
use tollgate_tests::refusal::Refusal;
use tollgate_tests::values::{Item, delete, expression, get, item, key, n, query, s, save, scan, update};

const MODELS: &str = r#"
name: Dog
table: shelter
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  name: { type: string }
  weight: { type: number }
  secret: { type: string, encrypted: { key_id: alias/shelter } }
discriminator: { attribute: type, value: Dog }
indexes:
  by_name: { partition_key: name, projection: all }
---
name: Cat
table: shelter
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  name: { type: string }
  weight: { type: string }
  lives: { type: number }
  secret: { type: string, encrypted: { key_id: alias/shelter } }
discriminator: { attribute: type, value: Cat }
indexes:
  by_name: { partition_key: name, projection: all }
---
name: Bird
table: shelter
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  name: { type: string }
discriminator: { attribute: type, value: Bird }
unknown_attributes: drop
---
name: Stone
table: quarry
partition_key: pk
attributes:
  pk: { type: string }
"#;

async fn shelter() -> Gateway {
    with_models(MODELS).await
}

async fn with_models(models: &str) -> Gateway {
    Gateway::of_models(models, Setup::default()).await
}

fn animal(sort: &str, name: &str) -> Item {
    let mut animal = key("P", sort);
    animal.insert("name".to_owned(), s(name));
    animal
}

/// Dogs at 0, 3, 6 …, cats at 1, 4, 7 …, birds at 2, 5, 8 ….
async fn animals(gateway: &Gateway, count: usize) {
    for number in 0..count {
        let model = ["Dog", "Cat", "Bird"][number % 3];
        let written = animal(&format!("{number:02}"), "Rex");
        gateway.save(save(model, written)).await.ok();
    }
}

fn seen(pages: &[v1::QueryResponse]) -> Vec<(String, String)> {
    let results = pages.iter().flat_map(|page| &page.results);
    results
        .map(|result| match &result.item["sk"].kind {
            Some(Kind::S(sort)) => (result.model.clone(), sort.clone()),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn models(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn count(pages: &[v1::QueryResponse]) -> (u32, u32, u32) {
    pages.iter().fold((0, 0, 0), |(count, scanned, unmatched), page| {
        (
            count + page.count,
            scanned + page.scanned_count,
            unmatched + page.unmatched_count,
        )
    })
}

#[tokio::test]
async fn an_item_of_another_model_is_not_found() {
    let gateway = shelter().await;
    animals(&gateway, 2).await;
    let dog = gateway.get(get("Dog", key("P", "00"))).await.ok();
    assert_eq!(dog.item["type"], s("Dog"));
    Refusal::of(gateway.get(get("Cat", key("P", "00"))).await).is("ITEM_NOT_FOUND", &[]);
    let fields = v1::GetRequest {
        fields: vec!["name".to_owned()],
        ..get("Dog", key("P", "00"))
    };
    let fields = gateway.get(fields).await.ok();
    assert_eq!(fields.item, item([("name", s("Rex"))]));
    let other = v1::GetRequest {
        fields: vec!["name".to_owned()],
        ..get("Dog", key("P", "01"))
    };
    Refusal::of(gateway.get(other).await).is("ITEM_NOT_FOUND", &[]);
    // only the model's own value can be sent
    let mut wrong = animal("09", "Rex");
    wrong.insert("type".to_owned(), s("Cat"));
    Refusal::of(gateway.save(save("Dog", wrong)).await).is("INVALID_FIELD", &["item.type"]);
}

#[tokio::test]
async fn a_query_of_one_model_returns_and_counts_its_items_alone() {
    let gateway = shelter().await;
    animals(&gateway, 9).await;
    for limit in [0, 1, 2] {
        let mut sorts = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::QueryRequest {
                limit,
                page_token: page_token.clone(),
                ..query("Cat", "P")
            };
            let pages = gateway.query(request).await.ok();
            sorts.extend(seen(&pages));
            page_token.clone_from(&pages.last().expect("a page").next_page_token);
            if page_token.is_empty() {
                break;
            }
            assert!(sorts.len() <= 3, "it never ends: {sorts:?}");
        }
        let expected = ["01", "04", "07"].map(|sort| (String::new(), sort.to_owned()));
        assert_eq!(sorts, expected, "limit {limit}");
    }
    let counted = v1::QueryRequest {
        select: v1::Select::Count as i32,
        ..query("Cat", "P")
    };
    let counted = gateway.query(counted).await.ok();
    assert_eq!((count(&counted).0, count(&counted).1), (3, 9));
    let scanned = gateway.scan(scan("Dog")).await.ok();
    assert_eq!(scanned.iter().map(|page| page.count).sum::<u32>(), 3);
    let by_name = v1::QueryRequest {
        index: "by_name".to_owned(),
        key_condition: expression("name = :n", [(":n", s("Rex"))]),
        ..query("Dog", "")
    };
    let pages = gateway.query(by_name).await.ok();
    assert_eq!(count(&pages), (3, 9, 0));
}

#[tokio::test]
async fn a_collection_says_whose_each_item_is_and_counts_the_others() {
    let gateway = shelter().await;
    animals(&gateway, 9).await;
    let request = v1::QueryRequest {
        models: models(&["Cat", "Dog"]),
        ..query("Dog", "P")
    };
    let pages = gateway.query(request.clone()).await.ok();
    let expected: Vec<_> = [("Dog", "00"), ("Cat", "01"), ("Dog", "03"), ("Cat", "04")]
        .into_iter()
        .chain([("Dog", "06"), ("Cat", "07")])
        .map(|(model, sort)| (model.to_owned(), sort.to_owned()))
        .collect();
    assert_eq!(seen(&pages), expected);
    assert_eq!(count(&pages), (6, 9, 3));
    for limit in [1, 2, 5] {
        for page_size in [0, 1, 2, 4] {
            let (mut found, mut page_token) = (Vec::new(), String::new());
            loop {
                let resumed = v1::QueryRequest {
                    limit,
                    page_size,
                    page_token,
                    ..request.clone()
                };
                let pages = gateway.query(resumed).await.ok();
                found.extend(seen(&pages));
                page_token = pages.last().expect("a page").next_page_token.clone();
                if page_token.is_empty() {
                    break;
                }
                assert!(found.len() <= 6, "it never ends: {found:?}");
            }
            assert_eq!(found, expected, "limit {limit}, page_size {page_size}");
        }
    }
    for limit in [0, 4] {
        let counted = v1::QueryRequest {
            select: v1::Select::Count as i32,
            limit,
            ..request.clone()
        };
        let counted = gateway.query(counted).await;
        assert_eq!(counted.bill.count("tollgate-kms-calls"), 0);
        let counted = counted.ok();
        assert!(counted.iter().all(|page| page.results.is_empty()));
        assert_eq!(count(&counted).0, if limit == 0 { 6 } else { 4 });
    }
    let scanned = v1::ScanRequest {
        models: models(&["Cat", "Bird"]),
        parallelism: 2,
        ..scan("Dog")
    };
    let pages = gateway.scan(scanned).await.ok();
    assert_eq!(pages.iter().map(|page| page.count).sum::<u32>(), 9);
    assert_eq!(pages.iter().map(|page| page.unmatched_count).sum::<u32>(), 0);
}

#[tokio::test]
async fn a_collection_of_an_index_opens_each_item_by_its_model() {
    let gateway = shelter().await;
    let mut dog = animal("0", "Rex");
    dog.extend(item([("weight", n(30)), ("secret", s("bone"))]));
    let mut cat = animal("1", "Rex");
    cat.extend(item([
        ("weight", s("light")),
        ("lives", n(7)),
        ("secret", s("fish")),
    ]));
    gateway.save(save("Dog", dog)).await.ok();
    gateway.save(save("Cat", cat)).await.ok();
    let both = v1::QueryRequest {
        models: models(&["Cat"]),
        ..query("Dog", "P")
    };
    let pages = gateway.query(both.clone()).await.ok();
    let secrets: Vec<_> = pages[0]
        .results
        .iter()
        .map(|result| result.item["secret"].clone())
        .collect();
    assert_eq!(secrets, [s("bone"), s("fish")]);
    let by_name = v1::QueryRequest {
        index: "by_name".to_owned(),
        key_condition: expression("name = :n", [(":n", s("Rex"))]),
        ..both.clone()
    };
    let pages = gateway.query(by_name).await.ok();
    let mut found: Vec<_> = pages[0]
        .results
        .iter()
        .map(|result| {
            (
                result.model.as_str(),
                result.item.contains_key("lives"),
                result.partial,
            )
        })
        .collect();
    found.sort_unstable();
    assert_eq!(found, [("Cat", true, false), ("Dog", false, false)]);
    let fields = v1::QueryRequest {
        fields: models(&["lives", "name"]),
        filter: expression("attribute_not_exists(lives) OR lives > :l", [(":l", n(6))]),
        ..both
    };
    let pages = gateway.query(fields).await.ok();
    let items: Vec<_> = pages[0]
        .results
        .iter()
        .map(|result| result.item.clone())
        .collect();
    assert_eq!(
        items,
        [
            item([("name", s("Rex"))]),
            item([("name", s("Rex")), ("lives", n(7))])
        ]
    );
}

#[tokio::test]
async fn a_collection_that_cannot_be_read_together_is_refused() {
    let gateway = shelter().await;
    let with = |names: &[&str]| v1::QueryRequest {
        models: models(names),
        ..query("Dog", "P")
    };
    Refusal::of(gateway.query(with(&["Cat", "Stone"])).await).is("INVALID_FIELD", &["models[1]"]);
    Refusal::of(gateway.query(with(&["Cow"])).await).is("UNKNOWN_MODEL", &[]);
    let index = v1::QueryRequest {
        index: "by_name".to_owned(),
        key_condition: expression("name = :n", [(":n", s("Rex"))]),
        ..with(&["Bird"])
    };
    Refusal::of(gateway.query(index).await).is("INVALID_FIELD", &["models[0]"]);
    let filter = v1::QueryRequest {
        filter: expression("weight > :w", [(":w", n(1))]),
        ..with(&["Cat"])
    };
    let refused = Refusal::of(gateway.query(filter).await);
    refused.is("INVALID_EXPRESSION", &["filter.text"]);
    assert!(
        refused
            .message
            .contains(r#""weight" is not the same attribute in Dog and Cat"#)
    );
    refused.cost_nothing();
    let unknown = v1::QueryRequest {
        filter: expression("lives > :w", [(":w", n(1))]),
        ..query("Dog", "P")
    };
    Refusal::of(gateway.query(unknown).await).is("INVALID_EXPRESSION", &["filter.text"]);
}

#[tokio::test]
async fn no_write_replaces_or_deletes_an_item_of_another_model() {
    let gateway = shelter().await;
    animals(&gateway, 1).await;
    Refusal::of(gateway.save(save("Cat", animal("00", "Tom"))).await).is("WRONG_MODEL", &[]);
    Refusal::of(gateway.delete(delete("Cat", key("P", "00"))).await).is("WRONG_MODEL", &[]);
    let conditional = v1::SaveRequest {
        condition: expression("name = :n OR name = :m", [(":n", s("Rex")), (":m", s("Tom"))]),
        ..save("Cat", animal("00", "Tom"))
    };
    Refusal::of(gateway.save(conditional.clone()).await).is("WRONG_MODEL", &[]);
    let renamed = update("Cat", key("P", "00"), "SET name = :n", [(":n", s("Tom"))]);
    Refusal::of(gateway.update(renamed.clone()).await).is("WRONG_MODEL", &[]);
    let request = v1::TransactWriteRequest {
        operations: vec![v1::TransactOperation {
            operation: Some(v1::transact_operation::Operation::Update(renamed)),
        }],
        ..v1::TransactWriteRequest::default()
    };
    let status = CallResult::from_response(gateway.data().transact_write(request).await).status();
    let detail = tonic_types::StatusExt::get_details_error_info(&status).expect("a reason");
    assert_eq!(detail.reason, "TRANSACTION_CANCELLED");
    assert!(String::from_utf8_lossy(status.details()).contains("WRONG_MODEL"));
    let dog = gateway.get(get("Dog", key("P", "00"))).await.ok();
    assert_eq!(dog.item["name"], s("Rex"));
    let own = v1::SaveRequest {
        model: "Dog".to_owned(),
        ..conditional
    };
    gateway.save(own).await.ok();
    gateway.delete(delete("Dog", key("P", "00"))).await.ok();
    gateway.delete(delete("Cat", key("P", "00"))).await.ok();
    gateway.save(save("Cat", animal("00", "Tom"))).await.ok();
}
