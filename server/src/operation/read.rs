//! Reading stored items for callers: open what was asked for, fetch the objects that come inline, leave out what only
//! the gateway needed.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use tollgate_proto::Reason;

use super::{Error, Gate, shown};
use crate::aws;
use crate::billing::Call;
use crate::capacity::Reservation;
use crate::crypto::CallKeys;
use crate::expression::{self, Placeholders, Projection};
use crate::fault::{Faults, Path, did_you_mean};
use crate::item::Key;
use crate::item::load::{self, LoadError, Opened};
use crate::item::pointer::Pointer;
use crate::model::{Attribute, AttributeType, Item, Model, Offload, Value};
use crate::object::owner::Owner;
use crate::object::read::{self as object_read, ReadError, Reading};

/// How often an item is opened that is being replaced meanwhile.
const MAX_LOOKS: usize = 5;
/// Content is in memory as it was fetched, and once more when it is encoded.
pub(super) const CONTENT_COPIES: usize = 2;

/// What a call reads of each item.
pub(super) struct Reader {
    pub(super) gate: Arc<Gate>,
    pub(super) call: Call,
    pub(super) model: Arc<Model>,
    pub(super) keys: CallKeys,
    pub(super) projection: Option<Projection>,
    /// What the projection was made of.
    pub(super) fields: Vec<String>,
    pub(super) include_objects: Vec<String>,
}

impl Reader {
    pub(super) fn new(
        gate: &Arc<Gate>,
        call: &Call,
        model: Arc<Model>,
        projection: Option<Projection>,
        fields: Vec<String>,
        include_objects: Vec<String>,
    ) -> Reader {
        let keys = gate.keyring.for_call(call);
        Reader {
            gate: gate.clone(),
            call: call.clone(),
            model,
            keys,
            projection,
            fields,
            include_objects,
        }
    }

    /// Opens one stored item. An error spoils this item alone, but for one of `spoils_the_call`.
    ///
    /// An object that is not there, or is not what the pointer says, may have been replaced since the item was read, or
    /// before that if the read was not consistent. So the item is read again, consistently: if it points to another
    /// object now, all of it is opened again as it is now; only an unchanged pointer says that the object is lost.
    ///
    /// `reserved_bytes` of content have their memory already; for more this waits.
    pub(super) async fn open(&self, mut stored: Item, mut reserved_bytes: u64) -> Result<Opened, Error> {
        let mut changed = String::new();
        for _ in 0..MAX_LOOKS {
            let wanted = self.pointers(&stored);
            let key = match wanted.as_slice() {
                [] => None,
                _ => Key::of_item(&self.model, &stored),
            };
            let lost = match self
                .open_once(key.as_ref(), &wanted, stored, &mut reserved_bytes)
                .await?
            {
                Ok(opened) => return Ok(opened),
                Err(lost) => lost,
            };
            let Some(key) = key else { return Err(lost.error) };
            let Some(now) = self.read_again(&key).await? else {
                return Err(Error::ItemNotFound {
                    model: self.model.name.clone(),
                });
            };
            let is_as_before = |object: &Wanted<'_>| {
                object.attribute == lost.object.attribute && object.pointer == lost.object.pointer
            };
            if self.pointers(&now).iter().any(is_as_before) {
                return Err(lost.error);
            }
            changed = lost.object.attribute.to_owned();
            stored = now;
        }
        Err(Error::ObjectChanged { attribute: changed })
    }

    /// Opens an item as it is stored, or says which of its objects was not to be had.
    async fn open_once<'a>(
        &self,
        key: Option<&Key>,
        wanted: &'a [Wanted<'a>],
        stored: Item,
        reserved_bytes: &mut u64,
    ) -> Result<Result<Opened, Lost<'a>>, Error> {
        let attributes = self.projection.as_ref().map(Projection::attributes);
        let mut opened = load::open(&self.model, stored, &self.keys, attributes)
            .await
            .map_err(of_load)?;
        if wanted.is_empty() {
            return Ok(Ok(opened));
        }
        let key = key.ok_or_else(|| {
            of_load(LoadError::Key {
                model: self.model.name.clone(),
            })
        })?;
        self.check_objects(key, wanted)?;
        self.keep_memory(wanted, reserved_bytes).await?;
        let fetched = self.fetch_objects(key, wanted, &mut opened.item).await?;
        Ok(fetched.map(|()| opened))
    }

    /// The item as it is now, as far as this call asks for it.
    async fn read_again(&self, key: &Key) -> Result<Option<Item>, Error> {
        let mut placeholders = Placeholders::new();
        let projection = project(
            &self.model,
            &self.fields,
            &self.include_objects,
            &mut placeholders,
        )
        .map_err(|_faults| Error::Internal("a projection that was checked is refused"))?;
        let (names, _) = placeholders.into_parts();
        let read = aws::GetItem {
            table: self.model.table.clone(),
            key: key.item(),
            projection: projection.map(|projection| projection.text),
            names,
            consistent_read: true,
            uncounted: true,
        };
        Ok(self.gate.stores.dynamodb.get_item(&self.call, read).await?)
    }

    /// The bytes of content that an item brings inline: none for objects that are not read anyway, whatever somebody
    /// wrote into the pointer.
    pub(super) fn inline_bytes(&self, stored: &Item) -> u64 {
        let most_bytes = self.gate.limits.message_bytes as u64;
        let sizes = self
            .pointers(stored)
            .into_iter()
            .map(|wanted| wanted.pointer.size_bytes);
        sizes.filter(|bytes| *bytes <= most_bytes).sum()
    }

    /// The objects that come inline, as far as the item points to any; `load` reports a broken pointer.
    fn pointers(&self, stored: &Item) -> Vec<Wanted<'_>> {
        let mut wanted: Vec<Wanted<'_>> = Vec::new();
        for name in &self.include_objects {
            let offload = self
                .model
                .attribute(name)
                .and_then(|attribute| attribute.s3.as_ref());
            let pointer = stored.get(name).and_then(Pointer::from_value);
            if let (Some(offload), Some(pointer)) = (offload, pointer)
                && !wanted.iter().any(|other| other.attribute == name)
            {
                wanted.push(Wanted {
                    attribute: name,
                    offload,
                    pointer,
                });
            }
        }
        wanted
    }

    async fn fetch_objects<'a>(
        &self,
        key: &Key,
        wanted: &'a [Wanted<'a>],
        item: &mut Item,
    ) -> Result<Result<(), Lost<'a>>, Error> {
        let owner = Owner {
            model: &self.model,
            key,
        };
        let fetching: Vec<_> = wanted
            .iter()
            .map(|object| self.fetch_object(owner, object))
            .collect();
        let mut fetched =
            futures::stream::iter(fetching).buffer_unordered(self.gate.limits.objects_in_flight);
        while let Some((wanted, content)) = fetched.next().await {
            let content = match content {
                Ok(content) => content,
                Err(error) if may_be_replaced(&error) => {
                    let error = of_object(wanted.attribute, error);
                    return Ok(Err(Lost {
                        object: wanted,
                        error,
                    }));
                }
                Err(error) => return Err(of_object(wanted.attribute, error)),
            };
            if let Some(Value::Object(object)) = item.get_mut(wanted.attribute) {
                object.data = Some(content);
            }
        }
        Ok(Ok(()))
    }

    /// What can be said of the objects before S3 is asked.
    fn check_objects(&self, key: &Key, wanted: &[Wanted<'_>]) -> Result<(), Error> {
        let owner = Owner {
            model: &self.model,
            key,
        };
        let most_bytes = self.gate.limits.message_bytes;
        wanted
            .iter()
            .try_for_each(|object| object.check(owner, most_bytes))
    }

    /// Waits for the memory of content beyond what is reserved. It is kept until the response is encoded, or the call
    /// ends.
    async fn keep_memory(&self, wanted: &[Wanted<'_>], reserved_bytes: &mut u64) -> Result<(), Error> {
        let bytes = wanted.iter().map(|object| object.pointer.size_bytes).sum();
        let Some(more) = u64::checked_sub(bytes, *reserved_bytes).filter(|more| *more > 0) else {
            return Ok(());
        };
        let reserved = self.reserve(more, 0).await?;
        *reserved_bytes = bytes;
        if let Some(hold) = self.call.hold() {
            hold.keep(reserved);
        }
        Ok(())
    }

    /// Waits for the memory of content: as it is fetched, and encoded into the response. The call has `reserved` bytes
    /// already.
    pub(super) async fn reserve(&self, content_bytes: u64, reserved: usize) -> Result<Reservation, Error> {
        let Some(hold) = self.call.hold() else {
            return Ok(Reservation::default());
        };
        let bytes = usize::try_from(content_bytes).unwrap_or(usize::MAX);
        let estimate = bytes.saturating_mul(CONTENT_COPIES);
        Ok(hold.reserve_estimate_beside(reserved, bytes, estimate).await?)
    }

    /// Waits for the memory of a page, as it is estimated.
    pub(super) async fn reserve_page(&self, bytes: usize) -> Result<Reservation, Error> {
        match self.call.hold() {
            Some(hold) if bytes > 0 => Ok(hold.reserve_estimate(0, bytes).await?),
            Some(_) | None => Ok(Reservation::default()),
        }
    }

    /// The memory of a page if it is free now.
    pub(super) fn try_reserve_page(&self, bytes: usize) -> Option<Reservation> {
        match self.call.hold() {
            Some(hold) if bytes > 0 => hold.try_reserve_estimate(bytes),
            Some(_) | None => Some(Reservation::default()),
        }
    }

    async fn fetch_object<'a>(
        &self,
        owner: Owner<'_>,
        object: &'a Wanted<'a>,
    ) -> (&'a Wanted<'a>, Result<Bytes, ReadError>) {
        let s3 = &self.gate.stores.s3;
        let reading = object.reading(owner);
        let content = object_read::read(s3, &self.call, reading, self.gate.limits.message_bytes).await;
        (object, content)
    }

    /// Opens one item of a page, for whose content there is memory; the key of one that does not open identifies it.
    pub(super) async fn open_of_page(
        &self,
        stored: Item,
        reserved_bytes: u64,
    ) -> Result<Opened, (Item, Error)> {
        let key = self.key_of(&stored);
        self.open(stored, reserved_bytes)
            .await
            .map_err(|error| (key, error))
    }

    /// The key of a stored item.
    pub(super) fn key_of(&self, stored: &Item) -> Item {
        let names = self.model.key_names();
        names
            .filter_map(|name| Some((name.to_owned(), stored.get(name)?.clone())))
            .collect()
    }
}

/// An object that comes inline.
struct Wanted<'a> {
    attribute: &'a str,
    offload: &'a Offload,
    pointer: Pointer,
}

/// An object that was not to be had, which may have been replaced.
struct Lost<'a> {
    object: &'a Wanted<'a>,
    error: Error,
}

impl Wanted<'_> {
    fn reading<'a>(&'a self, owner: Owner<'a>) -> Reading<'a> {
        Reading {
            owner,
            offload: self.offload,
            pointer: &self.pointer,
        }
    }

    /// What can be said of it before S3 is asked.
    fn check(&self, owner: Owner<'_>, most_bytes: usize) -> Result<(), Error> {
        let attribute = || self.attribute.to_owned();
        if !self.reading(owner).is_allowed() {
            return Err(Error::ForeignPointer {
                attribute: attribute(),
            });
        }
        if self.pointer.size_bytes > most_bytes as u64 {
            return Err(Error::ObjectTooLarge {
                attribute: attribute(),
                bytes: self.pointer.size_bytes,
            });
        }
        Ok(())
    }
}

/// What the store is asked for: the fields and the objects that come inline. None: everything.
pub(super) fn project(
    model: &Model,
    fields: &[String],
    include_objects: &[String],
    placeholders: &mut Placeholders,
) -> Result<Option<Projection>, Faults> {
    if fields.is_empty() {
        return Ok(None);
    }
    expression::projection(model, fields, include_objects, "fields", placeholders).map(Some)
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
        Error::Internal(_) | Error::OutOfMemory(_) => true,
        _ => false,
    }
}

/// Checks `include_objects` against the model; each is read once, however often it is named.
pub(super) fn check_include(model: &Model, include_objects: &[String]) -> Result<Vec<String>, Faults> {
    let root = Path::Root("include_objects");
    let is_object = |attribute: &&Attribute| attribute.kind == AttributeType::Object;
    let mut faults = Faults::new();
    let mut included: Vec<String> = Vec::new();
    for (index, name) in include_objects.iter().enumerate() {
        let path = Path::Index(&root, index);
        if model.attribute(name).as_ref().is_some_and(is_object) {
            if !included.contains(name) {
                included.push(name.clone());
            }
            continue;
        }
        let description = fmt::from_fn(|formatter| {
            let objects = model.attributes.iter().filter(is_object);
            let near = did_you_mean(name, objects.map(|attribute| attribute.name.as_str()));
            write!(
                formatter,
                "{:?} is not an object attribute of {}{near}",
                shown(name),
                model.name
            )
        });
        faults.push(path, description);
    }
    faults.into_result().map(|()| included)
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
        LoadError::KeyNotAccepted { attribute, tried } => Error::KeyNotAccepted { attribute, tried },
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

/// Whether an object may have been replaced since its pointer was read. A store that may not list the bucket says of what
/// is not there that it is denied.
fn may_be_replaced(error: &ReadError) -> bool {
    match error {
        ReadError::Invalid { .. } => true,
        ReadError::Store(error) => error.kind == aws::Kind::Denied,
        ReadError::Foreign => false,
    }
}

fn of_object(attribute: &str, error: ReadError) -> Error {
    match error {
        ReadError::Invalid { description } => Error::DataLoss {
            reason: Reason::ObjectInvalid,
            attribute: attribute.to_owned(),
            description,
        },
        ReadError::Foreign => Error::ForeignPointer {
            attribute: attribute.to_owned(),
        },
        ReadError::Store(error) => Error::Store(error),
    }
}
