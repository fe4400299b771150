//! Which items and which parts of them a call reads.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::error::Error;
use crate::expression::{self, Placeholders, Projection, ReadScope};
use crate::item::load::{self, Opened};
use crate::item::protect::Extent;
use crate::model::{self, Attribute, Index, Item, Model, Number};

/// The parts of items that a call reads, as far as the request has been checked.
#[derive(Clone)]
pub struct View {
    /// The items' model.
    pub model: Arc<Model>,
    /// Further models whose items are read.
    pub others: Vec<Arc<Model>>,
    /// The index that is read; `None`: the table.
    pub index: Option<Index>,
    /// Paths to return; empty: all.
    pub fields: Vec<String>,
    /// Object attributes whose content is returned inline, each once.
    pub include_objects: Vec<String>,
    /// What the store is asked for; `None`: whole items.
    pub projection: Option<Projection>,
    /// How much of each item is read.
    pub extent: Extent,
    /// The time at which the call began, in epoch seconds: items that have expired by then are left out. `None` if no model
    /// says so.
    pub now: Option<Number>,
}

/// Whether a stored item is returned.
pub(super) enum Match {
    /// It is an item of this model.
    Of(Arc<Model>),
    /// It has expired.
    Expired,
    /// It is an item of none of the models.
    Unmatched,
}

impl View {
    /// The parts of items of one model, in its table.
    pub fn new(
        model: Arc<Model>,
        fields: Vec<String>,
        include_objects: Vec<String>,
        projection: Option<Projection>,
    ) -> View {
        View {
            now: model.hiding_ttl().map(|_| now()),
            model,
            others: Vec::new(),
            index: None,
            fields,
            include_objects,
            projection,
            extent: Extent::Whole,
        }
    }

    /// Whether a stored item is returned, and of which model it is.
    pub(super) fn match_of(&self, stored: &Item) -> Match {
        let mut models = std::iter::once(&self.model).chain(&self.others);
        match models.find(|model| model.owns(stored)) {
            None => Match::Unmatched,
            Some(model) if self.now.as_ref().is_some_and(|now| model.hides(stored, now)) => Match::Expired,
            Some(model) => Match::Of(Arc::clone(model)),
        }
    }

    /// Whether items that the store returns may be left out.
    pub(super) fn may_leave_out(&self) -> bool {
        let mut models = std::iter::once(&self.model).chain(&self.others);
        models.any(|model| model.distinguishes_items() || model.hiding_ttl().is_some())
    }

    /// Whether items lack attributes that the request does not name or that the index does not contain.
    pub(super) fn is_partial(&self) -> bool {
        let is_narrow = |index: &Index| index.projection != model::Projection::All;
        !self.fields.is_empty() || self.index.as_ref().is_some_and(is_narrow)
    }

    /// The text of the projection. Items that are protected as a whole are read whole.
    pub(super) fn projection_text(&self) -> Option<String> {
        let projection = self.projection.as_ref().filter(|_| !self.is_protected());
        projection.map(|projection| projection.text.clone())
    }

    /// The text of the projection, with the placeholder names that only it has.
    pub(super) fn projection_with(
        &self,
        names: HashMap<String, String>,
    ) -> (Option<String>, HashMap<String, String>) {
        match self.projection_text() {
            Some(text) => (Some(text), names),
            None => (None, HashMap::new()),
        }
    }

    /// Whether the items are protected as a whole. The models of a table agree on that.
    pub(super) fn is_protected(&self) -> bool {
        self.model.protection.is_some()
    }

    /// Leaves out what the store would have left out of an item that was read whole.
    pub(super) fn narrow(&self, opened: &mut Opened) {
        if let (true, Some(projection)) = (self.is_protected(), &self.projection) {
            projection.narrow(&mut opened.item);
        }
    }

    /// The attributes to open; `None`: all.
    pub(super) fn attributes(&self) -> Option<&[String]> {
        match (self.fields.is_empty(), &self.projection) {
            (false, Some(projection)) => Some(projection.attributes()),
            (true, _) | (_, None) => None,
        }
    }

    /// Whether the values of an attribute are returned, if the caller may see them.
    pub(super) fn reads(&self, attribute: &Attribute) -> bool {
        let is_named = |names: &[String]| names.contains(&attribute.name);
        !attribute.hidden && !attribute.withheld && self.attributes().is_none_or(is_named)
    }

    /// Whether the content of objects may be returned, or values that were offloaded.
    pub(super) fn has_content(&self) -> bool {
        let mut models = std::iter::once(&self.model).chain(&self.others);
        !self.include_objects.is_empty() || models.any(|model| model.offloads_values())
    }

    /// The projection for a request that has no other expressions, with its placeholder names. It reads an item of `model`
    /// from the table.
    pub(super) fn separate_projection(
        &self,
        model: &Model,
    ) -> Result<(Option<String>, HashMap<String, String>), Error> {
        // in a collection, the fields may be those of other models: the whole item has them too
        if self.fields.is_empty() || !self.others.is_empty() || self.is_protected() {
            return Ok((None, HashMap::new()));
        }
        let mut placeholders = Placeholders::new();
        let projection = expression::projection(
            &ReadScope::table(model),
            &self.fields,
            &self.include_objects,
            "fields",
            &mut placeholders,
        );
        let projection =
            projection.map_err(|_faults| Error::Internal("a checked projection was rejected"))?;
        let (names, _) = placeholders.into_parts();
        Ok((Some(projection.text), names))
    }

    /// Opens a stored item that has neither ciphertexts nor other values that take time, and no content to return. Any
    /// other item is returned as it is.
    pub(super) fn open_at_once(&self, model: &Model, stored: Item) -> Result<Opened, Item> {
        match self.include_objects.is_empty() {
            true => {
                let mut opened = load::open_at_once(model, stored, self.attributes(), self.extent)?;
                self.narrow(&mut opened);
                Ok(opened)
            }
            false => Err(stored),
        }
    }

    /// The key attributes of a stored item, by the names of its model.
    pub(super) fn key_of(&self, model: &Model, stored: &Item) -> Item {
        let names = model.key_names();
        names
            .filter(|name| !model.withholds(name))
            .filter_map(|name| Some((name.to_owned(), stored.get(model.stored_name(name))?.clone())))
            .collect()
    }

    /// Where to continue after a stored item: the keys of the table and of the index, as stored.
    pub(super) fn position_of(&self, stored: &Item) -> Item {
        let index_keys = self.index.iter().flat_map(Index::key_names);
        let names = self.model.key_names().chain(index_keys);
        names
            .map(|name| self.model.stored_name(name))
            .filter_map(|name| Some((name.to_owned(), stored.get(name)?.clone())))
            .collect()
    }
}

/// The time in epoch seconds.
pub fn now() -> Number {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    Number::from(since_1970.map_or(0, |elapsed| elapsed.as_secs()))
}
