//! The walk over all pointers in items: reports those whose object does not exist, and adopts the objects of those that
//! were copied in, if asked to.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::adoption::{self, Foreign};
use super::claims::is_gone;
use super::context::Context;
use super::error::Error;
use super::event::Finding;
use super::pointed::points_to;
use super::position::{Position, StoredKey};
use crate::aws::{self, Kind, Location, ObjectHead, Scan};
use crate::item::Key;
use crate::item::pointer::Pointer;
use crate::model::{Attribute, Item, Model, Offload, Value};
use crate::object::owner::{self, Owner, offloads};

/// An attribute of a table that may hold a pointer.
#[derive(Clone, Copy)]
struct Slot<'a> {
    model: &'a Model,
    attribute: &'a Attribute,
    offload: &'a Offload,
}

/// A pointer in an item.
struct Found<'a> {
    slot: Slot<'a>,
    item_key: Key,
    /// The pointer as it is stored.
    stored: &'a Value,
    pointer: Pointer,
}

/// Walks over the items that follow `after` in the table with this number, and all items of the later tables.
pub(super) async fn walk(context: &Context, (first, after): (usize, Option<StoredKey>)) -> Result<(), Error> {
    let mut start_key = after.as_ref().and_then(StoredKey::to_item);
    for (number, (table, models)) in context.places.tables.iter().enumerate().skip(first) {
        let slots = slots(models);
        loop {
            let scan = Scan {
                table: table.clone(),
                start_key,
                ..Scan::default()
            };
            let page = context.stores.dynamodb.scan(&context.call(), scan).await?;
            check_page(context, &slots, &page.items).await?;
            let after = page.last_key.as_ref().and_then(StoredKey::from_item);
            start_key = page.last_key;
            if start_key.is_none() {
                break;
            }
            let position = after.map(|after| Position::Pointers {
                table: number,
                after: Some(after),
            });
            context.progress(position).await?;
        }
    }
    Ok(())
}

/// The attributes of the models of one table, each stored name once: the models agree on them.
fn slots(models: &[Arc<Model>]) -> Vec<Slot<'_>> {
    let mut slots: Vec<Slot<'_>> = Vec::new();
    for model in models {
        for (attribute, offload) in offloads(model) {
            let is_known = |slot: &Slot<'_>| slot.attribute.stored_name == attribute.stored_name;
            if !slots.iter().any(is_known) {
                slots.push(Slot {
                    model,
                    attribute,
                    offload,
                });
            }
        }
    }
    slots
}

async fn check_page(context: &Context, slots: &[Slot<'_>], items: &[Item]) -> Result<(), Error> {
    let mut checks = Vec::new();
    for item in items {
        for &slot in slots {
            let Some(stored) = item.get(&slot.attribute.stored_name) else {
                continue;
            };
            let Some(pointer) = Pointer::from_value(stored) else {
                continue;
            };
            let Some(item_key) = Key::from_item(slot.model, item) else {
                continue;
            };
            checks.push(check(
                context,
                Found {
                    slot,
                    item_key,
                    stored,
                    pointer,
                },
            ));
        }
    }
    let mut checks = stream::iter(checks).buffered(context.in_flight());
    while let Some(dangling) = checks.try_next().await? {
        let Some(found) = dangling else { continue };
        context.count(|counts| counts.dangling += 1);
        context.found(found.finding()).await?;
    }
    Ok(())
}

/// The pointer again if its object does not exist.
async fn check<'a>(context: &Context, found: Found<'a>) -> Result<Option<Found<'a>>, Error> {
    let owner = Owner {
        model: found.slot.model,
        key: &found.item_key,
    };
    let is_own = owner.owns(found.slot.offload, &found.pointer);
    context.count(|counts| {
        counts.pointers += 1;
        counts.foreign += u64::from(!is_own);
    });
    if !is_own && !owner::is_readable(&found.pointer) {
        return Ok(None);
    }
    let location = found.location();
    match context.stores.s3.head_object(&context.call(), location).await {
        Ok(_) if is_own => return Ok(None),
        Ok(head) => return adopt(context, &found, &head).await.map(|()| None),
        Err(error) if is_gone(&error) || is_bucket_gone(&error) => {}
        // a foreign pointer may lead to what this program may not read
        Err(error) if !is_own && error.kind == Kind::Denied => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // a writer deletes an object only after its item points elsewhere
    let item = context.read(found.slot.model, &found.item_key).await?;
    let (bucket, key) = (&found.pointer.bucket, &found.pointer.key);
    let is_unchanged = item.is_some_and(|item| points_to(&item, bucket, key));
    Ok(is_unchanged.then_some(found))
}

/// Adopts the object of a foreign pointer, if asked to.
async fn adopt(context: &Context, found: &Found<'_>, head: &ObjectHead) -> Result<(), Error> {
    if !context.options.adopt || context.options.dry_run {
        return Ok(());
    }
    let foreign = Foreign {
        model: found.slot.model,
        attribute: found.slot.attribute,
        offload: found.slot.offload,
        item_key: &found.item_key,
        stored: found.stored,
        pointer: &found.pointer,
        region: found.location().region,
        head,
    };
    if adoption::adopt(context, &foreign).await? {
        context.count(|counts| {
            counts.adopted += 1;
            counts.foreign = counts.foreign.saturating_sub(1);
        });
    }
    Ok(())
}

fn is_bucket_gone(error: &aws::Error) -> bool {
    matches!(
        error.kind,
        Kind::Missing {
            what: aws::Resource::Bucket,
            ..
        }
    )
}

impl Found<'_> {
    fn location(&self) -> Location<'_> {
        let offload = self.slot.offload;
        Location {
            bucket: &self.pointer.bucket,
            key: &self.pointer.key,
            region: offload
                .region
                .as_deref()
                .filter(|_| self.pointer.bucket == offload.bucket),
        }
    }

    fn finding(self) -> Finding {
        Finding::Dangling {
            table: self.slot.model.table.clone(),
            item_key: self.item_key.item(),
            attribute: self.slot.attribute.name.clone(),
            bucket: self.pointer.bucket,
            key: self.pointer.key,
        }
    }
}
