//! Query: the items of one partition, page by page.

use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt as _};

use super::page_token::Binder;
use super::pages::{self, Page, Plan};
use super::read::Reader;
use super::selection::{Selection, check_values};
use super::verdict::Verdict;
use super::{Error, Gate, shown};
use crate::aws;
use crate::billing::Call;
use crate::expression::{self, Expression, Placeholders};
use crate::fault::{Fault, Faults};
use crate::model::Model;

/// What to read.
pub struct Query {
    /// The model.
    pub model: Arc<Model>,
    /// The index; empty: the table.
    pub index: String,
    /// The partition, and optionally a range of the sort key.
    pub key_condition: Option<Expression>,
    /// Read from high to low.
    pub descending: bool,
    /// What Query and Scan share.
    pub selection: Selection,
    /// What decoding found.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 12] = [
    "model",
    "index",
    "key_condition",
    "filter",
    "fields",
    "limit",
    "page_size",
    "page_token",
    "descending",
    "consistent_read",
    "include_objects",
    "select",
];

/// Streams the items of one partition; nothing where the request was only checked.
pub fn query(
    gate: &Arc<Gate>,
    call: &Call,
    request: Query,
) -> Result<impl Stream<Item = Result<Page, Error>> + Send + use<>, Error> {
    let Query {
        model,
        index,
        key_condition,
        descending,
        selection,
        faults,
    } = request;
    if !index.is_empty() {
        return Err(Error::UnknownIndex { index: shown(&index) });
    }
    let mut verdict = Verdict::new(&FIELDS, faults);
    let max_depth = gate.limits.attribute_depth;
    check_values(key_condition.as_ref(), "key_condition", max_depth, &mut verdict);
    let mut placeholders = Placeholders::new();
    let condition = verdict.expression(match &key_condition {
        Some(condition) => expression::key_condition(&model, condition, "key_condition", &mut placeholders),
        None => Err(Fault::new(
            "key_condition.text",
            "is required: an equality on the partition key",
        )
        .into()),
    });
    let checked = selection.check(
        &model,
        expression::query_filter,
        max_depth,
        &mut placeholders,
        &mut verdict,
    );
    let passed = verdict.pass()?;
    let (condition, checked) = (passed.take(condition)?, passed.take(checked)?);
    let mut binder = Binder::new("Query");
    binder.text(&model.name);
    binder.expression(key_condition.as_ref());
    binder.number(u64::from(descending));
    selection.bind(&mut binder);
    let binding = binder.finish();
    let standings = selection.standings(gate, binding, 1)?;
    if selection.validate_only {
        return Ok(stream::empty().left_stream());
    }
    let (names, values) = placeholders.into_parts();
    let template = aws::Query {
        table: model.table.clone(),
        index: None,
        key_condition: condition.text,
        filter: checked.filter,
        projection: checked
            .projection
            .as_ref()
            .map(|projection| projection.text.clone()),
        names,
        values,
        limit: None,
        start_key: None,
        descending,
        consistent_read: selection.consistent_read,
        count_only: selection.counts_at_the_store(),
    };
    let fetch = fetch(gate, call, template);
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

fn fetch(gate: &Arc<Gate>, call: &Call, template: aws::Query) -> pages::Fetch {
    let (gate, call) = (gate.clone(), call.clone());
    Arc::new(move |_, start_key, limit| {
        let (gate, call) = (gate.clone(), call.clone());
        let query = aws::Query {
            start_key,
            limit,
            ..template.clone()
        };
        Box::pin(async move { Ok(gate.stores.dynamodb.query(&call, query).await?) })
    })
}
