//! The fields of one operation of a file: each is taken once, and unknown ones are refused. Sends nothing.

use tollgate_client::{Item, Value};

use super::failure::Failure;
use crate::fault::did_you_mean;

/// The fields of an operation that were not taken yet.
pub(super) struct Fields {
    /// `file:line`
    place: String,
    /// `save`, and so on.
    kind: &'static str,
    fields: Item,
    taken: Vec<String>,
}

impl Fields {
    pub(super) fn new(place: String, kind: &'static str, fields: Item) -> Fields {
        Fields {
            place,
            kind,
            fields,
            taken: Vec::new(),
        }
    }

    /// `file:line`
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The failure of a field.
    pub(super) fn wrong(&self, field: &str, what: &str) -> Failure {
        Failure::Arguments(format!("{}: {}.{field}: {what}", self.place, self.kind))
    }

    /// A string.
    pub(super) fn text(&mut self, field: &str) -> Result<Option<String>, Failure> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(field, "must be a string")),
        }
    }

    /// An object.
    pub(super) fn map(&mut self, field: &str) -> Result<Option<Item>, Failure> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Map(fields)) => Ok(Some(fields)),
            Some(_) => Err(self.wrong(field, "must be an object")),
        }
    }

    /// A boolean; false if it is absent.
    pub(super) fn flag(&mut self, field: &str) -> Result<bool, Failure> {
        match self.take(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(self.wrong(field, "must be true or false")),
        }
    }

    /// A whole number; 0 if it is absent.
    pub(super) fn number(&mut self, field: &str) -> Result<u64, Failure> {
        match self.take(field) {
            None => Ok(0),
            Some(Value::Number(number)) => {
                let number = number.as_str().parse();
                number.map_err(|_| self.wrong(field, "must be a whole number"))
            }
            Some(_) => Err(self.wrong(field, "must be a whole number")),
        }
    }

    /// Refuses what was not taken.
    pub(super) fn end(&self) -> Result<(), Failure> {
        match self.fields.keys().min() {
            None => Ok(()),
            Some(name) => {
                let near = did_you_mean(name, self.taken.iter().map(String::as_str));
                Err(self.wrong(name, &format!("unknown field{near}")))
            }
        }
    }

    fn take(&mut self, field: &str) -> Option<Value> {
        self.taken.push(field.to_owned());
        self.fields.remove(field)
    }
}
