//! What Query and Scan have in common: which items to return, which parts of them, how many, and from which position.

use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt as _};

use super::error::{Error, shorten};
use super::fields::{check_fields, check_include_objects};
use super::gateway::Gateway;
use super::validation::Validation;
use crate::call::Call;
use crate::expression::{Expression, Placeholders, Projection};
use crate::fault::{Fault, Faults, Path};
use crate::item::check;
use crate::model::Model;
use crate::read::{Page, PageRequest, RequestHasher, Source, View};

/// What a Query or Scan selects.
pub struct Selection {
    /// The model.
    pub model: Arc<Model>,
    /// Further models of a single-table collection.
    pub models: Vec<String>,
    /// The index; empty: the table.
    pub index: String,
    /// Returns only items that match.
    pub filter: Option<Expression>,
    /// Paths to return; empty: all.
    pub fields: Vec<String>,
    /// Items to return in total.
    pub limit: Option<u32>,
    /// Items that the store evaluates per page.
    pub page_size: Option<u32>,
    /// Where to resume; empty: at the beginning.
    pub page_token: String,
    /// Whether to see every write that was acknowledged before.
    pub consistent_read: bool,
    /// Object attributes whose content is returned inline.
    pub include_objects: Vec<String>,
    /// Whether to return only the number of items.
    pub count_only: bool,
    /// Whether only to check the request.
    pub validate_only: bool,
}

/// How a filter is checked: that of a Query must not use key attributes.
pub(super) type FilterCheck = fn(&Model, &Expression, &str, &mut Placeholders) -> Result<String, Faults>;

/// The parts of a selection that passed their checks.
pub(super) struct Checked {
    filter: Option<String>,
    projection: Option<Projection>,
    include_objects: Vec<String>,
}

impl Selection {
    /// Rejects an index: models do not have any yet. Also rejects collections.
    pub(super) fn check_index(&self) -> Result<(), Error> {
        if !self.models.is_empty() {
            let fault = Fault::new("models", "is not supported by this version");
            return Err(Error::Invalid(fault.into()));
        }
        match self.index.is_empty() {
            true => Ok(()),
            false => Err(Error::UnknownIndex {
                index: shorten(&self.index),
            }),
        }
    }

    /// Checks the filter, the fields and the objects, and renders them for the store.
    pub(super) fn check(
        &self,
        filter_check: FilterCheck,
        max_depth: usize,
        placeholders: &mut Placeholders,
        validation: &mut Validation,
    ) -> Option<Checked> {
        let include_objects = validation.field(check_include_objects(&self.model, &self.include_objects));
        check_values(self.filter.as_ref(), "filter", max_depth, validation);
        let filter = self
            .filter
            .as_ref()
            .map(|filter| filter_check(&self.model, filter, "filter", placeholders));
        let filter = validation.expression(filter.transpose());
        let included = include_objects.as_deref().unwrap_or_default();
        let projection = validation.field(check_fields(&self.model, &self.fields, included, placeholders));
        Some(Checked {
            filter: filter?,
            projection: projection?,
            include_objects: include_objects?,
        })
    }

    /// Streams the pages of a checked request; none if it was only to be checked. `hasher` has the fields that belong to
    /// one of the RPCs alone.
    pub(super) fn pages(
        self,
        gateway: &Gateway,
        call: &Call,
        source: Source,
        checked: Checked,
        placeholders: Placeholders,
        mut hasher: RequestHasher,
    ) -> Result<impl Stream<Item = Result<Page, Error>> + Send + use<>, Error> {
        self.hash(&mut hasher);
        let request_hash = hasher.finish();
        let reader = &gateway.reader;
        let positions = reader
            .page_tokens
            .positions(&self.page_token, request_hash, source.segments())?;
        if self.validate_only {
            return Ok(stream::empty().left_stream());
        }
        let (names, values) = placeholders.into_parts();
        let request = PageRequest {
            source,
            view: View::new(
                self.model,
                self.fields,
                checked.include_objects,
                checked.projection,
            ),
            filter: checked.filter,
            names,
            values,
            consistent_read: self.consistent_read,
            positions,
            request_hash,
            limit: self.limit,
            page_size: self.page_size,
            count_only: self.count_only,
        };
        let pages = reader.pages(call, request);
        Ok(pages.map(|page| page.map_err(Error::from)).right_stream())
    }

    /// Adds everything except what may change from page to page.
    fn hash(&self, hasher: &mut RequestHasher) {
        hasher.expression(self.filter.as_ref());
        hasher.texts(&self.fields);
        hasher.texts(&self.include_objects);
        hasher.number(u64::from(self.consistent_read));
        hasher.number(u64::from(self.count_only));
    }
}

/// Checks the values of an expression as those of an item; `root` is its field of the request.
pub(super) fn check_values(
    expression: Option<&Expression>,
    root: &str,
    max_depth: usize,
    validation: &mut Validation,
) {
    let Some(expression) = expression else { return };
    let values = Path::Name(&Path::Root(root), "values");
    validation.add_expressions(check::check_values(&expression.values, values, max_depth));
}
