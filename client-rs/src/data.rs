//! Save, Get, Update and Delete: one item each.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tollgate_proto::{Reason, v1};
use tonic::{Request, Status};

use crate::requests::{self, DeleteOptions, GetOptions, SaveOptions, UpdateOptions};
use crate::retry::Effect;
use crate::written::{deleted, is_cut};
use crate::{Client, Error, Item, Key, Partial, Readable, Response, Saved, Update, Updated};

impl Client {
    /// Writes a whole item: a struct, a map, or a raw [`Item`].
    ///
    /// # Errors
    ///
    /// If the value is not an item, if the model refuses it (`INVALID_FIELD` with all violations), or if a store fails.
    pub async fn save<T: Serialize + ?Sized>(&self, model: &str, item: &T) -> Result<Response<Saved>, Error> {
        self.save_with(model, item, SaveOptions::default()).await
    }

    /// Writes a whole item, and sets in it what the server set: ids, the version, timestamps, references to objects. So the
    /// object in your hand can be changed and saved again, and loses to a write of another caller in between:
    ///
    /// ```no_run
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Serialize, Deserialize)]
    /// struct Page { pk: String, sk: String, text: String, rev: Option<u64> }
    ///
    /// # async fn example(client: tollgate_client::Client) -> Result<(), tollgate_client::Error> {
    /// let mut page = Page { pk: "P#1".into(), sk: "A".into(), text: "Draft".into(), rev: None };
    /// client.save_mut("Page", &mut page).await?; // creates it: page.rev is Some(1)
    /// page.text.push_str(" 2");
    /// client.save_mut("Page", &mut page).await?; // replaces version 1: page.rev is Some(2)
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Like [`Client::save_with`]. The item is unchanged after an error.
    pub async fn save_mut<T: Serialize + DeserializeOwned>(
        &self,
        model: &str,
        item: &mut T,
    ) -> Result<Response<Saved>, Error> {
        let response = self.save(model, item).await?;
        response.try_map(|saved| saved.apply_to(item).map(|()| saved))
    }

    /// Like [`Client::save`], with options.
    ///
    /// # Errors
    ///
    /// Like [`Client::save`]; `CONDITION_FAILED` if the condition was not met. If the model has a version attribute:
    /// `ALREADY_EXISTS` if the item has no version but is stored, `VERSION_MISMATCH` if another version is stored.
    pub async fn save_with<T: Serialize + ?Sized>(
        &self,
        model: &str,
        item: &T,
        options: SaveOptions,
    ) -> Result<Response<Saved>, Error> {
        let repeat = Repeat::new(options.idempotent, &options.request_id);
        let request = requests::save(model, item, options)?;
        let send = |request| {
            let mut service = self.data();
            async move { service.save(request).await }
        };
        self.write(repeat, model, request, send)
            .await?
            .try_map(|response| Saved::from_wire(model, response))
    }

    /// Reads one item by its key: as your own type, as a raw [`Item`], or as [`Partial`] if attributes may be left out.
    ///
    /// # Errors
    ///
    /// `ITEM_NOT_FOUND` if there is no such item. Also if the item does not match the type, or if a store fails.
    pub async fn get<T: Readable>(&self, model: &str, key: impl Into<Key>) -> Result<Response<T>, Error> {
        self.get_with(model, key, GetOptions::default()).await
    }

    /// Reads one item by its key. Returns `None` if there is no such item.
    ///
    /// # Errors
    ///
    /// Like [`Client::get`].
    pub async fn find<T: Readable>(
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

    /// Like [`Client::get`], with options. With `fields`, the type must be [`Partial`].
    ///
    /// # Errors
    ///
    /// Like [`Client::get`].
    pub async fn get_with<T: Readable>(
        &self,
        model: &str,
        key: impl Into<Key>,
        options: GetOptions,
    ) -> Result<Response<T>, Error> {
        requests::check_fields::<T>(&options.fields)?;
        let is_cut = !options.fields.is_empty();
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
            .try_map(|response| found(model, response, is_cut)?.read())
    }

    /// Changes attributes of one item in place, and creates it if there is none:
    ///
    /// ```no_run
    /// # use tollgate_client::{attr, update, Client, Error, Key};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let key = Key::new("pk", "USER#1").and("sk", "PROFILE");
    /// let changes = update().set("name", "Ada").set("visits", attr("visits") + 1).remove("address.street");
    /// client.update("User", key, changes).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If the model refuses the changes, or if a store fails.
    pub async fn update(
        &self,
        model: &str,
        key: impl Into<Key>,
        update: impl Into<Update>,
    ) -> Result<Response<Updated>, Error> {
        self.update_with(model, key, update, UpdateOptions::default())
            .await
    }

    /// Like [`Client::update`], with options.
    ///
    /// # Errors
    ///
    /// Like [`Client::update`]; `CONDITION_FAILED` if the condition was not met, `VERSION_MISMATCH` if another version is
    /// stored, `ITEM_NOT_FOUND` if there is no such item and it must exist.
    pub async fn update_with(
        &self,
        model: &str,
        key: impl Into<Key>,
        update: impl Into<Update>,
        options: UpdateOptions,
    ) -> Result<Response<Updated>, Error> {
        let repeat = Repeat::new(options.idempotent, &options.request_id);
        let request = requests::update(model, key.into(), update.into(), options)?;
        let is_cut = is_cut(request.return_values);
        let send = |request| {
            let mut service = self.data();
            async move { service.update(request).await }
        };
        self.write(repeat, model, request, send)
            .await?
            .try_map(|response| Updated::from_wire(model, response, is_cut))
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
    /// `CONDITION_FAILED` if the condition was not met, `VERSION_MISMATCH` if another version is stored. Also if a store
    /// fails.
    pub async fn delete_with(
        &self,
        model: &str,
        key: impl Into<Key>,
        options: DeleteOptions,
    ) -> Result<Response<Option<Partial<Item>>>, Error> {
        let repeat = Repeat::new(options.idempotent, &options.request_id);
        let request = requests::delete(model, key.into(), options)?;
        let send = |request| {
            let mut service = self.data();
            async move { service.delete(request).await }
        };
        self.write(repeat, model, request, send)
            .await?
            .try_map(|response| deleted(model, response))
    }

    async fn write<Q, R, F>(
        &self,
        repeat: Repeat,
        model: &str,
        request: Q,
        send: impl Fn(Request<Q>) -> F,
    ) -> Result<Response<R>, Error>
    where
        Q: Clone,
        F: Future<Output = Result<tonic::Response<R>, Status>>,
    {
        match repeat {
            Repeat::Never => self.unary(Effect::Write, request, send).await,
            Repeat::Always => self.unary(Effect::IdempotentWrite, request, send).await,
            Repeat::IfModelIsIdempotent => self.named_write(model, request, send).await,
        }
    }
}

/// Whether a write is repeated if its outcome is unknown.
enum Repeat {
    Never,
    Always,
    IfModelIsIdempotent,
}

impl Repeat {
    fn new(is_idempotent: bool, request_id: &str) -> Repeat {
        match (is_idempotent, request_id.is_empty()) {
            (true, _) => Repeat::Always,
            (false, true) => Repeat::Never,
            (false, false) => Repeat::IfModelIsIdempotent,
        }
    }
}

/// The item of a response.
pub(crate) fn found(model: &str, response: v1::GetResponse, is_cut: bool) -> Result<Partial<Item>, Error> {
    let found = Partial::from_wire(
        model,
        response.item,
        response.withheld,
        response.unreadable,
        is_cut,
    );
    found.map(|found| found.with_unverified(response.unverified))
}
