//! Types of values and attributes, which are checked before any item is read.

use super::super::{Placeholders, condition};
use super::{binary, check, expression, fault, number, open_model, text};
use crate::model::testing::attribute;
use crate::model::{AttributeType, Value};

fn assert_faults<const N: usize>(cases: [(&str, Value, &str); N]) {
    for (condition_text, value, expected) in cases {
        let faults = check(condition_text, &[(":x", value)]).unwrap_err();
        let expected = format!("condition.values.:x: {expected}");
        assert!(faults.contains(&expected), "{condition_text}: {faults:?}");
    }
}

#[test]
fn types_of_values_must_agree_with_the_model() {
    assert_faults([
        ("age = :x", text("1"), r#"is S, but "age" is N"#),
        (":x = age", text("1"), r#"is S, but "age" is N"#),
        ("name <> :x", number("1"), r#"is N, but "name" is S"#),
        ("raw < :x", text("a"), r#"is S, but "raw" is B"#),
        ("active = :x", text("true"), r#"is S, but "active" is BOOL"#),
        (
            "tags = :x",
            Value::SS(["a".to_owned()].into()),
            r#"is SS, but "tags" is L"#,
        ),
        ("address = :x", Value::L(vec![]), r#"is L, but "address" is M"#),
        (
            "size(name) > :x",
            text("1"),
            r#"is S, but the size of "name" is N"#,
        ),
        ("age IN (:x)", text("1"), r#"is S, but "age" is N"#),
        ("age BETWEEN age AND :x", text("1"), r#"is S, but "age" is N"#),
    ]);
}

#[test]
fn operators_and_functions_support_only_some_types() {
    assert_faults([
        (
            "age > :x",
            Value::Bool(true),
            "is BOOL, but > supports only S, N and B",
        ),
        (
            "age BETWEEN :x AND age",
            Value::Null,
            "is NULL, but BETWEEN supports only S, N and B",
        ),
        (
            "begins_with(name, :x)",
            number("1"),
            "is N, but begins_with supports only S and B",
        ),
        ("begins_with(name, :x)", binary(b"1"), r#"is B, but "name" is S"#),
        (
            "contains(name, :x)",
            number("1"),
            r#"is N, but "name" contains S"#,
        ),
        ("contains(raw, :x)", text("1"), r#"is S, but "raw" contains B"#),
        (
            "contains(:x, name)",
            number("1"),
            "is N, but contains supports only S, B, L and sets",
        ),
        (
            "attribute_type(name, :x)",
            text("STRING"),
            "must be a string that names a type: one of S, SS, N, NS, B, BS, BOOL, NULL, L, M",
        ),
        (
            "attribute_type(name, :x)",
            number("1"),
            "must be a string that names a type: one of S, SS, N, NS, B, BS, BOOL, NULL, L, M",
        ),
    ]);
}

#[test]
fn types_of_attributes_must_agree_with_each_other() {
    let cases = [
        ("age = name", r#"column 7: "name" is S, but "age" is N"#),
        (
            "active < age",
            r#"column 1: "active" is BOOL, but < supports only S, N and B"#,
        ),
        (
            "begins_with(age, name)",
            r#"column 13: "age" is N, but begins_with supports only S and B"#,
        ),
        (
            "contains(active, name)",
            r#"column 10: "active" is BOOL, but contains supports only S, B, L and sets"#,
        ),
        (
            "contains(name, size(tags))",
            r#"column 21: the size of "tags" is N, but "name" contains S"#,
        ),
        ("size(age) = age", r#"column 6: "age" is N, which has no size"#),
        (
            "name.first = email",
            r#"column 1: "name" is a string: it has no members"#,
        ),
        (
            "tags.first = email",
            r#"column 1: "tags" is a list: use [index] for its members"#,
        ),
        (
            "address[0] = email",
            r#"column 1: "address" is a map: use .name for its fields"#,
        ),
        ("name = name", "column 8: = compares an operand with itself"),
        (
            "tags[0] IN (name, tags[0])",
            "column 19: IN compares an operand with itself",
        ),
        (
            "contains(name, name)",
            "column 16: contains compares an operand with itself",
        ),
    ];
    for (condition_text, expected) in cases {
        assert_eq!(
            fault(condition_text, &[]),
            format!("condition.text: {expected}"),
            "{condition_text}"
        );
    }
}

#[test]
fn bounds_must_be_in_order_and_of_one_type() {
    let pair = |low, high| [(":l", low), (":h", high)];
    assert!(check("age BETWEEN :l AND :h", &pair(number("9"), number("10"))).is_ok());
    assert!(check("age BETWEEN :l AND :h", &pair(number("-1"), number("-1"))).is_ok());
    assert!(check("name BETWEEN :l AND :h", &pair(text("10"), text("9"))).is_ok());
    let late = r#"condition.values.:h: is less than ":l", the lower bound of BETWEEN"#;
    assert_eq!(
        fault("age BETWEEN :l AND :h", &pair(number("10"), number("9"))),
        late
    );
    assert_eq!(fault("name BETWEEN :l AND :h", &pair(text("é"), text("z"))), late);
    assert_eq!(
        fault("raw BETWEEN :l AND :h", &pair(binary(&[255]), binary(&[1, 2]))),
        late
    );
    let mixed = fault("address.a BETWEEN :l AND :h", &pair(number("1"), text("2")));
    assert_eq!(mixed, r#"condition.values.:h: is S, but ":l" is N"#);
}

#[test]
fn bounds_are_compared_as_the_store_compares_them() {
    let mut model = open_model();
    model.attributes.push(attribute("expires", AttributeType::Ttl));
    // a moment of 2020, and a duration from now
    let between = |low: Value, high: Value| {
        let expression = expression("expires BETWEEN :l AND :h", &[(":l", low), (":h", high)], &[]);
        condition(&model, &expression, "condition", &mut Placeholders::new())
    };
    assert!(between(number("1580000000"), text("+1h")).is_ok());
    assert!(between(text("+1h"), number("1580000000")).is_err());
    assert!(between(text("+2h"), text("+1h")).is_err());
}

#[test]
fn null_equals_any_type() {
    for condition_text in ["age = :x", "active <> :x", "name IN (:x, email)", ":x = tags"] {
        assert!(
            check(condition_text, &[(":x", Value::Null)]).is_ok(),
            "{condition_text}"
        );
    }
}

#[test]
fn undeclared_values_may_have_any_type() {
    let values = [(":s", text("x")), (":n", number("1"))];
    let valid = "address.a = :s AND address.a = :n AND tags[3] <> :n AND contains(tags, :n) AND contains(address.c, :n) \
                 AND size(address.c) > :n AND begins_with(address.d, :s) AND contains(:s, name)";
    check(valid, &values).unwrap();
}
