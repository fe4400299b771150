//! Reads several items as they are at one moment.

use futures::stream::{self, StreamExt as _};

use super::error::Error;
use super::get::Get;
use super::memory::reserve_page;
use super::opener::Opener;
use super::reader::Reader;
use crate::aws::GetItem;
use crate::call::Call;
use crate::item::load::Opened;

/// DynamoDB's limit for the items of one transaction.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// Copies of the items: as sent, decoded, opened and encoded.
const COPIES: usize = 4;
/// Items opened in parallel; their KMS requests have a separate limit.
const ITEMS_IN_FLIGHT: usize = 64;

impl Reader {
    /// Reads and opens the items of checked reads of different items. The results are in the order of the reads, each with
    /// its index.
    ///
    /// # Errors
    ///
    /// Nothing was read; what concerns one item is an error in its place.
    pub async fn transact_get(
        &self,
        call: &Call,
        gets: Vec<Get>,
    ) -> Result<Vec<(usize, Result<Opened, Error>)>, Error> {
        let keys = self.keyring.for_call(call);
        let memory = reserve_page(call, MAX_BYTES * COPIES).await?;
        let (mut requests, mut openers) = (Vec::with_capacity(gets.len()), Vec::with_capacity(gets.len()));
        for get in gets {
            requests.push(GetItem {
                table: get.view.model.table.clone(),
                key: get.key.item(),
                projection: get.view.projection_text(),
                names: get.names,
                ..GetItem::default()
            });
            openers.push(Opener::with_keys(self, call, get.view, keys.clone()));
        }
        let found = self.stores.dynamodb.transact_get_items(call, requests).await?;
        if let Some(hold) = call.hold() {
            // until the response is encoded
            hold.keep(memory);
        }
        let opening: Vec<_> = openers
            .iter()
            .zip(found)
            .map(|(opener, found)| opener.open_read(Ok(found)))
            .collect();
        let opened: Vec<_> = stream::iter(opening).buffered(ITEMS_IN_FLIGHT).collect().await;
        opened
            .into_iter()
            .enumerate()
            .map(|(index, opened)| Ok((index, opened?)))
            .collect()
    }
}
