//! Round trips between Rust types, raw values and the wire.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tollgate_proto::v1::AttributeValue;

use super::*;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Everything {
    text: String,
    character: char,
    truth: bool,
    small: i8,
    large: u128,
    negative: i128,
    single: f32,
    double: f64,
    exact: Number,
    bytes: Binary,
    absent: Option<String>,
    present: Option<u16>,
    list: Vec<Option<i64>>,
    pair: (String, u8),
    by_number: BTreeMap<u32, bool>,
    strings: StringSet,
    numbers: NumberSet,
    binaries: BinarySet,
    shapes: Vec<Shape>,
    nested: Nested,
    unit: (),
    raw: Value,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Nested {
    inner: Option<Box<Nested>>,
    names: HashMap<String, Binary>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Line(i32, i32),
    Label { text: String, size: Option<u8> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Document {
    pk: String,
    content: Object,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flattened {
    pk: String,
    price: Number,
    #[serde(flatten)]
    rest: Item,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Animal {
    Dog { good: bool },
    Cat { lives: u8 },
}

fn through_the_wire<T: Serialize + DeserializeOwned>(value: &T) -> Result<T, ValueError> {
    from_item(item_from_wire(item_to_wire(to_item(value)?))?)
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        Just(Shape::Point),
        any::<f64>()
            .prop_filter("finite", |float| float.is_finite())
            .prop_map(Shape::Circle),
        any::<(i32, i32)>().prop_map(|(from, to)| Shape::Line(from, to)),
        any::<(String, Option<u8>)>().prop_map(|(text, size)| Shape::Label { text, size }),
    ]
}

fn nested() -> impl Strategy<Value = Nested> {
    let leaf = names().prop_map(|names| Nested { inner: None, names });
    leaf.prop_recursive(3, 8, 1, |inner| {
        (inner, names()).prop_map(|(inner, names)| Nested {
            inner: Some(Box::new(inner)),
            names,
        })
    })
}

fn names() -> impl Strategy<Value = HashMap<String, Binary>> {
    prop::collection::hash_map(any::<String>(), any::<Vec<u8>>().prop_map(Binary::from), 0..3)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<String>().prop_map(Value::String),
        any::<i128>().prop_map(Value::from),
        any::<f64>()
            .prop_filter_map("finite", |float| Number::try_from(float).ok())
            .prop_map(Value::Number),
        any::<Vec<u8>>().prop_map(|bytes| Value::Binary(bytes.into())),
        any::<bool>().prop_map(Value::Bool),
        Just(Value::Null),
        prop::collection::vec(any::<String>(), 1..4)
            .prop_map(|set| Value::StringSet(set.into_iter().collect())),
        prop::collection::vec(any::<i64>(), 1..4).prop_map(|set| Value::NumberSet(set.into_iter().collect())),
        prop::collection::vec(any::<Vec<u8>>(), 1..4)
            .prop_map(|set| Value::BinarySet(set.into_iter().collect())),
        any::<(Option<Vec<u8>>, String, u64)>().prop_map(|(data, name, size)| {
            let data = data.map(Binary::from);
            Object {
                data,
                name,
                size,
                ..Object::default()
            }
            .into()
        }),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::hash_map(any::<String>(), inner, 0..4).prop_map(Value::Map),
        ]
    })
}

fn finite() -> impl Strategy<Value = (f32, f64)> {
    any::<(f32, f64)>().prop_filter("finite", |(single, double)| {
        single.is_finite() && double.is_finite()
    })
}

prop_compose! {
    fn everything()(
        (text, character, truth) in any::<(String, char, bool)>(),
        (small, large, negative) in any::<(i8, u128, i128)>(),
        (single, double) in finite(),
        (bytes, absent, present) in any::<(Vec<u8>, Option<String>, Option<u16>)>(),
        (list, pair, by_number) in any::<(Vec<Option<i64>>, (String, u8), BTreeMap<u32, bool>)>(),
        (strings, numbers, binaries) in any::<(Vec<String>, Vec<i64>, Vec<Vec<u8>>)>(),
        (shapes, nested, raw) in (prop::collection::vec(shape(), 0..4), nested(), value()),
    ) -> Everything {
        Everything {
            text, character, truth, small, large, negative, single, double,
            exact: Number::from(negative),
            bytes: bytes.into(), absent, present, list, pair, by_number,
            strings: strings.into_iter().collect(),
            numbers: numbers.into_iter().collect(),
            binaries: binaries.into_iter().collect(),
            shapes, nested, unit: (), raw,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn types_round_trip(value in everything()) {
        prop_assert_eq!(through_the_wire(&value).unwrap(), value);
    }

    #[test]
    fn raw_items_round_trip_exactly(item in prop::collection::hash_map(any::<String>(), value(), 0..6)) {
        prop_assert_eq!(&to_item(&item).unwrap(), &item);
        prop_assert_eq!(&through_the_wire(&item).unwrap(), &item);
    }

    #[test]
    fn any_item_is_accepted_or_refused(item in prop::collection::hash_map("[a-z]{1,9}", value(), 0..6)) {
        let _ = from_item::<Everything>(item.clone());
        let _ = from_item::<Nested>(item.clone());
        let _ = from_item::<Animal>(item);
    }
}

#[test]
fn none_is_left_out_at_the_top_level_and_null_below() {
    #[derive(Serialize)]
    struct Outer {
        gone: Option<u8>,
        kept: Inner,
    }
    #[derive(Serialize)]
    struct Inner {
        null: Option<u8>,
    }
    let item = to_item(&Outer {
        gone: None,
        kept: Inner { null: None },
    })
    .unwrap();
    assert_eq!(
        item,
        Item::from([("kept".into(), Item::from([("null".into(), Value::Null)]).into())])
    );
}

#[test]
fn enums_use_external_tagging() {
    assert_eq!(to_value(&Shape::Point).unwrap(), "Point".into());
    assert_eq!(
        to_value(&Shape::Line(1, 2)).unwrap(),
        Item::from([("Line".into(), vec![Value::from(1), Value::from(2)].into())]).into()
    );
}

#[test]
fn objects_keep_their_kind() {
    let document = Document {
        pk: "D#1".into(),
        content: Object {
            size: 3,
            ..Object::new("abc")
        },
    };
    let item = to_item(&document).unwrap();
    assert_eq!(item["content"].kind(), "OBJECT");
    assert_eq!(through_the_wire(&document).unwrap(), document);
}

#[test]
fn flattened_numbers_stay_exact() {
    let digits = "12345678901234567890123456789012345678";
    let item = Item::from([
        ("pk".into(), "P#1".into()),
        ("price".into(), "19.99".parse::<Number>().unwrap().into()),
        ("age".into(), 36.into()),
        ("tags".into(), vec![Value::from("a")].into()),
    ]);
    let flattened: Flattened = from_item(item.clone()).unwrap();
    assert_eq!(to_item(&flattened).unwrap(), item);
    let long = Item::from([
        ("pk".into(), "P".into()),
        ("price".into(), digits.parse::<Number>().unwrap().into()),
    ]);
    assert_eq!(from_item::<Flattened>(long).unwrap().price.as_str(), digits);
}

#[test]
fn internally_tagged_enums_round_trip() {
    let cat = Animal::Cat { lives: 9 };
    assert_eq!(through_the_wire(&cat).unwrap(), cat);
    assert_eq!(
        through_the_wire(&Animal::Dog { good: true }).unwrap(),
        Animal::Dog { good: true }
    );
}

#[test]
fn sets_read_from_lists_and_lists_from_sets() {
    let list = Value::List(vec!["a".into(), "b".into()]);
    let set: StringSet =
        from_item::<HashMap<String, StringSet>>(Item::from([("s".into(), list)])).unwrap()["s"].clone();
    assert_eq!(set, ["a", "b"].into_iter().collect());
    let item = Item::from([("s".into(), set.into())]);
    assert_eq!(
        from_item::<HashMap<String, Vec<String>>>(item).unwrap()["s"],
        ["a", "b"]
    );
}

#[test]
fn errors_contain_the_place_and_no_content() {
    let lines = Value::List(vec![1.into(), "secret".into()]);
    let item = Item::from([("address".into(), Item::from([("lines".into(), lines)]).into())]);
    let error = from_item::<HashMap<String, HashMap<String, Vec<u8>>>>(item).unwrap_err();
    assert_eq!(error.to_string(), "address.lines[1]: expected u8, found string");

    let wide = Item::from([("lines".into(), vec![Value::from(300)].into())]);
    assert_eq!(
        from_item::<HashMap<String, Vec<u8>>>(wide)
            .unwrap_err()
            .to_string(),
        "lines[0]: number does not fit into u8"
    );
    let variant = Item::from([("shape".into(), "secret".into())]);
    let error = from_item::<HashMap<String, Shape>>(variant).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn refuses_values_that_are_not_items() {
    assert!(to_item("text").is_err());
    assert!(to_item(&vec![1, 2]).is_err());
    assert!(to_item(&HashMap::from([("x", f64::NAN)])).is_err());
    assert!(to_item(&HashMap::from([((1, 2), 3)])).is_err());
}

#[test]
fn reads_unknown_kinds_as_null_and_refuses_invalid_numbers() {
    assert_eq!(
        Value::try_from(AttributeValue { kind: None }).unwrap(),
        Value::Null
    );
    let wire = HashMap::from([(
        "age".to_owned(),
        AttributeValue {
            kind: Some(tollgate_proto::v1::attribute_value::Kind::N("many".into())),
        },
    )]);
    assert_eq!(item_from_wire(wire).unwrap_err().path(), "age");
}

#[test]
fn raw_values_can_be_read_from_other_formats() {
    let json = r#"{"s": "a", "n": -1.5, "list": [1, true, null], "map": {"deep": 18446744073709551615}}"#;
    let item: Item = serde_json::from_str(json).unwrap();
    assert_eq!(item["s"], "a".into());
    assert_eq!(item["n"], "-1.5".parse::<Number>().unwrap().into());
    assert_eq!(item["list"], vec![1.into(), true.into(), Value::Null].into());
    assert_eq!(item["map"], Item::from([("deep".into(), u64::MAX.into())]).into());
}
