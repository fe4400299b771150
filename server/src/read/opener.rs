//! Opens stored items for one call: decrypts what the view names and fetches the objects that are returned inline.
//!
//! An object that is missing, or does not match its pointer, may have been replaced since the item was read, or before
//! if the read was not consistent. The item is then read again, consistently. If it points to another object now, the
//! whole item is opened again in its new state; an unchanged pointer means that the object is lost.

use futures::StreamExt as _;

use super::error::Error;
use super::inline_object::{InlineObject, Unreadable};
use super::memory::reserve_content;
use super::reader::Reader;
use super::view::{Match, View};
use crate::aws;
use crate::call::Call;
use crate::crypto::CallKeys;
use crate::item::Key;
use crate::item::load::{self, LoadError, Opened};
use crate::item::pointer::Pointer;
use crate::model::{Item, Model};
use crate::object::owner::Owner;

/// How often an item that keeps changing is opened before the read gives up.
const MAX_ATTEMPTS: usize = 5;

/// What one of several reads found: the stored item, `None` if there is none, or why it was not read.
pub(super) type Found = Result<Option<Item>, aws::Error>;

/// An item of several that were read at one moment.
pub(super) enum Snapshot {
    /// Its result.
    Read(Result<Opened, Error>),
    /// An object could not be read: it may have been replaced since then.
    Lost {
        /// The pointer that was read.
        pointer: Box<Pointer>,
        /// The attribute.
        attribute: String,
        /// What is wrong if the pointer is still the same.
        error: Error,
    },
}

/// Opens stored items for one call.
pub(super) struct Opener {
    pub(super) reader: Reader,
    pub(super) call: Call,
    pub(super) view: View,
    keys: CallKeys,
}

impl Opener {
    pub(super) fn new(reader: &Reader, call: &Call, view: View) -> Opener {
        Opener::with_keys(reader, call, view, reader.keyring.for_call(call))
    }

    /// Like [`Opener::new`], with data keys that several openers of the call share.
    pub(super) fn with_keys(reader: &Reader, call: &Call, view: View, keys: CallKeys) -> Opener {
        Opener {
            reader: reader.clone(),
            call: call.clone(),
            view,
            keys,
        }
    }

    /// The result of one of several reads, if nothing has to be waited for. Any other item is returned as it is.
    pub(super) fn open_at_once(&self, found: Found) -> Result<Result<Opened, Error>, Item> {
        match found {
            // neither an item of another model nor one that has expired is there
            Ok(Some(stored)) if matches!(self.view.match_of(&stored), Match::Of(_)) => {
                let opened = self.view.open_at_once(&self.view.model, stored)?;
                opened.record(&self.call);
                Ok(Ok(opened))
            }
            Ok(_) => Ok(Err(Error::ItemNotFound {
                model: self.view.model.name.clone(),
            })),
            Err(error) => Ok(Err(error.into())),
        }
    }

    /// Opens an item that [`Opener::open_at_once`] returned. The outer error ends the call.
    pub(super) async fn open_read(&self, stored: Item) -> Result<Result<Opened, Error>, Error> {
        let model = &self.view.model;
        let inline_bytes = self.inline_bytes(model, &stored);
        match self.open(model, stored, inline_bytes).await {
            Err(error) if error.ends_the_call() => Err(error),
            opened => Ok(opened),
        }
    }

    /// Opens one stored item of a model, reading it again if its objects change meanwhile. `reserved_bytes` of content have their
    /// memory already; this waits for more.
    ///
    /// # Errors
    ///
    /// They concern this item alone, unless [`Error::ends_the_call`].
    pub(super) async fn open(
        &self,
        model: &Model,
        mut stored: Item,
        mut reserved_bytes: u64,
    ) -> Result<Opened, Error> {
        stored = match self.view.open_at_once(model, stored) {
            Ok(opened) => {
                opened.record(&self.call);
                return Ok(opened);
            }
            Err(stored) => stored,
        };
        let mut changed = String::new();
        for _ in 0..MAX_ATTEMPTS {
            let objects = InlineObject::all_of(&self.view, model, &stored);
            let key = match objects.as_slice() {
                [] => None,
                _ => Key::from_item(model, &stored),
            };
            let opened = self.open_once(model, key.as_ref(), &objects, stored, &mut reserved_bytes);
            let unreadable = match opened.await? {
                Ok(opened) => return Ok(opened),
                Err(unreadable) => unreadable,
            };
            let Some(key) = key else {
                return Err(unreadable.error);
            };
            let Some(current) = self.read_again(model, &key).await? else {
                return Err(Error::ItemNotFound {
                    model: model.name.clone(),
                });
            };
            let is_unchanged = |object: &InlineObject<'_>| object.is_same(unreadable.object);
            if InlineObject::all_of(&self.view, model, &current)
                .iter()
                .any(is_unchanged)
            {
                return Err(unreadable.error);
            }
            changed = unreadable.object.attribute.to_owned();
            stored = current;
        }
        Err(Error::ObjectChanged { attribute: changed })
    }

    /// Opens what a read at one moment found, which is not read again by itself: `Lost` if an object cannot be read.
    /// `inline_bytes` of content have their memory. The outer error ends the call.
    pub(super) async fn open_snapshot(
        &self,
        stored: Option<Item>,
        mut inline_bytes: u64,
    ) -> Result<Snapshot, Error> {
        let model = &self.view.model;
        let Some(stored) = stored.filter(|stored| matches!(self.view.match_of(stored), Match::Of(_))) else {
            return Ok(Snapshot::Read(Err(Error::ItemNotFound {
                model: model.name.clone(),
            })));
        };
        let objects = InlineObject::all_of(&self.view, model, &stored);
        let key = match objects.as_slice() {
            [] => None,
            _ => Key::from_item(model, &stored),
        };
        let opening = self.open_once(model, key.as_ref(), &objects, stored, &mut inline_bytes);
        match opening.await {
            Ok(Ok(opened)) => Ok(Snapshot::Read(Ok(opened))),
            Ok(Err(Unreadable { object, error })) => Ok(Snapshot::Lost {
                pointer: Box::new(object.pointer().clone()),
                attribute: object.attribute.to_owned(),
                error,
            }),
            Err(error) if error.ends_the_call() => Err(error),
            Err(error) => Ok(Snapshot::Read(Err(error))),
        }
    }

    /// Like [`Opener::open`], but returns the key of an item that cannot be opened along with the error.
    pub(super) async fn open_of_page(
        &self,
        model: &Model,
        stored: Item,
        reserved_bytes: u64,
    ) -> Result<Opened, (Item, Error)> {
        let key = self.view.key_of(model, &stored);
        self.open(model, stored, reserved_bytes)
            .await
            .map_err(|error| (key, error))
    }

    /// The bytes of content that an item brings inline. Objects that exceed a message count as none, since they are
    /// not read.
    pub(super) fn inline_bytes(&self, model: &Model, stored: &Item) -> u64 {
        let max_bytes = self.reader.limits.message_bytes as u64;
        let objects = InlineObject::all_of(&self.view, model, stored);
        let sizes = objects.iter().map(InlineObject::size_bytes);
        sizes.filter(|bytes| *bytes <= max_bytes).sum()
    }

    /// The attributes of an item whose content is read.
    pub(super) fn content_names(&self, stored: Option<&Item>) -> String {
        let none = Item::new();
        let objects = InlineObject::all_of(&self.view, &self.view.model, stored.unwrap_or(&none));
        let names: Vec<&str> = objects.iter().map(|object| object.attribute).collect();
        names.join(", ")
    }

    /// Opens an item as stored, or returns the first of its objects that could not be read.
    async fn open_once<'a>(
        &self,
        model: &Model,
        key: Option<&Key>,
        objects: &'a [InlineObject<'a>],
        stored: Item,
        reserved_bytes: &mut u64,
    ) -> Result<Result<Opened, Unreadable<'a>>, Error> {
        let (wanted, extent) = (self.view.attributes(), self.view.extent);
        let mut opened = load::open(model, stored, &self.keys, wanted, extent).await?;
        self.view.narrow(&mut opened);
        opened.record(&self.call);
        if objects.is_empty() {
            return Ok(Ok(opened));
        }
        let key = key.ok_or_else(|| LoadError::Key {
            model: model.name.clone(),
        })?;
        let owner = Owner { model, key };
        let max_bytes = self.reader.limits.message_bytes;
        objects
            .iter()
            .try_for_each(|object| object.check(owner, max_bytes))?;
        self.reserve(objects, reserved_bytes).await?;
        let fetched = self.fetch_objects(owner, objects, &mut opened.item).await?;
        Ok(fetched.map(|()| opened))
    }

    /// The current item, with the parts that this call reads.
    async fn read_again(&self, model: &Model, key: &Key) -> Result<Option<Item>, Error> {
        let (projection, names) = self.view.separate_projection(model)?;
        let read = aws::GetItem {
            table: model.table.clone(),
            key: key.item(),
            projection,
            names,
            consistent_read: true,
            uncounted: true,
        };
        Ok(self.reader.stores.dynamodb.get_item(&self.call, read).await?)
    }

    async fn fetch_objects<'a>(
        &self,
        owner: Owner<'_>,
        objects: &'a [InlineObject<'a>],
        item: &mut Item,
    ) -> Result<Result<(), Unreadable<'a>>, Error> {
        let Reader { stores, limits, .. } = &self.reader;
        let fetching: Vec<_> = objects
            .iter()
            .map(|object| object.read(&stores.s3, &self.call, owner, &self.keys))
            .collect();
        let mut fetched = futures::stream::iter(fetching).buffer_unordered(limits.objects_in_flight);
        while let Some(outcome) = fetched.next().await {
            match outcome? {
                Ok((object, content)) => {
                    self.record(object, owner.model);
                    object.put(item, content)?;
                }
                Err(unreadable) => return Ok(Err(unreadable)),
            }
        }
        Ok(Ok(()))
    }

    /// Records an object whose content was decrypted for the audit log.
    fn record(&self, object: &InlineObject<'_>, model: &Model) {
        let declared = model.attribute(object.attribute);
        let is_encrypted = declared.is_some_and(|attribute| attribute.encrypted.is_some());
        if let Some(record) = self.call.audit().filter(|_| is_encrypted) {
            record.add_decrypted([object.attribute]);
        }
    }

    /// Waits for the memory of content beyond what is reserved. It is kept until the response is encoded or the call
    /// ends.
    async fn reserve(&self, objects: &[InlineObject<'_>], reserved_bytes: &mut u64) -> Result<(), Error> {
        let bytes = objects.iter().map(InlineObject::size_bytes).sum();
        let Some(more) = u64::checked_sub(bytes, *reserved_bytes).filter(|more| *more > 0) else {
            return Ok(());
        };
        let reserved = reserve_content(&self.call, more, 0).await?;
        *reserved_bytes = bytes;
        if let Some(hold) = self.call.hold() {
            hold.keep(reserved);
        }
        Ok(())
    }
}
