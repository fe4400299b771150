//! Reads the items of a file or of standard input: one JSON object, several (JSON lines), an array, or the output of
//! `--json`. Holds one item at a time.

use std::path::Path;

use tollgate_client::{Item, Model, Value};

use super::failure::Failure;
use super::texts::Texts;
use super::{json, typed};

/// The items of a source.
pub(super) struct Items<'a> {
    model: &'a Model,
    texts: Texts,
    /// The rest of a `--json` output with several items.
    unpacked: std::vec::IntoIter<Item>,
    unpacked_place: String,
}

/// An item and its location.
pub(super) struct Found {
    pub(super) item: Item,
    /// `file:line`
    pub(super) place: String,
    /// Attributes that were withheld from the reader of the item.
    pub(super) withheld: Vec<String>,
}

impl<'a> Items<'a> {
    /// The items of a file; `-` is standard input.
    pub(super) fn open(model: &'a Model, path: &Path) -> Result<Items<'a>, Failure> {
        Ok(Items {
            model,
            texts: Texts::open(path)?,
            unpacked: Vec::new().into_iter(),
            unpacked_place: String::new(),
        })
    }

    /// The name of the source for messages.
    pub(super) fn name(&self) -> &str {
        self.texts.name()
    }

    /// The bytes that were read so far.
    pub(super) fn bytes(&self) -> u64 {
        self.texts.bytes()
    }

    /// The next item; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Found>, Failure> {
        if let Some(item) = self.unpacked.next() {
            return Ok(Some(Found {
                item,
                place: self.unpacked_place.clone(),
                withheld: Vec::new(),
            }));
        }
        let Some((line, text)) = self.texts.next().await.map_err(Failure::Arguments)? else {
            return Ok(None);
        };
        let place = format!("{}:{line}", self.texts.name());
        let wrong = |what: String| Failure::Arguments(format!("{place}: {what}"));
        let Value::Map(fields) = json::read(&text).map_err(wrong)? else {
            return Err(wrong("not a JSON object".to_owned()));
        };
        let response = response_of(self.model, &fields);
        let (mut items, withheld) = match response {
            Some(response) => unpack(response).map_err(wrong)?,
            None => (vec![fields], Vec::new()),
        };
        let read: Result<Vec<Item>, String> = items.drain(..).map(|fields| self.read(fields)).collect();
        let mut items = read.map_err(wrong)?.into_iter();
        let Some(item) = items.next() else {
            return Err(wrong("has no item".to_owned()));
        };
        self.unpacked = items;
        self.unpacked_place.clone_from(&place);
        Ok(Some(Found {
            item,
            place,
            withheld,
        }))
    }

    fn read(&self, fields: Item) -> Result<Item, String> {
        let read = fields.into_iter().map(|(name, json)| {
            match typed::read(json, typed::kind_of(self.model, &name)) {
                Ok(value) => Ok((name, value)),
                Err(what) => Err(format!("{name}: {what}")),
            }
        });
        read.collect()
    }
}

/// Whether this is output of `--json`, not an item with attributes of these names.
fn response_of<'f>(model: &Model, fields: &'f Item) -> Option<&'f Item> {
    let names = ["response", "metrics"];
    let is_output = fields.len() == names.len()
        && names.iter().all(|name| fields.contains_key(*name))
        && names.iter().all(|name| typed::kind_of(model, name).is_empty());
    match fields.get("response") {
        Some(Value::Map(response)) if is_output => Some(response),
        _ => None,
    }
}

/// The items of a response, and the names of the withheld attributes.
fn unpack(response: &Item) -> Result<(Vec<Item>, Vec<String>), String> {
    let items = match (response.get("item"), response.get("items")) {
        (Some(Value::Map(item)), _) => vec![item.clone()],
        (None, Some(Value::List(items))) => {
            let items: Option<Vec<Item>> = items
                .iter()
                .map(|item| match item {
                    Value::Map(item) => Some(item.clone()),
                    _ => None,
                })
                .collect();
            items.ok_or("the response has an item that is not a JSON object")?
        }
        _ => return Err("the response has no item".to_owned()),
    };
    let withheld = match response.get("withheld") {
        Some(Value::List(names)) => names.iter().map(|name| match name {
            Value::String(name) => name.clone(),
            other => json::compact(other),
        }),
        _ => return Ok((items, Vec::new())),
    };
    Ok((items, withheld.collect()))
}

#[cfg(test)]
mod tests {
    use tollgate_client::Attribute;

    use super::*;

    fn model() -> Model {
        let declared = [("pk", "string"), ("tags", "string_set")];
        let attributes = declared.map(|(name, kind)| Attribute {
            name: name.to_owned(),
            r#type: kind.to_owned(),
            ..Attribute::default()
        });
        Model {
            attributes: attributes.to_vec(),
            ..Model::default()
        }
    }

    async fn items(source: &str) -> Result<Vec<Found>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("items.json");
        std::fs::write(&path, source).unwrap();
        let model = model();
        let mut items = Items::open(&model, &path).unwrap_or_else(|failure| panic!("{failure:?}"));
        let mut found = Vec::new();
        loop {
            match items.next().await {
                Ok(Some(item)) => found.push(item),
                Ok(None) => return Ok(found),
                Err(Failure::Arguments(what)) => return Err(what),
                Err(other) => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn json_output_is_read_back() {
        let get = r#"{"response":{"item":{"pk":"a","tags":["x"]},"withheld":["ssn"]},"metrics":{}}"#;
        let found = items(get).await.unwrap();
        assert_eq!(found[0].withheld, ["ssn"]);
        assert_eq!(found[0].item["tags"].kind(), "SS");
        let list = r#"{"response":{"items":[{"pk":"a"},{"pk":"b"}],"count":2},"metrics":{}}"#;
        assert_eq!(items(list).await.unwrap().len(), 2);
        let attributes = r#"{"response":{"item":{}},"metrics":{},"pk":"a"}"#;
        assert_eq!(
            items(attributes).await.unwrap()[0].item.len(),
            3,
            "an item, not a response"
        );
        let none = r#"{"response":{"count":2},"metrics":{}}"#;
        assert!(items(none).await.err().unwrap().contains("no item"));
        let fault = items("{\"pk\":\"a\"}\n{\"tags\":[1]}").await.err().unwrap();
        assert!(
            fault.ends_with("items.json:2: tags: is a set of strings"),
            "{fault}"
        );
    }
}
