//! Scan: all items of a model, in one pass, in one segment of several callers', or in segments side by side.

use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt as _};

use super::page_token::Binder;
use super::pages::{self, Page, Plan};
use super::read::Reader;
use super::selection::Selection;
use super::verdict::Verdict;
use super::{Error, Gate, shown};
use crate::aws;
use crate::billing::Call;
use crate::expression::{self, Placeholders};
use crate::fault::Faults;
use crate::model::Model;
use crate::model::limits::MAX_SEGMENTS;

/// Segments that one stream reads side by side.
const MAX_PARALLELISM: u32 = 64;

/// What to read.
pub struct Scan {
    /// The model.
    pub model: Arc<Model>,
    /// The index; empty: the table.
    pub index: String,
    /// What Query and Scan share.
    pub selection: Selection,
    /// The one segment to read.
    pub segment: u32,
    /// Of how many; 0: one.
    pub total_segments: u32,
    /// Segments that this stream merges; 0: one.
    pub parallelism: u32,
    /// What decoding found.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 13] = [
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
];

/// Streams all items; nothing where the request was only checked.
pub fn scan(
    gate: &Arc<Gate>,
    call: &Call,
    request: Scan,
) -> Result<impl Stream<Item = Result<Page, Error>> + Send + use<>, Error> {
    let segment_faults = check_segments(&request);
    let Scan {
        model,
        index,
        selection,
        segment,
        total_segments,
        parallelism,
        faults,
    } = request;
    if !index.is_empty() {
        return Err(Error::UnknownIndex { index: shown(&index) });
    }
    let mut verdict = Verdict::new(&FIELDS, faults);
    verdict.add_fields(segment_faults);
    let mut placeholders = Placeholders::new();
    let checked = selection.check(
        &model,
        expression::filter,
        gate.limits.attribute_depth,
        &mut placeholders,
        &mut verdict,
    );
    let passed = verdict.pass()?;
    let checked = passed.take(checked)?;
    let segments = Segments {
        first: segment,
        total: total_segments.max(parallelism),
        merged: parallelism.max(1),
    };
    let mut binder = Binder::new("Scan");
    binder.text(&model.name);
    binder.number(u64::from(segments.first));
    binder.number(u64::from(segments.total));
    selection.bind(&mut binder);
    let binding = binder.finish();
    let standings = selection.standings(gate, binding, segments.merged as usize)?;
    if selection.validate_only {
        return Ok(stream::empty().left_stream());
    }
    let (names, values) = placeholders.into_parts();
    let template = aws::Scan {
        table: model.table.clone(),
        index: None,
        filter: checked.filter,
        projection: checked
            .projection
            .as_ref()
            .map(|projection| projection.text.clone()),
        names,
        values,
        limit: None,
        start_key: None,
        consistent_read: selection.consistent_read,
        count_only: selection.counts_at_the_store(),
        segment: None,
    };
    let fetch = fetch(gate, call, template, segments);
    let (fields, include_objects) = (selection.fields, checked.include_objects);
    let reader = Reader::new(gate, call, model, checked.projection, fields, include_objects);
    let plan = Plan {
        reader,
        fetch,
        standings,
        binding,
        limit: selection.limit,
        page_size: selection.page_size,
        filtered: selection.filter.is_some(),
        count_only: selection.count_only,
    };
    Ok(pages::turn(plan).right_stream())
}

/// The segments of the table that this stream reads: `merged` of `total`, from `first` on.
#[derive(Clone, Copy)]
struct Segments {
    first: u32,
    total: u32,
    merged: u32,
}

impl Segments {
    fn of_store(self, index: usize) -> Option<(u32, u32)> {
        (self.total > 1).then(|| (self.first + index as u32, self.total))
    }
}

fn fetch(gate: &Arc<Gate>, call: &Call, template: aws::Scan, segments: Segments) -> pages::Fetch {
    let (gate, call) = (gate.clone(), call.clone());
    Arc::new(move |index, start_key, limit| {
        let (gate, call) = (gate.clone(), call.clone());
        let scan = aws::Scan {
            start_key,
            limit,
            segment: segments.of_store(index),
            ..template.clone()
        };
        Box::pin(async move { Ok(gate.stores.dynamodb.scan(&call, scan).await?) })
    })
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
