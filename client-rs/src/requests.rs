//! The options of single calls, and the messages that they become. Sends nothing.

use serde::Serialize;
use tollgate_proto::v1;

use crate::value::{item_to_wire, to_item};
use crate::{Error, Expression, Key, Update};

/// What a write returns of the item.
pub use tollgate_proto::v1::ReturnValues;

/// Options of a Save.
#[derive(Clone, Debug, Default)]
pub struct SaveOptions {
    /// Write only if the stored item meets this condition.
    pub condition: Expression,
    /// What to return of the item: `None`, `AllOld` or `AllNew`. With `AllOld`, a failed condition returns the current item.
    pub return_values: ReturnValues,
    /// The id of this write. If the model has `idempotency`, a repeat with the same id within 10 minutes changes nothing and
    /// returns the first outcome. Empty: none.
    pub request_id: String,
    /// The write may be repeated although an earlier attempt may have succeeded, because that changes nothing more. If a
    /// repeat is refused, by its own condition or version, the outcome stays unknown.
    pub idempotent: bool,
    /// Validate the request without calling AWS.
    pub validate_only: bool,
}

/// Options of a Get.
#[derive(Clone, Debug, Default)]
pub struct GetOptions {
    /// Attributes to return, as paths (`address.city`, `lines[0]`). Empty: all. With fields, the item is read as
    /// [`Partial`](crate::Partial).
    pub fields: Vec<String>,
    /// Use a strongly consistent read, which costs twice the capacity.
    pub consistent_read: bool,
    /// Names of object attributes whose content is returned.
    pub include_objects: Vec<String>,
    /// Validate the request without calling AWS.
    pub validate_only: bool,
}

/// Options of an Update.
#[derive(Clone, Debug, Default)]
pub struct UpdateOptions {
    /// The version that the item must have. 0: not checked.
    pub version: u64,
    /// Update only if the stored item meets this condition.
    pub condition: Expression,
    /// What to return of the item. With `AllOld`, a failed condition returns the current item.
    pub return_values: ReturnValues,
    /// Return `ITEM_NOT_FOUND` if there is no such item, instead of creating it.
    pub must_exist: bool,
    /// The id of this write, as in [`SaveOptions::request_id`].
    pub request_id: String,
    /// The write may be repeated although an earlier attempt may have succeeded, because that changes nothing more: it only
    /// sets values, for example, and adds nothing.
    pub idempotent: bool,
    /// Validate the request without calling AWS.
    pub validate_only: bool,
}

/// Options of a Delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// The version that the item must have. 0: not checked.
    pub version: u64,
    /// Remove only if the stored item meets this condition.
    pub condition: Expression,
    /// `None` or `AllOld`. With `AllOld`, a failed condition returns the current item.
    pub return_values: ReturnValues,
    /// The id of this write, as in [`SaveOptions::request_id`].
    pub request_id: String,
    /// The write may be repeated although an earlier attempt may have succeeded, because that changes nothing more.
    pub idempotent: bool,
    /// Validate the request without calling AWS.
    pub validate_only: bool,
}

/// One read of a batch or transaction. Set only what differs: `Get { consistent_read: true, ..Get::new("User", key) }`.
#[derive(Clone, Debug, Default)]
pub struct Get {
    /// Name of a served model.
    pub model: String,
    /// The key of the item.
    pub key: Key,
    /// Attributes to return, as paths. Empty: all. With fields, the item is read as [`Partial`](crate::Partial).
    pub fields: Vec<String>,
    /// Use a strongly consistent read. Transactions ignore it.
    pub consistent_read: bool,
    /// Names of object attributes whose content is returned.
    pub include_objects: Vec<String>,
}

impl Get {
    /// A read of a whole item.
    pub fn new(model: impl Into<String>, key: impl Into<Key>) -> Get {
        Get {
            model: model.into(),
            key: key.into(),
            ..Get::default()
        }
    }

    pub(crate) fn into_wire(self) -> Result<v1::GetRequest, Error> {
        Ok(v1::GetRequest {
            model: self.model,
            key: self.key.into_wire()?,
            fields: self.fields,
            consistent_read: self.consistent_read,
            include_objects: self.include_objects,
            validate_only: false,
        })
    }
}

pub(crate) fn save<T: Serialize + ?Sized>(
    model: &str,
    item: &T,
    options: SaveOptions,
) -> Result<v1::SaveRequest, Error> {
    let item = to_item(item).map_err(|error| Error::invalid_value("item", error))?;
    Ok(v1::SaveRequest {
        model: model.to_owned(),
        item: item_to_wire(item),
        condition: options.condition.into_wire("condition")?,
        return_values: options.return_values.into(),
        request_id: options.request_id,
        validate_only: options.validate_only,
    })
}

pub(crate) fn update(
    model: &str,
    key: Key,
    update: Update,
    options: UpdateOptions,
) -> Result<v1::UpdateRequest, Error> {
    Ok(v1::UpdateRequest {
        model: model.to_owned(),
        key: key.into_wire()?,
        version: options.version,
        update: update.into_wire("update")?,
        condition: options.condition.into_wire("condition")?,
        return_values: options.return_values.into(),
        must_exist: options.must_exist,
        request_id: options.request_id,
        validate_only: options.validate_only,
    })
}

pub(crate) fn delete(model: &str, key: Key, options: DeleteOptions) -> Result<v1::DeleteRequest, Error> {
    Ok(v1::DeleteRequest {
        model: model.to_owned(),
        key: key.into_wire()?,
        condition: options.condition.into_wire("condition")?,
        return_values: options.return_values.into(),
        request_id: options.request_id,
        validate_only: options.validate_only,
        version: options.version,
    })
}

/// Whether items of a request with these fields can be read as a type.
pub(crate) fn check_fields<T: crate::Readable>(fields: &[String]) -> Result<(), Error> {
    match fields.is_empty() || T::ACCEPTS_PARTIAL {
        true => Ok(()),
        false => {
            let fault = crate::ValueError::new("leave attributes out: read the items as Partial<T>");
            Err(Error::invalid_value("fields", fault))
        }
    }
}
