//! Query and Scan turn pages here: one stream of messages over one or more segments, pulled by the caller. A page is
//! fetched when the caller takes the one before; an empty page does not end anything. Segments wait before they fetch
//! until there is room for a whole page, so that a stream that nobody reads holds a page per segment at most, and
//! [`HELD_BYTES`] in all.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, Stream, StreamExt as _};

use super::Error;
use super::page_token::{Binding, Standing};
use super::read::{Reader, spoils_the_call};
use crate::aws;
use crate::item::load::Opened;
use crate::item::size::{MAX_ITEM_BYTES, stored_bytes};
use crate::model::Item;

/// Items opened in parallel; the KMS calls among them have their own bound.
const ITEMS_IN_FLIGHT: usize = 64;
/// Items and the content of their objects that are opened for one message, but for a single larger item.
const MESSAGE_BYTES: u64 = 3 * 1024 * 1024;
/// Stored bytes of all pages that a stream holds or waits for, however many segments it reads.
const HELD_BYTES: usize = 4 * 1024 * 1024;
/// The largest page of DynamoDB.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Scan.html>
const PAGE_BYTES: usize = 1024 * 1024;

/// One message of the stream: a page, or a part of one.
pub struct Page {
    /// The items, in the order of the store.
    pub results: Vec<Found>,
    /// What the last message of a page says of all of it; `None`: the page goes on.
    pub end: Option<PageEnd>,
}

/// The end of a page.
#[derive(Default)]
pub struct PageEnd {
    /// Resumes after the page; empty at the end.
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
    /// Whether only the number of items is returned.
    pub(super) count_only: bool,
}

struct Pages {
    plan: Plan,
    /// Segments whose next page is not being fetched yet.
    waiting: VecDeque<usize>,
    fetching: FuturesUnordered<BoxFuture<'static, (usize, Result<aws::Page, Error>)>>,
    /// The page that is being sent.
    current: Option<Current>,
    remaining: Option<u32>,
    finished: bool,
}

/// A page of the store, as far as it was not sent yet.
struct Current {
    segment: usize,
    items: std::vec::IntoIter<Item>,
    count: u32,
    scanned_count: u32,
}

/// The stream of messages of a plan.
pub(super) fn turn(plan: Plan) -> impl Stream<Item = Result<Page, Error>> + Send {
    let pages = Pages {
        waiting: (0..plan.standings.len())
            .filter(|segment| plan.standings[*segment] != Standing::AtEnd)
            .collect(),
        remaining: plan.limit,
        plan,
        fetching: FuturesUnordered::new(),
        current: None,
        finished: false,
    };
    stream::unfold(pages, |mut pages| async move {
        let page = pages.next().await.transpose()?;
        pages.finished |= page.is_err();
        Some((page, pages))
    })
}

impl Pages {
    async fn next(&mut self) -> Result<Option<Page>, Error> {
        if self.finished {
            return Ok(None);
        }
        if let Some(current) = self.current.take() {
            return self.message(current).await.map(Some);
        }
        self.begin_fetching();
        match self.fetching.next().await {
            Some((segment, page)) => {
                let current = self.accept(segment, page?);
                self.message(current).await.map(Some)
            }
            None => Ok(None),
        }
    }

    /// Fetches for the segments that wait, as far as there is room; for one at least.
    fn begin_fetching(&mut self) {
        let most_bytes = self.most_page_bytes();
        let most_fetching = HELD_BYTES.checked_div(most_bytes).unwrap_or(usize::MAX);
        while self.fetching.len() < most_fetching.max(1)
            && let Some(segment) = self.waiting.pop_front()
        {
            self.fetch(segment);
        }
    }

    /// What the next page of a segment may hold.
    fn most_page_bytes(&self) -> usize {
        if self.plan.count_only && self.plan.limit.is_none() {
            // the store returns no items
            return 0;
        }
        match self.plan.page_size {
            Some(items) => PAGE_BYTES.min(MAX_ITEM_BYTES.saturating_mul(items as usize)),
            None => PAGE_BYTES,
        }
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

    /// Takes what the limit leaves of a page. From now on the segment stands after it.
    fn accept(&mut self, segment: usize, page: aws::Page) -> Current {
        let mut items = page.items;
        let mut count = match self.plan.count_only {
            true => page.count,
            false => items.len() as u32,
        };
        let mut standing = match page.last_key {
            Some(key) => Standing::After(key),
            None => Standing::AtEnd,
        };
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
        Current {
            segment,
            items: items.into_iter(),
            count,
            scanned_count: page.scanned_count,
        }
    }

    /// The next message of the current page; with its last one, the segment's next page may be fetched.
    async fn message(&mut self, mut current: Current) -> Result<Page, Error> {
        let items = match self.plan.count_only {
            true => Vec::new(),
            false => self.part(&mut current),
        };
        let is_part = !self.plan.count_only && !current.items.as_slice().is_empty();
        let end = match is_part {
            true => None,
            false => Some(self.end(&current)?),
        };
        let results = open(&self.plan.reader, items).await?;
        self.current = is_part.then_some(current);
        Ok(Page { results, end })
    }

    fn end(&mut self, current: &Current) -> Result<PageEnd, Error> {
        let is_at_end = |standing: &Standing| *standing == Standing::AtEnd;
        let all_at_end = self.plan.standings.iter().all(is_at_end);
        self.finished = self.remaining == Some(0) || all_at_end;
        if !self.finished && !is_at_end(&self.plan.standings[current.segment]) {
            self.waiting.push_back(current.segment);
        }
        let next_page_token = match all_at_end {
            true => String::new(),
            false => {
                let tokens = &self.plan.reader.gate.page_tokens;
                tokens.seal(&self.plan.standings, self.plan.binding)?
            }
        };
        Ok(PageEnd {
            next_page_token,
            count: current.count,
            scanned_count: current.scanned_count,
        })
    }

    /// The items that fit the next message with the content of their objects; one at least.
    fn part(&self, current: &mut Current) -> Vec<Item> {
        let mut items = Vec::new();
        let mut left_bytes = MESSAGE_BYTES;
        while let Some(item) = current.items.as_slice().first() {
            let inline_bytes = self.plan.reader.inline_bytes(item);
            let bytes = inline_bytes.saturating_add(stored_bytes(item) as u64);
            let Some(rest) = left_bytes.checked_sub(bytes).or(items.is_empty().then_some(0)) else {
                break;
            };
            left_bytes = rest;
            items.extend(current.items.next());
        }
        items
    }
}

/// Opens the items of a message in parallel; the results are in their order.
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
