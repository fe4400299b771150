//! Query and Scan turn pages here: one stream of messages over one or more segments, pulled by the caller. A page is
//! fetched when the caller takes the one before; an empty page does not end anything. Segments wait before they fetch
//! until there is room for a whole page, so that a stream that nobody reads holds a page per segment at most, and
//! [`HELD_BYTES`] in all.
//!
//! The memory of a page is reserved before it is fetched, with the content of one message where objects come inline, and
//! cut to what the page needs once it is there. A stream waits only for its first page under way, while it holds nothing;
//! further segments begin only if their memory is free. So streams never wait for each other in a circle. The exception
//! is an object that is larger than a message: its stream waits while it holds the page.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, Stream, StreamExt as _};

use super::Error;
use super::page_token::{Binding, Standing};
use super::read::{CONTENT_COPIES, Reader, spoils_the_call};
use crate::aws;
use crate::capacity::Reservation;
use crate::item::load::Opened;
use crate::model::Item;
use crate::model::limits::{MAX_ITEM_BYTES, MAX_PAGE_BYTES, PAGE_MESSAGE_BYTES};
use crate::model::size::stored_bytes;

/// Items opened in parallel; the KMS calls among them have their own bound.
const ITEMS_IN_FLIGHT: usize = 64;
/// Items and the content of their objects that are opened for one message, but for a single larger item.
const MESSAGE_BYTES: u64 = PAGE_MESSAGE_BYTES as u64;
/// Stored bytes of all pages that a stream holds or waits for, however many segments it reads.
const HELD_BYTES: usize = 4 * 1024 * 1024;
/// A page is counted so many times: as the store sent it, decoded, opened and encoded.
const PAGE_COPIES: usize = 4;
/// What the content of a message takes.
const CONTENT_BYTES: usize = MESSAGE_BYTES as usize * CONTENT_COPIES;

/// One message of the stream: a page, or a part of one.
pub struct Page {
    /// The items, in the order of the store.
    pub results: Vec<Found>,
    /// What the last message of a page says of all of it; `None`: the page goes on.
    pub end: Option<PageEnd>,
    /// What the message is counted with until it is encoded.
    pub memory: Memory,
}

/// The memory of a page.
#[derive(Debug, Default)]
pub struct Memory {
    /// Of its items.
    page: Reservation,
    /// Of the content of their objects, a message at a time.
    content: Reservation,
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
    fetching: FuturesUnordered<BoxFuture<'static, Fetched>>,
    /// The page that is being sent.
    current: Option<Current>,
    remaining: Option<u32>,
    finished: bool,
}

/// A page of a segment, as the store returned it.
struct Fetched {
    segment: usize,
    page: Result<aws::Page, Error>,
    memory: Reservation,
}

/// A page of the store, as far as it was not sent yet.
struct Current {
    segment: usize,
    items: std::vec::IntoIter<Weighed>,
    count: u32,
    scanned_count: u32,
    memory: Memory,
}

/// A stored item and its size.
struct Weighed {
    item: Item,
    stored_bytes: usize,
    /// Content that comes with it.
    inline_bytes: u64,
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
        self.begin_fetching().await?;
        match self.fetching.next().await {
            Some(fetched) => {
                let current = self.accept(fetched)?;
                self.message(current).await.map(Some)
            }
            None => Ok(None),
        }
    }

    /// Fetches for the segments that wait, as far as there is room; for one at least, for which this waits.
    async fn begin_fetching(&mut self) -> Result<(), Error> {
        let most_bytes = self.most_page_bytes();
        let most_fetching = HELD_BYTES.checked_div(most_bytes).unwrap_or(usize::MAX);
        while self.fetching.len() < most_fetching.max(1)
            && let Some(&segment) = self.waiting.front()
        {
            let (reader, bytes) = (&self.plan.reader, self.memory_bytes());
            let memory = match self.fetching.is_empty() {
                true => Some(reader.reserve_page(bytes).await?),
                false => reader.try_reserve_page(bytes),
            };
            let Some(memory) = memory else { break };
            self.waiting.pop_front();
            self.fetch(segment, memory);
        }
        Ok(())
    }

    /// What the next page may take in memory, with the content of one message.
    fn memory_bytes(&self) -> usize {
        let most_items = self.next_page_size().map_or(usize::MAX, |items| items as usize);
        let page_bytes = self
            .most_page_bytes()
            .min(MAX_ITEM_BYTES.saturating_mul(most_items));
        let has_content =
            page_bytes > 0 && !self.plan.count_only && !self.plan.reader.include_objects.is_empty();
        page_bytes * PAGE_COPIES + if has_content { CONTENT_BYTES } else { 0 }
    }

    /// What the next page of a segment may hold.
    fn most_page_bytes(&self) -> usize {
        if self.plan.count_only && self.plan.limit.is_none() {
            // the store returns no items
            return 0;
        }
        match self.plan.page_size {
            Some(items) => MAX_PAGE_BYTES.min(MAX_ITEM_BYTES.saturating_mul(items as usize)),
            None => MAX_PAGE_BYTES,
        }
    }

    /// Items that the next page may evaluate. Without a filter every evaluated item is returned: none is paid for in vain.
    fn next_page_size(&self) -> Option<u32> {
        match (self.remaining, self.plan.page_size) {
            (Some(remaining), size) if !self.plan.filtered => Some(size.unwrap_or(u32::MAX).min(remaining)),
            (_, size) => size,
        }
    }

    fn fetch(&mut self, segment: usize, memory: Reservation) {
        let start = match &self.plan.standings[segment] {
            Standing::AtEnd => return,
            Standing::NotBegun => None,
            Standing::After(key) => Some(key.clone()),
        };
        let page = (self.plan.fetch)(segment, start, self.next_page_size());
        self.fetching.push(Box::pin(async move {
            Fetched {
                segment,
                page: page.await,
                memory,
            }
        }));
    }

    /// Takes what the limit leaves of a page. From now on the segment stands after it.
    fn accept(&mut self, fetched: Fetched) -> Result<Current, Error> {
        let Fetched {
            segment,
            page,
            memory,
        } = fetched;
        let page = page?;
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
        let reader = &self.plan.reader;
        let items: Vec<_> = items.into_iter().map(|item| Weighed::new(reader, item)).collect();
        Ok(Current {
            segment,
            memory: Memory::of_page(memory, &items),
            items: items.into_iter(),
            count,
            scanned_count: page.scanned_count,
        })
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
        let reader = &self.plan.reader;
        current.memory.make_room(reader, &items).await?;
        let results = open(reader, items).await?;
        let memory = match is_part {
            true => current.memory.beyond_a_message(),
            false => std::mem::take(&mut current.memory),
        };
        self.current = is_part.then_some(current);
        Ok(Page { results, end, memory })
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
    fn part(&self, current: &mut Current) -> Vec<Weighed> {
        let mut items = Vec::new();
        let mut left_bytes = MESSAGE_BYTES;
        while let Some(item) = current.items.as_slice().first() {
            let bytes = item.inline_bytes.saturating_add(item.stored_bytes as u64);
            let Some(rest) = left_bytes.checked_sub(bytes).or(items.is_empty().then_some(0)) else {
                break;
            };
            left_bytes = rest;
            items.extend(current.items.next());
        }
        items
    }
}

impl Weighed {
    fn new(reader: &Reader, item: Item) -> Weighed {
        Weighed {
            stored_bytes: stored_bytes(&item),
            inline_bytes: reader.inline_bytes(&item),
            item,
        }
    }
}

impl Memory {
    /// What a page needs of what was reserved for it.
    fn of_page(mut reserved: Reservation, items: &[Weighed]) -> Memory {
        let stored_bytes: usize = items.iter().map(|item| item.stored_bytes).sum();
        let inline_bytes = inline_bytes(items).min(MESSAGE_BYTES) as usize;
        let rest_bytes = reserved
            .bytes()
            .saturating_sub(stored_bytes.saturating_mul(PAGE_COPIES));
        let mut content = reserved.split(rest_bytes);
        content.shrink(inline_bytes * CONTENT_COPIES);
        Memory {
            page: reserved,
            content,
        }
    }

    /// Waits for the memory of content that does not fit what is reserved.
    async fn make_room(&mut self, reader: &Reader, items: &[Weighed]) -> Result<(), Error> {
        let bytes = inline_bytes(items);
        if bytes > self.content.bytes() as u64 {
            // given back first: nobody waits for this stream's own bytes
            self.content = Reservation::default();
            self.content = reader.reserve(bytes, self.page.bytes()).await?;
        }
        Ok(())
    }

    /// What a message took that was larger than others.
    fn beyond_a_message(&mut self) -> Memory {
        let surplus = self.content.bytes().saturating_sub(CONTENT_BYTES);
        Memory {
            page: Reservation::default(),
            content: self.content.split(surplus),
        }
    }
}

fn inline_bytes(items: &[Weighed]) -> u64 {
    items
        .iter()
        .fold(0, |sum: u64, item| sum.saturating_add(item.inline_bytes))
}

/// Opens the items of a message in parallel; the results are in their order.
async fn open(reader: &Reader, items: Vec<Weighed>) -> Result<Vec<Found>, Error> {
    let opening: Vec<_> = items
        .into_iter()
        .map(|stored| reader.open_of_page(stored.item, stored.inline_bytes))
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
