//! Query and Scan as streams over all pages. An invalid item is a separate error, and a broken stream resumes after its last
//! page.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::future::BoxFuture;
use futures::{Stream, StreamExt as _};
use tokio::time::{sleep, timeout_at};
use tollgate_proto::v1;
use tonic::{Status, Streaming};

use crate::listing::Listing;
use crate::retry::{Attempts, Effect};
use crate::value::item_from_wire;
use crate::{CallMetrics, Client, Error, Partial, Query, Readable, Scan};

/// The items of a Query or Scan: a [`Stream`] of `Result<T, Error>`.
///
/// An item that could not be read or does not match `T` is an `Err` in its place with [`Error::is_of_item`], and the stream
/// continues. It ends after any other error.
pub struct Items<T> {
    pages: Pages<T>,
    ready: VecDeque<Result<T, Error>>,
}

/// The pages of a Query or Scan: a [`Stream`] of `Result<Page<T>, Error>`. A page that is empty is not necessarily the last one.
pub struct Pages<T> {
    state: State,
    metrics: CallMetrics,
    items: std::marker::PhantomData<fn() -> T>,
}

/// A page of a Query or Scan. A page of more than 3 MiB is split into parts, of which only the last one has the token and the
/// counts.
#[derive(Debug)]
pub struct Page<T> {
    /// The items in order, including those that could not be read.
    pub items: Vec<Result<T, Error>>,
    /// A token that resumes after this page, even in another process. Empty: this is the last page.
    pub next_page_token: String,
    /// Items of this page that matched the filter.
    pub count: u32,
    /// Items of this page that were evaluated and billed.
    pub scanned_count: u32,
    /// Items of this page that belong to none of the models of the request, and are left out.
    pub unmatched_count: u32,
}

impl Client {
    /// Streams the items of one partition. Nothing is sent until the stream is polled. Dropping it cancels the call.
    pub fn query<T: Readable>(&self, query: Query) -> Items<T> {
        Items::new(
            self,
            Listing::query(query, v1::Select::Items).and_then(Listing::accepted::<T>),
        )
    }

    /// Streams all items of a model. Nothing is sent until the stream is polled. Dropping it cancels the call.
    pub fn scan<T: Readable>(&self, scan: Scan) -> Items<T> {
        Items::new(
            self,
            Listing::scan(scan, v1::Select::Items).and_then(Listing::accepted::<T>),
        )
    }
}

impl<T: Readable> Items<T> {
    fn new(client: &Client, listing: Result<Listing, Error>) -> Items<T> {
        Items {
            pages: Pages::new(client, listing),
            ready: VecDeque::new(),
        }
    }

    /// The stream as pages, with their tokens.
    pub fn pages(self) -> Pages<T> {
        self.pages
    }

    /// The bill. Complete when the stream has ended, successfully or not. Before that it contains only RPCs that broke.
    pub fn metrics(&self) -> &CallMetrics {
        &self.pages.metrics
    }
}

impl<T: Readable> Stream for Items<T> {
    type Item = Result<T, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Poll::Ready(Some(item));
            }
            match ready!(self.pages.poll_next_unpin(context)) {
                Some(Ok(page)) => self.ready = page.items.into(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

/// Items are moved, never pinned.
impl<T> Unpin for Items<T> {}

impl<T: Readable> Pages<T> {
    pub(crate) fn new(client: &Client, listing: Result<Listing, Error>) -> Pages<T> {
        let state = match listing {
            Ok(listing) => State::Idle(Box::new(PageReader::new(client, listing))),
            Err(error) => State::Refused(error),
        };
        Pages {
            state,
            metrics: CallMetrics::default(),
            items: std::marker::PhantomData,
        }
    }

    /// The bill. Complete when the stream has ended, successfully or not. Before that it contains only RPCs that broke.
    pub fn metrics(&self) -> &CallMetrics {
        &self.metrics
    }
}

impl<T: Readable> Stream for Pages<T> {
    type Item = Result<Page<T>, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut next: NextPage = match std::mem::replace(&mut self.state, State::Ended) {
            State::Idle(reader) => Box::pin(reader.next_page()),
            State::Reading(next) => next,
            State::Refused(error) => return Poll::Ready(Some(Err(error))),
            State::Ended => return Poll::Ready(None),
        };
        let Poll::Ready((reader, page)) = next.as_mut().poll(context) else {
            self.state = State::Reading(next);
            return Poll::Pending;
        };
        self.metrics = reader.metrics.clone();
        match page {
            Some(Ok(page)) => {
                let page = page.read(reader.listing.model());
                self.state = State::Idle(reader);
                Poll::Ready(Some(Ok(page)))
            }
            Some(Err(error)) => Poll::Ready(Some(Err(error.with_metrics(self.metrics.clone())))),
            None => Poll::Ready(None),
        }
    }
}

type NextPage = BoxFuture<'static, (Box<PageReader>, Option<Result<WirePage, Error>>)>;

enum State {
    /// Between two pages.
    Idle(Box<PageReader>),
    /// Waiting for a page.
    Reading(NextPage),
    /// The request is invalid.
    Refused(Error),
    Ended,
}

/// One message of either stream.
struct WirePage {
    results: Vec<v1::ItemResult>,
    next_page_token: String,
    count: u32,
    scanned_count: u32,
    unmatched_count: u32,
    /// Whether the page continues in the next message.
    is_part: bool,
}

impl WirePage {
    fn new(
        results: Vec<v1::ItemResult>,
        next_page_token: String,
        [count, scanned_count, unmatched_count]: [u32; 3],
    ) -> WirePage {
        let has_end = !next_page_token.is_empty() || count > 0 || scanned_count > 0 || unmatched_count > 0;
        WirePage {
            is_part: !has_end && !results.is_empty(),
            results,
            next_page_token,
            count,
            scanned_count,
            unmatched_count,
        }
    }

    /// `model`: that of items for which the server names none, because the request names only one.
    fn read<T: Readable>(self, model: &str) -> Page<T> {
        let read = |result: v1::ItemResult| match result.error {
            Some(status) => Err(Error::for_item(
                &status,
                item_from_wire(result.item).unwrap_or_default(),
            )),
            None => {
                let model = if result.model.is_empty() {
                    model
                } else {
                    &result.model
                };
                let is_cut = result.partial;
                Partial::from_wire(model, result.item, result.withheld, result.unreadable, is_cut)
                    .and_then(|found| T::read(found.with_unverified(result.unverified)))
                    .map_err(Error::of_item)
            }
        };
        Page {
            items: self.results.into_iter().map(read).collect(),
            next_page_token: self.next_page_token,
            count: self.count,
            scanned_count: self.scanned_count,
            unmatched_count: self.unmatched_count,
        }
    }
}

/// The open response stream.
enum Messages {
    Query(Streaming<v1::QueryResponse>),
    Scan(Streaming<v1::ScanResponse>),
}

impl Messages {
    async fn next(&mut self) -> Result<Option<WirePage>, Status> {
        Ok(match self {
            Messages::Query(messages) => messages.message().await?.map(|message| {
                WirePage::new(
                    message.results,
                    message.next_page_token,
                    [message.count, message.scanned_count, message.unmatched_count],
                )
            }),
            Messages::Scan(messages) => messages.message().await?.map(|message| {
                WirePage::new(
                    message.results,
                    message.next_page_token,
                    [message.count, message.scanned_count, message.unmatched_count],
                )
            }),
        })
    }

    /// The bill, after the last message.
    async fn bill(&mut self) -> Result<CallMetrics, Status> {
        let trailers = match self {
            Messages::Query(messages) => messages.trailers().await?,
            Messages::Scan(messages) => messages.trailers().await?,
        };
        Ok(trailers
            .map(|trailers| CallMetrics::from_metadata(&trailers))
            .unwrap_or_default())
    }
}

/// Reads pages, and reopens the stream if it breaks.
struct PageReader {
    client: Client,
    listing: Listing,
    messages: Option<Messages>,
    attempts: Attempts,
    metrics: CallMetrics,
    /// Whether all items have arrived, so that only the bill can follow.
    is_complete: bool,
    /// Number of results of the incomplete page.
    begun: usize,
    /// Number of results to skip, because they arrived before the stream broke.
    skipped: usize,
}

impl PageReader {
    fn new(client: &Client, listing: Listing) -> PageReader {
        PageReader {
            client: client.clone(),
            listing,
            messages: None,
            attempts: client.attempts(Effect::Read),
            metrics: CallMetrics::default(),
            is_complete: false,
            begun: 0,
            skipped: 0,
        }
    }

    /// The next page. After `None` or an error the bill is complete.
    async fn next_page(mut self: Box<Self>) -> (Box<PageReader>, Option<Result<WirePage, Error>>) {
        loop {
            match self.step().await {
                Ok(Some(mut page)) => {
                    self.attempts.progress();
                    self.take(&mut page);
                    return (self, Some(Ok(page)));
                }
                Ok(None) => return (self, None),
                Err(mut error) => {
                    self.messages = None;
                    self.metrics.add(error.take_metrics());
                    if self.is_complete {
                        return (self, None);
                    }
                    if self.begun > 0 && !self.listing.is_in_order() {
                        return (self, Some(Err(error)));
                    }
                    self.skipped = self.begun;
                    match self.attempts.wait_after(&error) {
                        Some(wait) => sleep(wait).await,
                        None => return (self, Some(Err(error))),
                    }
                }
            }
        }
    }

    /// Records the position after a message, and drops results that were already received before the stream broke.
    fn take(&mut self, page: &mut WirePage) {
        let skipped = self.skipped.min(page.results.len());
        self.skipped -= skipped;
        page.results.drain(..skipped);
        if page.is_part {
            self.begun += page.results.len();
        } else {
            (self.begun, self.skipped) = (0, 0);
            self.is_complete = !self.listing.advance(&page.next_page_token, page.count);
        }
    }

    async fn step(&mut self) -> Result<Option<WirePage>, Error> {
        if self.messages.is_none() {
            self.messages = Some(self.open().await?);
        }
        let messages = self.messages.as_mut().expect("the stream was opened above");
        let deadline = self.attempts.deadline();
        let next = async {
            match messages.next().await? {
                Some(page) => Ok((Some(page), CallMetrics::default())),
                None => Ok((None, messages.bill().await?)),
            }
        };
        let result: Result<_, Status> = match deadline {
            Some(deadline) => timeout_at(deadline, next).await.map_err(|_| Error::deadline())?,
            None => next.await,
        };
        let (page, bill) = result?;
        self.metrics.add(bill);
        Ok(page)
    }

    async fn open(&self) -> Result<Messages, Error> {
        let deadline = self.attempts.deadline();
        let mut service = self.client.data();
        Ok(match self.listing.clone() {
            Listing::Query(query) => {
                let request = self.client.request(query, deadline)?;
                Messages::Query(service.query(request).await?.into_inner())
            }
            Listing::Scan(scan) => {
                let request = self.client.request(scan, deadline)?;
                Messages::Scan(service.scan(request).await?.into_inner())
            }
        })
    }
}
