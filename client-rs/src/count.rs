//! COUNT of Query and Scan: as one number, or page by page.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{Stream, StreamExt as _};
use tollgate_proto::v1;

use crate::listing::Listing;
use crate::{CallMetrics, Client, Error, Item, Pages, Partial, Query, Response, Scan};

/// The counts of the pages of a Query or Scan: a [`Stream`] of `Result<Count, Error>`.
pub struct Counts(Pages<Partial<Item>>);

/// The number of items that a Query or Scan would return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Items that matched the filter.
    pub count: u64,
    /// Items that were evaluated and billed.
    pub scanned_count: u64,
}

impl Client {
    /// Counts the items that a query would return. This costs as much as the query.
    ///
    /// # Errors
    ///
    /// If the query fails.
    pub async fn count_query(&self, query: Query) -> Result<Response<Count>, Error> {
        count(Pages::new(self, Listing::query(query, v1::Select::Count))).await
    }

    /// Counts the items that a scan would return. This costs as much as the scan.
    ///
    /// # Errors
    ///
    /// If the scan fails.
    pub async fn count_scan(&self, scan: Scan) -> Result<Response<Count>, Error> {
        count(Pages::new(self, Listing::scan(scan, v1::Select::Count))).await
    }

    /// The counts of a query, page by page, to show progress. This costs as much as the query. Nothing is sent until the
    /// stream is polled.
    pub fn count_query_pages(&self, query: Query) -> Counts {
        Counts(Pages::new(self, Listing::query(query, v1::Select::Count)))
    }

    /// The counts of a scan, page by page, to show progress. This costs as much as the scan. Nothing is sent until the stream
    /// is polled.
    pub fn count_scan_pages(&self, scan: Scan) -> Counts {
        Counts(Pages::new(self, Listing::scan(scan, v1::Select::Count)))
    }
}

impl Counts {
    /// The bill. Complete when the stream has ended, successfully or not.
    pub fn metrics(&self) -> &CallMetrics {
        self.0.metrics()
    }
}

impl Stream for Counts {
    type Item = Result<Count, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let page = ready!(self.0.poll_next_unpin(context));
        Poll::Ready(page.map(|page| {
            page.map(|page| Count {
                count: u64::from(page.count),
                scanned_count: u64::from(page.scanned_count),
            })
        }))
    }
}

async fn count(mut pages: Pages<Partial<Item>>) -> Result<Response<Count>, Error> {
    let mut value = Count::default();
    while let Some(page) = pages.next().await {
        let page = page?;
        value.count += u64::from(page.count);
        value.scanned_count += u64::from(page.scanned_count);
    }
    Ok(Response {
        value,
        metrics: pages.metrics().clone(),
    })
}
