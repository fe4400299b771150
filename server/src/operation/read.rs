//! Reading stored items for callers: open what was asked for, fetch the objects that come inline, leave out what only
//! the gateway needed.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use tollgate_proto::Reason;

use super::{Error, Gate};
use crate::aws;
use crate::billing::Call;
use crate::crypto::CallKeys;
use crate::expression::{self, Placeholders, Projection};
use crate::fault::{Fault, Path};
use crate::item::load::{self, LoadError, Opened};
use crate::item::pointer::Pointer;
use crate::model::{AttributeType, Item, Model, Value};
use crate::object::read::{self as object_read, ReadError};

/// What a call reads of each item.
pub(super) struct Reader {
    pub(super) gate: Arc<Gate>,
    pub(super) call: Call,
    pub(super) model: Arc<Model>,
    pub(super) keys: CallKeys,
    pub(super) projection: Option<Projection>,
    pub(super) include_objects: Vec<String>,
}

impl Reader {
    pub(super) fn new(
        gate: &Arc<Gate>,
        call: &Call,
        model: Arc<Model>,
        projection: Option<Projection>,
        include_objects: Vec<String>,
    ) -> Reader {
        let keys = gate.keyring.for_call(call);
        Reader {
            gate: gate.clone(),
            call: call.clone(),
            model,
            keys,
            projection,
            include_objects,
        }
    }

    /// Opens one stored item. An error spoils this item alone, but for one of `spoils_the_call`.
    pub(super) async fn open(&self, stored: Item) -> Result<Opened, Error> {
        let wanted = self.projection.as_ref().map(Projection::attributes);
        let pointers: Vec<_> = self.pointers(&stored).collect();
        let mut opened = load::open(&self.model, stored, &self.keys, wanted)
            .await
            .map_err(of_load)?;
        self.fetch_objects(pointers, &mut opened.item).await?;
        Ok(opened)
    }

    /// The bytes of content that an item brings inline.
    pub(super) fn inline_bytes(&self, stored: &Item) -> u64 {
        self.pointers(stored).map(|(_, pointer)| pointer.size_bytes).sum()
    }

    /// The objects that come inline, as far as the item points to any; a broken pointer is told by `load`.
    fn pointers(&self, stored: &Item) -> impl Iterator<Item = (&str, Pointer)> {
        self.include_objects
            .iter()
            .filter_map(|name| Some((name.as_str(), Pointer::from_value(stored.get(name)?)?)))
    }

    async fn fetch_objects(&self, pointers: Vec<(&str, Pointer)>, item: &mut Item) -> Result<(), Error> {
        if pointers.is_empty() {
            return Ok(());
        }
        let most_bytes = self.gate.limits.message_bytes;
        if let Some((name, pointer)) = pointers
            .iter()
            .find(|(_, pointer)| pointer.size_bytes > most_bytes as u64)
        {
            return Err(Error::ObjectTooLarge {
                attribute: (*name).to_owned(),
                bytes: pointer.size_bytes,
            });
        }
        let fetching: Vec<_> = pointers
            .into_iter()
            .map(|(name, pointer)| self.fetch_object(name, pointer))
            .collect();
        let mut fetched =
            futures::stream::iter(fetching).buffer_unordered(self.gate.limits.objects_in_flight);
        while let Some(content) = fetched.next().await {
            let (name, content) = content?;
            if let Some(Value::Object(object)) = item.get_mut(name) {
                object.data = Some(content);
            }
        }
        Ok(())
    }

    async fn fetch_object<'a>(&self, name: &'a str, pointer: Pointer) -> Result<(&'a str, Bytes), Error> {
        let limits = &self.gate.limits;
        let s3 = &self.gate.stores.s3;
        let content =
            object_read::read(s3, &self.call, self.region(name), &pointer, limits.message_bytes).await;
        content
            .map(|content| (name, content))
            .map_err(|error| of_object(name, error))
    }

    /// Opens one item of a page; the key of one that does not open tells which it is.
    pub(super) async fn open_of_page(&self, stored: Item) -> Result<Opened, (Item, Error)> {
        let key = self.key_of(&stored);
        self.open(stored).await.map_err(|error| (key, error))
    }

    /// The key of a stored item.
    pub(super) fn key_of(&self, stored: &Item) -> Item {
        let names = self.model.key_names();
        names
            .filter_map(|name| Some((name.to_owned(), stored.get(name)?.clone())))
            .collect()
    }

    fn region(&self, name: &str) -> Option<&str> {
        self.model.attribute(name)?.s3.as_ref()?.region.as_deref()
    }
}

/// What the store is asked for: the fields and the objects that come inline. None: everything.
pub(super) fn project(
    model: &Model,
    fields: &[String],
    include_objects: &[String],
    placeholders: &mut Placeholders,
) -> Result<Option<Projection>, Vec<Fault>> {
    if fields.is_empty() {
        return Ok(None);
    }
    let unnamed = include_objects.iter().filter(|name| !fields.contains(name));
    let fields: Vec<String> = fields.iter().chain(unnamed).cloned().collect();
    expression::projection(model, &fields, "fields", placeholders).map(Some)
}

/// Whether an error concerns the whole call: the store or the clock, not what is stored.
pub(super) fn spoils_the_call(error: &Error) -> bool {
    match error {
        Error::Store(cause) => matches!(
            cause.kind,
            aws::Kind::Throttled
                | aws::Kind::Unavailable
                | aws::Kind::OutcomeUnknown
                | aws::Kind::Deadline { .. }
        ),
        Error::Internal(_) => true,
        _ => false,
    }
}

/// Checks `include_objects` against the model.
pub(super) fn check_include(model: &Model, include_objects: &[String]) -> Vec<Fault> {
    let root = Path::Root("include_objects");
    let wrong = include_objects.iter().enumerate().filter_map(|(index, name)| {
        let is_object = model
            .attribute(name)
            .is_some_and(|attribute| attribute.kind == AttributeType::Object);
        let complaint = || {
            Fault::new(
                Path::Index(&root, index),
                format!("{name:?} is no object attribute of {}", model.name),
            )
        };
        (!is_object).then(complaint)
    });
    wrong.collect()
}

/// A load error as the operation's.
pub(super) fn of_load(error: LoadError) -> Error {
    let description = error.to_string();
    match error {
        LoadError::Ciphertext { attribute, .. } => Error::DataLoss {
            reason: Reason::CiphertextInvalid,
            attribute,
            description,
        },
        LoadError::Pointer { attribute } => Error::DataLoss {
            reason: Reason::ObjectInvalid,
            attribute,
            description,
        },
        LoadError::Key { model } => Error::DataLoss {
            reason: Reason::ItemInvalid,
            attribute: model,
            description,
        },
        LoadError::Kms(error) => Error::Store(error),
    }
}

fn of_object(attribute: &str, error: ReadError) -> Error {
    match error {
        ReadError::Invalid { description } => Error::DataLoss {
            reason: Reason::ObjectInvalid,
            attribute: attribute.to_owned(),
            description,
        },
        ReadError::Store(error) => Error::Store(error),
    }
}
