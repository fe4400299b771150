//! Save, Get and Delete: one item each.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate_proto::Reason;
use tollgate_proto::v1;

use crate::retry::Effect;
use crate::value::{from_item, item_from_wire, item_to_wire, to_item};
use crate::{Client, Error, Expression, Item, Key, Response};

/// What a write returns of the item.
pub use tollgate_proto::v1::ReturnValues;

/// Options of a Save.
#[derive(Clone, Debug, Default)]
pub struct SaveOptions {
    /// Write only if the stored item meets this condition.
    pub condition: Expression,
    /// What to return of the item.
    pub return_values: ReturnValues,
    /// Validate the request without calling AWS.
    pub validate_only: bool,
}

/// The result of a Save.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Saved {
    /// What the server set: defaults, and references to uploaded objects.
    pub generated: Item,
    /// With `ReturnValues::AllOld`: the item that was replaced, if there was one.
    pub old_item: Option<Item>,
    /// With `ReturnValues::AllNew`: the item as written.
    pub item: Option<Item>,
}

/// Options of a Get.
#[derive(Clone, Debug, Default)]
pub struct GetOptions {
    /// Attributes to return, as paths (`address.city`, `lines[0]`). Empty: all.
    pub fields: Vec<String>,
    /// Use a strongly consistent read, which costs twice the capacity.
    pub consistent_read: bool,
    /// Names of object attributes whose content is returned.
    pub include_objects: Vec<String>,
    /// Validate the request without calling AWS.
    pub validate_only: bool,
}

/// An item that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<T> {
    /// The item.
    pub item: T,
    /// Names of attributes that are missing because this caller may not see them in plaintext.
    pub withheld: Vec<String>,
}

/// Options of a Delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Remove only if the stored item meets this condition.
    pub condition: Expression,
    /// `None` or `AllOld`.
    pub return_values: ReturnValues,
    /// Validate the request without calling AWS.
    pub validate_only: bool,
}

impl Client {
    /// Writes a whole item: a struct, a map, or a raw [`Item`].
    ///
    /// # Errors
    ///
    /// If the value is not an item, if the model refuses it (`INVALID_FIELD` with all violations), or if a store fails.
    pub async fn save<T: Serialize + ?Sized>(&self, model: &str, item: &T) -> Result<Response<Saved>, Error> {
        self.save_with(model, item, SaveOptions::default()).await
    }

    /// Like [`Client::save`], with options.
    ///
    /// # Errors
    ///
    /// Like [`Client::save`]; `CONDITION_FAILED` if the condition was not met.
    pub async fn save_with<T: Serialize + ?Sized>(
        &self,
        model: &str,
        item: &T,
        options: SaveOptions,
    ) -> Result<Response<Saved>, Error> {
        let item = to_item(item).map_err(|error| Error::invalid_value("item", error))?;
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

    /// Reads one item by its key, as your own type or as a raw [`Item`].
    ///
    /// # Errors
    ///
    /// `ITEM_NOT_FOUND` if there is no such item. Also if the item does not match the type, or if a store fails.
    pub async fn get<T: DeserializeOwned>(
        &self,
        model: &str,
        key: impl Into<Key>,
    ) -> Result<Response<T>, Error> {
        Ok(self
            .get_with(model, key, GetOptions::default())
            .await?
            .map(|found| found.item))
    }

    /// Reads one item by its key. Returns `None` if there is no such item.
    ///
    /// # Errors
    ///
    /// Like [`Client::get`].
    pub async fn find<T: DeserializeOwned>(
        &self,
        model: &str,
        key: impl Into<Key>,
    ) -> Result<Response<Option<T>>, Error> {
        match self.get(model, key).await {
            Ok(response) => Ok(response.map(Some)),
            Err(error) if error.reason() == Some(Reason::ItemNotFound) => Ok(Response {
                value: None,
                metrics: error.metrics().clone(),
            }),
            Err(error) => Err(error),
        }
    }

    /// Like [`Client::get`], with options.
    ///
    /// # Errors
    ///
    /// Like [`Client::get`].
    pub async fn get_with<T: DeserializeOwned>(
        &self,
        model: &str,
        key: impl Into<Key>,
        options: GetOptions,
    ) -> Result<Response<Found<T>>, Error> {
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

    /// Removes one item and the objects that it owns. Succeeds if there is no such item.
    ///
    /// # Errors
    ///
    /// If a store fails.
    pub async fn delete(&self, model: &str, key: impl Into<Key>) -> Result<Response<()>, Error> {
        Ok(self
            .delete_with(model, key, DeleteOptions::default())
            .await?
            .map(|_| ()))
    }

    /// Like [`Client::delete`], with options. With `ReturnValues::AllOld` it returns the removed item, if there was one.
    ///
    /// # Errors
    ///
    /// `CONDITION_FAILED` if the condition was not met. Also if a store fails.
    pub async fn delete_with(
        &self,
        model: &str,
        key: impl Into<Key>,
        options: DeleteOptions,
    ) -> Result<Response<Option<Item>>, Error> {
        let request = v1::DeleteRequest {
            model: model.to_owned(),
            key: key.into().into_wire()?,
            condition: options.condition.into_wire("condition")?,
            return_values: options.return_values.into(),
            request_id: String::new(),
            validate_only: options.validate_only,
            version: 0,
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
        .map_err(Error::type_mismatch)?;
    Ok(Found { item, withheld })
}

fn saved(response: v1::SaveResponse) -> Result<Saved, Error> {
    Ok(Saved {
        generated: item_from_wire(response.generated).map_err(Error::type_mismatch)?,
        old_item: some_item(response.old_item)?,
        item: some_item(response.item)?,
    })
}

/// `None` if the item is empty. An item contains at least its key.
fn some_item(item: WireItem) -> Result<Option<Item>, Error> {
    let item = item_from_wire(item).map_err(Error::type_mismatch)?;
    Ok(Some(item).filter(|item| !item.is_empty()))
}
