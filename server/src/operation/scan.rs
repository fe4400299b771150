//! Scan: all items of a model, in one pass, in one of several segments, or in segments read in parallel.

use futures::stream::Stream;

use super::authorize::Authorizing;
use super::error::Error;
use super::gateway::Gateway;
use super::selection::Selection;
use super::validation::Validation;
use crate::call::Call;
use crate::expression::Placeholders;
use crate::fault::Faults;
use crate::model::limits::MAX_SEGMENTS;
use crate::policy::Action;
use crate::read::{Page, RequestHasher, Segments, Source};

/// Segments that one stream reads in parallel.
const MAX_PARALLELISM: u32 = 64;

/// Which items to read.
pub struct Scan {
    /// What it has in common with a Query.
    pub selection: Selection,
    /// The segment to read.
    pub segment: u32,
    /// How many segments there are; 0: one.
    pub total_segments: u32,
    /// How many segments this stream merges; 0: one.
    pub parallelism: u32,
    /// Errors found while decoding.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 14] = [
    "model",
    "index",
    "filter",
    "fields",
    "limit",
    "page_size",
    "page_token",
    "consistent_read",
    "include_objects",
    "select",
    "segment",
    "total_segments",
    "parallelism",
    "models",
];

/// Streams all items; nothing if the request was only checked.
pub fn scan(
    gateway: &Gateway,
    call: &Call,
    request: Scan,
) -> Result<impl Stream<Item = Result<Page, Error>> + Send + use<>, Error> {
    let segment_faults = check_segments(&request);
    let Scan {
        selection,
        segment,
        total_segments,
        parallelism,
        faults,
    } = request;
    let mut validation = Validation::new(&FIELDS, faults);
    let asking = Authorizing::alone(gateway, call);
    let from = selection.read_from(asking, Action::Scan, None, &mut validation)?;
    validation.add_fields(segment_faults);
    let mut placeholders = Placeholders::new();
    let checked = selection.check(
        &from,
        false,
        gateway.attribute_depth,
        &mut placeholders,
        &mut validation,
    );
    let checked = validation.finish()?.take(checked)?;
    let segments = Segments {
        first: segment,
        total: total_segments.max(parallelism),
        merged: parallelism.max(1),
    };
    let mut hasher = RequestHasher::new("Scan");
    hasher.text(&selection.model.name);
    hasher.number(u64::from(segments.first));
    hasher.number(u64::from(segments.total));
    let source = Source::Scan(segments);
    selection.pages(gateway, call, source, (from, checked, placeholders), hasher)
}

fn check_segments(request: &Scan) -> Faults {
    let Scan {
        segment,
        total_segments,
        parallelism,
        ..
    } = *request;
    let mut faults = Faults::new();
    if total_segments > MAX_SEGMENTS {
        faults.push("total_segments", format_args!("must be at most {MAX_SEGMENTS}"));
    }
    if segment > 0 && segment >= total_segments {
        faults.push("segment", "must be less than total_segments");
    }
    if parallelism > MAX_PARALLELISM {
        faults.push("parallelism", format_args!("must be at most {MAX_PARALLELISM}"));
    }
    if parallelism > 1 && total_segments > 0 {
        faults.push("parallelism", "must not be set together with total_segments");
    }
    faults
}
