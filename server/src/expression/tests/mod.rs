//! Expressions against a model: which are accepted or refused, and the places of faults. Also shared test support.

mod bounds;
#[cfg(feature = "embedded")]
mod engine;
mod guide;
mod key_condition;
mod key_parts;
mod round_trip;
mod syntax;
mod types;

use bytes::Bytes;

use super::{Expression, KeyScope, Placeholders, condition, query_filter};
use crate::fault::{Fault, Faults};
use crate::model::testing::{self, attribute, encryption, object};
use crate::model::{AttributeType, Model, Object, UnknownAttributes, Value};

pub(super) fn text(value: &str) -> Value {
    Value::S(value.to_owned())
}

pub(super) fn number(value: &str) -> Value {
    Value::N(value.parse().unwrap())
}

pub(super) fn binary(value: &'static [u8]) -> Value {
    Value::B(Bytes::from_static(value))
}

/// One attribute of each type, an encrypted and an offloaded one.
pub(super) fn model() -> Model {
    let mut ssn = attribute("ssn", AttributeType::Map);
    ssn.encrypted = Some(encryption("alias/key"));
    let photo = object("photo", "");
    let plain = [
        ("pk", AttributeType::String),
        ("sk", AttributeType::String),
        ("name", AttributeType::String),
        ("email", AttributeType::String),
        ("age", AttributeType::Number),
        ("raw", AttributeType::Binary),
        ("active", AttributeType::Boolean),
        ("tags", AttributeType::List),
        ("address", AttributeType::Map),
        ("first-name", AttributeType::String),
    ];
    let plain = plain.into_iter().map(|(name, kind)| attribute(name, kind));
    Model {
        attributes: plain.chain([ssn, photo]).collect(),
        unknown_attributes: UnknownAttributes::Reject,
        ..testing::model(Vec::new())
    }
}

/// The keys of a model's table.
pub(super) fn table_keys(model: &Model) -> KeyScope<'_> {
    KeyScope {
        model,
        index: None,
        narrows: true,
        now: std::time::SystemTime::UNIX_EPOCH,
    }
}

/// A model that accepts any attribute.
pub(super) fn open_model() -> Model {
    Model {
        unknown_attributes: UnknownAttributes::Keep,
        ..model()
    }
}

pub(super) fn map(fields: &[(&str, Value)]) -> Value {
    let fields = fields.iter();
    Value::M(
        fields
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    )
}

pub(super) fn expression(text: &str, values: &[(&str, Value)], names: &[(&str, &str)]) -> Expression {
    Expression {
        text: text.to_owned(),
        values: values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        names: names
            .iter()
            .map(|(name, meant)| ((*name).to_owned(), (*meant).to_owned()))
            .collect(),
    }
}

/// Faults as `field: description`.
#[expect(clippy::needless_pass_by_value, reason = "passed to map_err")]
pub(super) fn texts(faults: Faults) -> Vec<String> {
    faults.iter().map(Fault::to_string).collect()
}

fn check(text: &str, values: &[(&str, Value)]) -> Result<String, Vec<String>> {
    let mut out = Placeholders::new();
    condition(&model(), &expression(text, values, &[]), "condition", &mut out).map_err(texts)
}

/// The only fault of a condition on `model()`.
fn fault(text: &str, values: &[(&str, Value)]) -> String {
    match check(text, values) {
        Ok(rendered) => panic!("{text} was accepted as {rendered}"),
        Err(faults) => {
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
            faults.concat()
        }
    }
}

#[test]
fn replaces_every_name_and_value_with_a_placeholder() {
    let expression = expression(
        "name = :n AND (#a > :m OR NOT contains(tags, :n)) AND address.street[0].#s <> :n",
        &[(":n", text("x")), (":m", number("18"))],
        &[("#a", "age"), ("#s", "a.b c")],
    );
    let mut out = Placeholders::new();
    let rendered = condition(&model(), &expression, "condition", &mut out).unwrap();
    assert_eq!(
        rendered,
        "#n0=:v0 AND (#n1>:v1 OR NOT contains(#n2,:v0)) AND #n3.#n4[0].#n5<>:v0"
    );
    let (names, values) = out.into_parts();
    let expected = [
        ("#n0", "name"),
        ("#n1", "age"),
        ("#n2", "tags"),
        ("#n3", "address"),
        ("#n4", "street"),
    ];
    for (placeholder, name) in expected.into_iter().chain([("#n5", "a.b c")]) {
        assert_eq!(names[placeholder], name);
    }
    assert_eq!((names.len(), values.len()), (6, 2));
    assert!(values[":v0"] == text("x") && values[":v1"] == number("18"));
}

#[test]
fn expressions_of_a_request_share_names_and_not_values() {
    let mut out = Placeholders::new();
    let (first, second) = (("age < :x", number("1")), ("age > :x", number("2")));
    let mut rendered = [first, second].map(|(condition_text, value)| {
        let expression = expression(condition_text, &[(":x", value)], &[]);
        condition(&model(), &expression, "filter", &mut out).unwrap()
    });
    rendered.sort();
    assert_eq!(rendered, ["#n0<:v0", "#n0>:v1"]);
    let (_, values) = out.into_parts();
    assert!(values[":v0"] == number("1") && values[":v1"] == number("2"));
}

#[test]
fn an_expression_without_text_is_not_empty_if_it_has_names_or_values() {
    assert!(Expression::default().is_empty());
    for partly in [
        expression("", &[(":x", text("x"))], &[]),
        expression("", &[], &[("#x", "name")]),
        expression(" ", &[], &[]),
    ] {
        assert!(!partly.is_empty());
        let faults = condition(&model(), &partly, "filter", &mut Placeholders::new())
            .map_err(texts)
            .unwrap_err();
        assert!(faults[0].starts_with("filter.text: column "), "{faults:?}");
        assert!(
            faults[0].ends_with("expected a condition, found the end"),
            "{faults:?}"
        );
    }
}

#[test]
fn undeclared_attributes_are_faults_if_the_model_rejects_them() {
    let values = [(":x", text("x"))];
    assert_eq!(
        fault("nmae = :x", &values),
        r#"condition.text: column 1: User has no attribute "nmae" (did you mean `name`?)"#
    );
    let by_name = expression("#n = :x", &values, &[("#n", "nmae")]);
    let faults = condition(&model(), &by_name, "condition", &mut Placeholders::new()).map_err(texts);
    assert_eq!(
        faults.unwrap_err(),
        [r##"condition.names.#n: User has no attribute "nmae" (did you mean `name`?)"##]
    );
    assert!(condition(&open_model(), &by_name, "condition", &mut Placeholders::new()).is_ok());
    let drop = Model {
        unknown_attributes: UnknownAttributes::Drop,
        ..model()
    };
    assert!(condition(&drop, &by_name, "condition", &mut Placeholders::new()).is_ok());
}

#[test]
fn refuses_encrypted_attributes_everywhere() {
    let values = [(":x", text("x"))];
    for condition_text in [
        "ssn = :x",
        "name = ssn AND email = :x",
        "name BETWEEN ssn AND :x",
        "name IN (:x, ssn)",
        "email = :x AND attribute_exists(ssn.part)",
        "attribute_type(ssn, :x) AND email = :x",
        "begins_with(name, ssn) AND email = :x",
        "contains(tags, ssn) AND email = :x",
        "email = :x AND NOT (age > size(ssn.a))",
        "ssn.part = :x",
    ] {
        let faults = check(condition_text, &values).unwrap_err();
        let expected =
            r#""ssn" is encrypted: only attribute_exists and attribute_not_exists can use it, as a whole"#;
        assert!(
            faults[0].starts_with("condition.text: column ") && faults[0].ends_with(expected),
            "{faults:?}"
        );
    }
}

#[test]
fn conditions_can_only_test_whether_objects_exist() {
    assert!(check("attribute_exists(photo) OR attribute_not_exists(photo)", &[]).is_ok());
    let values = [(":x", text("x"))];
    for condition_text in [
        "photo = :x",
        "attribute_type(photo, :x)",
        "photo.bucket = :x",
        "attribute_exists(photo.bucket)",
        "size(photo) > age",
    ] {
        let faults = check(condition_text, &values).unwrap_err();
        assert!(
            faults
                .iter()
                .any(|fault| fault.contains(r#""photo" is an object: only attribute_exists"#)),
            "{faults:?}"
        );
    }
}

#[test]
fn the_filter_of_a_query_refuses_keys() {
    let filter = expression(
        "attribute_exists(sk) AND pk = :x AND name = :x",
        &[(":x", text("x"))],
        &[],
    );
    let faults = query_filter(&model(), None, &filter, "filter", &mut Placeholders::new())
        .map_err(texts)
        .unwrap_err();
    assert_eq!(faults.len(), 2);
    assert!(
        faults[0].starts_with(r#"filter.text: column 18: "sk" is a key attribute"#),
        "{faults:?}"
    );
    assert!(
        faults[1].starts_with(r#"filter.text: column 26: "pk" is a key attribute"#),
        "{faults:?}"
    );
    assert!(super::filter(&model(), &filter, "filter", &mut Placeholders::new()).is_ok());
}

#[test]
fn placeholders_must_be_defined_and_used() {
    let expression = expression(
        "name = :missing AND #missing = :used",
        &[(":used", text("x")), (":unused", text("x"))],
        &[("#unused", "name")],
    );
    let faults = condition(&model(), &expression, "condition", &mut Placeholders::new())
        .map_err(texts)
        .unwrap_err();
    let expected = [
        r##"condition.names.#missing: is not defined, but used at column 21 of the text"##,
        r##"condition.names.#unused: is not used in the text"##,
        r#"condition.values.:missing: is not defined, but used at column 8 of the text"#,
        r#"condition.values.:unused: is not used in the text"#,
    ];
    assert_eq!(faults, expected);
}

#[test]
fn checks_definitions_even_if_the_text_is_invalid() {
    let object = Value::Object(Box::<Object>::default());
    let wrong = expression(
        "name = :object = = :gone",
        &[(":object", object), (":a-b", text("x")), ("x", text("x"))],
        &[("#a", ""), ("#", "name")],
    );
    let faults = condition(&model(), &wrong, "condition", &mut Placeholders::new())
        .map_err(texts)
        .unwrap_err();
    let expected = [
        "condition.text: column 16: expected AND, OR or the end, found `=`",
        r##"condition.names.#: is not used in the text"##,
        r##"condition.names.#a: is not used in the text"##,
        r#"condition.values.:gone: is not defined, but used at column 20 of the text"#,
        r#"condition.values.:a-b: is not used in the text"#,
        r#"condition.values.x: is not used in the text"#,
        r##"condition.names.#: must be `#` followed by letters, digits and `_`"##,
        r##"condition.names.#a: a name must have 1 to 65535 bytes"##,
        r#"condition.values.:a-b: must be `:` followed by letters, digits and `_`"#,
        "condition.values.:object: is an object, which expressions cannot compare",
        r#"condition.values.x: must be `:` followed by letters, digits and `_`"#,
    ];
    assert_eq!(faults, expected);
}

#[test]
fn reports_every_fault_once() {
    let faults = check(
        "ssn = :x OR foo = :x OR age = :x OR age < :x",
        &[(":x", text("x"))],
    )
    .unwrap_err();
    assert_eq!(faults.len(), 3, "{faults:?}");
}

#[test]
fn faults_truncate_long_names() {
    let long = "x".repeat(4000);
    let cut = fault(&format!("attribute_exists({long})"), &[]);
    assert!(cut.len() < 150 && cut.contains("xxx\"…"), "{cut}");
    let unused = expression("attribute_exists(name)", &[], &[(&format!("#{long}"), "name")]);
    let faults = condition(&model(), &unused, "condition", &mut Placeholders::new())
        .map_err(texts)
        .unwrap_err();
    assert_eq!(
        faults,
        [
            "condition.names: a placeholder is not used in the text",
            "condition.names: a placeholder is longer than 255 bytes"
        ]
    );
}
