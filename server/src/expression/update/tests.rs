//! Update expressions against a model: what is accepted and how it is rendered, what is refused and where.

use std::time::SystemTime;

use super::super::Placeholders;
use super::super::tests::{binary, expression, model, number, open_model, text};
use super::{Update, update};
use crate::model::{Checks, Item, Model, Value};

fn list(values: &[Value]) -> Value {
    Value::L(values.to_vec())
}

fn check(model: &Model, update_text: &str, values: &[(&str, Value)]) -> Result<Update, Vec<String>> {
    update(
        model,
        &expression(update_text, values, &[]),
        "update",
        SystemTime::UNIX_EPOCH,
    )
    .map_err(super::super::tests::texts)
}

fn rendered(model: &Model, update_text: &str, values: &[(&str, Value)]) -> String {
    let update =
        check(model, update_text, values).unwrap_or_else(|faults| panic!("{update_text}: {faults:?}"));
    update
        .render(model, "update", &mut Placeholders::new())
        .expect("short enough")
}

/// The model of these tests, with bounds on `age` and `tags`.
fn bounded() -> Model {
    let mut model = model();
    for attribute in &mut model.attributes {
        attribute.checks = match attribute.name.as_str() {
            "age" => Checks {
                min: Some("0".parse().unwrap()),
                max: Some("150".parse().unwrap()),
                ..Checks::default()
            },
            "tags" => Checks {
                max_length: Some(3),
                ..Checks::default()
            },
            "email" => Checks {
                one_of: vec![text("a"), text("b")],
                ..Checks::default()
            },
            _ => Checks::default(),
        };
        attribute.required = attribute.name == "name";
    }
    model
}

/// A text, its values, and what is sent.
type Case<'a> = (&'a str, &'a [(&'a str, Value)], &'a str);

#[test]
fn renders_every_form() {
    let cases: [Case<'_>; 12] = [
        ("SET age = :n", &[(":n", number("1"))], "SET #n0=:v0"),
        ("set age = age + :n", &[(":n", number("1"))], "SET #n0=#n0+:v0"),
        ("SET age = :n - age", &[(":n", number("1"))], "SET #n0=:v0-#n0"),
        (
            "SET age = if_not_exists(age, :n) + :n",
            &[(":n", number("1"))],
            "SET #n0=if_not_exists(#n0,:v0)+:v1",
        ),
        (
            "SET tags = list_append(if_not_exists(tags, :l), :l)",
            &[(":l", list(&[]))],
            "SET #n0=list_append(if_not_exists(#n0,:v0),:v1)",
        ),
        (
            "SET address.city = :s, address.lines[0] = :s",
            &[(":s", text("x"))],
            "SET #n0.#n1=:v0,#n0.#n2[0]=:v1",
        ),
        ("SET address = address", &[], "SET #n0=#n0"),
        ("REMOVE email, tags[2]", &[], "REMOVE #n0,#n1[2]"),
        ("ADD age :n", &[(":n", number("-1"))], "ADD #n0 :v0"),
        (
            "DELETE address.roles :r",
            &[(":r", Value::SS(["a".to_owned()].into()))],
            "DELETE #n0.#n1 :v0",
        ),
        (
            "REMOVE raw SET name = :s ADD age :n",
            &[(":s", text("x")), (":n", number("1"))],
            "SET #n0=:v0 REMOVE #n1 ADD #n2 :v1",
        ),
        (
            "SET ssn = :m, photo = :o",
            &[
                (":m", Value::M(Item::new())),
                (":o", Value::Object(Box::default())),
            ],
            "SET #n0=:v0,#n1=:v1",
        ),
    ];
    for (update_text, values, expected) in cases {
        // values are rendered in the order of the clauses
        let found = rendered(&model(), update_text, values);
        assert_eq!(found.len(), expected.len(), "{update_text}: {found}");
        assert_eq!(
            found.split(['#', ':']).count(),
            expected.split(['#', ':']).count(),
            "{found}"
        );
    }
}

#[test]
fn keywords_can_be_attribute_names() {
    let found = rendered(
        &open_model(),
        "SET set = add, remove = :v REMOVE delete",
        &[(":v", text("x"))],
    );
    assert_eq!(found, "SET #n0=#n1,#n2=:v0 REMOVE #n3");
}

#[test]
fn refuses_bad_syntax_with_its_column() {
    let cases = [
        ("", "column 1: expected SET, REMOVE, ADD or DELETE, found the end"),
        (
            "age = age",
            r#"column 1: expected SET, REMOVE, ADD or DELETE, found "age""#,
        ),
        ("SET", "column 4: expected an attribute, found the end"),
        ("SET age", "column 8: expected `=`, found the end"),
        (
            "SET age = ",
            "column 11: expected an attribute, a :value, if_not_exists or list_append, found the end",
        ),
        (
            "SET age = age + age + age",
            "column 21: expected `,`, SET, REMOVE, ADD, DELETE or the end, found `+`: write values as :name, and other names as #name",
        ),
        (
            "SET age = age SET raw = raw",
            "column 15: only one SET is allowed: separate its actions by `,`",
        ),
        ("ADD age age", r#"column 9: expected a :value, found "age""#),
        (
            "SET age = iff_not_exists(age, age)",
            r#"column 11: "iff_not_exists" is not a function of updates (did you mean `if_not_exists`?); they are, in lower case, if_not_exists and list_append"#,
        ),
        ("REMOVE age,", "column 12: expected an attribute, found the end"),
        (
            "REMOVE age age",
            r#"column 12: expected `,`, SET, REMOVE, ADD, DELETE or the end, found "age""#,
        ),
    ];
    for (update_text, expected) in cases {
        let faults = check(&model(), update_text, &[]).unwrap_err();
        assert_eq!(faults, [format!("update.text: {expected}")], "{update_text}");
    }
    let nested = format!(
        "SET tags = {}tags{}",
        "list_append(tags,".repeat(40),
        ")".repeat(40)
    );
    let faults = check(&model(), &nested, &[]).unwrap_err();
    assert!(faults[0].ends_with("more than 32 nested functions"), "{faults:?}");
}

#[test]
fn refuses_attributes_that_cannot_be_changed() {
    let cases = [
        (
            "SET pk = :s",
            r#"text: column 5: "pk" is a key attribute: the key of an item cannot be updated"#,
        ),
        (
            "REMOVE sk SET name = :s",
            r#"text: column 8: "sk" is a key attribute: the key of an item cannot be updated"#,
        ),
        (
            "SET nope = :s",
            r#"text: column 5: User has no attribute "nope" (did you mean `name`?)"#,
        ),
        (
            "SET ssn.a = :s",
            r#"text: column 5: "ssn" is encrypted: it can only be set to a :value, as a whole"#,
        ),
        (
            "SET name = ssn, email = :s",
            r#"text: column 12: "ssn" is encrypted: it can only be set to a :value, as a whole"#,
        ),
        (
            "SET name = :s, photo.size = :s",
            r#"text: column 16: "photo" is an object: it can only be set to a :value, as a whole"#,
        ),
        (
            "SET name.first = :s",
            r#"text: column 5: "name" is a string: it has no members"#,
        ),
        (
            "SET address.a = :s, address = address",
            r#"text: column 21: "address" overlaps with "address", which is changed as well"#,
        ),
        (
            "REMOVE address.a SET address.a.b = :s",
            r#"text: column 22: "address" overlaps with "address", which is changed as well"#,
        ),
        (
            "SET email = :s, email = email",
            r#"text: column 17: "email" overlaps with "email", which is changed as well"#,
        ),
    ];
    for (update_text, expected) in cases {
        let faults = check(&model(), update_text, &[(":s", text("x"))]).unwrap_err();
        assert!(
            faults.contains(&format!("update.{expected}")),
            "{update_text}: {faults:?}"
        );
    }
}

#[test]
fn refuses_values_of_other_types() {
    let cases = [
        ("SET age = :v", text("1"), r#"values.:v: is S, but "age" is N"#),
        (
            "SET age = email + :v",
            number("1"),
            r#"text: column 11: "email" is S, but + takes numbers only"#,
        ),
        (
            "SET email = age + :v",
            number("1"),
            r#"text: column 5: "email" is a string, but the result of + is a number"#,
        ),
        (
            "SET tags = list_append(tags, :v)",
            text("x"),
            "values.:v: is S, but list_append takes lists only",
        ),
        (
            "SET photo = :v",
            text("x"),
            r#"values.:v: must be an object: "photo" is one"#,
        ),
        (
            "ADD age :v",
            binary(b"x"),
            "values.:v: is B, but ADD takes a number or a set",
        ),
        (
            "ADD email :v",
            number("1"),
            r#"values.:v: is N, but ADD to "email" takes S"#,
        ),
        (
            "ADD ssn :v",
            number("1"),
            r#"text: column 5: "ssn" is encrypted: it can only be set to a :value, as a whole"#,
        ),
        (
            "DELETE tags :v",
            number("1"),
            "values.:v: is N, but DELETE takes a set",
        ),
    ];
    for (update_text, value, expected) in cases {
        let faults = check(&model(), update_text, &[(":v", value)]).unwrap_err();
        assert_eq!(faults, [format!("update.{expected}")], "{update_text}");
    }
}

#[test]
fn holds_the_checks_of_the_model() {
    let cases = [
        (
            "SET age = :v",
            number("151"),
            r#"values.:v: must be at most 150, for "age""#,
        ),
        (
            "SET email = :v",
            text("c"),
            r#"values.:v: must be one of a, b, for "email""#,
        ),
        (
            "REMOVE name SET email = :v",
            text("a"),
            r#"text: column 8: "name" is required and cannot be removed"#,
        ),
        (
            "SET name = :v",
            Value::Null,
            r#"values.:v: is NULL, but "name" is required"#,
        ),
        (
            "SET age = if_not_exists(age, :v) + :v",
            number("1"),
            r#"text: column 5: "age" has min or max: it can only be changed by "age" + :value or "age" - :value"#,
        ),
        (
            "SET tags = list_append(tags, :v)",
            list(&[Value::Null, Value::Null, Value::Null, Value::Null]),
            r#"text: column 5: "tags" would be longer than its max_length"#,
        ),
    ];
    for (update_text, value, expected) in cases {
        let faults = check(&bounded(), update_text, &[(":v", value)]).unwrap_err();
        assert_eq!(faults, [format!("update.{expected}")], "{update_text}");
    }
    assert!(
        check(
            &bounded(),
            "SET email = if_not_exists(email, :v)",
            &[(":v", text("a"))]
        )
        .is_ok()
    );
    assert!(check(&bounded(), "SET email = name", &[]).is_err());
}

#[test]
fn arithmetic_on_bounded_attributes_becomes_a_condition() {
    let model = bounded();
    let cases = [
        (
            "SET age = age + :v",
            number("10"),
            "#n0>=:v0 AND #n0<=:v1",
            [("-10", true), ("140", true), ("141", false)],
        ),
        (
            "SET age = :v + age",
            number("10"),
            "#n0>=:v0 AND #n0<=:v1",
            [("-11", false), ("0", true), ("140.5", false)],
        ),
        (
            "SET age = age - :v",
            number("10"),
            "#n0>=:v0 AND #n0<=:v1",
            [("9", false), ("10", true), ("160", true)],
        ),
        (
            "ADD age :v",
            number("10"),
            "(attribute_not_exists(#n0) OR (#n0>=:v0 AND #n0<=:v1))",
            [("140", true), ("141", false), ("0", true)],
        ),
    ];
    for (update_text, value, expected, stored) in cases {
        let update = check(&model, update_text, &[(":v", value)]).unwrap();
        let [bound] = update.bounds() else {
            panic!("one bound")
        };
        assert_eq!(
            bound.render(&model, &mut Placeholders::new()),
            expected,
            "{update_text}"
        );
        for (age, is_met) in stored {
            let item = Item::from([("age".to_owned(), number(age))]);
            assert_eq!(bound.is_met_by(&item), is_met, "{update_text}: {age}");
        }
        assert_eq!(bound.is_met_by(&Item::new()), update_text.starts_with("ADD"));
    }
    let update = check(
        &model,
        "SET tags = list_append(:v, tags)",
        &[(":v", list(&[Value::Null]))],
    )
    .unwrap();
    let [bound] = update.bounds() else {
        panic!("one bound")
    };
    assert_eq!(bound.render(&model, &mut Placeholders::new()), "size(#n0)<=:v0");
    let update = check(&model, "ADD age :v", &[(":v", number("151"))]).unwrap();
    assert!(!update.bounds()[0].is_met_by(&Item::new()), "0 + 151 is too much");
}

#[test]
fn changes_can_be_completed_before_they_are_rendered() {
    let values = [(":v", number("1")), (":s", text("x"))];
    let mut update = check(
        &bounded(),
        "SET age = age + :v, email = if_not_exists(email, :s) REMOVE raw",
        &[values[0].clone(), (":s", text("a"))],
    )
    .unwrap();
    assert_eq!(Vec::from_iter(update.touched()), ["age", "email", "raw"]);
    assert_eq!(Vec::from_iter(update.removed()), ["raw"]);
    assert_eq!(update.whole_values().count(), 0);
    update.set("age", number("7"));
    update.set_if_not_exists("name", text("n"));
    update.remove("email");
    assert!(update.bounds().is_empty());
    assert_eq!(update.whole_values().collect::<Vec<_>>(), [("age", &number("7"))]);
    let text = update
        .render(&bounded(), "update", &mut Placeholders::new())
        .unwrap();
    assert_eq!(text, "SET #n1=:v0,#n2=if_not_exists(#n2,:v1) REMOVE #n0,#n3");
}
