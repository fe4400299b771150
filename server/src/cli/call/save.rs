//! `save`: saves the item of the arguments, or those of a file in order, one call each.

use tollgate_client::{CallMetrics, Client, Item, Model, Object, ReturnValues, SaveOptions, Saved, Value};

use super::args::Save;
use super::failure::{Failure, Outcome};
use super::items::{Found, Items};
use super::output::{Listed, Output};
use super::{connection, input, typed};

impl Save {
    pub(super) async fn run(
        self,
        plain: &Client,
        client: &Client,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Failure> {
        let model = connection::model(plain, &self.model).await?;
        let arguments = input::attributes(&model, &self.attributes).await?;
        let saver = Saver {
            client,
            model: &model,
            options: SaveOptions {
                condition: self.condition.expression(&model)?,
                return_values: ReturnValues::AllNew,
                validate_only: self.validate_only,
                ..SaveOptions::default()
            },
            arguments,
        };
        let Some(path) = &self.file else {
            return saver.one(Item::new(), None, output).await;
        };
        let mut items = Items::open(&model, path)?;
        let Some(first) = items.next().await? else {
            return Err(Failure::Arguments(format!("{}: has no item", items.name())));
        };
        match items.next().await? {
            None => {
                let item = checked(&model, &saver.arguments, &first)?;
                saver.one(item, Some(first.place), output).await
            }
            Some(second) => saver.many(first, second, items, output).await,
        }
    }
}

/// What all saves of a command share.
struct Saver<'a> {
    client: &'a Client,
    model: &'a Model,
    options: SaveOptions,
    /// Attributes that override those of every item.
    arguments: Item,
}

impl Saver<'_> {
    async fn one(
        &self,
        item: Item,
        place: Option<String>,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Failure> {
        let result = self.save(item).await.map_err(|error| match place {
            Some(place) => Failure::Placed(error, place),
            None => error.into(),
        })?;
        if self.options.validate_only {
            output.remark("valid: nothing was written")?;
            output.nothing(&result.metrics)?;
            return Ok(Outcome::Done);
        }
        let written = result.value.item.unwrap_or_default();
        let response = Item::from([
            (
                "generated".to_owned(),
                typed::write_item(self.model, result.value.generated),
            ),
            ("item".to_owned(), typed::write_item(self.model, written.clone())),
        ]);
        output.item(self.model, written, response, &result.metrics)?;
        Ok(Outcome::Done)
    }

    /// Stops at the first item that fails; with `--validate-only`, checks all.
    async fn many(
        &self,
        first: Found,
        second: Found,
        mut rest: Items<'_>,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Failure> {
        let mut listed = Listed::default();
        let mut metrics = CallMetrics::default();
        let mut next = [first, second].into_iter();
        loop {
            let found = match next.next() {
                Some(found) => Ok(Some(found)),
                None => rest.next().await,
            };
            let checked = found.and_then(|found| match found {
                Some(found) => Ok(Some((checked(self.model, &self.arguments, &found)?, found.place))),
                None => Ok(None),
            });
            let (item, place) = match checked {
                Ok(Some(checked)) => checked,
                Ok(None) => break,
                Err(failure) => return self.broken_off(listed, &metrics, failure, output),
            };
            match self.save(item).await {
                Ok(result) => {
                    metrics.add(result.metrics);
                    let written = result.value.item.filter(|_| !self.options.validate_only);
                    if let Some(written) = written {
                        output.listed(self.model, written, &mut listed)?;
                    }
                }
                Err(error) if self.options.validate_only => {
                    metrics.add(error.metrics().clone());
                    output.bad_item(&error, &mut listed)?;
                    output.remark(&format!("  {place}"))?;
                }
                Err(error) => {
                    metrics.add(error.metrics().clone());
                    let place = format!("{place} (items saved before it: {})", listed.items);
                    return Err(Failure::Placed(error.with_bill(metrics), place));
                }
            }
        }
        let outcome = match listed.failed {
            0 => Outcome::Done,
            _ => Outcome::ItemsFailed,
        };
        if self.options.validate_only && listed.failed == 0 {
            output.remark("valid: nothing was written")?;
        }
        output.end(self.model, listed, &metrics)?;
        Ok(outcome)
    }

    /// The source is invalid: the items saved before are still printed and billed.
    fn broken_off(
        &self,
        listed: Listed,
        metrics: &CallMetrics,
        failure: Failure,
        output: &mut Output<'_>,
    ) -> Result<Outcome, Failure> {
        let saved = listed.items;
        if metrics.calls > 0 {
            output.end(self.model, listed, metrics)?;
        }
        Err(match failure {
            Failure::Arguments(what) if saved > 0 => {
                Failure::Arguments(format!("{what}\nitems saved before it: {saved}"))
            }
            other => other,
        })
    }

    async fn save(&self, mut item: Item) -> Result<tollgate_client::Response<Saved>, tollgate_client::Error> {
        item = prepared(item, &self.arguments);
        let options = self.options.clone();
        self.client.save_with(&self.model.name, &item, options).await
    }
}

/// The item to save. Refuses attributes that the model does not accept, and items whose withheld attributes a Save would
/// remove.
pub(super) fn checked(model: &Model, arguments: &Item, found: &Found) -> Result<Item, Failure> {
    let at = |what: &str| Failure::Arguments(format!("{}: {what}", found.place));
    let names = found.item.keys().map(String::as_str);
    input::check_names(model, names).map_err(|failure| match failure {
        Failure::Arguments(what) => at(&what),
        other => other,
    })?;
    let is_lost = |name: &&String| !arguments.contains_key(*name) && !found.item.contains_key(*name);
    if let Some(name) = found.withheld.iter().find(is_lost) {
        return Err(at(&format!(
            "`{name}` was withheld when this item was read, and a Save would remove it: set it with {name}=…"
        )));
    }
    Ok(found.item.clone())
}

/// The item as it is sent: with these attributes, and its objects with content as new ones.
pub(super) fn prepared(mut item: Item, arguments: &Item) -> Item {
    item.extend(arguments.clone());
    item.values_mut().for_each(forget_place);
    item
}

/// Sends an object that has content as new content, without its old location.
fn forget_place(value: &mut Value) {
    if let Value::Object(object) = value
        && object.data.is_some()
    {
        let Object {
            data,
            name,
            content_type,
            metadata,
            ..
        } = std::mem::take(object.as_mut());
        **object = Object {
            data,
            name,
            content_type,
            metadata,
            ..Object::default()
        };
    }
}
