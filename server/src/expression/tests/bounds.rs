//! Bounds: length, depth, operators, placeholders, bytes. Any input is handled quickly.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::super::{Expression, Placeholders, ReadScope, condition, key_condition, projection, query_filter};
use super::{expression, model, number, open_model, table_keys, text, texts};
use crate::fault::Faults;
use crate::model::Value;

/// A fraction of the 2 MiB stack of a tokio worker, sufficient even in a debug build.
const STACK_BYTES: usize = 256 * 1024;

const TIME: Duration = Duration::from_secs(2);

/// The faults of a condition that is parsed on a small stack.
fn faults_on_a_small_stack(condition_text: String) -> Vec<String> {
    let run = move || {
        let expression = expression(&condition_text, &[(":x", text("x"))], &[]);
        let started = Instant::now();
        let outcome = condition(&open_model(), &expression, "condition", &mut Placeholders::new());
        assert!(started.elapsed() < TIME, "took {:?}", started.elapsed());
        outcome.map_err(texts).err().unwrap_or_default()
    };
    std::thread::Builder::new()
        .stack_size(STACK_BYTES)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap()
}

#[test]
fn text_is_bounded() {
    let exact = format!("name = :x{}", " ".repeat(4096 - 9));
    assert_eq!(faults_on_a_small_stack(exact.clone()), [""; 0]);
    assert_eq!(
        faults_on_a_small_stack(exact + " "),
        ["condition.text: is longer than 4096 bytes"]
    );
    assert_eq!(
        faults_on_a_small_stack("(".repeat(5000)),
        ["condition.text: is longer than 4096 bytes"]
    );
    assert_eq!(
        faults_on_a_small_stack("é".repeat(50_000)),
        ["condition.text: is longer than 4096 bytes"]
    );
}

#[test]
fn depth_is_bounded() {
    let nested = |levels: usize| format!("{}name = :x{}", "(".repeat(levels), ")".repeat(levels));
    assert_eq!(faults_on_a_small_stack(nested(150)), [""; 0]);
    let faults = faults_on_a_small_stack(nested(151));
    assert_eq!(
        faults,
        ["condition.text: column 151: more than 150 nested parentheses"]
    );
    let faults = faults_on_a_small_stack("(".repeat(4096));
    assert!(
        faults[0].starts_with("condition.text: column 151: more than 150 nested parentheses"),
        "{faults:?}"
    );
    assert_eq!(
        faults_on_a_small_stack(format!("{}{}", nested(150), " AND name = :x")),
        [""; 0]
    );
}

#[test]
fn operators_are_bounded() {
    let negated = |levels: usize| format!("{}name = :x", "NOT ".repeat(levels));
    assert_eq!(faults_on_a_small_stack(negated(299)), [""; 0]);
    for wrong in [
        negated(300),
        negated(1000),
        "not ".repeat(1024),
        "a=:x OR ".repeat(500),
    ] {
        let faults = faults_on_a_small_stack(wrong);
        assert!(
            faults[0].ends_with("more than 300 operators and functions"),
            "{faults:?}"
        );
    }
    let joined = |comparisons: usize| vec!["a=:x"; comparisons].join(" OR ");
    assert_eq!(faults_on_a_small_stack(joined(150)), [""; 0]);
    assert_eq!(faults_on_a_small_stack(joined(151)).len(), 1);
    let nested = format!("{}a=:x{}", "NOT (a=:x AND ".repeat(99), ")".repeat(99));
    assert_eq!(faults_on_a_small_stack(nested), [""; 0]);
}

#[test]
fn paths_are_bounded() {
    let path = |steps: usize| format!("address{} = :x", ".a".repeat(steps));
    assert_eq!(faults_on_a_small_stack(path(31)), [""; 0]);
    for wrong in [path(32), path(2000)] {
        let faults = faults_on_a_small_stack(wrong);
        assert!(
            faults[0].ends_with("a path can have at most 32 names and indexes"),
            "{faults:?}"
        );
    }
}

#[test]
fn operands_of_in_are_bounded() {
    let listed = |count: usize| {
        let names: Vec<_> = (0..count).map(|index| format!(":{index}")).collect();
        let values: Vec<_> = names.iter().map(|name| (name.as_str(), number("1"))).collect();
        let expression = expression(&format!("age IN ({})", names.join(",")), &values, &[]);
        condition(&model(), &expression, "condition", &mut Placeholders::new()).map_err(texts)
    };
    assert!(listed(100).is_ok());
    assert_eq!(
        listed(101).unwrap_err(),
        ["condition.text: column 1: IN supports at most 100 operands"]
    );
}

#[test]
fn placeholders_are_bounded() {
    let many = |mark: char| (0..100_000).map(move |index| format!("{mark}{index}"));
    let crowded = Expression {
        text: "name = :x".to_owned(),
        values: many(':').map(|name| (name, Value::Null)).collect(),
        names: many('#').map(|name| (name, "name".to_owned())).collect(),
    };
    let faults = condition(&model(), &crowded, "condition", &mut Placeholders::new())
        .map_err(texts)
        .unwrap_err();
    assert_eq!(
        faults,
        [
            "condition.names: has more than 1365 entries",
            "condition.values: has more than 1365 entries"
        ]
    );
    let unused = Expression {
        values: many(':').take(1300).map(|name| (name, Value::Null)).collect(),
        ..crowded
    };
    let unused = Expression {
        names: HashMap::new(),
        ..unused
    };
    let faults = condition(&model(), &unused, "condition", &mut Placeholders::new()).unwrap_err();
    assert_eq!((faults.len(), faults.count()), (Faults::MAX, 1301));
}

#[test]
fn names_and_values_are_bounded() {
    let half = text(&"x".repeat(1024 * 1024));
    let large = expression("name IN (:a, :b)", &[(":a", half.clone()), (":b", half)], &[]);
    let faults = condition(&model(), &large, "filter", &mut Placeholders::new())
        .map_err(texts)
        .unwrap_err();
    assert_eq!(
        faults,
        ["filter.values: names and values have more than 2097152 bytes in total"]
    );
}

#[test]
fn rendered_text_is_bounded() {
    let list = vec!["a"; 100].join(",");
    let wordy = expression(&vec![format!("x IN ({list})"); 19].join(" OR "), &[], &[]);
    assert!(wordy.text.len() <= 4096);
    let faults = condition(&open_model(), &wordy, "filter", &mut Placeholders::new())
        .map_err(texts)
        .unwrap_err();
    assert_eq!(
        faults,
        ["filter.text: is longer than 4096 bytes once every name has a placeholder"]
    );
}

#[test]
fn fields_are_bounded() {
    let refused = |fields: Vec<String>| {
        projection(
            &ReadScope::table(&open_model()),
            &fields,
            &[],
            "fields",
            &mut Placeholders::new(),
        )
        .map_err(texts)
        .unwrap_err()
    };
    assert_eq!(
        refused(vec!["a".to_owned(); 100_000]),
        ["fields: must list 1 to 1024 attributes"]
    );
    assert_eq!(
        refused(vec!["a".repeat(4097)]),
        ["fields[0]: is longer than 4096 bytes"]
    );
    let many = (0..1000).map(|index| format!("a{index}")).collect();
    assert_eq!(refused(many), ["fields: are longer than 4096 bytes in total"]);
    assert_eq!(refused(vec!["a..b".to_owned(); 1000]).len(), Faults::MAX);
    let brackets = refused(vec![format!("a{}", "[0]".repeat(1000))]);
    assert!(
        brackets[0].ends_with("a path can have at most 32 names and indexes"),
        "{brackets:?}"
    );
}

/// Texts of random tokens.
fn token_soup() -> impl Strategy<Value = String> {
    let token = proptest::sample::select(vec![
        "a",
        "name",
        "age",
        "ssn",
        "photo",
        "tags",
        "address",
        "pk",
        "sk",
        "#a",
        ":x",
        ":y",
        "AND",
        "or",
        "NOT",
        "in",
        "BETWEEN",
        "size",
        "contains",
        "begins_with",
        "attribute_exists",
        "attribute_type",
        "(",
        ")",
        "[",
        "]",
        ".",
        ",",
        "=",
        "<>",
        "<",
        ">=",
        "0",
        "12",
        " ",
        "\n",
        "é",
        "'",
        "#",
        ":",
        "-",
    ]);
    proptest::collection::vec((token, proptest::sample::select(vec!["", " "])), 0..80).prop_map(|tokens| {
        tokens
            .into_iter()
            .map(|(token, space)| format!("{token}{space}"))
            .collect()
    })
}

fn soup_values() -> impl Strategy<Value = HashMap<String, Value>> {
    let value = proptest::sample::select(vec![
        text("a"),
        text(""),
        number("1"),
        Value::Null,
        Value::Bool(true),
        Value::L(vec![number("1")]),
        Value::M(HashMap::new()),
    ]);
    let name = proptest::sample::select(vec![":x", ":y", ":", "x", ":é"]).prop_map(str::to_owned);
    proptest::collection::hash_map(name, value, 0..3)
}

/// Passes an expression to every function of this room.
fn run_all(expression: &Expression) {
    let started = Instant::now();
    for model in [model(), open_model()] {
        let mut out = Placeholders::new();
        let outcomes = [
            condition(&model, expression, "condition", &mut out).map(|_| ()),
            query_filter(&model, None, expression, "filter", &mut out).map(|_| ()),
            key_condition(&table_keys(&model), expression, "key_condition", &mut out).map(|_| ()),
            projection(
                &ReadScope::table(&model),
                &[expression.text.clone(), "name".to_owned()],
                &[],
                "fields",
                &mut out,
            )
            .map(|_| ()),
        ];
        for faults in outcomes.into_iter().filter_map(Result::err) {
            assert!(!faults.is_empty() && faults.len() <= Faults::MAX);
        }
    }
    assert!(
        started.elapsed() < TIME,
        "took {:?}: {}",
        started.elapsed(),
        expression.text
    );
}

proptest! {
    #[test]
    fn any_text_is_handled(text in ".{0,300}", values in soup_values()) {
        run_all(&Expression { text, values, names: HashMap::new() });
    }

    #[test]
    fn any_tokens_are_handled(text in token_soup(), values in soup_values()) {
        let names = HashMap::from([("#a".to_owned(), "age".to_owned())]);
        run_all(&Expression { text, values, names });
    }
}
