//! Syntax errors, and their columns.

use super::super::{Placeholders, condition};
use super::{binary, check, expression, fault, number, open_model, text, texts};

/// Invalid conditions, and their faults.
const INVALID: &[(&str, &str)] = &[
    (
        "name == :x",
        "column 7: expected an attribute, a :value or size(attribute), found `=`",
    ),
    ("name = :x AND", "column 14: expected a condition, found the end"),
    (
        "name = :x name = :x",
        "column 11: expected AND, OR or the end, found \"name\"",
    ),
    ("(name = :x", "column 11: expected AND, OR or `)`, found the end"),
    ("name = :x)", "column 10: expected AND, OR or the end, found `)`"),
    (
        "name",
        "column 5: expected =, <>, <, <=, >, >=, BETWEEN or IN, found the end",
    ),
    (
        "name BETWEEN :x",
        "column 16: expected AND and the upper bound, found the end",
    ),
    (
        "name IN :x",
        "column 9: expected `(` and the operands of IN, found \":x\"",
    ),
    (
        "name IN (:x,)",
        "column 13: expected an attribute, a :value or size(attribute), found `)`",
    ),
    (
        "name IN ()",
        "column 10: expected an attribute, a :value or size(attribute), found `)`",
    ),
    (
        "tags[x] = :x",
        "column 6: expected an index such as 0, found \"x\"",
    ),
    (
        "tags[00] = :x",
        "column 6: expected an index of at most ten digits, without leading zeros",
    ),
    (
        "tags[99999999999] = :x",
        "column 6: expected an index of at most ten digits, without leading zeros",
    ),
    ("tags[0 = :x", "column 8: expected `]`, found `=`"),
    ("address. = :x", "column 10: expected a name, found `=`"),
    (
        "a AND AND b = :x",
        "column 3: expected =, <>, <, <=, >, >=, BETWEEN or IN, found \"AND\"",
    ),
    (
        "name = :x AND AND age = :x",
        "column 15: expected a condition, found \"AND\"",
    ),
    (
        "attribute_exists(:x)",
        "column 18: expected an attribute, found \":x\"",
    ),
    ("attribute_exists(name", "column 22: expected `)`, found the end"),
    (
        "attribute_type(name, name) = :x",
        "column 22: expected a :value that names a type",
    ),
    (
        "begins_with(name)",
        "column 17: expected `,` and a second operand, found `)`",
    ),
    (
        "size(name)",
        "column 11: expected =, <>, <, <=, >, >=, BETWEEN or IN, found the end",
    ),
    ("size(size(name)) = :x", "column 10: expected `)`, found `(`"),
    (
        "name = contains(name, :x)",
        "column 8: \"contains\" is not allowed here; the only function allowed is size",
    ),
];

#[test]
fn syntax_faults_contain_the_column_and_what_was_expected() {
    for (condition_text, expected) in INVALID {
        let faults = check(condition_text, &[(":x", text("x"))]).unwrap_err();
        assert_eq!(
            faults[0],
            format!("condition.text: {expected}"),
            "{condition_text}"
        );
    }
}

#[test]
fn faults_do_not_contain_possible_values() {
    for condition_text in [
        "age > 12345",
        "name = 'Secret'",
        "name = \"Secret\"",
        "age > -12345",
        "name = Ä",
    ] {
        let found = fault(condition_text, &[]);
        assert!(found.contains("write values as :name"), "{found}");
        assert!(
            !found.contains("12345") && !found.contains("Secret") && !found.contains('Ä'),
            "{found}"
        );
    }
    let secret = [
        (":x", text("Secret")),
        (":y", number("4711")),
        (":z", binary(b"Secret")),
    ];
    let faults = check(
        "age = :x AND name = :y AND attribute_type(raw, :x) AND begins_with(age, :z)",
        &secret,
    );
    let faults = faults.unwrap_err().concat();
    assert!(!faults.contains("Secret") && !faults.contains("4711"), "{faults}");
}

#[test]
fn functions_are_lower_case_and_keywords_any_case() {
    let found = fault("ATTRIBUTE_EXISTS(name)", &[]);
    assert!(
        found.starts_with(
            "condition.text: column 1: \"ATTRIBUTE_EXISTS\" is not a function (did you mean `attribute_exists`?);"
        ),
        "{found}"
    );
    let found = fault("begin_with(name, :a)", &[(":a", text("a"))]);
    assert!(found.contains("(did you mean `begins_with`?)"), "{found}");
    let rendered = check(
        "nOt name BeTween :a aNd :b Or age iN (:c)",
        &[(":a", text("a")), (":b", text("b")), (":c", number("1"))],
    );
    assert_eq!(rendered.unwrap(), "NOT #n0 BETWEEN :v0 AND :v1 OR #n1 IN (:v2)");
}

#[test]
fn keywords_are_names_where_no_keyword_is_possible() {
    let values = [(":x", text("x"))];
    for condition_text in [
        "status = :x AND size = :x AND count = :x AND contains = :x",
        "and = :x AND not = :x AND or = :x",
        "in IN (:x, in2) OR between BETWEEN :x AND and",
        "a = and AND b = or",
        "not.between = :x AND NOT not = :x",
        "attribute_exists(and) AND attribute_exists(a.not.or)",
    ] {
        let outcome = condition(
            &open_model(),
            &expression(condition_text, &values, &[]),
            "condition",
            &mut Placeholders::new(),
        );
        let faults: Vec<_> = outcome.map_err(texts).err().unwrap_or_default();
        let unused = faults.iter().all(|fault| fault.contains("is not used"));
        assert!(unused, "{condition_text}: {faults:?}");
    }
}
