//! Reads several items as they are at one moment.
//!
//! An object that is missing, or does not match its pointer, may have been replaced since then. All items are then read
//! again, so that they are still of one moment; an unchanged pointer means that the object is lost.

use std::collections::HashMap;

use futures::stream::{self, StreamExt as _};

use super::error::Error;
use super::get::Get;
use super::memory::{reserve_content, reserve_page};
use super::opener::{Opener, Snapshot};
use super::reader::Reader;
use crate::aws::GetItem;
use crate::call::Call;
use crate::item::load::Opened;
use crate::item::pointer::Pointer;
use crate::item::tenant;
use crate::model::Item;
use crate::model::size::stored_bytes;

/// DynamoDB's limit for the items of one transaction.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Copies of the items: as sent, decoded, opened and encoded.
const COPIES: usize = 4;
/// Items opened in parallel; their KMS requests have a separate limit.
const ITEMS_IN_FLIGHT: usize = 64;
/// How often items that keep changing are read before the transaction gives up on them.
const MAX_ATTEMPTS: usize = 5;

/// The result of one read: its index, and the item or why there is none.
type GetResult = (usize, Result<Opened, Error>);

impl Reader {
    /// Reads and opens the items of checked reads of different items. The results are in the order of the reads, each with
    /// its index.
    ///
    /// # Errors
    ///
    /// Nothing was read; what concerns one item is an error in its place.
    pub async fn transact_get(&self, call: &Call, gets: Vec<Get>) -> Result<Vec<GetResult>, Error> {
        let keys = self.keyring.for_call(call);
        let mut memory = reserve_page(call, MAX_BYTES * COPIES).await?;
        let (mut requests, mut openers) = (Vec::with_capacity(gets.len()), Vec::with_capacity(gets.len()));
        for get in gets {
            tenant::check(&get.view.model, call, &get.key)?;
            let (projection, names) = get.view.projection_with(get.names);
            requests.push(GetItem {
                table: get.view.model.table.clone(),
                key: get.key.item(),
                projection,
                names,
                ..GetItem::default()
            });
            openers.push(Opener::with_keys(self, call, get.view, keys.clone()));
        }
        let mut lost: HashMap<usize, Pointer> = HashMap::new();
        for attempt in 1.. {
            let found = self
                .stores
                .dynamodb
                .transact_get_items(call, requests.clone())
                .await?;
            let bytes: usize = found.iter().flatten().map(stored_bytes).sum();
            let content = content_sizes(&openers, &found, self.limits.message_bytes as u64);
            let of_objects = reserve_content(call, content.iter().flatten().sum(), memory.bytes()).await?;
            let (results, replaced) = open_all(&openers, found, content, &lost).await?;
            if replaced.is_empty() || attempt == MAX_ATTEMPTS {
                memory.shrink(bytes * COPIES);
                if let Some(hold) = call.hold() {
                    // until the response is encoded
                    hold.keep(memory);
                    hold.keep(of_objects);
                }
                return Ok(results);
            }
            lost.extend(replaced);
            for request in &mut requests {
                request.uncounted = true;
            }
        }
        Ok(Vec::new())
    }
}

/// The bytes of content that each item brings inline; `None` if they do not fit in the response beside those before it.
fn content_sizes(openers: &[Opener], found: &[Option<Item>], mut left: u64) -> Vec<Option<u64>> {
    let items = openers.iter().zip(found);
    let sizes = items.map(|(opener, item)| {
        let bytes = item
            .as_ref()
            .map_or(0, |item| opener.inline_bytes(&opener.view.model, item));
        let rest = left.checked_sub(bytes)?;
        left = rest;
        Some(bytes)
    });
    sizes.collect()
}

/// Opens the items of one moment. Returns the pointers, by read, whose objects may have been replaced since then.
async fn open_all(
    openers: &[Opener],
    found: Vec<Option<Item>>,
    content: Vec<Option<u64>>,
    lost: &HashMap<usize, Pointer>,
) -> Result<(Vec<GetResult>, Vec<(usize, Pointer)>), Error> {
    let opening: Vec<_> = openers
        .iter()
        .zip(found)
        .zip(content)
        .map(|((opener, item), bytes)| async move {
            match bytes {
                Some(bytes) => opener.open_snapshot(item, bytes).await,
                None => Ok(Snapshot::Read(Err(Error::ResponseTooLarge {
                    attribute: opener.content_names(item.as_ref()),
                }))),
            }
        })
        .collect();
    let opened: Vec<_> = stream::iter(opening).buffered(ITEMS_IN_FLIGHT).collect().await;
    let (mut results, mut replaced) = (Vec::with_capacity(opened.len()), Vec::new());
    for (index, snapshot) in opened.into_iter().enumerate() {
        let result = match snapshot? {
            Snapshot::Read(result) => result,
            Snapshot::Lost { pointer, error, .. } if lost.get(&index) == Some(&*pointer) => Err(error),
            Snapshot::Lost {
                pointer, attribute, ..
            } => {
                replaced.push((index, *pointer));
                Err(Error::ObjectChanged { attribute })
            }
        };
        results.push((index, result));
    }
    Ok((results, replaced))
}
