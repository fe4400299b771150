//! What the builders write, and what they refuse.

use tonic::Code;

use super::*;
use crate::{StringSet, Value};

fn written(expression: impl TryInto<v1::Expression, Error = Error>) -> v1::Expression {
    expression.try_into().expect("a valid expression")
}

fn text(expression: impl TryInto<v1::Expression, Error = Error>) -> String {
    written(expression).text
}

fn refusal(expression: impl TryInto<v1::Expression, Error = Error>) -> String {
    let error = expression.try_into().expect_err("an invalid expression");
    assert_eq!(error.code(), Code::InvalidArgument);
    let violation = &error.violations()[0];
    format!("{}: {}", violation.field, violation.description)
}

#[test]
fn an_empty_expression_is_left_out() {
    assert!(Expression::default().into_wire("filter").unwrap().is_none());
    assert!(Update::default().into_wire("update").unwrap().is_none());
    assert_eq!(text(Expression::default().and("a = b".into())), "a = b");
    assert_eq!(text(expr("a = b").or(Expression::default())), "a = b");
    assert_eq!(text(!Expression::default()), "");
}

#[test]
fn conditions_have_named_placeholders() {
    let adults = attr("age").ge(18).and(attr("name").begins_with("A"));
    let message = written(adults);
    assert_eq!(message.text, "age >= :age AND begins_with(name, :name)");
    let value = |placeholder: &str| Value::try_from(message.values[placeholder].clone()).unwrap();
    assert_eq!((value(":age"), value(":name")), (18.into(), "A".into()));
    assert_eq!(text(attr("age").between(18, 30)), "age BETWEEN :age AND :age_2");
    assert_eq!(text(attr("s").is_in(["a", "b"])), "s IN (:s, :s_2)");
}

#[test]
fn every_operator_is_written() {
    let cases = [
        (attr("a").eq(1), "a = :a"),
        (attr("a").ne(attr("b.c")), "a <> b.c"),
        (attr("a").lt(1), "a < :a"),
        (attr("a[3]").le(1), "a[3] <= :a"),
        (attr("a").gt(attr("b").size()), "a > size(b)"),
        (attr("a").size().between(1, 2), "size(a) BETWEEN :a AND :a_2"),
        (attr("a").size().is_in([1]), "size(a) IN (:a)"),
        (attr("a").exists(), "attribute_exists(a)"),
        (attr("a.b").not_exists(), "attribute_not_exists(a.b)"),
        (attr("a").has_kind(Kind::Ss), "attribute_type(a, :a)"),
        (attr("a").contains(attr("b")), "contains(a, b)"),
        (!attr("a").eq(1), "NOT a = :a"),
        (not(not(attr("a").eq(1))), "a = :a"),
    ];
    for (expression, expected) in cases {
        assert_eq!(text(expression), expected);
    }
}

#[test]
fn parentheses_keep_the_meaning() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| attr(name).exists());
    let exists = |text: String| text.replace("attribute_exists", "");
    let either = a.clone().or(b.clone()).and(c.clone().or(d.clone()));
    assert_eq!(exists(text(either)), "((a) OR (b)) AND ((c) OR (d))");
    let both = a.clone().and(b.clone()).or(c.clone().and(d.clone()));
    assert_eq!(exists(text(both)), "(a) AND (b) OR (c) AND (d)");
    assert_eq!(exists(text(!a.clone().and(b.clone()))), "NOT ((a) AND (b))");
    assert_eq!(
        exists(text(a.and(b.and(c)).and(!d))),
        "(a) AND (b) AND (c) AND NOT (d)"
    );
}

#[test]
fn names_that_are_not_words_have_placeholders() {
    let message = written(
        Attr::named("first.name")
            .field("x-y")
            .index(0)
            .eq(1)
            .and(attr("and").eq(2))
            .and(Attr::named("first.name").exists()),
    );
    let expected = "#first_name.#x_y[0] = :x_y AND #and = :and AND attribute_exists(#first_name)";
    assert_eq!(message.text, expected);
    assert_eq!(message.names["#first_name"], "first.name");
    assert_eq!(message.names.len(), 3);
    assert_eq!(
        written(attr("straße").eq(1).and(attr("strabe").eq(2)))
            .values
            .len(),
        2
    );
}

#[test]
fn texts_and_builders_can_be_joined() {
    let both = expr("a = :a OR b = :a").bind(":a", 1).and(attr("a").eq(2));
    let message = written(both);
    assert_eq!(message.text, "(a = :a OR b = :a) AND a = :a_2");
    assert_eq!(message.values.len(), 2);
    assert_eq!(
        text(expr("begins_with(sort, :s)").and("a = b".into())),
        "begins_with(sort, :s) AND a = b"
    );
    assert_eq!(text(!expr("a = b AND c = d")), "NOT (a = b AND c = d)");
    let same = expr("a = :x").bind(":x", 1).and(expr("b = :x").bind(":x", 1));
    assert_eq!(written(same).values.len(), 1);
    let other = expr("a = :x").bind(":x", 1).and(expr("b = :x").bind(":x", 2));
    assert!(refusal(other).starts_with("expression.values.:x: has two values"));
}

#[test]
fn keys_are_key_conditions() {
    let whole = Expression::from(Key::new("sk", 7).and("pk", "USER#1"));
    assert_eq!(text(whole), "pk = :pk AND sk = :sk");
    let range = |range: KeyRange| text(Expression::from(key("pk").eq("A").and_sort(range)));
    assert_eq!(
        range(key("sk").begins_with("B")),
        "pk = :pk AND begins_with(sk, :sk)"
    );
    assert_eq!(
        range(key("sk").between(1, 2)),
        "pk = :pk AND sk BETWEEN :sk AND :sk_2"
    );
    assert_eq!(range(key("sk").ge(1)), "pk = :pk AND sk >= :sk");
    assert_eq!(range(key("sort.key").lt(1)), "pk = :pk AND #sort_key < :sort_key");
    for wrong in [
        attr("pk").ne(1),
        attr("pk").exists(),
        attr("pk").eq(1).or(attr("sk").eq(2)),
    ] {
        let error = wrong.into_key_wire("key_condition").unwrap_err();
        assert_eq!(error.violations()[0].field, "key_condition");
    }
}

#[test]
fn conditions_that_dynamodb_refuses_are_refused() {
    let many: Vec<u32> = (0..101).collect();
    assert!(text(attr("a").is_in(many[1..].to_vec())).contains(":a_100"));
    assert_eq!(
        refusal(attr("a").is_in(many)),
        "expression: IN supports at most 100 operands"
    );
    assert!(refusal(attr("a").is_in([0; 0])).contains("at least one"));
    assert!(refusal(attr("a").eq(attr("a"))).contains("with itself"));
    assert!(refusal(attr("a..b").eq(1)).contains("\"a..b\" is not a path"));
    assert!(refusal(attr("a").eq(f64::NAN)).starts_with("expression.values.:a: "));
    let deep = (0..400).fold(attr("a").eq(1), |all, number| all.and(attr("a").ne(number)));
    assert!(refusal(deep).contains("more than 300 operators"));
    let long = (0..100).fold(attr("a").eq(1), |all, _| all.and(attr("b".repeat(40)).ne(1)));
    assert!(refusal(long).contains("longer than 4096 bytes"));
}

#[test]
fn long_expressions_have_short_placeholders() {
    let name = "customer_identifier_x";
    let all = (0..2).fold(Expression::default(), |all, _| all.or(attr(name).is_in(0..100)));
    let message = written(all);
    assert!(message.text.len() < 1500, "{}", message.text.len());
    assert_eq!(message.values.len(), 200);
}

#[test]
fn updates_have_their_clauses() {
    let changes = update()
        .set("name", "Ada")
        .remove("old")
        .set("visits", attr("visits") + 1)
        .add("points", 5)
        .set("log", attr("log").if_not_exists([0; 0]).append(["x"]))
        .delete("tags", StringSet::from_iter(["a"]))
        .set("left", value(10) - attr("used"))
        .set("copy", attr("name"))
        .set("lines[0].price", attr("price").if_not_exists(1) + attr("tax"))
        .remove(Attr::named("a.b"));
    let expected = "SET name = :name, visits = visits + :visits, \
                    log = list_append(if_not_exists(log, :log), :log_2), left = :left - used, copy = name, \
                    lines[0].price = if_not_exists(price, :price) + tax REMOVE old, #a_b ADD points :points \
                    DELETE tags :tags";
    assert_eq!(text(changes), expected);
    assert_eq!(
        text(update().set("a", attr("a").prepend([1]))),
        "SET a = list_append(:a, a)"
    );
}

#[test]
fn updates_that_dynamodb_refuses_are_refused() {
    assert!(refusal(update().set("a", 1).remove("a.b")).contains("\"b\" is changed twice"));
    assert!(refusal(update().set("a.b", 1).set("a[0]", 1)).contains("changed twice"));
    assert!(refusal(update().add("a", "x")).contains("ADD supports only"));
    assert!(refusal(update().delete("a", 1)).contains("DELETE supports only sets"));
    assert!(refusal(update().set("a", f64::NAN)).starts_with("update.values.:a"));
    assert!(refusal(update().remove("a.")).contains("is not a path"));
    assert!(refusal(Update::from(attr("a").eq(1))).contains("is a condition"));
    assert!(refusal(Update::from("SET a = b").remove("c")).contains("has text and other changes"));
    assert!(refusal(Update::from("SET a = b").and("REMOVE c".into())).contains("has text and other changes"));
    assert_eq!(
        text(update().remove("a").and(update().remove("b"))),
        "REMOVE a, b"
    );
    assert_eq!(text(Update::from("SET a = b")), "SET a = b");
    let deep = (0..40).fold(value(1), |inner, _| attr("a").if_not_exists(inner));
    assert!(refusal(update().set("b", deep)).contains("nested functions"));
    let many = (0..2000).fold(update(), |all, number| all.remove(format!("a{number}")));
    assert!(refusal(many).contains("more than 1024 changes"));
}

#[test]
fn the_call_reports_invalid_values() {
    let error = expr("a = :a")
        .bind(":a", f64::NAN)
        .bind(":b", 1)
        .into_wire("condition")
        .unwrap_err();
    assert_eq!(error.violations()[0].field, "condition.values.:a");
    let key = Key::new("pk", f64::INFINITY).into_wire().unwrap_err();
    assert_eq!(key.violations()[0].field, "key.pk");
}
