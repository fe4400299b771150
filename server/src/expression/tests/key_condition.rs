//! Key conditions: which are accepted, what they become, and where their faults are.

use super::super::{KeyScope, key_condition};
use super::{Placeholders, binary, expression, model, number, table_keys, text, texts};
use crate::model::{AttributeType, Index, Model, Projection, Value};

fn check(model: &Model, condition_text: &str, values: &[(&str, Value)]) -> Result<String, Vec<String>> {
    check_index(model, None, condition_text, values)
}

fn check_index(
    model: &Model,
    index: Option<&Index>,
    condition_text: &str,
    values: &[(&str, Value)],
) -> Result<String, Vec<String>> {
    let expression = expression(condition_text, values, &[]);
    let scope = KeyScope {
        index,
        ..table_keys(model)
    };
    key_condition(&scope, &expression, "key_condition", &mut Placeholders::new()).map_err(texts)
}

fn faults(condition_text: &str, values: &[(&str, Value)]) -> Vec<String> {
    check(&model(), condition_text, values).unwrap_err()
}

#[test]
fn accepts_the_partition_key_and_one_comparison_of_the_sort_key_in_any_order() {
    let values = [(":p", text("p")), (":s", text("s")), (":t", text("t"))];
    let cases = [
        ("pk = :p", "#n0=:v0"),
        (":p = pk", "#n0=:v0"),
        ("pk = :p AND sk = :s", "#n0=:v0 AND #n1=:v1"),
        ("sk < :s AND pk = :p", "#n0=:v0 AND #n1<:v1"),
        ("(pk = :p) AND (:s >= sk)", "#n0=:v0 AND #n1<=:v1"),
        (
            "pk = :p AND sk BETWEEN :s AND :t",
            "#n0=:v0 AND #n1 BETWEEN :v1 AND :v2",
        ),
        (
            "begins_with(sk, :s) AND pk = :p",
            "#n0=:v0 AND begins_with(#n1,:v1)",
        ),
    ];
    for (condition_text, rendered) in cases {
        let used: Vec<_> = values
            .iter()
            .filter(|(name, _)| condition_text.contains(name))
            .cloned()
            .collect();
        assert_eq!(check(&model(), condition_text, &used).unwrap(), rendered);
    }
}

#[test]
fn reports_invalid_comparisons() {
    let values = [(":p", text("p")), (":s", text("s"))];
    let cases = [
        (
            "sk = :s AND name = :p",
            r#"text: column 13: "name" is not a key attribute; use "pk" or "sk""#,
        ),
        (
            "sk = :s AND sk = :p",
            "text: needs `pk = :value`: the partition key must equal one value",
        ),
        (
            "pk = :p AND sk > :s AND sk < :p",
            r#"text: column 25: "sk" is compared twice"#,
        ),
        (
            "pk = :p AND pk = :s",
            r#"text: column 13: "pk" is compared twice"#,
        ),
        (
            "pk > :p AND sk = :s",
            r#"text: column 1: the partition key "pk" can only be compared with ="#,
        ),
        (
            "begins_with(pk, :p) AND sk = :s",
            r#"text: column 13: the partition key "pk" can only be compared with ="#,
        ),
        (
            "pk = :p AND ssn = :s",
            r#"text: column 13: "ssn" is encrypted: only attribute_exists and attribute_not_exists can use it, as a whole"#,
        ),
        (
            "pk = :p AND nope = :s",
            r#"text: column 13: User has no attribute "nope" (did you mean `name`?)"#,
        ),
        (
            "pk = :p AND sk.a = :s",
            r#"text: column 13: "sk" is a string: it has no members"#,
        ),
    ];
    for (condition_text, expected) in cases {
        let faults = faults(condition_text, &values);
        assert!(
            faults.contains(&format!("key_condition.{expected}")),
            "{condition_text}: {faults:?}"
        );
    }
}

#[test]
fn refuses_other_operators() {
    let values = [(":p", text("p")), (":s", text("s"))];
    for condition_text in [
        "pk = :p OR sk = :s",
        "NOT pk = :p AND sk = :s",
        "pk = :p AND (sk = :s OR sk = :p)",
        "pk = :p AND sk <> :s",
        "pk = :p AND sk IN (:s)",
        "pk = :p AND contains(sk, :s)",
        "pk = :p AND sk = pk AND sk = :s",
        "pk = :p AND size(sk) = :s",
        "pk = :p AND attribute_exists(sk) AND sk = :s",
        "pk = :p AND attribute_type(sk, :s)",
        "pk = :p AND sk BETWEEN :s AND pk",
        "pk = :p AND begins_with(:s, sk)",
    ] {
        let faults = faults(condition_text, &values);
        let expected = "a key condition compares key attributes with :values using =, <, <=, >, >=, BETWEEN or begins_with, joined by AND";
        assert!(
            faults.iter().any(|fault| fault.ends_with(expected)),
            "{condition_text}: {faults:?}"
        );
    }
}

#[test]
fn checks_the_types_and_sizes_of_key_values() {
    let refuse =
        |partition, sort| faults("pk = :p AND sk >= :s", &[(":p", partition), (":s", sort)]).concat();
    assert_eq!(
        refuse(number("1"), text("s")),
        r#"key_condition.values.:p: is N, but "pk" is S"#
    );
    assert_eq!(
        refuse(text("p"), binary(b"s")),
        r#"key_condition.values.:s: is B, but "sk" is S"#
    );
    assert_eq!(
        refuse(text("p"), Value::Null),
        r#"key_condition.values.:s: is NULL, but >= supports only S, N and B"#
    );
    assert_eq!(
        refuse(Value::Null, text("s")),
        r#"key_condition.values.:p: is NULL, but a key cannot be NULL"#
    );
    let sizes = |bytes| format!("must have 1 to {bytes} bytes, like every value of this key attribute");
    assert_eq!(
        refuse(text(""), text("s")),
        format!(r#"key_condition.values.:p: {}"#, sizes(2048))
    );
    assert_eq!(
        refuse(text("p"), text("")),
        format!(r#"key_condition.values.:s: {}"#, sizes(1024))
    );
    let values = |partition, sort| {
        [
            (":p", text(&"é".repeat(partition))),
            (":s", text(&"s".repeat(sort))),
        ]
    };
    assert!(check(&model(), "pk = :p AND sk >= :s", &values(1024, 1024)).is_ok());
    assert_eq!(faults("pk = :p AND sk >= :s", &values(1025, 1025)).len(), 2);
}

#[test]
fn begins_with_supports_only_strings_and_binaries() {
    let mut numbered = model();
    numbered
        .attributes
        .iter_mut()
        .filter(|attribute| attribute.name == "sk")
        .for_each(|sort| sort.kind = AttributeType::Number);
    let values = |sort| [(":p", text("p")), (":s", sort)];
    assert!(check(&numbered, "pk = :p AND sk > :s", &values(number("1"))).is_ok());
    let faults = check(&numbered, "pk = :p AND begins_with(sk, :s)", &values(number("1"))).unwrap_err();
    assert!(
        faults[0].contains("is N, but begins_with supports only S and B"),
        "{faults:?}"
    );
}

#[test]
fn refuses_bounds_in_the_wrong_order() {
    let values = [(":p", text("p")), (":l", text("b")), (":h", text("a"))];
    let faults = faults("pk = :p AND sk BETWEEN :l AND :h", &values);
    assert_eq!(
        faults,
        [r#"key_condition.values.:h: is less than ":l", the lower bound of BETWEEN"#]
    );
}

#[test]
fn a_model_without_a_sort_key_accepts_only_the_partition_key() {
    let simple = Model {
        sort_key: None,
        ..model()
    };
    assert!(check(&simple, "pk = :p", &[(":p", text("p"))]).is_ok());
    let faults = check(&simple, "pk = :p AND sk = :p", &[(":p", text("p"))]).unwrap_err();
    assert_eq!(
        faults,
        [r#"key_condition.text: column 13: "sk" is not a key attribute; use "pk""#]
    );
}

fn index(partition: &[&str], sort: &[&str]) -> Index {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    Index {
        name: "by".to_owned(),
        stored_name: "by".to_owned(),
        local: false,
        partition: names(partition),
        sort: names(sort),
        projection: Projection::All,
        when: [].into(),
    }
}

#[test]
fn an_index_has_its_own_keys() {
    let by_name = index(&["name"], &["age"]);
    let values = [(":n", text("n")), (":a", number("7"))];
    let accepted = check_index(&model(), Some(&by_name), "age > :a AND name = :n", &values);
    assert_eq!(accepted.unwrap(), "#n0=:v0 AND #n1>:v1");
    let faults = check_index(&model(), Some(&by_name), "name = :n AND pk = :a", &values).unwrap_err();
    assert_eq!(faults, [r#"key_condition.values.:a: is N, but "pk" is S"#]);
    let faults = check_index(&model(), Some(&by_name), "name = :n AND pk = :n", &values[..1]).unwrap_err();
    assert_eq!(
        faults,
        [r#"key_condition.text: column 15: "pk" is not a key attribute; use "name" or "age""#]
    );
}

#[test]
fn several_keys_are_compared_in_their_order() {
    let by_both = index(&["name", "email"], &["age", "sk"]);
    let check = |text: &str, values: &[(&str, Value)]| check_index(&model(), Some(&by_both), text, values);
    let values = [
        (":n", text("n")),
        (":e", text("e")),
        (":a", number("7")),
        (":s", text("s")),
    ];
    let accepted = check(
        "begins_with(sk, :s) AND email = :e AND age = :a AND name = :n",
        &values,
    );
    assert_eq!(
        accepted.unwrap(),
        "#n0=:v0 AND #n1=:v1 AND #n2=:v2 AND begins_with(#n3,:v3)"
    );
    let faults = check("name = :n AND age < :a", &[values[0].clone(), values[2].clone()]).unwrap_err();
    assert_eq!(
        faults,
        ["key_condition.text: needs `email = :value`: the partition key must equal one value"]
    );
    let skipped = [values[0].clone(), values[1].clone(), values[3].clone()];
    let faults = check("name = :n AND email = :e AND sk = :s", &skipped).unwrap_err();
    assert_eq!(
        faults,
        [r#"key_condition.text: column 30: "sk" can only be compared if "age" equals one value"#]
    );
    let faults = check("name = :n AND email = :e AND sk = :s AND age > :a", &values).unwrap_err();
    assert_eq!(
        faults,
        [r#"key_condition.text: column 30: "sk" can only be compared if "age" equals one value"#]
    );
}
