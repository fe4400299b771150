//! Key conditions on keys that are built from parts: the range of the stored key that they become, and their faults.

use super::super::key_condition;
use super::{Placeholders, expression, model, number, table_keys, text, texts};
use crate::model::testing::attribute;
use crate::model::{AttributeType, Model, Template, Value};

/// Keys `USER#{user}` and `ORDER#{number:04}#{line}`.
fn templated() -> Model {
    let mut model = model();
    for (key, template) in [("pk", "USER#{user}"), ("sk", "ORDER#{number:04}#{line}")] {
        let attribute = model
            .attributes
            .iter_mut()
            .find(|attribute| attribute.name == key);
        attribute.unwrap().template = Some(Template::parse(template, "#").unwrap());
    }
    let parts = [
        attribute("user", AttributeType::String),
        attribute("number", AttributeType::Number),
        attribute("line", AttributeType::String),
    ];
    model.attributes.extend(parts);
    model
}

/// The text and the values of a key condition of `templated()`.
fn of_parts(condition_text: &str, values: &[(&str, Value)]) -> Result<(String, Vec<String>), Vec<String>> {
    let used: Vec<_> = values
        .iter()
        .filter(|(name, _)| condition_text.contains(name))
        .cloned()
        .collect();
    let expression = expression(condition_text, &used, &[]);
    let mut out = Placeholders::new();
    let text =
        key_condition(&table_keys(&templated()), &expression, "key_condition", &mut out).map_err(texts)?;
    let (_, mut values) = out.into_parts();
    let values = (0..values.len()).map(|index| match values.remove(&format!(":v{index}")) {
        Some(Value::S(text)) => text,
        other => panic!("{other:?}"),
    });
    Ok((text, values.collect()))
}

#[test]
fn a_key_that_is_built_from_parts_has_the_length_of_a_key() {
    let user = |length: usize| (":u", text(&"u".repeat(length)));
    let line = |length: usize| (":l", text(&"l".repeat(length)));
    let whole = "user = :u AND number = :n AND line = :l";
    let number = (":n", number("1"));
    let longest = [
        user(2048 - "USER#".len()),
        number.clone(),
        line(1024 - "ORDER#0001#".len()),
    ];
    assert!(of_parts(whole, &longest).is_ok());
    let too_long = [
        user(2049 - "USER#".len()),
        number,
        line(1025 - "ORDER#0001#".len()),
    ];
    let built = |key: &str, bytes: usize| {
        format!(
            "key_condition.text: the key {key:?} that is built from these values has more than {bytes} bytes"
        )
    };
    assert_eq!(
        of_parts(whole, &too_long).unwrap_err(),
        [built("pk", 2048), built("sk", 1024)]
    );
    let range = "user = :u AND number = :n AND line < :l";
    assert_eq!(
        of_parts(range, &too_long).unwrap_err(),
        [
            built("pk", 2048),
            "key_condition.values.:l: makes the key longer than 1024 bytes".to_owned()
        ]
    );
}

#[test]
fn parts_of_a_template_become_one_range_of_the_stored_key() {
    let values = [
        (":u", text("7")),
        (":n", number("12")),
        (":m", number("99")),
        (":l", text("b")),
        (":k", text("USER#7")),
    ];
    let last = char::MAX;
    let between = "#n0=:v0 AND #n1 BETWEEN :v1 AND :v2";
    let prefix = "#n0=:v0 AND begins_with(#n1,:v1)";
    let equal = "#n0=:v0 AND #n1=:v1";
    let cases: [(&str, &str, Vec<String>); 12] = [
        ("user = :u", prefix, vec!["ORDER#".into()]),
        ("pk = :k", prefix, vec!["ORDER#".into()]),
        ("number = :n AND :u = user", prefix, vec!["ORDER#0012#".into()]),
        (
            "user = :u AND number = :n AND line = :l",
            equal,
            vec!["ORDER#0012#b".into()],
        ),
        (
            "user = :u AND number < :n",
            between,
            vec!["ORDER#".into(), format!("ORDER#0012\"{last}")],
        ),
        (
            "user = :u AND number <= :n",
            between,
            vec!["ORDER#".into(), format!("ORDER#0012#{last}")],
        ),
        (
            "user = :u AND :n < number",
            between,
            vec!["ORDER#0012$".into(), format!("ORDER#{last}")],
        ),
        (
            "user = :u AND number >= :n",
            between,
            vec!["ORDER#0012#".into(), format!("ORDER#{last}")],
        ),
        (
            "user = :u AND number BETWEEN :n AND :m",
            between,
            vec!["ORDER#0012#".into(), format!("ORDER#0099#{last}")],
        ),
        (
            "user = :u AND number = :n AND begins_with(line, :l)",
            prefix,
            vec!["ORDER#0012#b".into()],
        ),
        (
            "user = :u AND number = :n AND line > :l",
            between,
            vec!["ORDER#0012#b\0".into(), format!("ORDER#0012#{last}")],
        ),
        ("user = :u AND sk > :l", "#n0=:v0 AND #n1>:v1", vec!["b".into()]),
    ];
    for (condition_text, rendered, range) in cases {
        let (text, values) = of_parts(condition_text, &values).unwrap();
        assert_eq!(text, rendered, "{condition_text}");
        assert_eq!(values[0], "USER#7", "{condition_text}");
        assert_eq!(values[1..], range, "{condition_text}");
    }
}

#[test]
fn refuses_parts_that_are_skipped_or_compared_twice_or_invalid() {
    let values = [
        (":u", text("7")),
        (":n", number("12")),
        (":l", text("b")),
        (":b", text("a#b")),
        (":f", number("1.5")),
    ];
    let cases = [
        (
            "user = :u AND line = :l",
            r#"text: column 15: "line" can only be compared if "number" equals one value"#,
        ),
        (
            "user = :u AND number > :n AND line = :l",
            r#"text: column 31: "line" can only be compared if "number" equals one value"#,
        ),
        (
            "number = :n",
            "text: needs `user = :value`, or `pk = :value`: the partition key must equal one value",
        ),
        (
            "user = :u AND number > :n AND number < :n",
            r#"text: column 31: "number" is compared twice"#,
        ),
        (
            "user = :u AND sk > :l AND number = :n",
            r#"text: column 27: "number" is not a key attribute; use "pk" or "sk""#,
        ),
    ];
    for (condition_text, expected) in cases {
        let faults = of_parts(condition_text, &values).unwrap_err();
        assert_eq!(faults, [format!("key_condition.{expected}")], "{condition_text}");
    }
    for (condition_text, place) in [
        ("user = :b", "key_condition.values.:b"),
        ("user = :u AND number = :f", "key_condition.values.:f"),
        (
            "user = :u AND number = :n AND line > :b",
            "key_condition.values.:b",
        ),
    ] {
        let faults = of_parts(condition_text, &values).unwrap_err();
        assert!(faults.len() == 1 && faults[0].starts_with(place), "{faults:?}");
    }
    let faults = of_parts("user > :u", &values).unwrap_err();
    assert_eq!(faults.len(), 1, "{faults:?}");
}
