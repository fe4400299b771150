//! Whatever the builders accept, the server's parser accepts too.

use std::cell::Cell;

use futures::StreamExt as _;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Runtime;
use tollgate_client::{
    Attr, Client, Computed, Expression, Item, Key, KeyRange, Kind, NumberSet, Query, SaveOptions, Update,
    UpdateOptions, attr, key, not, update,
};
use tollgate_proto::v1;

use super::{page_key, start};

const CASES: u32 = 400;

/// Names that are words, keywords or neither.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_][a-z0-9_]{0,6}",
        prop::sample::select(
            &[
                "and",
                "NOT",
                "size",
                "SET",
                "in",
                "between",
                "remove",
                "begins_with"
            ][..]
        )
        .prop_map(str::to_owned),
        "[-a-c.\\[\\]\"# :é0]{1,6}",
    ]
    .prop_filter("declared attributes have types", |name| {
        !["pk", "sk", "secret"].contains(&name.as_str())
    })
}

fn path() -> impl Strategy<Value = Attr> {
    let step = prop_oneof![name().prop_map(Ok), (0..9_u32).prop_map(Err)];
    (name(), prop::collection::vec(step, 0..4)).prop_map(|(name, steps)| {
        steps
            .into_iter()
            .fold(Attr::named(name), |path, step| match step {
                Ok(name) => path.field(name),
                Err(index) => path.index(index),
            })
    })
}

/// One condition, with values whose types fit together.
fn single() -> impl Strategy<Value = Expression> {
    let number = -99..99_i32;
    let text = "[a-zA-Zé]{1,4}";
    prop_oneof![
        (path(), number.clone()).prop_map(|(path, number)| path.eq(number)),
        (path(), path()).prop_map(|(path, other)| path.ne(other)),
        (path(), path()).prop_map(|(path, other)| path.gt(other.size())),
        (path(), number.clone()).prop_map(|(path, number)| path.size().le(number)),
        (path(), number.clone(), 0..9_i32).prop_map(|(path, least, more)| path.between(least, least + more)),
        (path(), path(), number.clone()).prop_map(|(path, least, greatest)| path.between(least, greatest)),
        (path(), prop::collection::vec(number.clone(), 1..101)).prop_map(|(path, list)| path.is_in(list)),
        path().prop_map(Attr::exists),
        path().prop_map(Attr::not_exists),
        path().prop_map(|path| path.has_kind(Kind::Ss)),
        (path(), text).prop_map(|(path, text)| path.begins_with(text)),
        (path(), path()).prop_map(|(path, other)| path.contains(other)),
        (path(), number).prop_map(|(path, number)| path.contains(number)),
        text.prop_map(|text| expr_text(&text)),
    ]
}

/// Text with a placeholder that builders choose too.
fn expr_text(text: &str) -> Expression {
    tollgate_client::expr("other = :a OR #a = :other")
        .bind(":a", text)
        .bind(":other", text)
        .name("#a", "a-a")
}

fn condition() -> impl Strategy<Value = Expression> {
    single().prop_recursive(5, 48, 4, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| one.and(other)),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| one.or(other)),
            inner.prop_map(not),
        ]
    })
}

fn computed() -> impl Strategy<Value = Computed> {
    let list = prop::collection::vec(0..9_i32, 0..3);
    prop_oneof![
        (path(), list.clone()).prop_map(|(path, list)| path.append(list)),
        (path(), list.clone()).prop_map(|(path, list)| path.if_not_exists(list)),
        (path(), list.clone(), list).prop_map(|(path, empty, more)| path.if_not_exists(empty).append(more)),
    ]
}

fn changes() -> impl Strategy<Value = Update> {
    let number = -99..99_i32;
    let one = prop_oneof![
        (path(), number.clone()).prop_map(|(path, number)| update().set(path, number)),
        (path(), path()).prop_map(|(path, other)| update().set(path, other)),
        (path(), path(), number.clone()).prop_map(|(path, other, number)| update().set(path, other + number)),
        (path(), path(), number.clone())
            .prop_map(|(path, other, number)| update().set(path, other.if_not_exists(number) - attr("used"))),
        (path(), computed()).prop_map(|(path, computed)| update().set(path, computed)),
        path().prop_map(|path| update().remove(path)),
        (path(), number.clone()).prop_map(|(path, number)| update().add(path, number)),
        (path(), prop::collection::btree_set(number, 1..4))
            .prop_map(|(path, members)| update().delete(path, members.into_iter().collect::<NumberSet>())),
    ];
    prop::collection::vec(one, 1..8).prop_map(|changes| changes.into_iter().fold(update(), Update::and))
}

fn range() -> impl Strategy<Value = KeyRange> {
    let text = "[a-z]{1,4}";
    prop_oneof![
        text.prop_map(|text| key("sk").begins_with(text)),
        text.prop_map(|text| key("sk").gt(text)),
        text.prop_map(|text| key("sk").le(text)),
        (text, text).prop_map(|(least, more)| key("sk").between(&least, format!("{least}{more}"))),
    ]
}

/// Runs cases of a strategy against one server. `check` returns whether the case was sent: what is refused before is not a
/// bad expression.
fn run<S: Strategy>(
    strategy: &S,
    check: impl Fn(&Runtime, &Client, S::Value) -> Result<bool, TestCaseError>,
) {
    let runtime = Runtime::new().expect("a runtime");
    let sent = Cell::new(0);
    let (_gateway, client) = runtime.block_on(start(None));
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(strategy, |case| {
            sent.set(sent.get() + u32::from(check(&runtime, &client, case)?));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(sent.get() > CASES / 2, "only {} cases were sent", sent.get());
}

#[test]
fn the_server_accepts_every_condition_that_is_built() {
    run(&condition(), |runtime, client, condition| {
        let Ok(message) = v1::Expression::try_from(condition.clone()) else {
            return Ok(false);
        };
        let options = SaveOptions {
            condition,
            validate_only: true,
            ..SaveOptions::default()
        };
        let item = Item::from([("pk".to_owned(), "A".into()), ("sk".to_owned(), "1".into())]);
        let saved = runtime.block_on(client.save_with("Free", &item, options));
        prop_assert!(saved.is_ok(), "{}: {:?}", message.text, saved.unwrap_err());
        Ok(true)
    });
}

#[test]
fn the_server_accepts_every_update_that_is_built() {
    run(&changes(), |runtime, client, changes| {
        let Ok(message) = v1::Expression::try_from(changes.clone()) else {
            return Ok(false);
        };
        let options = UpdateOptions {
            validate_only: true,
            ..UpdateOptions::default()
        };
        let updated = runtime.block_on(client.update_with("Free", page_key("1"), changes, options));
        prop_assert!(updated.is_ok(), "{}: {:?}", message.text, updated.unwrap_err());
        Ok(true)
    });
}

#[test]
fn the_server_accepts_every_key_condition_that_is_built() {
    run(&(range(), "[a-z]{1,4}"), |runtime, client, (range, text)| {
        let query = Query {
            validate_only: true,
            ..Query::new("Free", key("pk").eq(text).and_sort(range.clone()))
        };
        let results: Vec<_> = runtime.block_on(client.query::<Item>(query).collect());
        let error = results.into_iter().find_map(Result::err);
        prop_assert!(error.is_none(), "{range:?}: {error:?}");
        Ok(true)
    });
}

#[tokio::test]
async fn built_conditions_mean_what_they_say() {
    let (_gateway, client) = start(None).await;
    for number in 0..12_i32 {
        let item = serde_json::json!({
            "pk": "A", "sk": format!("{number:02}"), "number": number, "a.b": { "in": [number] },
            "label": if number % 2 == 0 { "even" } else { "odd" },
        });
        client.save("Free", &item).await.unwrap();
    }
    let first = Attr::named("a.b").field("in").index(0);
    let cases: [(Expression, &[i32]); 6] = [
        (
            attr("number")
                .lt(2)
                .or(attr("number").ge(10))
                .and(attr("label").eq("odd")),
            &[1, 11],
        ),
        (
            attr("number")
                .lt(2)
                .or(attr("number").ge(10).and(attr("label").eq("odd"))),
            &[0, 1, 11],
        ),
        (!attr("number").lt(10).or(attr("label").eq("odd")), &[10]),
        (
            first.clone().between(3, 4).or(first.is_in([7, 8, 99])),
            &[3, 4, 7, 8],
        ),
        (attr("label").size().lt(4).and(attr("number").lt(4)), &[1, 3]),
        (
            attr("\"a.b\".in").contains(5).and(attr("missing").not_exists()),
            &[5],
        ),
    ];
    for (filter, expected) in cases {
        let query = Query {
            filter: filter.clone(),
            ..Query::new("Free", Key::new("pk", "A"))
        };
        let items: Vec<_> = client.query::<Item>(query).collect().await;
        let numbers: Vec<i32> = items
            .iter()
            .map(|item| item.as_ref().unwrap()["sk"].clone())
            .map(|sk| match sk {
                tollgate_client::Value::String(text) => text.parse().unwrap(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(numbers, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn built_updates_do_what_they_say() {
    let (_gateway, client) = start(None).await;
    let item = serde_json::json!({
        "pk": "A", "sk": "1", "visits": 1, "used": 3, "log": ["a"], "old": true, "a-b": { "x.y": 1 },
    });
    client.save("Free", &item).await.unwrap();
    let changes = update()
        .set("visits", attr("visits") + 1)
        .set("left", tollgate_client::value(10) - attr("used"))
        .set("log", attr("log").append(["b"]))
        .set("list", attr("list").if_not_exists([0; 0]).prepend(["c"]))
        .set(Attr::named("a-b").field("x.y"), 2)
        .add("points", 5)
        .add("members", NumberSet::from_iter([1, 2]))
        .remove("old");
    client.update("Free", page_key("1"), changes).await.unwrap();
    let read: tollgate_client::Partial<Item> = client.get("Free", page_key("1")).await.unwrap().value;
    assert_eq!((&read["visits"], &read["left"]), (&2.into(), &7.into()));
    assert_eq!(read["log"], vec!["a".into(), "b".into()].into());
    assert_eq!(read["list"], vec!["c".into()].into());
    assert_eq!(read["a-b"], Item::from([("x.y".to_owned(), 2.into())]).into());
    assert_eq!(read["points"], 5.into());
    assert_eq!(read["members"], NumberSet::from_iter([1, 2]).into());
    assert!(!read.contains_key("old"));
}
