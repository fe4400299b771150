//! The request for one page of a Query or Scan, as DynamoDB's client takes it.

use super::page_request::PageRequest;
use super::source::{Segments, Source};
use crate::aws::{self, DynamoDb};
use crate::call::Call;
use crate::model::Item;

/// The request for a page of the store.
#[derive(Clone, Debug)]
pub(super) enum StoreRequest {
    Query(aws::Query),
    Scan(aws::Scan, Segments),
}

impl StoreRequest {
    /// What all pages of a request have in common.
    pub(super) fn template(request: &PageRequest) -> StoreRequest {
        let PageRequest { view, .. } = request;
        match &request.source {
            Source::Query {
                key_condition,
                descending,
            } => StoreRequest::Query(aws::Query {
                table: view.model.table.clone(),
                index: request.index(),
                key_condition: key_condition.clone(),
                filter: request.filter.clone(),
                projection: request.projection(),
                names: request.names.clone(),
                values: request.values.clone(),
                limit: None,
                start_key: None,
                descending: *descending,
                consistent_read: request.consistent_read,
                select: request.selected(),
            }),
            Source::Scan(segments) => StoreRequest::Scan(
                aws::Scan {
                    table: view.model.table.clone(),
                    index: request.index(),
                    filter: request.filter.clone(),
                    projection: request.projection(),
                    names: request.names.clone(),
                    values: request.values.clone(),
                    limit: None,
                    start_key: None,
                    consistent_read: request.consistent_read,
                    select: request.selected(),
                    segment: None,
                },
                *segments,
            ),
        }
    }

    /// The request for the page of a segment after `start_key`, of `limit` evaluated items at most.
    pub(super) fn for_page(
        &self,
        segment: usize,
        start_key: Option<Item>,
        limit: Option<u32>,
    ) -> StoreRequest {
        match self.clone() {
            StoreRequest::Query(query) => StoreRequest::Query(aws::Query {
                start_key,
                limit,
                ..query
            }),
            StoreRequest::Scan(scan, segments) => StoreRequest::Scan(
                aws::Scan {
                    start_key,
                    limit,
                    segment: segments.in_table(segment),
                    ..scan
                },
                segments,
            ),
        }
    }

    pub(super) async fn send(self, dynamodb: &DynamoDb, call: &Call) -> Result<aws::Page, aws::Error> {
        match self {
            StoreRequest::Query(query) => dynamodb.query(call, query).await,
            StoreRequest::Scan(scan, _) => dynamodb.scan(call, scan).await,
        }
    }
}
