//! JSON that preserves the kind of every value. If the model declares the kind, plain JSON is used: base64 for binary, an
//! array for a set, an object for an object. A value that plain JSON would read back as another kind is tagged:
//! `{"$ns": [1, 2]}`, `{"$b": "AQL/"}`; a map that looks like a tag is tagged too, as `{"$m": {…}}`. The output of one
//! command is therefore valid input of another. Sends nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tollgate_client::{
    Binary, BinarySet, Item, Model, Number, NumberSet, Object, StringSet, Value, from_item,
};

use crate::fault::did_you_mean;

const STRING: &str = "$s";
const NUMBER: &str = "$n";
const BINARY: &str = "$b";
const BOOLEAN: &str = "$bool";
const NULL: &str = "$null";
const LIST: &str = "$l";
const MAP: &str = "$m";
const STRING_SET: &str = "$ss";
const NUMBER_SET: &str = "$ns";
const BINARY_SET: &str = "$bs";
const OBJECT: &str = "$object";

/// DynamoDB's kinds and objects. No others will be added, so any other name is an ordinary name.
const TAGS: [&str; 11] = [
    STRING, NUMBER, BINARY, BOOLEAN, NULL, LIST, MAP, STRING_SET, NUMBER_SET, BINARY_SET, OBJECT,
];

/// The fields of a printed object.
const OBJECT_FIELDS: [&str; 11] = [
    "data",
    "name",
    "content_type",
    "metadata",
    "bucket",
    "key",
    "size",
    "etag",
    "version_id",
    "sha256",
    "upload_token",
];

/// The type that the model declares for an attribute; empty for others.
pub(super) fn kind_of<'a>(model: &'a Model, name: &str) -> &'a str {
    let attribute = model.attributes.iter().find(|attribute| attribute.name == name);
    attribute.map_or("", |attribute| attribute.r#type.as_str())
}

/// An item as JSON, its attributes typed by the model.
pub(super) fn write_item(model: &Model, item: Item) -> Value {
    let fields = item.into_iter().map(|(name, value)| {
        let json = write(value, kind_of(model, &name));
        (name, json)
    });
    Value::Map(fields.collect())
}

/// A value as JSON, that [`read`] with the same declared type reads back.
pub(super) fn write(value: Value, kind: &str) -> Value {
    match (value, kind) {
        (Value::Binary(bytes), "binary") => encoded(&bytes),
        (Value::StringSet(set), "string_set") => strings(set),
        (Value::NumberSet(set), "number_set") => numbers(set),
        (Value::BinarySet(set), "binary_set") => binaries(&set),
        (Value::Object(object), "object") => reference(*object),
        (Value::Binary(bytes), _) => tagged(BINARY, encoded(&bytes)),
        (Value::StringSet(set), _) => tagged(STRING_SET, strings(set)),
        (Value::NumberSet(set), _) => tagged(NUMBER_SET, numbers(set)),
        (Value::BinarySet(set), _) => tagged(BINARY_SET, binaries(&set)),
        (Value::Object(object), _) => tagged(OBJECT, reference(*object)),
        (text @ Value::String(_), "binary" | "object") => tagged(STRING, text),
        (Value::List(values), _) => {
            let list = Value::List(values.into_iter().map(|value| write(value, "")).collect());
            match kind {
                "string_set" | "number_set" | "binary_set" => tagged(LIST, list),
                _ => list,
            }
        }
        (Value::Map(fields), _) => {
            let is_read_otherwise = kind == "object" || tag_of(&fields).is_some();
            let fields = fields.into_iter().map(|(name, value)| (name, write(value, "")));
            let map = Value::Map(fields.collect());
            match is_read_otherwise {
                true => tagged(MAP, map),
                false => map,
            }
        }
        (plain @ (Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null), _) => plain,
    }
}

/// Parses JSON as a value for an attribute of this type.
pub(super) fn read(json: Value, kind: &str) -> Result<Value, String> {
    match (json, kind) {
        (Value::Map(fields), _) if tag_of(&fields).is_some() => untagged(fields),
        (Value::Map(fields), "object") => object(fields),
        (Value::Map(fields), _) => map(fields),
        (Value::List(values), "string_set") => string_set(values).map(Value::StringSet),
        (Value::List(values), "number_set") => number_set(values).map(Value::NumberSet),
        (Value::List(values), "binary_set") => binary_set(values).map(Value::BinarySet),
        (Value::List(values), _) => list(values),
        (Value::String(text), "binary") => base64(&text).map(Value::Binary),
        (Value::String(text), "object") => Ok(Object::new(text).into()),
        (plain, _) => Ok(plain),
    }
}

/// The tag of a map whose only name is one.
fn tag_of(fields: &Item) -> Option<&'static str> {
    let name = fields.keys().next().filter(|_| fields.len() == 1)?;
    TAGS.into_iter().find(|tag| tag == name)
}

fn tagged(tag: &str, json: Value) -> Value {
    Value::Map(Item::from([(tag.to_owned(), json)]))
}

fn untagged(fields: Item) -> Result<Value, String> {
    let Some((tag, json)) = fields.into_iter().next() else {
        return Err("an empty tag".to_owned());
    };
    let of_tag = |what: String| format!("`{tag}`: {what}");
    match (tag.as_str(), json) {
        (STRING, text @ Value::String(_)) => Ok(text),
        (NUMBER, number @ Value::Number(_)) => Ok(number),
        (NUMBER, Value::String(text)) => {
            let number = text.parse().map(Value::Number);
            number.map_err(|_| of_tag("not a number".to_owned()))
        }
        (BINARY, Value::String(text)) => base64(&text).map(Value::Binary).map_err(of_tag),
        (BOOLEAN, truth @ Value::Bool(_)) => Ok(truth),
        (NULL, Value::Bool(true) | Value::Null) => Ok(Value::Null),
        (LIST, Value::List(values)) => list(values),
        (MAP, Value::Map(fields)) => map(fields),
        (STRING_SET, Value::List(values)) => string_set(values).map(Value::StringSet).map_err(of_tag),
        (NUMBER_SET, Value::List(values)) => number_set(values).map(Value::NumberSet).map_err(of_tag),
        (BINARY_SET, Value::List(values)) => binary_set(values).map(Value::BinarySet).map_err(of_tag),
        (OBJECT, Value::Map(fields)) => object(fields).map_err(of_tag),
        (_, other) => Err(of_tag(format!(
            "cannot hold {} (write {{\"{MAP}\": {{…}}}} for a map with this name)",
            json_name(&other)
        ))),
    }
}

fn json_name(json: &Value) -> &'static str {
    match json {
        Value::String(_) => "a string",
        Value::Number(_) => "a number",
        Value::Bool(_) => "a boolean",
        Value::Null => "null",
        Value::List(_) => "an array",
        _ => "an object",
    }
}

fn list(values: Vec<Value>) -> Result<Value, String> {
    let values: Result<Vec<Value>, String> = values.into_iter().map(|value| read(value, "")).collect();
    values.map(Value::List)
}

fn map(fields: Item) -> Result<Value, String> {
    let fields: Result<Item, String> = fields
        .into_iter()
        .map(|(name, value)| Ok((name, read(value, "")?)))
        .collect();
    fields.map(Value::Map)
}

fn string_set(values: Vec<Value>) -> Result<StringSet, String> {
    members(values, "strings", |value| match value {
        Value::String(text) => Some(text),
        _ => None,
    })
}

fn number_set(values: Vec<Value>) -> Result<NumberSet, String> {
    members(values, "numbers", |value| match value {
        Value::Number(number) => Some(number),
        Value::String(text) => text.parse::<Number>().ok(),
        _ => None,
    })
}

fn binary_set(values: Vec<Value>) -> Result<BinarySet, String> {
    members(values, "base64 texts", |value| match value {
        Value::String(text) => base64(&text).ok(),
        _ => None,
    })
}

fn members<M, S: FromIterator<M>>(
    values: Vec<Value>,
    of: &str,
    member: impl Fn(Value) -> Option<M>,
) -> Result<S, String> {
    let members: Option<S> = values.into_iter().map(member).collect();
    members.ok_or_else(|| format!("is a set of {of}"))
}

fn strings(set: StringSet) -> Value {
    Value::List(set.0.into_iter().map(Value::String).collect())
}

fn numbers(set: NumberSet) -> Value {
    Value::List(set.0.into_iter().map(Value::Number).collect())
}

fn binaries(set: &BinarySet) -> Value {
    Value::List(set.0.iter().map(|bytes| encoded(bytes)).collect())
}

fn encoded(bytes: &[u8]) -> Value {
    Value::String(STANDARD.encode(bytes))
}

/// Decodes base64.
pub(super) fn base64(text: &str) -> Result<Binary, String> {
    let bytes = STANDARD.decode(text).map(Binary::from);
    bytes.map_err(|_| "is binary: base64, or @file".to_owned())
}

/// An object with its location, and its content if that was read. Its fields are text, never tagged.
fn reference(object: Object) -> Value {
    let texts = [
        ("bucket", object.bucket),
        ("key", object.key),
        ("name", object.name),
        ("content_type", object.content_type),
        ("etag", object.etag),
        ("version_id", object.version_id),
        ("sha256", object.sha256),
        ("upload_token", object.upload_token),
    ];
    let texts = texts.into_iter().filter(|(_, text)| !text.is_empty());
    let mut fields: Item = texts
        .map(|(name, text)| (name.to_owned(), Value::String(text)))
        .collect();
    fields.insert("size".to_owned(), object.size.into());
    if !object.metadata.is_empty() {
        let metadata = object.metadata.into_iter();
        let metadata = metadata.map(|(name, text)| (name, Value::String(text)));
        fields.insert("metadata".to_owned(), Value::Map(metadata.collect()));
    }
    if let Some(data) = &object.data {
        fields.insert("data".to_owned(), encoded(data));
    }
    Value::Map(fields)
}

fn object(mut fields: Item) -> Result<Value, String> {
    if let Some(name) = fields.keys().find(|name| !OBJECT_FIELDS.contains(&name.as_str())) {
        let near = did_you_mean(name, OBJECT_FIELDS);
        return Err(format!("an object has no field `{name}`{near}"));
    }
    if let Some(Value::String(data)) = fields.get("data") {
        let data = base64(data)?;
        fields.insert("data".to_owned(), Value::Binary(data));
    }
    from_item::<Object>(fields)
        .map(Value::from)
        .map_err(|error| format!("is not an object: {error}"))
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use proptest::prelude::*;

    use super::*;

    const KINDS: [&str; 15] = [
        "",
        "string",
        "number",
        "binary",
        "boolean",
        "list",
        "map",
        "object",
        "string_set",
        "number_set",
        "binary_set",
        "json",
        "datetime",
        "ttl",
        "version",
    ];

    fn name() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(TAGS.to_vec()).prop_map(str::to_owned),
            Just("$x".to_owned()),
            any::<String>(),
        ]
    }

    fn number() -> impl Strategy<Value = Number> {
        "-?[1-9][0-9]{0,37}(E-?[0-9]{1,2})?".prop_map(|text| text.parse().expect("a number"))
    }

    fn binary() -> impl Strategy<Value = Binary> {
        prop::collection::vec(any::<u8>(), 0..6).prop_map(Binary::from)
    }

    prop_compose! {
        fn objects()(
            data in prop::option::of(binary()),
            texts in prop::collection::vec("[a-z]{0,3}", 8),
            metadata in prop::collection::hash_map(name(), any::<String>(), 0..3),
            size in any::<u64>(),
        ) -> Object {
            let [bucket, key, name, content_type, etag, version_id, sha256, upload_token] =
                <[String; 8]>::try_from(texts).expect("eight");
            Object {
                data,
                name,
                content_type,
                metadata,
                bucket,
                key,
                size,
                etag,
                version_id,
                sha256,
                upload_token,
            }
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<String>().prop_map(Value::String),
            number().prop_map(Value::Number),
            binary().prop_map(Value::Binary),
            any::<bool>().prop_map(Value::Bool),
            Just(Value::Null),
            prop::collection::btree_set(any::<String>(), 0..3)
                .prop_map(|set| Value::StringSet(StringSet(set))),
            prop::collection::btree_set(number(), 0..3).prop_map(|set| Value::NumberSet(NumberSet(set))),
            prop::collection::btree_set(binary(), 0..3).prop_map(|set| Value::BinarySet(BinarySet(set))),
            objects().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::hash_map(name(), inner, 0..3).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        /// Whatever the model declares, or does not, and whatever is stored there instead.
        #[test]
        fn what_was_written_reads_back(value in values(), kind in prop::sample::select(KINDS.to_vec())) {
            let written = write(value.clone(), kind);
            for text in [json::compact(&written), json::pretty(&written, &[])] {
                let read_back = read(json::read(&text).unwrap(), kind);
                prop_assert!(read_back.as_ref() == Ok(&value), "{kind}: {text}");
            }
        }
    }

    fn text(value: Value, kind: &str) -> String {
        json::compact(&write(value, kind))
    }

    #[test]
    fn json_is_plain_if_the_model_declares_the_kind() {
        let bytes = Value::from(Binary::from(vec![1, 2, 255]));
        let set = Value::NumberSet([2, 1].into_iter().collect());
        assert_eq!(text(bytes.clone(), "binary"), "\"AQL/\"");
        assert_eq!(text(bytes.clone(), ""), "{\"$b\":\"AQL/\"}");
        assert_eq!(text(vec![bytes].into(), "list"), "[{\"$b\":\"AQL/\"}]");
        assert_eq!(text(set.clone(), "number_set"), "[1,2]");
        assert_eq!(text(set, ""), "{\"$ns\":[1,2]}");
        assert_eq!(text("AQL/".into(), "binary"), "{\"$s\":\"AQL/\"}");
        let map = Value::from(Item::from([("$ss".to_owned(), Value::from(1))]));
        assert_eq!(text(map, "map"), "{\"$m\":{\"$ss\":1}}");
        let reference = Value::from(Item::from([("$ref".to_owned(), "#/a".into())]));
        assert_eq!(text(reference, ""), "{\"$ref\":\"#/a\"}");
    }

    #[test]
    fn errors_about_tags_and_fields_say_what_is_right() {
        for (json, kind, what) in [
            ("{\"$ss\": [1]}", "", "`$ss`: is a set of strings"),
            ("{\"$ns\": 1}", "", "`$ns`: cannot hold a number"),
            ("{\"$b\": \"*\"}", "", "`$b`: is binary"),
            ("{\"$n\": \"many\"}", "", "`$n`: not a number"),
            ("[[{\"$null\": false}]]", "list", "`$null`: cannot hold a boolean"),
            ("[1]", "string_set", "is a set of strings"),
            (
                "{\"nmae\": \"a\"}",
                "object",
                "no field `nmae` (did you mean `name`?)",
            ),
        ] {
            let fault = read(json::read(json).unwrap(), kind).unwrap_err();
            assert!(fault.contains(what), "{json}: {fault}");
        }
        assert_eq!(read(json::read("{\"$n\": \"12\"}").unwrap(), ""), Ok(12.into()));
    }
}
