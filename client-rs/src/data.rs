//! Save, Get and Delete: one item each.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate_proto::Reason;
use tollgate_proto::v1;

use crate::retry::Effect;
use crate::value::{from_item, item_from_wire, item_to_wire, to_item};
use crate::{Answer, Client, Error, Expression, Item, Key};

/// What a write answers of the item.
pub use tollgate_proto::v1::ReturnValues;

/// What else a Save may say.
#[derive(Clone, Debug, Default)]
pub struct SaveOptions {
    /// Write only where this holds for the item as it is now.
    pub condition: Expression,
    /// What to answer of the item.
    pub return_values: ReturnValues,
    /// Check everything, call nothing.
    pub validate_only: bool,
}

/// What a Save wrote.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// What the server set: defaults, and the references of uploaded objects.
    pub generated: Item,
    /// With `ReturnValues::AllOld`: the item that was replaced, if there was one.
    pub old_item: Option<Item>,
    /// With `ReturnValues::AllNew`: the item as written.
    pub item: Option<Item>,
}

/// What else a Get may say.
#[derive(Clone, Debug, Default)]
pub struct GetOptions {
    /// Attributes to answer, as paths (`address.city`, `lines[0]`); empty: all.
    pub fields: Vec<String>,
    /// Read what every earlier write left, for twice the capacity.
    pub consistent_read: bool,
    /// Names of object attributes whose content comes along.
    pub include_objects: Vec<String>,
    /// Check everything, call nothing.
    pub validate_only: bool,
}

/// An item that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<T> {
    /// The item.
    pub item: T,
    /// Names of attributes that this caller may not see in clear, and that are missing therefore.
    pub withheld: Vec<String>,
}

/// What else a Delete may say.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Remove only where this holds for the item as it is now.
    pub condition: Expression,
    /// `None` or `AllOld`.
    pub return_values: ReturnValues,
    /// Check everything, call nothing.
    pub validate_only: bool,
}

impl Client {
    /// Writes one item whole: a struct, a map, or a raw [`Item`].
    ///
    /// # Errors
    ///
    /// What is no item, what the model refuses (`INVALID_FIELD` with each field), and what the store says.
    pub async fn save<T: Serialize + ?Sized>(&self, model: &str, item: &T) -> Result<Answer<Saved>, Error> {
        self.save_with(model, item, SaveOptions::default()).await
    }

    /// Writes one item under a condition, or with more of an answer.
    ///
    /// # Errors
    ///
    /// As [`Client::save`]; `CONDITION_FAILED` where the condition does not hold.
    pub async fn save_with<T: Serialize + ?Sized>(
        &self,
        model: &str,
        item: &T,
        options: SaveOptions,
    ) -> Result<Answer<Saved>, Error> {
        let item = to_item(item).map_err(|error| Error::unsendable("item", error))?;
        let request = v1::SaveRequest {
            model: model.to_owned(),
            item: item_to_wire(item),
            condition: options.condition.into_wire("condition")?,
            return_values: options.return_values.into(),
            request_id: String::new(),
            validate_only: options.validate_only,
        };
        let send = |request| {
            let mut service = self.data();
            async move { service.save(request).await }
        };
        self.unary(Effect::Write, request, send).await?.try_map(saved)
    }

    /// Reads one item by its key, as a type of yours or a raw [`Item`].
    ///
    /// # Errors
    ///
    /// `ITEM_NOT_FOUND` where there is none; what does not fit the type; what the store says.
    pub async fn get<T: DeserializeOwned>(
        &self,
        model: &str,
        key: impl Into<Key>,
    ) -> Result<Answer<T>, Error> {
        Ok(self
            .get_with(model, key, GetOptions::default())
            .await?
            .map(|found| found.item))
    }

    /// Reads one item by its key; `None` where there is none.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn find<T: DeserializeOwned>(
        &self,
        model: &str,
        key: impl Into<Key>,
    ) -> Result<Answer<Option<T>>, Error> {
        match self.get(model, key).await {
            Ok(answer) => Ok(answer.map(Some)),
            Err(error) if error.reason() == Some(Reason::ItemNotFound) => Ok(Answer {
                value: None,
                metrics: error.metrics().clone(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Reads parts of an item, its objects, or what every earlier write left.
    ///
    /// # Errors
    ///
    /// As [`Client::get`].
    pub async fn get_with<T: DeserializeOwned>(
        &self,
        model: &str,
        key: impl Into<Key>,
        options: GetOptions,
    ) -> Result<Answer<Found<T>>, Error> {
        let request = v1::GetRequest {
            model: model.to_owned(),
            key: key.into().into_wire()?,
            fields: options.fields,
            consistent_read: options.consistent_read,
            include_objects: options.include_objects,
            validate_only: options.validate_only,
        };
        let send = |request| {
            let mut service = self.data();
            async move { service.get(request).await }
        };
        self.unary(Effect::Read, request, send)
            .await?
            .try_map(|response| found(response.item, response.withheld))
    }

    /// Removes one item and the objects that it owns. Succeeds where there is none.
    ///
    /// # Errors
    ///
    /// What the store says.
    pub async fn delete(&self, model: &str, key: impl Into<Key>) -> Result<Answer<()>, Error> {
        Ok(self
            .delete_with(model, key, DeleteOptions::default())
            .await?
            .map(|_| ()))
    }

    /// Removes one item under a condition; with `ReturnValues::AllOld` it answers what was removed, if anything was.
    ///
    /// # Errors
    ///
    /// `CONDITION_FAILED` where the condition does not hold; what the store says.
    pub async fn delete_with(
        &self,
        model: &str,
        key: impl Into<Key>,
        options: DeleteOptions,
    ) -> Result<Answer<Option<Item>>, Error> {
        let request = v1::DeleteRequest {
            model: model.to_owned(),
            key: key.into().into_wire()?,
            condition: options.condition.into_wire("condition")?,
            return_values: options.return_values.into(),
            request_id: String::new(),
            validate_only: options.validate_only,
        };
        let send = |request| {
            let mut service = self.data();
            async move { service.delete(request).await }
        };
        self.unary(Effect::Write, request, send)
            .await?
            .try_map(|response| some_item(response.old_item))
    }
}

pub(crate) type WireItem = std::collections::HashMap<String, v1::AttributeValue>;

pub(crate) fn found<T: DeserializeOwned>(item: WireItem, withheld: Vec<String>) -> Result<Found<T>, Error> {
    let item = item_from_wire(item)
        .and_then(from_item)
        .map_err(Error::unreadable)?;
    Ok(Found { item, withheld })
}

fn saved(response: v1::SaveResponse) -> Result<Saved, Error> {
    Ok(Saved {
        generated: item_from_wire(response.generated).map_err(Error::unreadable)?,
        old_item: some_item(response.old_item)?,
        item: some_item(response.item)?,
    })
}

/// An item has its key at least: an empty one is none.
fn some_item(item: WireItem) -> Result<Option<Item>, Error> {
    let item = item_from_wire(item).map_err(Error::unreadable)?;
    Ok(Some(item).filter(|item| !item.is_empty()))
}
