//! Rendered expressions have the meaning of the original ones.

use std::collections::HashMap;

use proptest::prelude::*;
use regex::{Captures, Regex};

use super::super::ast::{Condition, Operand};
use super::super::definitions::Definitions;
use super::super::{Expression, Placeholders, lexer, parser, render};
use super::{open_model, text};
use crate::model::Value;

const VALUES: [&str; 3] = [":a", ":b", ":c1"];
const NAMES: [(&str, &str); 3] = [("#a", "name"), ("#b", "not-plain"), ("#n1", "and")];

/// An expression in which every placeholder is defined. The value of each placeholder is its name.
pub(super) fn defined(condition_text: &str) -> Expression {
    Expression {
        text: condition_text.to_owned(),
        values: VALUES.map(|name| (name.to_owned(), text(name))).into(),
        names: NAMES
            .map(|(name, meant)| (name.to_owned(), meant.to_owned()))
            .into(),
    }
}

fn render(expression: &Expression) -> Expression {
    let tokens = lexer::tokens(&expression.text);
    let condition =
        parser::condition(&tokens).unwrap_or_else(|error| panic!("{}: {error:?}", expression.text));
    let mut out = Placeholders::new();
    let rendered = render::condition(
        &open_model(),
        &condition,
        Definitions::new(expression, "condition"),
        &mut out,
    );
    let (names, values) = out.into_parts();
    Expression {
        text: rendered.unwrap(),
        values,
        names,
    }
}

/// The tree of an expression, with resolved placeholders and without columns.
fn shape(expression: &Expression) -> String {
    let tree = format!(
        "{:?}",
        parser::condition(&lexer::tokens(&expression.text)).unwrap()
    );
    let name =
        Regex::new(r#"Name \{ text: "([^"]+)", is_placeholder: (true|false), column: \d+ \}"#).unwrap();
    let tree = name.replace_all(&tree, |found: &Captures<'_>| match &found[2] {
        "true" => format!("<{}>", expression.names[&found[1]]),
        _ => format!("<{}>", &found[1]),
    });
    let value = Regex::new(r#"ValueRef \{ name: "([^"]+)", column: \d+ \}"#).unwrap();
    let tree = value.replace_all(&tree, |found: &Captures<'_>| {
        match &expression.values[&found[1]] {
            Value::S(text) => format!("<{text}>"),
            other => panic!("unexpected value {other:?}"),
        }
    });
    tree.into_owned()
}

fn assert_round_trip(condition_text: &str) {
    let sent = defined(condition_text);
    let rendered = render(&sent);
    assert_eq!(
        shape(&rendered),
        shape(&sent),
        "{condition_text} became {}",
        rendered.text
    );
    assert_eq!(render(&rendered).text, rendered.text);
}

fn path() -> impl Strategy<Value = String> {
    let name = || {
        proptest::sample::select(vec![
            "name", "Size", "_x1", "and", "IN", "between", "#a", "#b", "#n1",
        ])
    };
    let step = prop_oneof![
        (0u32..1000).prop_map(|index| format!("[{index}]")),
        name().prop_map(|name| format!(" . {name}"))
    ];
    (name(), proptest::collection::vec(step, 0..4))
        .prop_map(|(name, steps)| format!("{name}{}", steps.concat()))
}

fn operand() -> impl Strategy<Value = String> {
    prop_oneof![
        path(),
        proptest::sample::select(VALUES.to_vec()).prop_map(str::to_owned),
        path().prop_map(|path| format!("size ({path})"))
    ]
}

fn single() -> impl Strategy<Value = String> {
    let comparator = proptest::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]);
    prop_oneof![
        (operand(), comparator, operand())
            .prop_map(|(left, comparator, right)| format!("{left} {comparator}{right}")),
        (operand(), operand(), operand())
            .prop_map(|(subject, low, high)| format!("{subject} between {low} AND {high}")),
        (operand(), proptest::collection::vec(operand(), 1..5))
            .prop_map(|(subject, all)| format!("{subject} IN({})", all.join(", "))),
        path().prop_map(|path| format!("attribute_exists({path})")),
        path().prop_map(|path| format!("attribute_not_exists ( {path} )")),
        path().prop_map(|path| format!("attribute_type({path},:a)")),
        (operand(), operand()).prop_map(|(first, second)| format!("begins_with({first},{second})")),
        (operand(), operand()).prop_map(|(first, second)| format!("contains({first}, {second})")),
    ]
}

pub(super) fn whole() -> impl Strategy<Value = String> {
    single().prop_recursive(5, 40, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|condition| format!("({condition})")),
            inner.clone().prop_map(|condition| format!("NOT {condition}")),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("{one} and {other}")),
            (inner.clone(), inner).prop_map(|(one, other)| format!("{one}\nOR {other}")),
        ]
    })
}

/// The meaning of a condition whose parts are `a = :a` to `d = :a`.
#[derive(Clone, Debug)]
enum Meaning {
    Part(usize),
    Not(Box<Meaning>),
    And(Box<Meaning>, Box<Meaning>),
    Or(Box<Meaning>, Box<Meaning>),
}

const PARTS: [&str; 4] = ["a", "b", "c", "d"];

impl Meaning {
    fn holds(&self, parts: u8) -> bool {
        match self {
            Meaning::Part(part) => parts & (1 << part) != 0,
            Meaning::Not(inner) => !inner.holds(parts),
            Meaning::And(one, other) => one.holds(parts) && other.holds(parts),
            Meaning::Or(one, other) => one.holds(parts) || other.holds(parts),
        }
    }

    /// 0: OR, 1: AND, 2: NOT, 3: a part.
    fn rank(&self) -> u8 {
        match self {
            Meaning::Or(..) => 0,
            Meaning::And(..) => 1,
            Meaning::Not(_) => 2,
            Meaning::Part(_) => 3,
        }
    }

    /// The text, with only those parentheses that DynamoDB's precedence requires.
    fn written(&self) -> String {
        let within = |inner: &Meaning, least: u8| match inner.rank() < least {
            true => format!("({})", inner.written()),
            false => inner.written(),
        };
        match self {
            Meaning::Part(part) => format!("{} = :a", PARTS[*part]),
            Meaning::Not(inner) => format!("NOT {}", within(inner, 2)),
            Meaning::And(one, other) => format!("{} AND {}", within(one, 1), within(other, 1)),
            Meaning::Or(one, other) => format!("{} OR {}", within(one, 0), within(other, 0)),
        }
    }
}

fn meaning() -> impl Strategy<Value = Meaning> {
    (0..PARTS.len())
        .prop_map(Meaning::Part)
        .prop_recursive(6, 40, 2, |inner| {
            let pair =
                || (inner.clone(), inner.clone()).prop_map(|(one, other)| (Box::new(one), Box::new(other)));
            prop_oneof![
                inner.clone().prop_map(|inner| Meaning::Not(Box::new(inner))),
                pair().prop_map(|(one, other)| Meaning::And(one, other)),
                pair().prop_map(|(one, other)| Meaning::Or(one, other)),
            ]
        })
}

fn holds(condition: &Condition<'_>, names: &HashMap<String, String>, parts: u8) -> bool {
    match condition {
        Condition::Compare(Operand::Path(path), ..) => {
            let name = names
                .get(path.attribute.text)
                .map_or(path.attribute.text, String::as_str);
            let part = PARTS.iter().position(|part| *part == name).unwrap();
            parts & (1 << part) != 0
        }
        Condition::Not(inner) => !holds(inner, names, parts),
        Condition::And(all) => all.iter().all(|part| holds(part, names, parts)),
        Condition::Or(any) => any.iter().any(|part| holds(part, names, parts)),
        other => panic!("unexpected condition {other:?}"),
    }
}

#[test]
fn keeps_only_necessary_parentheses() {
    let cases = [
        ("((name = :a))", "#n0=:v0"),
        (
            "name = :a OR name = :a AND NOT name = :a",
            "#n0=:v0 OR #n0=:v0 AND NOT #n0=:v0",
        ),
        (
            "(name = :a OR name = :b) AND NOT (name = :a AND name = :b)",
            "(#n0=:v0 OR #n0=:v1) AND NOT (#n0=:v0 AND #n0=:v1)",
        ),
        (
            "name = :a AND (name = :b AND (name = :a OR (name = :b)))",
            "#n0=:v0 AND #n0=:v1 AND (#n0=:v0 OR #n0=:v1)",
        ),
        ("NOT NOT (name = :a)", "NOT NOT #n0=:v0"),
    ];
    for (sent, rendered) in cases {
        assert_eq!(render(&defined(sent)).text, rendered);
        assert_round_trip(sent);
    }
}

proptest! {
    #[test]
    fn rendering_keeps_the_tree(condition in whole()) {
        assert_round_trip(&condition);
    }

    #[test]
    fn precedence_is_that_of_dynamodb(meaning in meaning()) {
        let sent = defined(&meaning.written());
        let rendered = render(&sent);
        for expression in [&sent, &rendered] {
            let tokens = lexer::tokens(&expression.text);
            let condition = parser::condition(&tokens).unwrap();
            for parts in 0..1 << PARTS.len() {
                prop_assert_eq!(holds(&condition, &expression.names, parts), meaning.holds(parts), "{}", &expression.text);
            }
        }
    }
}
