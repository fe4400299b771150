//! Which of the listed objects belong to nobody: first by their items, which are read in batches, then by their metadata.

use std::collections::HashSet;
use std::time::SystemTime;

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::context::Context;
use super::error::Error;
use super::options::UPLOAD_LIFE;
use super::places::{Kind, Root, item};
use super::pointed;
use crate::aws::{self, BatchGetItem, ListedObject, MAX_GETS, ObjectHead, TableKeys};
use crate::call::Backoff;
use crate::item::{ItemId, Key};
use crate::model::Item;
use crate::object::folder::{self, Folder};
use crate::object::owner::{self, Claim, Owner};

/// Batches in flight; each returns up to 16 MB of items.
const BATCHES: usize = 2;

/// An object of ours whose item does not point to it.
#[derive(Clone, Debug)]
pub(super) struct Claimed {
    pub(super) object: ListedObject,
    /// The number of the place that it is below.
    pub(super) place: usize,
    /// The item that it belongs to; `None` for uploads by presigned URLs, and if only hashes name it.
    pub(super) item_key: Option<Key>,
    pub(super) kind: ClaimedKind,
    /// Its version, if the bucket is versioned and its metadata was read.
    pub(super) version_id: Option<String>,
}

/// Why an object is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimedKind {
    /// Its metadata names an item.
    Owned,
    /// Its metadata holds only a hash of an item's key.
    Hashed,
    /// It is below the prefix of uploads by presigned URLs.
    Upload,
}

/// An object that may be an orphan.
struct Candidate {
    object: ListedObject,
    owners: Vec<(usize, Folder)>,
}

/// The objects of a page that belong to us and that no item points to, by eventually consistent reads; and how many of the
/// page belong to items.
pub(super) async fn unclaimed(
    context: &Context,
    root: &Root,
    objects: Vec<ListedObject>,
    now: SystemTime,
) -> Result<(Vec<Claimed>, u64), Error> {
    let grace = context.options.grace;
    let age = |object: &ListedObject| now.duration_since(object.modified).unwrap_or_default();
    let mut claimed = Vec::new();
    let mut candidates = Vec::new();
    let mut owned = 0;
    for object in objects {
        match root.kind(&object.key) {
            Kind::Owned(owners) => {
                owned += 1;
                if age(&object) >= grace {
                    candidates.push(Candidate { object, owners });
                }
            }
            Kind::Upload(place) if age(&object) >= UPLOAD_LIFE + grace => {
                claimed.push(Claimed {
                    object,
                    place,
                    item_key: None,
                    kind: ClaimedKind::Upload,
                    version_id: None,
                });
            }
            Kind::Upload(_) | Kind::Foreign => {}
        }
    }
    let pointed_at = pointed_at(context, root, &candidates).await?;
    candidates.retain(|candidate| !pointed_at.contains(&candidate.object.key));
    let heads = candidates
        .into_iter()
        .map(|candidate| claim(context, root, candidate));
    let mut heads = stream::iter(heads).buffered(context.in_flight());
    while let Some(found) = heads.try_next().await? {
        claimed.extend(found);
    }
    Ok((claimed, owned))
}

/// The keys of the objects that the items of the candidates point to.
async fn pointed_at(
    context: &Context,
    root: &Root,
    candidates: &[Candidate],
) -> Result<HashSet<String>, Error> {
    let mut known = HashSet::new();
    let mut keys: Vec<(String, Item)> = Vec::new();
    for (place, folder) in candidates.iter().flat_map(|candidate| &candidate.owners) {
        let table = &root.places[*place].model.table;
        let Some(key) = item(folder) else { continue };
        if known.insert(ItemId::new(table, key)) {
            keys.push((table.clone(), key.item()));
        }
    }
    let batches = keys
        .chunks(MAX_GETS)
        .map(|batch| read(context, root, batch.to_vec()));
    let batches: Vec<_> = batches.collect();
    let found: Vec<Vec<String>> = stream::iter(batches)
        .buffer_unordered(BATCHES)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// Reads items; returns the keys of the objects in the bucket that they point to.
async fn read(context: &Context, root: &Root, mut keys: Vec<(String, Item)>) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut backoff = Backoff::default();
    while !keys.is_empty() {
        let call = context.call();
        backoff.wait(&call).await;
        let count = keys.len();
        let mut get = BatchGetItem {
            uncounted: true,
            ..BatchGetItem::default()
        };
        for (table, key) in keys {
            match get.tables.iter_mut().find(|keys| keys.table == table) {
                Some(keys) => keys.keys.push(key.into_iter().collect()),
                None => get.tables.push(TableKeys {
                    table,
                    keys: vec![key.into_iter().collect()],
                    ..TableKeys::default()
                }),
            }
        }
        let got = context.stores.dynamodb.batch_get_item(&call, get).await?;
        for item in got.items.iter().flat_map(|(_, items)| items) {
            pointed::for_each(item, &mut |bucket, key| {
                if bucket == root.bucket {
                    found.push(key.to_owned());
                }
            });
        }
        keys = got.unprocessed;
        let made_progress = keys.len() < count;
        backoff = backoff.next(made_progress, call.deadline()).unwrap_or_default();
    }
    Ok(found)
}

/// Reads the metadata of an object; `None` if it names nobody of ours.
async fn claim(context: &Context, root: &Root, candidate: Candidate) -> Result<Option<Claimed>, Error> {
    let Candidate { object, owners } = candidate;
    let Some(head) = head(context, root, &object.key).await? else {
        return Ok(None);
    };
    for (place, folder) in owners {
        let Some((item_key, kind)) = claimant(root, place, folder, &object.key, &head) else {
            continue;
        };
        return Ok(Some(Claimed {
            object,
            place,
            item_key,
            kind,
            version_id: head.stored.version_id,
        }));
    }
    Ok(None)
}

/// The item below a place that the metadata names.
fn claimant(
    root: &Root,
    place: usize,
    folder: Folder,
    object_key: &str,
    head: &ObjectHead,
) -> Option<(Option<Key>, ClaimedKind)> {
    let place = &root.places[place];
    let model = &place.model;
    if !owner::names_table(&head.metadata, &model.table) {
        return None;
    }
    let item_key = match folder {
        Folder::Of(key) => key,
        Folder::Hashed => match folder::named_item(model, &head.metadata) {
            Some(key) if crate::object::key::belongs_to(&place.offload.prefix, &key, object_key) => key,
            Some(_) => return None,
            None => return Some((None, ClaimedKind::Hashed)),
        },
    };
    let owner = Owner {
        model,
        key: &item_key,
    };
    let is_ours = owner.claim(&head.metadata) == Claim::Same;
    is_ours.then_some((Some(item_key), ClaimedKind::Owned))
}

/// The metadata of an object; `None` if it does not exist.
pub(super) async fn head(context: &Context, root: &Root, key: &str) -> Result<Option<ObjectHead>, Error> {
    let head = context.stores.s3.head_object(&context.call(), root.at(key)).await;
    match head {
        Ok(head) => Ok(Some(head)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether an object does not exist.
pub(super) fn is_gone(error: &aws::Error) -> bool {
    matches!(
        error.kind,
        aws::Kind::Missing {
            what: aws::Resource::Object,
            ..
        }
    )
}
