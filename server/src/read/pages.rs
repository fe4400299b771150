//! The page loop of Query and Scan: one stream of messages over one or more segments, driven by the caller. A page is
//! fetched when the caller takes the one before, and an empty page does not end the stream. Segments wait before they
//! fetch until there is room for a whole page, so an unread stream holds at most one page per segment, and at most
//! [`HELD_BYTES`] in total.
//!
//! The memory of a page is reserved before it is fetched, with the content of one message if objects are returned inline,
//! and reduced to what the page needs once it has arrived. A stream waits only for its first page in flight, while it
//! holds nothing; further segments begin only if their memory is free. So streams never wait for each other in a circle.
//! The exception is an object larger than a message: its stream waits while it holds the page.

use std::collections::VecDeque;

use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, Stream, StreamExt as _};

use super::error::Error;
use super::memory::{CONTENT_BYTES, MESSAGE_BYTES, PAGE_COPIES, PageMemory, reserve_page, try_reserve_page};
use super::opener::Opener;
use super::page_items::{PageItem, SizedItem, inline_bytes, open};
use super::page_request::PageRequest;
use super::reader::Reader;
use super::request_hash::RequestHash;
use super::segment_position::SegmentPosition;
use super::store_request::StoreRequest;
use super::view::Match;
use crate::aws;
use crate::call::Call;
use crate::capacity::Reservation;
use crate::model::Item;
use crate::model::limits::{MAX_ITEM_BYTES, MAX_PAGE_BYTES};

/// Stored bytes of all pages that a stream holds or waits for, however many segments it reads.
const HELD_BYTES: usize = 4 * 1024 * 1024;

/// One message of the stream: a page, or a part of one.
pub struct Page {
    /// The items, in the order of the store.
    pub results: Vec<PageItem>,
    /// The end of the page, in its last message; `None`: the page continues.
    pub end: Option<PageEnd>,
    /// The memory that the message occupies until it is encoded.
    pub memory: PageMemory,
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
    /// Items that belong to none of the request's models.
    pub unmatched_count: u32,
}

struct Pages {
    opener: Opener,
    template: StoreRequest,
    request_hash: RequestHash,
    /// Where each segment continues.
    positions: Vec<SegmentPosition>,
    page_size: Option<u32>,
    /// Whether a filter may leave out items that were evaluated.
    filtered: bool,
    /// Whether this server may leave out items that the store returns.
    may_leave_out: bool,
    /// Pages that were requested.
    fetched_pages: u32,
    count_only: bool,
    /// Whether the store returns no items, only their number.
    counts_in_store: bool,
    /// Segments whose next page is not being fetched yet.
    waiting: VecDeque<usize>,
    fetching: FuturesUnordered<BoxFuture<'static, Fetched>>,
    /// The page that is being sent.
    current: Option<CurrentPage>,
    /// Items left of the request's limit.
    remaining: Option<u32>,
    finished: bool,
}

/// A page of a segment, as the store returned it.
struct Fetched {
    segment: usize,
    page: Result<aws::Page, aws::Error>,
    memory: Reservation,
}

/// The part of a page that has not been sent.
struct CurrentPage {
    segment: usize,
    items: std::vec::IntoIter<SizedItem>,
    count: u32,
    scanned_count: u32,
    unmatched_count: u32,
    memory: PageMemory,
}

/// What is taken of a page of the store.
#[derive(Default)]
struct Taken {
    items: Vec<SizedItem>,
    count: u32,
    unmatched_count: u32,
    /// Where the segment continues, if the limit was reached before the end of the page.
    position: Option<SegmentPosition>,
}

impl Reader {
    /// Streams the messages of a Query or Scan. Nothing is fetched before the stream is polled.
    pub fn pages(
        &self,
        call: &Call,
        request: PageRequest,
    ) -> impl Stream<Item = Result<Page, Error>> + Send + use<> {
        let pages = Pages::new(self, call, request);
        stream::unfold(pages, |mut pages| async move {
            let page = pages.next().await.transpose()?;
            pages.finished |= page.is_err();
            Some((page, pages))
        })
    }
}

impl Pages {
    fn new(reader: &Reader, call: &Call, request: PageRequest) -> Pages {
        let waiting = (0..request.positions.len())
            .filter(|segment| request.positions[*segment] != SegmentPosition::AtEnd)
            .collect();
        Pages {
            template: StoreRequest::template(&request),
            counts_in_store: request.counts_in_store(),
            request_hash: request.request_hash,
            positions: request.positions,
            page_size: request.page_size,
            filtered: request.filter.is_some(),
            may_leave_out: request.view.may_leave_out(),
            fetched_pages: 0,
            count_only: request.count_only,
            waiting,
            fetching: FuturesUnordered::new(),
            current: None,
            remaining: request.limit,
            opener: Opener::new(reader, call, request.view),
            finished: false,
        }
    }

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

    /// Fetches for the waiting segments, as far as there is room. Waits for the room of the first one, and until the caller
    /// is no longer in debt.
    async fn begin_fetching(&mut self) -> Result<(), Error> {
        let max_fetching = HELD_BYTES
            .checked_div(self.max_page_bytes())
            .unwrap_or(usize::MAX);
        while self.fetching.len() < max_fetching.max(1)
            && let Some(&segment) = self.waiting.front()
        {
            let (call, bytes) = (&self.opener.call, self.memory_bytes());
            let memory = match self.fetching.is_empty() {
                true => {
                    call.wait_for_debt().await;
                    Some(reserve_page(call, bytes).await?)
                }
                false if call.is_in_debt() => None,
                false => try_reserve_page(call, bytes),
            };
            let Some(memory) = memory else { break };
            self.waiting.pop_front();
            self.fetch(segment, memory);
        }
        Ok(())
    }

    /// The most memory that the next page needs, with the content of one message.
    fn memory_bytes(&self) -> usize {
        let max_items = self.next_page_size().map_or(usize::MAX, |items| items as usize);
        let page_bytes = self
            .max_page_bytes()
            .min(MAX_ITEM_BYTES.saturating_mul(max_items));
        let has_content = page_bytes > 0 && !self.count_only && self.opener.view.has_content();
        page_bytes * PAGE_COPIES + if has_content { CONTENT_BYTES } else { 0 }
    }

    /// The most stored bytes of a page.
    fn max_page_bytes(&self) -> usize {
        if self.counts_in_store {
            return 0;
        }
        match self.page_size {
            Some(items) => MAX_PAGE_BYTES.min(MAX_ITEM_BYTES.saturating_mul(items as usize)),
            None => MAX_PAGE_BYTES,
        }
    }

    /// Items that the next page may evaluate. Without a filter, every evaluated item is returned, so the limit keeps the
    /// store from reading items that would be discarded. Where items of other models are left out, that may not be enough:
    /// each further page is twice as large.
    fn next_page_size(&self) -> Option<u32> {
        let wanted = match (self.remaining, self.may_leave_out) {
            (Some(remaining), true) => Some(remaining.saturating_mul(1 << self.fetched_pages.min(16))),
            (remaining, _) => remaining,
        };
        match (wanted, self.page_size) {
            (Some(wanted), size) if !self.filtered => Some(size.unwrap_or(u32::MAX).min(wanted)),
            (_, size) => size,
        }
    }

    fn fetch(&mut self, segment: usize, memory: Reservation) {
        let start_key = match &self.positions[segment] {
            SegmentPosition::AtEnd => return,
            SegmentPosition::AtStart => None,
            SegmentPosition::After(key) => Some(key.clone()),
        };
        let request = self.template.for_page(segment, start_key, self.next_page_size());
        self.fetched_pages += 1;
        let (dynamodb, call) = (
            self.opener.reader.stores.dynamodb.clone(),
            self.opener.call.clone(),
        );
        self.fetching.push(Box::pin(async move {
            Fetched {
                segment,
                page: request.send(&dynamodb, &call).await,
                memory,
            }
        }));
    }

    /// Takes what the limit leaves of a page, and moves the segment's position past it.
    fn accept(&mut self, fetched: Fetched) -> Result<CurrentPage, Error> {
        let Fetched {
            segment,
            page,
            memory,
        } = fetched;
        let page = page?;
        let mut position = match page.last_key {
            Some(key) => SegmentPosition::After(key),
            None => SegmentPosition::AtEnd,
        };
        let mut taken = match self.counts_in_store {
            true => Taken {
                count: page.count,
                ..Taken::default()
            },
            false => self.take(page.items, segment),
        };
        if let Some(last) = taken.position.take() {
            position = last;
        }
        self.remaining = self
            .remaining
            .map(|remaining| remaining.saturating_sub(taken.count));
        self.positions[segment] = position;
        let items = taken.items;
        let stored_bytes = items.iter().map(|item| item.stored_bytes).sum();
        Ok(CurrentPage {
            segment,
            memory: PageMemory::for_page(memory, stored_bytes, inline_bytes(&items)),
            items: items.into_iter(),
            count: taken.count,
            scanned_count: page.scanned_count,
            unmatched_count: taken.unmatched_count,
        })
    }

    /// Takes the items that are returned, as many as the limit leaves.
    fn take(&self, stored_items: Vec<Item>, segment: usize) -> Taken {
        let view = &self.opener.view;
        let mut taken = Taken::default();
        let mut last_counted = None;
        let mut items = stored_items.into_iter();
        while let Some(stored) = items.as_slice().first() {
            if self.remaining == Some(taken.count) {
                let last = taken
                    .items
                    .last()
                    .map(SizedItem::stored)
                    .or(last_counted.as_ref());
                taken.position = Some(match last {
                    Some(stored) => SegmentPosition::After(view.position_of(stored)),
                    None => self.positions[segment].clone(),
                });
                break;
            }
            match view.match_of(stored) {
                Match::Of(model) => {
                    taken.count += 1;
                    match items.next() {
                        Some(item) if !self.count_only => {
                            taken.items.push(SizedItem::new(&self.opener, model, item));
                        }
                        counted => last_counted = counted,
                    }
                    continue;
                }
                Match::Expired => {}
                Match::Unmatched => taken.unmatched_count += 1,
            }
            items.next();
        }
        taken
    }

    /// The next message of the current page. Its last message lets the segment's next page be fetched.
    async fn message(&mut self, mut current: CurrentPage) -> Result<Page, Error> {
        let items = match self.count_only {
            true => Vec::new(),
            false => current.next_part(),
        };
        let is_part = !self.count_only && !current.items.as_slice().is_empty();
        let end = match is_part {
            true => None,
            false => Some(self.end(&current)?),
        };
        current
            .memory
            .make_room(&self.opener.call, inline_bytes(&items))
            .await?;
        let results = open(&self.opener, items).await?;
        let memory = match is_part {
            true => current.memory.split_surplus(),
            false => std::mem::take(&mut current.memory),
        };
        self.current = is_part.then_some(current);
        Ok(Page { results, end, memory })
    }

    fn end(&mut self, current: &CurrentPage) -> Result<PageEnd, Error> {
        let is_at_end = |position: &SegmentPosition| *position == SegmentPosition::AtEnd;
        let all_at_end = self.positions.iter().all(is_at_end);
        self.finished = self.remaining == Some(0) || all_at_end;
        if !self.finished && !is_at_end(&self.positions[current.segment]) {
            self.waiting.push_back(current.segment);
        }
        let next_page_token = match all_at_end {
            true => String::new(),
            false => {
                let tokens = &self.opener.reader.page_tokens;
                tokens.seal(&self.positions, self.request_hash)?
            }
        };
        Ok(PageEnd {
            next_page_token,
            count: current.count,
            scanned_count: current.scanned_count,
            unmatched_count: current.unmatched_count,
        })
    }
}

impl CurrentPage {
    /// The items that fit in the next message with the content of their objects, at least one.
    fn next_part(&mut self) -> Vec<SizedItem> {
        let mut items = Vec::new();
        let mut left_bytes = MESSAGE_BYTES;
        while let Some(item) = self.items.as_slice().first() {
            let bytes = item.inline_bytes.saturating_add(item.stored_bytes as u64);
            let Some(rest) = left_bytes.checked_sub(bytes).or(items.is_empty().then_some(0)) else {
                break;
            };
            left_bytes = rest;
            items.extend(self.items.next());
        }
        items
    }
}
