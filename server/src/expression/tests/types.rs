//! Types of values and attributes, before any item is read.

use super::{binary, check, fault, number, text};
use crate::model::Value;

#[test]
fn types_must_agree_with_the_model() {
    let values = |value| [(":x", value)];
    let cases = [
        ("age = :x", text("1"), r#"is S, where "age" is N"#),
        (":x = age", text("1"), r#"is S, where "age" is N"#),
        ("name <> :x", number("1"), r#"is N, where "name" is S"#),
        ("raw < :x", text("a"), r#"is S, where "raw" is B"#),
        ("active = :x", text("true"), r#"is S, where "active" is BOOL"#),
        (
            "tags = :x",
            Value::SS(["a".to_owned()].into()),
            r#"is SS, where "tags" is L"#,
        ),
        ("address = :x", Value::L(vec![]), r#"is L, where "address" is M"#),
        (
            "size(name) > :x",
            text("1"),
            r#"is S, where the size of "name" is N"#,
        ),
        ("age IN (:x)", text("1"), r#"is S, where "age" is N"#),
        ("age BETWEEN age AND :x", text("1"), r#"is S, where "age" is N"#),
        (
            "age > :x",
            Value::Bool(true),
            "is BOOL, but > compares S, N and B only",
        ),
        (
            "age BETWEEN :x AND age",
            Value::Null,
            "is NULL, but BETWEEN compares S, N and B only",
        ),
        (
            "begins_with(name, :x)",
            number("1"),
            "is N, but begins_with takes S and B only",
        ),
        (
            "begins_with(name, :x)",
            binary(b"1"),
            r#"is B, where "name" is S"#,
        ),
        (
            "contains(name, :x)",
            number("1"),
            r#"is N, but what "name" contains is S"#,
        ),
        (
            "contains(raw, :x)",
            text("1"),
            r#"is S, but what "raw" contains is B"#,
        ),
        (
            "contains(:x, name)",
            number("1"),
            "is N: contains looks into S, B, L and sets only",
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
    ];
    for (condition_text, value, expected) in cases {
        let faults = check(condition_text, &values(value)).unwrap_err();
        let told = format!(r#"condition.values.:x: {expected}"#);
        assert!(faults.contains(&told), "{condition_text}: {faults:?}");
    }
}

#[test]
fn types_of_attributes_must_agree_with_each_other() {
    let cases = [
        ("age = name", r#"column 7: "name" is S, where "age" is N"#),
        (
            "active < age",
            r#"column 1: "active" is BOOL, but < compares S, N and B only"#,
        ),
        (
            "begins_with(age, name)",
            r#"column 13: "age" is N, but begins_with takes S and B only"#,
        ),
        (
            "contains(active, name)",
            r#"column 10: "active" is BOOL: contains looks into S, B, L and sets only"#,
        ),
        (
            "contains(name, size(tags))",
            r#"column 21: the size of "tags" is N, but what "name" contains is S"#,
        ),
        ("size(age) = age", r#"column 6: "age" is N, which has no size"#),
        (
            "name.first = email",
            r#"column 1: "name" is a string: there is nothing within it"#,
        ),
        (
            "tags.first = email",
            r#"column 1: "tags" is a list: its members are asked for by [index]"#,
        ),
        (
            "address[0] = email",
            r#"column 1: "address" is a map: its fields are asked for by .name"#,
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
fn bounds_are_in_order_and_of_one_type() {
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
    assert_eq!(mixed, r#"condition.values.:h: is S, where ":l" is N"#);
}

#[test]
fn null_is_compared_with_anything_for_equality() {
    for condition_text in ["age = :x", "active <> :x", "name IN (:x, email)", ":x = tags"] {
        assert!(
            check(condition_text, &[(":x", Value::Null)]).is_ok(),
            "{condition_text}"
        );
    }
}

#[test]
fn what_the_model_does_not_know_may_be_of_any_type() {
    let values = [(":s", text("x")), (":n", number("1"))];
    let taken = "address.a = :s AND address.a = :n AND tags[3] <> :n AND contains(tags, :n) AND contains(address.c, :n) \
                 AND size(address.c) > :n AND begins_with(address.d, :s) AND contains(:s, name)";
    check(taken, &values).unwrap();
}
