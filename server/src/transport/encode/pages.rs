//! The pages of Query and Scan, in messages of bounded size.

use tollgate_proto::v1;
use tonic::Status;

use super::messages::{Messages, split};
use super::unreadable::unreadable;
use super::values::item;
use crate::call::Call;
use crate::operation::{Error, Page, PageEnd, PageItem, PageMemory};
use crate::transport::failure;

/// The messages of a page of a Query.
pub(crate) fn query_page(call: &Call, page: Result<Page, Error>) -> Messages<v1::QueryResponse> {
    encode_page(call, page, |results, end| v1::QueryResponse {
        results,
        next_page_token: end.next_page_token,
        count: end.count,
        scanned_count: end.scanned_count,
        unmatched_count: end.unmatched_count,
    })
}

/// The messages of a page of a Scan.
pub(crate) fn scan_page(call: &Call, page: Result<Page, Error>) -> Messages<v1::ScanResponse> {
    encode_page(call, page, |results, end| v1::ScanResponse {
        results,
        next_page_token: end.next_page_token,
        count: end.count,
        scanned_count: end.scanned_count,
        unmatched_count: end.unmatched_count,
    })
}

/// The messages of a page, or of a part of one; the last message has the page's end.
fn encode_page<T>(
    call: &Call,
    page: Result<Page, Error>,
    message: impl Fn(Vec<v1::ItemResult>, PageEnd) -> T,
) -> Messages<T> {
    let Page { results, end, memory } = match page {
        Ok(page) => page,
        Err(error) => {
            let failed = Err(failure::status(call, error));
            return Messages::new(vec![failed], PageMemory::default());
        }
    };
    let results = results.into_iter().map(|result| item_result(call, result));
    let token_bytes = end.as_ref().map(|end| end.next_page_token.len());
    let mut parts = split(results, token_bytes);
    let last = parts.pop().unwrap_or_default();
    let mut messages: Vec<Result<T, Status>> = parts
        .into_iter()
        .map(|results| Ok(message(results, PageEnd::default())))
        .collect();
    messages.push(Ok(message(last, end.unwrap_or_default())));
    Messages::new(messages, memory)
}

fn item_result(call: &Call, result: PageItem) -> v1::ItemResult {
    let PageItem {
        model,
        partial,
        outcome,
    } = result;
    let model = model.unwrap_or_default();
    match outcome {
        Ok(opened) => v1::ItemResult {
            item: item(opened.item),
            withheld: opened.withheld,
            unreadable: unreadable(call, opened.unreadable),
            error: None,
            model,
            partial,
            unverified: opened.unverified,
        },
        Err((key, error)) => v1::ItemResult {
            item: item(key),
            withheld: Vec::new(),
            unreadable: Vec::new(),
            error: Some(failure::item_status(call, error)),
            model,
            partial: true,
            unverified: false,
        },
    }
}
