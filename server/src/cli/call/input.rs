//! Arguments as attributes: `name=value` typed by the model, `name:=JSON`, `name=@file`. Sends nothing.

use std::path::Path;

use tollgate_client::{Binary, Expression, Item, Key, Model, Object, Value, expr};

use super::failure::Failure;
use super::placeholders::Kinds;
use super::typed::kind_of;
use super::{json, text, typed};
use crate::fault::did_you_mean;

/// The maximum size of a file: a value larger than the server's messages cannot be sent.
const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;

/// The setting of models that refuse unknown attributes.
const REJECTS: &str = "reject";

/// The attributes of the arguments; each may appear once.
pub(super) async fn attributes(model: &Model, arguments: &[String]) -> Result<Item, Failure> {
    let mut item = Item::new();
    for argument in arguments {
        let assignment = Assignment::split(argument)?;
        let name = assignment.name;
        check_names(model, [name])?;
        let value = assignment
            .value(kind_of(model, name))
            .await
            .map_err(|what| wrong(name, &what))?;
        if item.insert(name.to_owned(), value).is_some() {
            return Err(wrong(name, "is given twice"));
        }
    }
    Ok(item)
}

/// The key of the arguments.
pub(super) async fn key(model: &Model, arguments: &[String]) -> Result<Key, Failure> {
    Ok(attributes(model, arguments).await?.into())
}

/// Refuses attributes that the model does not declare or accept; reports all of them.
pub(super) fn check_names<'a>(
    model: &Model,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<(), Failure> {
    let declared = || model.attributes.iter().map(|attribute| attribute.name.as_str());
    if model.unknown_attributes != REJECTS {
        return Ok(());
    }
    let unknown: Vec<String> = names
        .into_iter()
        .filter(|name| declared().all(|declared| declared != *name))
        .map(|name| {
            let near = did_you_mean(name, declared());
            format!("{name}: {} has no attribute of this name{near}", model.name)
        })
        .collect();
    match unknown.is_empty() {
        true => Ok(()),
        false => Err(Failure::Arguments(unknown.join("\n"))),
    }
}

/// An expression with the `--value` placeholders that it uses, typed by their comparison.
pub(super) fn expression(
    model: &Model,
    text: Option<&str>,
    values: &[String],
) -> Result<Expression, Failure> {
    let Some(text) = text else {
        return Ok(Expression::default());
    };
    let kinds = Kinds::new(model, &[text]);
    let mut expression = expr(text);
    for (name, value) in placeholders(text, &kinds, values)? {
        expression = expression.bind(name, value);
    }
    Ok(expression)
}

/// The `--value` placeholders that a text uses, with values of these types.
pub(super) fn placeholders<'a>(
    text: &str,
    kinds: &Kinds<'_>,
    values: &'a [String],
) -> Result<Vec<(&'a str, Value)>, Failure> {
    let mut bound = Vec::new();
    for argument in values {
        let assignment = Assignment::split(argument)?;
        if names(text, assignment.name) {
            let value = assignment
                .scalar(kinds.get(assignment.name))
                .map_err(|what| wrong(assignment.name, &what))?;
            bound.push((assignment.name, value));
        }
    }
    Ok(bound)
}

/// Refuses placeholders that no expression uses.
pub(super) fn check_placeholders(texts: &[Option<&str>], values: &[String]) -> Result<(), Failure> {
    for argument in values {
        let name = Assignment::split(argument)?.name;
        if !name.starts_with(':') {
            return Err(wrong(name, "must start with a colon, as in :name=value"));
        }
        if !texts.iter().flatten().any(|text| names(text, name)) {
            return Err(wrong(name, "is not used in any expression"));
        }
    }
    Ok(())
}

/// Whether the text contains this placeholder as a whole word.
pub(super) fn names(text: &str, placeholder: &str) -> bool {
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
            return Err(wrong(argument, "expected name=value, name:=JSON or name=@file"));
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
            return json::read(self.text).and_then(|value| typed::read(value, kind));
        }
        match (self.text.strip_prefix('@'), kind) {
            (Some(path), "binary") => Ok(Value::Binary(Binary::from(bytes_of(path).await?))),
            (Some(path), "object") => object_of(path).await,
            _ => text::parse(self.text, kind),
        }
    }

    /// The value of a placeholder. Without a type, a JSON number, boolean or null is parsed, and anything else is text.
    fn scalar(&self, kind: Option<&str>) -> Result<Value, String> {
        match (kind, json::read(self.text)) {
            (_, json) if self.is_json => typed::read(json?, kind.unwrap_or_default()),
            (Some(kind), _) => text::parse(self.text, kind),
            (None, Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::Null))) => Ok(value),
            (None, _) => Ok(self.text.into()),
        }
    }
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
            ("unknown:={\"$bs\":[\"AQL/\"]}", "BS", "{\"$bs\":[\"AQL/\"]}"),
            ("object=hi", "OBJECT", "{\"data\":\"aGk=\",\"size\":0}"),
            (
                "object:={\"data\": \"aGk=\", \"name\": \"a\"}",
                "OBJECT",
                "{\"data\":\"aGk=\",\"name\":\"a\",\"size\":0}",
            ),
        ] {
            let value = read(argument).await.expect(argument);
            let name = argument.split(['=', ':']).next().unwrap();
            let json = typed::write(value.clone(), kind_of(&model(), name));
            assert_eq!(
                (value.kind(), json::compact(&json).as_str()),
                (kind, text),
                "{argument}"
            );
        }
    }

    #[tokio::test]
    async fn invalid_values_are_reported_by_name() {
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
    async fn files_become_binary_values_and_objects() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photo.png");
        std::fs::write(&path, [0xff, 0x00]).unwrap();
        assert_eq!(
            read(&format!("binary=@{}", path.display())).await,
            Ok(Binary::from(vec![0xff, 0x00]).into())
        );
        let Value::Object(object) = read(&format!("object=@{}", path.display())).await.unwrap() else {
            panic!("an object attribute gives an object")
        };
        assert_eq!(
            (object.name.as_str(), object.data.unwrap().len()),
            ("photo.png", 2)
        );
    }

    #[test]
    fn refuses_unknown_names_if_the_model_does() {
        let strict = Model {
            unknown_attributes: "reject".into(),
            ..model()
        };
        let Err(Failure::Arguments(what)) = check_names(&strict, ["strng", "number", "zzz"]) else {
            panic!("two are not declared")
        };
        assert_eq!(
            what,
            "strng: All has no attribute of this name (did you mean `string`?)\n\
             zzz: All has no attribute of this name"
        );
        assert!(check_names(&model(), ["zzz"]).is_ok(), "kept or dropped");
    }

    #[test]
    fn placeholders_belong_to_the_expressions_that_name_them() {
        let values = [":a=18".to_owned(), ":ab=x".to_owned(), ":c:=[1]".to_owned()];
        check_placeholders(&[Some("x > :a AND y = :ab"), Some("z = :c")], &values).unwrap();
        assert!(check_placeholders(&[Some("x = :ab AND y = :c")], &values).is_err());
        assert!(check_placeholders(&[Some("x = :a")], &["a=1".to_owned()]).is_err());
        for (argument, declared, kind) in [
            (":a=18", None, "N"),
            (":a=007", None, "S"),
            (":a=true", None, "BOOL"),
            (":a=\"18\"", None, "S"),
            (":a:=\"18\"", None, "S"),
            (":a=2024", Some("string"), "S"),
            (":a=true", Some("string"), "S"),
            (":a=2024", Some("number"), "N"),
            (":a=AQL/", Some("binary"), "B"),
            (":a:=2024", Some("string"), "N"),
            (":a:=\"AQL/\"", Some("binary"), "B"),
            (":a:=[\"a\"]", Some("string_set"), "SS"),
        ] {
            let value = Assignment::split(argument).ok().unwrap().scalar(declared);
            assert_eq!(value.unwrap().kind(), kind, "{argument}");
        }
        let wrong = Assignment::split(":a=many").ok().unwrap().scalar(Some("number"));
        assert_eq!(wrong.unwrap_err(), "is a number in the model");
    }
}
