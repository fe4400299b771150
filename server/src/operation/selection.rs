//! What Query and Scan share: which items of those evaluated, which attributes of them, how many, from where.

use std::sync::Arc;

use super::page_token::{Binder, Binding, Standing};
use super::read::{check_include, project};
use super::verdict::Verdict;
use super::{Error, Gate};
use crate::expression::{Expression, Placeholders, Projection};
use crate::fault::{Faults, Path};
use crate::item::check;
use crate::model::Model;

/// The shared part of a Query or Scan.
#[derive(Default)]
pub struct Selection {
    /// Only items for which this holds.
    pub filter: Option<Expression>,
    /// Paths to answer; empty: all.
    pub fields: Vec<String>,
    /// Items in all.
    pub limit: Option<u32>,
    /// Items evaluated per page of the store.
    pub page_size: Option<u32>,
    /// Where to go on; empty: from the beginning.
    pub page_token: String,
    /// Read what every earlier write left.
    pub consistent_read: bool,
    /// Object attributes whose content comes inline.
    pub include_objects: Vec<String>,
    /// Answer only the number of items.
    pub count_only: bool,
    /// Check only.
    pub validate_only: bool,
}

/// How a filter is checked: a Query's takes no key attributes.
pub(super) type FilterCheck = fn(&Model, &Expression, &str, &mut Placeholders) -> Result<String, Faults>;

/// A selection whose checks passed.
pub(super) struct Checked {
    pub(super) filter: Option<String>,
    pub(super) projection: Option<Projection>,
    pub(super) include_objects: Vec<String>,
}

impl Selection {
    /// Checks the filter, the fields and the objects; the texts are ready for the store.
    pub(super) fn check(
        &self,
        model: &Model,
        checked_as: FilterCheck,
        max_depth: usize,
        placeholders: &mut Placeholders,
        verdict: &mut Verdict,
    ) -> Option<Checked> {
        let include_objects = verdict.field(check_include(model, &self.include_objects));
        check_values(self.filter.as_ref(), "filter", max_depth, verdict);
        let filter = self
            .filter
            .as_ref()
            .map(|filter| checked_as(model, filter, "filter", placeholders));
        let filter = verdict.expression(filter.transpose());
        let included = include_objects.as_deref().unwrap_or_default();
        let projection = verdict.field(project(model, &self.fields, included, placeholders));
        Some(Checked {
            filter: filter?,
            projection: projection?,
            include_objects: include_objects?,
        })
    }

    /// Binds a page token to all of this but how much is taken at a time.
    pub(super) fn bind(&self, binder: &mut Binder) {
        binder.expression(self.filter.as_ref());
        binder.texts(&self.fields);
        binder.texts(&self.include_objects);
        binder.number(u64::from(self.consistent_read));
        binder.number(u64::from(self.count_only));
    }

    /// Where each segment begins: at the beginning, or where the page token says.
    pub(super) fn standings(
        &self,
        gate: &Arc<Gate>,
        binding: Binding,
        segments: usize,
    ) -> Result<Vec<Standing>, Error> {
        if self.page_token.is_empty() {
            return Ok(vec![Standing::NotBegun; segments]);
        }
        let standings = gate.page_tokens.open(&self.page_token, binding)?;
        match standings.len() == segments {
            true => Ok(standings),
            false => Err(Error::InvalidPageToken(
                "was given for another number of segments",
            )),
        }
    }

    /// Whether the store needs to give only a number: without a limit no key is needed to go on from.
    pub(super) fn counts_at_the_store(&self) -> bool {
        self.count_only && self.limit.is_none()
    }
}

/// Checks the values of an expression as those of an item; `root` is its field of the request.
pub(super) fn check_values(
    expression: Option<&Expression>,
    root: &str,
    max_depth: usize,
    verdict: &mut Verdict,
) {
    let Some(expression) = expression else { return };
    let values = Path::Name(&Path::Root(root), "values");
    verdict.add_expressions(check::check_values(&expression.values, values, max_depth));
}
