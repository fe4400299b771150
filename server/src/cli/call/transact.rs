//! `transact`: applies the operations of a file together or not at all. An operation is a JSON object with one name:
//! `{"save": {"model": "User", "item": {…}, "condition": "…", "values": {":n": 1}}}`, `update` and `delete` with `key`, and
//! `check`. Values are typed by the model, as everywhere.

use std::collections::BTreeMap;

use tollgate_client::{
    Client, DeleteOptions, Error, Expression, Item, Model, SaveOptions, Transaction, UpdateOptions, Value,
    Written, expr,
};

use super::args::Transact;
use super::failure::{Failure, Outcome};
use super::operation_fields::Fields;
use super::output::Output;
use super::placeholders::Kinds;
use super::texts::Texts;
use super::{connection, input, json, keys, typed};
use crate::fault::did_you_mean;

/// Operations of one transaction, DynamoDB's limit.
const MAX_OPERATIONS: usize = 100;
/// What an operation can be.
const KINDS: [&str; 4] = ["save", "update", "delete", "check"];

impl Transact {
    pub(super) async fn run(
        self,
        plain: &Client,
        client: &Client,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Failure> {
        let mut texts = Texts::open(&self.file)?;
        let mut models = BTreeMap::new();
        let mut transaction = Transaction::new().request_id(self.request_id);
        let mut operations = Vec::new();
        while let Some((line, text)) = texts.next().await.map_err(Failure::Arguments)? {
            let place = format!("{}:{line}", texts.name());
            if operations.len() == MAX_OPERATIONS {
                let what = format!("{place}: a transaction has at most {MAX_OPERATIONS} operations");
                return Err(Failure::Arguments(what));
            }
            let operation = Operation::read(&text, place)?;
            let name = operation.model.clone();
            if !models.contains_key(&name) {
                models.insert(name.clone(), connection::model(plain, &name).await?);
            }
            let Some(model) = models.get(&name) else { continue };
            let label = format!("{} {name} ({})", operation.kind, operation.fields.place());
            transaction = operation.add_to(transaction, model)?;
            operations.push((label, name));
        }
        if operations.is_empty() {
            return Err(Failure::Arguments(format!("{}: has no operation", texts.name())));
        }
        if self.validate_only {
            transaction = transaction.validate_only();
        }
        let result = client.transact_write(transaction).await;
        let result = result.map_err(|error| refused(error, &operations))?;
        if self.validate_only {
            output.remark("valid: nothing was written")?;
            output.nothing(&result.metrics)?;
            return Ok(Outcome::Done);
        }
        let results = operations.iter().zip(result.value);
        let results: Vec<Value> = results
            .filter_map(|((_, name), written)| Some(response(models.get(name)?, written)))
            .collect();
        let text = format!("{} operations applied\n", results.len());
        let response = Item::from([("results".to_owned(), results.into())]);
        output.message(&text, response, Some(&result.metrics))?;
        Ok(Outcome::Done)
    }
}

/// The error, with a line for each operation that was refused.
fn refused(error: Error, operations: &[(String, String)]) -> Failure {
    let label = |index: usize| operations.get(index).map_or("", |(label, _)| label.as_str());
    let failures = error.failures().iter().map(|failure| {
        let reason = failure.reason.map_or("", |reason| reason.as_str());
        format!(
            "operation {}, {}: {reason}: {}",
            failure.index,
            label(failure.index),
            failure.message
        )
    });
    let lines: Vec<String> = failures.collect();
    match (lines.is_empty(), error.index()) {
        (false, _) => Failure::Placed(error, lines.join("\n  ")),
        (true, Some(index)) => {
            let place = format!("operation {index}, {}", label(index));
            Failure::Placed(error, place)
        }
        (true, None) => error.into(),
    }
}

/// What an operation did, as JSON.
fn response(model: &Model, written: Written) -> Value {
    let generated = match written {
        Written::Saved(saved) => saved.generated,
        Written::Updated(updated) => updated.generated,
        // a delete or a check sets nothing, and further variants are not known
        _ => Item::new(),
    };
    Item::from([("generated".to_owned(), typed::write_item(model, generated))]).into()
}

/// One operation of the file.
struct Operation {
    kind: &'static str,
    model: String,
    fields: Fields,
}

impl Operation {
    fn read(text: &str, place: String) -> Result<Operation, Failure> {
        let wrong = |what: &str| Failure::Arguments(format!("{place}: {what}"));
        let Value::Map(operation) = json::read(text).map_err(|what| wrong(&what))? else {
            return Err(wrong("not a JSON object"));
        };
        let mut entries = operation.into_iter();
        let (Some((name, inner)), None) = (entries.next(), entries.next()) else {
            return Err(wrong("must have one name: save, update, delete or check"));
        };
        let Some(kind) = KINDS.into_iter().find(|kind| *kind == name) else {
            let near = did_you_mean(&name, KINDS);
            return Err(wrong(&format!(
                "`{name}`: must be save, update, delete or check{near}"
            )));
        };
        let Value::Map(fields) = inner else {
            return Err(wrong(&format!("{kind}: not a JSON object")));
        };
        let mut fields = Fields::new(place, kind, fields);
        let model = fields.text("model")?;
        let model = model.ok_or_else(|| fields.wrong("model", "is required"))?;
        Ok(Operation { kind, model, fields })
    }

    fn add_to(mut self, transaction: Transaction, model: &Model) -> Result<Transaction, Failure> {
        let name = self.model.clone();
        let condition = self.fields.text("condition")?;
        let update = match self.kind {
            "update" => self.fields.text("update")?,
            _ => None,
        };
        let texts = [condition.as_deref(), update.as_deref()];
        let values = self.fields.map("values")?.unwrap_or_default();
        let names = self.fields.map("names")?.unwrap_or_default();
        self.check_used(&texts, values.keys().chain(names.keys()))?;
        let conditions: Vec<&str> = condition.as_deref().into_iter().collect();
        let condition = self.expression(
            condition.as_deref(),
            &Kinds::new(model, &conditions),
            &values,
            &names,
        )?;
        let version = self.version()?;
        let added = match self.kind {
            "save" => {
                let item = self.item("item", model)?;
                let options = SaveOptions {
                    condition,
                    ..SaveOptions::default()
                };
                transaction.save_with(&name, &item, options)
            }
            "update" => {
                let key = self.item("key", model)?;
                let assignments: Vec<String> = update.iter().flat_map(|text| changes(text)).collect();
                let kinds = Kinds::of_changes(model, &assignments);
                let update = self.expression(update.as_deref(), &kinds, &values, &names)?;
                let options = UpdateOptions {
                    version,
                    condition,
                    must_exist: self.fields.flag("must_exist")?,
                    ..UpdateOptions::default()
                };
                transaction.update_with(&name, key, update, options)
            }
            "delete" => {
                let key = self.item("key", model)?;
                let options = DeleteOptions {
                    version,
                    condition,
                    ..DeleteOptions::default()
                };
                transaction.delete_with(&name, key, options)
            }
            _ => {
                let key = self.item("key", model)?;
                transaction.check(&name, key, condition)
            }
        };
        self.fields.end()?;
        Ok(added)
    }

    /// The expected version of an update or a delete; a save has it in its item.
    fn version(&mut self) -> Result<u64, Failure> {
        match self.kind {
            "update" | "delete" => self.fields.number("version"),
            _ => Ok(0),
        }
    }

    /// An item or a key, typed by the model.
    fn item(&mut self, field: &str, model: &Model) -> Result<Item, Failure> {
        let fields = self.fields.map(field)?;
        let fields = fields.ok_or_else(|| self.fields.wrong(field, "is required"))?;
        let mut item = Item::new();
        for (name, json) in fields {
            let value = typed::read(json, typed::kind_of(model, &name));
            let value = value.map_err(|what| self.fields.wrong(&format!("{field}.{name}"), &what))?;
            item.insert(name, value);
        }
        input::check_names(model, item.keys().map(String::as_str)).map_err(|failure| match failure {
            Failure::Arguments(what) => self.fields.wrong(field, &what),
            other => other,
        })?;
        if field == "key" {
            let (_, others) = keys::split(model, item.clone());
            if let Some(name) = others.keys().min() {
                return Err(self
                    .fields
                    .wrong(&format!("key.{name}"), "is not part of the key"));
            }
        }
        Ok(item)
    }

    /// A text with those of the placeholders that it uses.
    fn expression(
        &self,
        text: Option<&str>,
        kinds: &Kinds<'_>,
        values: &Item,
        names: &Item,
    ) -> Result<Expression, Failure> {
        let Some(text) = text else {
            return Ok(Expression::default());
        };
        let mut expression = expr(text);
        for (name, json) in values.iter().filter(|(name, _)| input::names(text, name)) {
            let value = typed::read(json.clone(), kinds.get(name).unwrap_or_default());
            let value = value.map_err(|what| self.fields.wrong(&format!("values.{name}"), &what))?;
            expression = expression.bind(name.as_str(), value);
        }
        for (name, attribute) in names.iter().filter(|(name, _)| input::names(text, name)) {
            let Value::String(attribute) = attribute else {
                return Err(self.fields.wrong(&format!("names.{name}"), "must be a string"));
            };
            expression = expression.name(name.as_str(), attribute.as_str());
        }
        Ok(expression)
    }

    /// Refuses placeholders that no expression uses.
    fn check_used<'n>(
        &self,
        texts: &[Option<&str>],
        placeholders: impl Iterator<Item = &'n String>,
    ) -> Result<(), Failure> {
        for name in placeholders {
            if !texts.iter().flatten().any(|text| input::names(text, name)) {
                return Err(self.fields.wrong(name, "is not used in any expression"));
            }
        }
        Ok(())
    }
}

/// The changes of an update, without the names of its clauses.
fn changes(update: &str) -> Vec<String> {
    let is_clause = |word: &str| {
        ["SET", "REMOVE", "ADD", "DELETE"]
            .iter()
            .any(|clause| word.eq_ignore_ascii_case(clause))
    };
    let mut changes = vec![String::new()];
    for word in update.split_whitespace() {
        if is_clause(word) {
            changes.push(String::new());
        } else if let Some(change) = changes.last_mut() {
            change.push_str(word);
            change.push(' ');
        }
    }
    changes
}
