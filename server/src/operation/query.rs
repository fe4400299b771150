//! Query: the items of one partition, page by page.

use std::time::SystemTime;

use futures::stream::Stream;

use super::authorize::Authorizing;
use super::error::Error;
use super::gateway::Gateway;
use super::selection::{Selection, check_values};
use super::validation::Validation;
use crate::call::Call;
use crate::expression::{self, Expression, KeyScope, Placeholders};
use crate::fault::{Fault, Faults};
use crate::policy::Action;
use crate::read::{Page, RequestHasher, Source};

/// Which items to read.
pub struct Query {
    /// The partition, and optionally a range of the sort key.
    pub key_condition: Option<Expression>,
    /// Whether to read from the highest sort key down.
    pub descending: bool,
    /// What it has in common with a Scan.
    pub selection: Selection,
    /// Errors found while decoding.
    pub faults: Faults,
}

/// The request's fields in the contract's order.
const FIELDS: [&str; 13] = [
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
    "models",
];

/// Streams the items of one partition; nothing if the request was only checked.
pub fn query(
    gateway: &Gateway,
    call: &Call,
    request: Query,
) -> Result<impl Stream<Item = Result<Page, Error>> + Send + use<>, Error> {
    let Query {
        key_condition,
        descending,
        selection,
        faults,
    } = request;
    let mut validation = Validation::new(&FIELDS, faults);
    let asking = Authorizing::alone(gateway, call);
    let from = selection.read_from(asking, Action::Query, key_condition.as_ref(), &mut validation)?;
    let max_depth = gateway.attribute_depth;
    check_values(
        key_condition.as_ref(),
        "key_condition",
        max_depth,
        &mut validation,
    );
    let mut placeholders = Placeholders::new();
    let condition = validation.expression(match &key_condition {
        Some(condition) => {
            let scope = KeyScope {
                model: from.model(),
                index: from.index.as_ref(),
                narrows: !from.is_collection(),
                now: SystemTime::now(),
            };
            expression::key_condition(&scope, condition, "key_condition", &mut placeholders)
        }
        None => Err(Fault::new(
            "key_condition.text",
            "is required: an equality on the partition key",
        )
        .into()),
    });
    let checked = selection.check(&from, true, max_depth, &mut placeholders, &mut validation);
    let valid = validation.finish()?;
    let (condition, checked) = (valid.take(condition)?, valid.take(checked)?);
    let mut hasher = RequestHasher::new("Query");
    hasher.text(&selection.model.name);
    hasher.expression(key_condition.as_ref());
    hasher.number(u64::from(descending));
    let source = Source::Query {
        key_condition: condition,
        descending,
    };
    selection.pages(gateway, call, source, (from, checked, placeholders), hasher)
}
