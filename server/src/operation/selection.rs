//! What Query and Scan have in common: which items to return, which parts of them, how many, and from which position.

use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt as _};

use super::added_filter::AddedFilter;
use super::authorize::Authorizing;
use super::error::Error;
use super::fields::check_include_objects;
use super::gateway::Gateway;
use super::read_from::{Names, ReadFrom};
use super::validation::Validation;
use crate::call::Call;
use crate::expression::{self, Expression, Placeholders, Projection, query_filter};
use crate::fault::{Fault, Faults, Path};
use crate::item::check;
use crate::model::{self, Model, Number};
use crate::policy::Action;
use crate::read::{self, Extent, Page, PageRequest, RequestHasher, Source, View};

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

/// The parts of a selection that passed their checks.
pub(super) struct Checked {
    filter: Option<String>,
    projection: Option<Projection>,
    include_objects: Vec<String>,
    /// Whether a local index must read whole items from the table.
    all_attributes: bool,
    /// Whether the store cannot count the items by itself.
    counts_here: bool,
    now: Number,
}

impl Selection {
    /// Resolves the models and the index, and reports the faults of these fields.
    ///
    /// # Errors
    ///
    /// A model or an index that does not exist, or that the caller may not use.
    pub(super) fn read_from(
        &self,
        asking: Authorizing<'_>,
        action: Action,
        key_condition: Option<&Expression>,
        validation: &mut Validation,
    ) -> Result<ReadFrom, Error> {
        let access = |model: &Arc<Model>| {
            asking.access_pages(action, model, self.consistent_read, key_condition, &self.index)
        };
        let first = access(&self.model)?;
        let names = Names {
            models: &self.models,
            index: &self.index,
        };
        let find = |name: &str| access(&asking.model(action, name)?);
        let (from, faults) = ReadFrom::resolve(first, names, find)?;
        validation.add_fields(faults);
        from.check_named(key_condition, "key_condition.text")?;
        from.check_named(self.filter.as_ref(), "filter.text")?;
        let is_global = from.index.as_ref().is_some_and(|index| !index.local);
        if self.consistent_read && is_global {
            let description = "is not supported by global indexes; read the table or a local index";
            validation.add_fields(Fault::new("consistent_read", description).into());
        }
        Ok(from)
    }

    /// Checks the filter, the fields and the objects, and renders them for the store. The filter of a Query cannot use the
    /// keys that it compares.
    pub(super) fn check(
        &self,
        from: &ReadFrom,
        is_query: bool,
        max_depth: usize,
        placeholders: &mut Placeholders,
        validation: &mut Validation,
    ) -> Option<Checked> {
        let include_objects = validation.field(check_include_objects(from.model(), &self.include_objects));
        let include_objects = include_objects.and_then(|names| validation.field(in_index(from, names)));
        check_values(self.filter.as_ref(), "filter", max_depth, validation);
        let filter = self.filter.as_ref().map(|filter| match is_query {
            true => query_filter(from.model(), from.index.as_ref(), filter, "filter", placeholders),
            false => expression::filter(from.model(), filter, "filter", placeholders),
        });
        let filter = validation.expression(filter.transpose());
        let filter_faults = self.filter.as_ref().map(|filter| from.check_filter(filter));
        validation.add_expressions(filter_faults.unwrap_or_default());
        let included = include_objects.as_deref().unwrap_or_default();
        let projection = self.checked_fields(from, included, validation);
        let now = read::now();
        let added = AddedFilter::new(from, is_query, &now, placeholders);
        let filter = validation.expression(added.joined(filter?));
        let projection = projection?;
        let all_attributes = self.needs_all_attributes(from, included, projection.as_ref());
        Some(Checked {
            filter: filter?,
            projection,
            all_attributes,
            counts_here: !added.is_complete,
            include_objects: include_objects?,
            now,
        })
    }

    /// Checks the fields. The placeholders of the result are not used: what is sent depends on more than the fields.
    fn checked_fields(
        &self,
        from: &ReadFrom,
        included: &[String],
        validation: &mut Validation,
    ) -> Option<Option<Projection>> {
        if self.fields.is_empty() {
            return Some(None);
        }
        let unused = &mut Placeholders::new();
        let checked = expression::projection(&from.scope(), &self.fields, included, "fields", unused);
        let projection = validation.field(checked)?;
        validation.add_fields(from.check_fields(projection.attributes()));
        Some(Some(projection))
    }

    /// The projection that is sent: none where DynamoDB allows none, and to count only the keys.
    fn sent_projection(
        &self,
        from: &ReadFrom,
        checked: &Checked,
        placeholders: &mut Placeholders,
    ) -> Result<Option<Projection>, Error> {
        let counts_in_store = self.count_only && self.limit.is_none() && !checked.counts_here;
        if counts_in_store || checked.all_attributes {
            return Ok(checked.projection.clone());
        }
        let scope = from.scope();
        if self.count_only {
            return Ok(Some(Projection::keys_only(&scope, placeholders)));
        }
        if self.model.protection.is_some() {
            // read whole: its placeholders are not sent
            return Ok(checked.projection.clone());
        }
        if self.fields.is_empty() {
            return Ok(None);
        }
        let objects = &checked.include_objects;
        let projection = expression::projection(&scope, &self.fields, objects, "fields", placeholders);
        projection
            .map(Some)
            .map_err(|_faults| Error::Internal("a checked projection was rejected"))
    }

    /// Whether a local index must read whole items from the table: to return attributes that it does not contain.
    fn needs_all_attributes(
        &self,
        from: &ReadFrom,
        included: &[String],
        projection: Option<&Projection>,
    ) -> bool {
        if from.index.as_ref().is_none_or(|index| !index.local) {
            return false;
        }
        let returned = projection
            .map(Projection::attributes)
            .unwrap_or_default()
            .iter()
            .chain(included)
            .filter(|_| !self.count_only);
        returned.into_iter().any(|name| !from.contains(name))
    }

    /// Streams the pages of a checked request; none if it was only to be checked. `hasher` has the fields that belong to
    /// one of the RPCs alone.
    pub(super) fn pages(
        self,
        gateway: &Gateway,
        call: &Call,
        source: Source,
        (from, checked, mut placeholders): (ReadFrom, Checked, Placeholders),
        mut hasher: RequestHasher,
    ) -> Result<impl Stream<Item = Result<Page, Error>> + Send + use<>, Error> {
        self.hash(&mut hasher);
        hasher.caller(call.caller_id());
        let request_hash = hasher.finish();
        let reader = &gateway.reader;
        let positions = reader
            .page_tokens
            .positions(&self.page_token, request_hash, source.segments())?;
        if self.validate_only {
            return Ok(stream::empty().left_stream());
        }
        let projection = self.sent_projection(&from, &checked, &mut placeholders)?;
        let (names, values) = placeholders.into_parts();
        let model = from.first();
        let view = View {
            extent: extent(&from, checked.all_attributes),
            others: from.others().to_vec(),
            index: from.index,
            now: Some(checked.now),
            ..View::new(model, self.fields, checked.include_objects, projection)
        };
        let request = PageRequest {
            source,
            view,
            filter: checked.filter,
            names,
            values,
            consistent_read: self.consistent_read,
            positions,
            request_hash,
            limit: self.limit,
            page_size: self.page_size,
            count_only: self.count_only,
            counts_here: checked.counts_here,
            all_attributes: checked.all_attributes,
        };
        let pages = reader.pages(call, request);
        Ok(pages.map(|page| page.map_err(Error::from)).right_stream())
    }

    /// Adds everything except what may change from page to page.
    fn hash(&self, hasher: &mut RequestHasher) {
        hasher.text(&self.index);
        hasher.texts(&self.models);
        hasher.expression(self.filter.as_ref());
        hasher.texts(&self.fields);
        hasher.texts(&self.include_objects);
        hasher.number(u64::from(self.consistent_read));
        hasher.number(u64::from(self.count_only));
    }
}

/// How much of each item a read returns.
fn extent(from: &ReadFrom, all_attributes: bool) -> Extent {
    match &from.index {
        Some(index) if index.projection != model::Projection::All && !all_attributes => Extent::Part,
        Some(_) | None => Extent::Whole,
    }
}

/// Rejects objects that a global index does not contain.
fn in_index(from: &ReadFrom, include_objects: Vec<String>) -> Result<Vec<String>, Faults> {
    let Some(index) = from.index.as_ref().filter(|index| !index.local) else {
        return Ok(include_objects);
    };
    let mut faults = Faults::new();
    for name in include_objects.iter().filter(|name| !from.contains(name)) {
        let description = format!("{name:?} is not in the projection of the index {:?}", index.name);
        faults.push("include_objects", description);
    }
    faults.into_result().map(|()| include_objects)
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
