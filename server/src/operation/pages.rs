//! Query and Scan turn pages here: one stream of messages over one or more segments, pulled by the caller. A page is
//! fetched when the caller takes the one before; an empty page does not end anything.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, Stream, StreamExt as _};

use super::Error;
use super::page_token::{Binding, Standing};
use super::read::{Reader, spoils_the_call};
use crate::aws;
use crate::item::load::Opened;
use crate::model::Item;

/// Items opened side by side; the KMS calls among them have their own bound.
const ITEMS_IN_FLIGHT: usize = 64;
/// Inline object content of one message: with the items themselves it stays under gRPC's usual 4 MiB, but for a
/// single larger object.
const INLINE_BYTES: u64 = 3 * 1024 * 1024;

/// One message of the stream.
pub struct Page {
    /// The items, in the order of the store.
    pub results: Vec<Found>,
    /// Resumes after the last of them; empty at the end.
    pub next_page_token: String,
    /// Items that matched.
    pub count: u32,
    /// Items that were evaluated.
    pub scanned_count: u32,
}

/// One item of a page: opened, or its key and why it could not be.
pub type Found = Result<Opened, (Item, Error)>;

/// Fetches pages of the store, one segment at a time: gives the future of the page after a key.
pub(super) type Fetch = Arc<
    dyn Fn(usize, Option<Item>, Option<u32>) -> BoxFuture<'static, Result<aws::Page, Error>> + Send + Sync,
>;

/// What a Query or Scan asks of its pages.
pub(super) struct Plan {
    pub(super) reader: Reader,
    pub(super) fetch: Fetch,
    /// Where each segment begins.
    pub(super) standings: Vec<Standing>,
    pub(super) binding: Binding,
    /// Items in all.
    pub(super) limit: Option<u32>,
    /// Items evaluated per page of the store.
    pub(super) page_size: Option<u32>,
    /// Whether a filter may leave out items that were evaluated.
    pub(super) filtered: bool,
    /// Whether only the number of items is answered.
    pub(super) count_only: bool,
}

struct Turner {
    plan: Plan,
    fetching: FuturesUnordered<BoxFuture<'static, (usize, Result<aws::Page, Error>)>>,
    ready: VecDeque<Portion>,
    remaining: Option<u32>,
    finished: bool,
}

/// A part of a store's page that goes out as one message.
struct Portion {
    segment: usize,
    items: Vec<Item>,
    count: u32,
    scanned_count: u32,
    standing: Standing,
    /// Whether the segment's next page is to be fetched after this portion.
    turns: bool,
}

/// The stream of messages of a plan.
pub(super) fn turn(plan: Plan) -> impl Stream<Item = Result<Page, Error>> + Send {
    let remaining = plan.limit;
    let turner = Turner {
        plan,
        fetching: FuturesUnordered::new(),
        ready: VecDeque::new(),
        remaining,
        finished: false,
    };
    stream::unfold(turner.begun(), |mut turner| async move {
        let page = turner.next().await.transpose()?;
        turner.finished |= page.is_err();
        Some((page, turner))
    })
}

impl Turner {
    fn begun(mut self) -> Turner {
        for segment in 0..self.plan.standings.len() {
            self.fetch(segment);
        }
        self
    }

    fn fetch(&mut self, segment: usize) {
        let start = match &self.plan.standings[segment] {
            Standing::AtEnd => return,
            Standing::NotBegun => None,
            Standing::After(key) => Some(key.clone()),
        };
        // without a filter every evaluated item is returned: none is paid for in vain
        let page_size = match (self.remaining, self.plan.page_size) {
            (Some(remaining), size) if !self.plan.filtered => Some(size.unwrap_or(u32::MAX).min(remaining)),
            (_, size) => size,
        };
        let page = (self.plan.fetch)(segment, start, page_size);
        self.fetching.push(Box::pin(async move { (segment, page.await) }));
    }

    async fn next(&mut self) -> Result<Option<Page>, Error> {
        if self.finished {
            return Ok(None);
        }
        while self.ready.is_empty() {
            let Some((segment, page)) = self.fetching.next().await else {
                return Ok(None);
            };
            self.divide(segment, page?)?;
        }
        let Some(portion) = self.ready.pop_front() else {
            return Ok(None);
        };
        self.answer(portion).await.map(Some)
    }

    async fn answer(&mut self, portion: Portion) -> Result<Page, Error> {
        let Portion {
            segment,
            mut items,
            mut count,
            scanned_count,
            mut standing,
            turns,
        } = portion;
        if let Some(remaining) = self.remaining.filter(|remaining| *remaining < count) {
            items.truncate(remaining as usize);
            count = remaining;
            standing = match items.last() {
                Some(item) => Standing::After(self.plan.reader.key_of(item)),
                None => self.plan.standings[segment].clone(),
            };
        }
        self.remaining = self.remaining.map(|remaining| remaining - count);
        self.plan.standings[segment] = standing;
        self.finished = self.remaining == Some(0) || self.all_at_end();
        if turns && !self.finished {
            self.fetch(segment);
        }
        let results = if self.plan.count_only {
            Vec::new()
        } else {
            open(&self.plan.reader, items).await?
        };
        Ok(Page {
            results,
            next_page_token: self.token()?,
            count,
            scanned_count,
        })
    }

    /// Divides a store's page so that the inline content of each portion fits a message.
    fn divide(&mut self, segment: usize, page: aws::Page) -> Result<(), Error> {
        let after = match page.last_key {
            Some(key) => Standing::After(key),
            None => Standing::AtEnd,
        };
        let mut portions = vec![];
        let mut items = Vec::with_capacity(page.items.len());
        let mut inline_bytes = 0;
        for item in page.items {
            let bytes = self.plan.reader.inline_bytes(&item);
            if inline_bytes + bytes > INLINE_BYTES && !items.is_empty() {
                portions.push(std::mem::take(&mut items));
                inline_bytes = 0;
            }
            inline_bytes += bytes;
            items.push(item);
        }
        for items in portions {
            let Some(last) = items.last() else { continue };
            let standing = Standing::After(self.plan.reader.key_of(last));
            let count = items.len() as u32;
            self.ready.push_back(Portion {
                segment,
                items,
                count,
                scanned_count: 0,
                standing,
                turns: false,
            });
        }
        let sent: u32 = self.ready.iter().map(|portion| portion.count).sum();
        let count = page
            .count
            .checked_sub(sent)
            .ok_or(Error::Internal("a page holds more items than it counts"))?;
        let scanned_count = page.scanned_count;
        self.ready.push_back(Portion {
            segment,
            items,
            count,
            scanned_count,
            standing: after,
            turns: true,
        });
        Ok(())
    }

    fn all_at_end(&self) -> bool {
        self.ready.is_empty()
            && self
                .plan
                .standings
                .iter()
                .all(|standing| *standing == Standing::AtEnd)
    }

    fn token(&self) -> Result<String, Error> {
        if self.all_at_end() {
            return Ok(String::new());
        }
        self.plan
            .reader
            .gate
            .page_tokens
            .seal(&self.plan.standings, self.plan.binding)
    }
}

/// Opens the items of a page side by side, in order.
async fn open(reader: &Reader, items: Vec<Item>) -> Result<Vec<Found>, Error> {
    let opening: Vec<_> = items
        .into_iter()
        .map(|stored| reader.open_of_page(stored))
        .collect();
    let mut opening = stream::iter(opening).buffered(ITEMS_IN_FLIGHT);
    let mut results = Vec::new();
    while let Some(found) = opening.next().await {
        match found {
            Err((_, error)) if spoils_the_call(&error) => return Err(error),
            found => results.push(found),
        }
    }
    Ok(results)
}
