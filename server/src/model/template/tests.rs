use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::model::stored_form::DatetimeStore;
use crate::model::testing::attribute;
use crate::model::{Attribute, AttributeType};

fn parts(attributes: &[Attribute]) -> Vec<Source<'_>> {
    attributes.iter().map(Attribute::as_part).collect()
}

fn attributes() -> Vec<Attribute> {
    let epoch = Attribute {
        datetime_store: DatetimeStore::Epoch,
        ..attribute("epoch", AttributeType::Datetime)
    };
    let templated = Attribute {
        template: Some(Template::parse("A", "#").unwrap()),
        ..attribute("templated", AttributeType::String)
    };
    vec![
        attribute("user", AttributeType::String),
        attribute("kind", AttributeType::String),
        attribute("number", AttributeType::Number),
        attribute("open", AttributeType::Boolean),
        attribute("created", AttributeType::Datetime),
        attribute("raw", AttributeType::Binary),
        epoch,
        templated,
    ]
}

fn template(text: &str) -> Template {
    let mut template = Template::parse(text, "#").unwrap();
    assert_eq!(
        template.resolve(&parts(&attributes())),
        Vec::<String>::new(),
        "{text}"
    );
    template
}

fn values(values: &[(&str, Value)]) -> HashMap<String, Value> {
    values
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

fn build(text: &str, given: &[(&str, Value)]) -> Result<String, TemplateError> {
    let given = values(given);
    template(text).build(|name| given.get(name))
}

fn problem(text: &str, value: Value, attribute: &str) -> String {
    match build(text, &[(attribute, value)]) {
        Err(TemplateError::Invalid { problem, .. }) => problem,
        other => panic!("{other:?}"),
    }
}

fn s(text: &str) -> Value {
    Value::S(text.to_owned())
}

fn n(text: &str) -> Value {
    Value::N(text.parse().unwrap())
}

#[test]
fn builds_keys_of_every_format() {
    let created = s("2026-01-31T12:00:00.500000+00:00");
    let cases = [
        ("USER#{user}", s("Ann"), "USER#Ann"),
        ("{user}", s("Ann"), "Ann"),
        ("{{{user:lower}}}", s("Ann"), "{ann}"),
        ("{user:upper}#", s("Ann"), "ANN#"),
        ("O#{number:05}", n("42"), "O#00042"),
        (
            "O#{number:038}",
            n("0"),
            "O#00000000000000000000000000000000000000",
        ),
        ("O#{number}", n("1E+2"), "O#100"),
        ("O#{number}", n("-1.50"), "O#-1.5"),
        ("{open}", Value::Bool(true), "true"),
        ("{created}", created.clone(), "2026-01-31T12:00:00.500000+00:00"),
        ("{created:day}", created.clone(), "2026-01-31"),
        ("{created:month}", created.clone(), "2026-01"),
        ("{created:year}", created, "2026"),
        ("{epoch}", n("1769860800"), "1769860800"),
        ("PROFILE", s("ignored"), "PROFILE"),
    ];
    for (text, value, expected) in cases {
        let given: Vec<_> = ["user", "number", "open", "created", "epoch"]
            .map(|name| (name, value.clone()))
            .into();
        assert_eq!(build(text, &given).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn refuses_values_that_would_not_come_apart() {
    let cases = [
        (
            "{user}#x",
            s("a#b"),
            "must not contain `#`, the delimiter of a key",
        ),
        ("{user}", s("a#b"), "must not contain `#`, the delimiter of a key"),
        (
            "{user}/x",
            s("a/b"),
            "must not contain `/`, which follows it in a key",
        ),
        ("{user}", s(""), "must not be empty: it is part of a key"),
        ("{user}", n("1"), "must be a string"),
    ];
    for (text, value, expected) in cases {
        assert_eq!(problem(text, value, "user"), expected, "{text}");
    }
    let digits = "must be a whole number from 0, of at most 3 digits: it is part of a key";
    for number in ["1000", "-1", "1.5"] {
        assert_eq!(problem("{number:03}", n(number), "number"), digits);
    }
    assert_eq!(
        problem("{created:day}", s("soon"), "created"),
        "must be a datetime"
    );
    assert!(build("{user}/x", &[("user", s("a b"))]).is_ok());
}

#[test]
fn names_the_missing_part() {
    let missing = Err(TemplateError::Missing {
        attribute: "number".into(),
    });
    assert_eq!(build("{user}#{number}", &[("user", s("a"))]), missing);
    let null = [("user", s("a")), ("number", Value::Null)];
    assert_eq!(build("{user}#{number}", &null), missing);
    let template = template("U#{user}#{number}#");
    let given = values(&[("user", s("a"))]);
    let leading = template.leading(|name| given.get(name)).unwrap();
    assert_eq!((leading.text.as_str(), leading.rest.len()), ("U#a#", 2));
}

#[test]
fn takes_keys_apart() {
    let whole = template("O#{kind:lower}#{number:05}#{open}#{created:day}#{user}");
    let parts = whole.take_apart("O#car#00042#false#2026-01-31#Ann").unwrap();
    assert!(
        parts
            == [
                ("number".into(), n("42")),
                ("open".into(), Value::Bool(false)),
                ("user".into(), s("Ann"))
            ]
    );
    for key in [
        "",
        "O#car",
        "P#car#00042#false#2026-01-31#Ann",
        "O#Car#00042#false#2026-01-31#Ann",
        "O#car#42#false#2026-01-31#Ann",
        "O#car#00042#no#2026-01-31#Ann",
        "O#car#00042#false#2026-1-31#Ann",
        "O#car#00042#false#2026-01-31#",
        "O#car#00042#false#2026-01-31#Ann#more",
        "O##00042#false#2026-01-31#Ann",
    ] {
        assert!(whole.take_apart(key).is_none(), "{key}");
    }
    assert!(template("{number}").take_apart("1E+2").is_none());
    assert!(template("PROFILE").take_apart("PROFILE") == Some(vec![]));
    assert!(template("PROFILE").take_apart("PROFILES").is_none());
    let twice = template("{user}#{user}");
    assert!(twice.take_apart("a#a") == Some(vec![("user".into(), s("a"))]));
    assert!(twice.take_apart("a#b").is_none());
}

#[test]
fn knows_its_literals() {
    assert_eq!(template("USER#{user}").literal_prefix(), "USER#");
    assert_eq!(template("{user}").literal_prefix(), "");
    assert_eq!(template("PROFILE").literal_prefix(), "PROFILE");
    assert!(template("PROFILE").is_constant() && !template("{user}").is_constant());
    assert!(template("{user}").has_part("user") && !template("{user}").has_part("kind"));
    assert_eq!(
        template("{number}#{number:03}").warnings(),
        ["`{number}` is a number that sorts as text: write `{number:08}` to pad it with zeros"]
    );
}

#[test]
fn refuses_templates_that_are_wrong() {
    let cases = [
        ("", "must have 1 to 2048 bytes"),
        ("{user", "has a `{` without `}`: write `{{` for a brace"),
        ("user}", "has a `}` without `{`: write `}}` for a brace"),
        ("{}", "needs the name of an attribute in `{…}`"),
        ("{:lower}", "needs the name of an attribute in `{…}`"),
        (
            "{user}{kind}",
            "needs text between `{user}` and `{kind}`, so that a key can be taken apart",
        ),
        (
            "{user:title}",
            "has an unknown format: use 01 to 038, lower, upper, day, month or year",
        ),
        (
            "{user:039}",
            "has an unknown format: use 01 to 038, lower, upper, day, month or year",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(Template::parse(text, "#").unwrap_err(), expected, "{text}");
    }
    assert!(Template::parse("{user}", "").is_err());
}

#[test]
fn refuses_parts_that_are_wrong() {
    let cases = [
        (
            "{usr}",
            "`{usr}` is not an attribute of this model (did you mean `user`?)",
        ),
        (
            "{raw}",
            "`{raw}` must be a string, number, boolean or datetime to be a part, not binary",
        ),
        ("{templated}", "`{templated}` cannot be a part: it has a template"),
        ("{user:03}", "the format of `{user}` applies only to a number"),
        (
            "{number:lower}",
            "the format of `{number}` applies only to a string",
        ),
        (
            "{epoch:day}",
            "the format of `{epoch}` applies only to a datetime that is stored as text",
        ),
        (
            "{created}-x",
            "`{created}` is a datetime: it must not be followed by, and the delimiter must not have, one of 0123456789-:.+TZ",
        ),
    ];
    for (text, expected) in cases {
        let mut template = Template::parse(text, "#").unwrap();
        assert_eq!(template.resolve(&parts(&attributes())), [expected], "{text}");
    }
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "[{}:#a-c0-9é]{0,24}", key in ".{0,24}") {
        if let Ok(template) = Template::parse(&text, "#") {
            let _ = (template.take_apart(&key), template.literal_prefix(), template.warnings());
        }
    }

    #[test]
    fn keys_come_apart_as_they_were_built(
        user in "[^#/]{1,12}", kind in "[^#]{1,12}", number in 0_u32..1000, open in any::<bool>(),
    ) {
        let template = template("A#{user}/{number:03}#{open}#{kind}");
        let given = [
            ("user".to_owned(), s(&user)),
            ("number".to_owned(), n(&number.to_string())),
            ("open".to_owned(), Value::Bool(open)),
            ("kind".to_owned(), s(&kind)),
        ];
        let key = template.build(|name| given.iter().find(|(given, _)| given == name).map(|(_, value)| value)).unwrap();
        prop_assert!(template.take_apart(&key).unwrap() == given);
    }

    #[test]
    fn what_comes_apart_builds_the_same_key(key in "A#[a-z#/0-9]{0,12}") {
        let template = template("A#{user}/{number:03}");
        if let Some(parts) = template.take_apart(&key) {
            let built = template.build(|name| parts.iter().find(|(part, _)| part == name).map(|(_, value)| value));
            prop_assert_eq!(built, Ok(key));
        }
    }
}
