//! Arguments to raw values: `name=value` typed by the model, `name:=JSON`, `name=@file`. Sends nothing.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tollgate_client::{Binary, Expression, Item, Key, Model, Object, Value, expr, from_item};

use super::{Failure, json};

/// An item that is larger than the server's messages cannot be saved; nothing larger is read into memory.
const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;

/// The item of a Save: the attributes of the file, overridden by those of the arguments.
pub(super) async fn item(model: &Model, file: Option<&Path>, arguments: &[String]) -> Result<Item, Failure> {
    let mut item = match file {
        Some(path) => item_of_file(model, path).await?,
        None => Item::new(),
    };
    item.extend(attributes(model, arguments).await?);
    Ok(item)
}

/// The attributes that the arguments give, each once.
pub(super) async fn attributes(model: &Model, arguments: &[String]) -> Result<Item, Failure> {
    let mut item = Item::new();
    for argument in arguments {
        let assignment = Assignment::split(argument)?;
        let name = assignment.name;
        let value = assignment
            .value(type_of(model, name))
            .await
            .map_err(|what| wrong(name, &what))?;
        if item.insert(name.to_owned(), value).is_some() {
            return Err(wrong(name, "is given twice"));
        }
    }
    Ok(item)
}

/// The key that the arguments give.
pub(super) async fn key(model: &Model, arguments: &[String]) -> Result<Key, Failure> {
    Ok(attributes(model, arguments).await?.into())
}

/// An expression with those of the `--value` placeholders that it names.
pub(super) fn expression(text: Option<&str>, values: &[String]) -> Result<Expression, Failure> {
    let Some(text) = text else {
        return Ok(Expression::default());
    };
    let mut expression = expr(text);
    for argument in values {
        let assignment = Assignment::split(argument)?;
        if names(text, assignment.name) {
            let value = assignment
                .scalar()
                .map_err(|what| wrong(assignment.name, &what))?;
            expression = expression.bind(assignment.name, value);
        }
    }
    Ok(expression)
}

/// Every placeholder has to be named by one of the expressions.
pub(super) fn check_placeholders(texts: &[Option<&str>], values: &[String]) -> Result<(), Failure> {
    for argument in values {
        let name = Assignment::split(argument)?.name;
        if !name.starts_with(':') {
            return Err(wrong(
                name,
                "a placeholder begins with a colon, as in :name=value",
            ));
        }
        if !texts.iter().flatten().any(|text| names(text, name)) {
            return Err(wrong(name, "no expression names this placeholder"));
        }
    }
    Ok(())
}

/// Whether the text has this placeholder, and not just a longer one.
fn names(text: &str, placeholder: &str) -> bool {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    text.match_indices(placeholder)
        .any(|(at, _)| !text[at + placeholder.len()..].starts_with(is_part))
}

/// `name=…` or `name:=…`.
struct Assignment<'a> {
    name: &'a str,
    is_json: bool,
    text: &'a str,
}

impl<'a> Assignment<'a> {
    fn split(argument: &'a str) -> Result<Assignment<'a>, Failure> {
        let Some((left, text)) = argument.split_once('=') else {
            return Err(wrong(argument, "is no name=value, name:=JSON or name=@file"));
        };
        let (name, is_json) = match left.strip_suffix(':') {
            Some(name) => (name, true),
            None => (left, false),
        };
        if name.is_empty() || name == ":" {
            return Err(wrong(argument, "has no name before the ="));
        }
        Ok(Assignment { name, is_json, text })
    }

    async fn value(&self, kind: &str) -> Result<Value, String> {
        if self.is_json {
            return json::read(self.text).and_then(|value| fitted(value, kind));
        }
        match (self.text.strip_prefix('@'), kind) {
            (Some(path), "binary") => Ok(Value::Binary(Binary::from(bytes_of(path).await?))),
            (Some(path), "object") => object_of(path).await,
            _ => typed(self.text, kind),
        }
    }

    /// A placeholder has no type of its own: what reads as a JSON number, boolean or null is one, else it is text.
    fn scalar(&self) -> Result<Value, String> {
        match json::read(self.text) {
            Ok(value) if self.is_json => Ok(value),
            Err(what) if self.is_json => Err(what),
            Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Null)) => Ok(value),
            _ => Ok(self.text.into()),
        }
    }
}

/// The type of an attribute; one that the model does not name is text, and the server's to refuse.
fn type_of<'a>(model: &'a Model, name: &str) -> &'a str {
    let attribute = model.attributes.iter().find(|attribute| attribute.name == name);
    attribute.map_or("string", |attribute| attribute.r#type.as_str())
}

fn typed(text: &str, kind: &str) -> Result<Value, String> {
    let number = |text: &str| {
        text.parse()
            .map(Value::Number)
            .map_err(|_| "is a number in the model".to_owned())
    };
    match kind {
        "number" | "version" => number(text),
        "ttl" => Ok(number(text).unwrap_or_else(|_| text.into())),
        "boolean" => match text {
            "true" => Ok(true.into()),
            "false" => Ok(false.into()),
            _ => Err("is a boolean in the model: true or false".to_owned()),
        },
        "binary" => base64(text).map(Value::Binary),
        "object" => Ok(Object::new(text.to_owned()).into()),
        "list" | "map" | "string_set" | "number_set" | "binary_set" => {
            let value = json::read(text)
                .map_err(|what| format!("is a {kind} in the model, given as JSON: {what}"))?;
            fitted(value, kind)
        }
        _ => Ok(text.into()),
    }
}

/// JSON has no sets, bytes or objects: arrays, base64 and maps stand for them where the model says so.
fn fitted(value: Value, kind: &str) -> Result<Value, String> {
    match (kind, value) {
        ("binary", Value::String(text)) => base64(&text).map(Value::Binary),
        ("object", Value::String(text)) => Ok(Object::new(text).into()),
        ("object", Value::Map(fields)) => object(fields),
        ("string_set", Value::List(values)) => {
            Ok(Value::StringSet(members(values, "text", |value| match value {
                Value::String(text) => Some(text),
                _ => None,
            })?))
        }
        ("number_set", Value::List(values)) => {
            Ok(Value::NumberSet(members(
                values,
                "numbers",
                |value| match value {
                    Value::Number(number) => Some(number),
                    _ => None,
                },
            )?))
        }
        ("binary_set", Value::List(values)) => {
            Ok(Value::BinarySet(members(
                values,
                "base64",
                |value| match value {
                    Value::String(text) => base64(&text).ok(),
                    _ => None,
                },
            )?))
        }
        (_, value) => Ok(value),
    }
}

fn members<M, S: FromIterator<M>>(
    values: Vec<Value>,
    of: &str,
    member: impl Fn(Value) -> Option<M>,
) -> Result<S, String> {
    let members: Option<S> = values.into_iter().map(member).collect();
    members.ok_or_else(|| format!("is a set of {of} in the model"))
}

fn object(mut fields: Item) -> Result<Value, String> {
    if let Some(Value::String(data)) = fields.get("data") {
        let data = base64(data)?;
        fields.insert("data".to_owned(), Value::Binary(data));
    }
    from_item::<Object>(fields)
        .map(Value::from)
        .map_err(|error| format!("is no object: {error}"))
}

fn base64(text: &str) -> Result<Binary, String> {
    STANDARD
        .decode(text)
        .map(Binary::from)
        .map_err(|_| "is binary in the model: base64, or @file".to_owned())
}

async fn object_of(path: &str) -> Result<Value, String> {
    let name = Path::new(path)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    Ok(Object {
        name: name.to_owned(),
        ..Object::new(bytes_of(path).await?)
    }
    .into())
}

async fn bytes_of(path: &str) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot read {path}: {error}");
    let size_bytes = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
    if size_bytes > MAX_FILE_BYTES {
        return Err(format!(
            "cannot send {path}: it is larger than {MAX_FILE_BYTES} bytes"
        ));
    }
    tokio::fs::read(path).await.map_err(unreadable)
}

async fn item_of_file(model: &Model, path: &Path) -> Result<Item, Failure> {
    let place = path.display().to_string();
    let bytes = bytes_of(&place).await.map_err(Failure::Arguments)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong(&place, "is no UTF-8"))?;
    let Value::Map(fields) = json::read(&text).map_err(|what| wrong(&place, &what))? else {
        return Err(wrong(&place, "is no JSON object"));
    };
    let mut item = Item::new();
    for (name, value) in fields {
        let value = fitted(value, type_of(model, &name)).map_err(|what| wrong(&name, &what))?;
        item.insert(name, value);
    }
    Ok(item)
}

fn wrong(what: &str, why: &str) -> Failure {
    Failure::Arguments(format!("{what}: {why}"))
}

#[cfg(test)]
mod tests {
    use tollgate_client::Attribute;

    use super::*;

    fn model() -> Model {
        let types = [
            "string",
            "number",
            "binary",
            "boolean",
            "list",
            "map",
            "object",
            "string_set",
            "number_set",
            "ttl",
        ];
        let attribute = |name: &&str| Attribute {
            name: (*name).to_owned(),
            r#type: (*name).to_owned(),
            ..Default::default()
        };
        Model {
            name: "All".into(),
            attributes: types.iter().map(attribute).collect(),
            ..Model::default()
        }
    }

    async fn read(argument: &str) -> Result<Value, String> {
        match attributes(&model(), &[argument.to_owned()]).await {
            Ok(item) => Ok(item.into_values().next().expect("one attribute")),
            Err(Failure::Arguments(what)) => Err(what),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn text_is_typed_by_the_model() {
        for (argument, kind, text) in [
            ("string=@a=b:=c", "S", "\"@a=b:=c\""),
            ("string=", "S", "\"\""),
            ("number=1e2", "N", "100"),
            (
                "number=12345678901234567890123456789012345678",
                "N",
                "12345678901234567890123456789012345678",
            ),
            ("boolean=true", "BOOL", "true"),
            ("binary=AQL/", "B", "\"AQL/\""),
            ("list=[1, \"a\"]", "L", "[1,\"a\"]"),
            ("map={\"a\": null}", "M", "{\"a\":null}"),
            ("string_set=[\"b\", \"a\"]", "SS", "[\"a\",\"b\"]"),
            ("number_set:=[2, 1]", "NS", "[1,2]"),
            ("ttl=3600", "N", "3600"),
            ("ttl=2030-01-01T00:00:00Z", "S", "\"2030-01-01T00:00:00Z\""),
            ("unknown=36", "S", "\"36\""),
            ("unknown:=36", "N", "36"),
            ("object=hi", "OBJECT", "{\"data\":\"aGk=\",\"size\":0}"),
            (
                "object:={\"data\": \"aGk=\", \"name\": \"a\"}",
                "OBJECT",
                "{\"data\":\"aGk=\",\"name\":\"a\",\"size\":0}",
            ),
        ] {
            let value = read(argument).await.expect(argument);
            assert_eq!(
                (value.kind(), json::compact(&value).as_str()),
                (kind, text),
                "{argument}"
            );
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_told_by_name() {
        for argument in [
            "number=many",
            "boolean=1",
            "binary=*",
            "list=a",
            "map={",
            "string_set=[1]",
            "string:=a",
            "binary=@/nowhere",
            "=a",
            ":=1",
            "string",
        ] {
            assert!(read(argument).await.is_err(), "{argument}");
        }
        assert!(read("number=many").await.unwrap_err().starts_with("number: "));
        let twice = ["string=a".to_owned(), "string=b".to_owned()];
        assert!(attributes(&model(), &twice).await.is_err());
    }

    #[tokio::test]
    async fn files_give_bytes_objects_and_items() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photo.png");
        std::fs::write(&path, [0xff, 0x00]).unwrap();
        assert_eq!(
            json::compact(&read(&format!("binary=@{}", path.display())).await.unwrap()),
            "\"/wA=\""
        );
        let Value::Object(object) = read(&format!("object=@{}", path.display())).await.unwrap() else {
            panic!("an object attribute gives an object")
        };
        assert_eq!(
            (object.name.as_str(), object.data.unwrap().len()),
            ("photo.png", 2)
        );

        let file = folder.path().join("item.json");
        std::fs::write(&file, r#"{"string": "a", "binary": "/wA=", "string_set": ["x"]}"#).unwrap();
        let item = item(&model(), Some(&file), &["string=b".to_owned()])
            .await
            .unwrap();
        assert_eq!(item["string"], "b".into());
        assert_eq!((item["binary"].kind(), item["string_set"].kind()), ("B", "SS"));
        assert!(super::item(&model(), Some(&path), &[]).await.is_err());
    }

    #[test]
    fn placeholders_go_to_the_expressions_that_name_them() {
        let values = [":a=18".to_owned(), ":ab=x".to_owned(), ":c:=[1]".to_owned()];
        check_placeholders(&[Some("x > :a AND y = :ab"), Some("z = :c")], &values).unwrap();
        assert!(check_placeholders(&[Some("x = :ab AND y = :c")], &values).is_err());
        assert!(check_placeholders(&[Some("x = :a")], &["a=1".to_owned()]).is_err());
        for (argument, kind) in [
            (":a=18", "N"),
            (":a=007", "S"),
            (":a=true", "BOOL"),
            (":a=\"18\"", "S"),
            (":a:=\"18\"", "S"),
        ] {
            assert_eq!(
                Assignment::split(argument).ok().unwrap().scalar().unwrap().kind(),
                kind,
                "{argument}"
            );
        }
    }
}
