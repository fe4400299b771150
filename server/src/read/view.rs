//! Which parts of an item a call reads.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::Error;
use crate::expression::{self, Placeholders, Projection};
use crate::model::{Item, Model};

/// The parts of an item that a call reads, as far as the request has been checked.
#[derive(Clone)]
pub struct View {
    /// The items' model.
    pub model: Arc<Model>,
    /// Paths to return; empty: all.
    pub fields: Vec<String>,
    /// Object attributes whose content is returned inline, each once.
    pub include_objects: Vec<String>,
    /// `fields` as the store's projection; `None`: whole items.
    pub projection: Option<Projection>,
}

impl View {
    /// The parts of items of one model.
    pub fn new(
        model: Arc<Model>,
        fields: Vec<String>,
        include_objects: Vec<String>,
        projection: Option<Projection>,
    ) -> View {
        View {
            model,
            fields,
            include_objects,
            projection,
        }
    }

    /// Whether items lack attributes that the request does not name.
    pub(super) fn is_partial(&self) -> bool {
        !self.fields.is_empty()
    }

    /// The text of the projection.
    pub(super) fn projection_text(&self) -> Option<String> {
        self.projection.as_ref().map(|projection| projection.text.clone())
    }

    /// The attributes to open; `None`: all.
    pub(super) fn attributes(&self) -> Option<&[String]> {
        self.projection.as_ref().map(Projection::attributes)
    }

    /// The projection for a request that has no other expressions, with its placeholder names.
    pub(super) fn separate_projection(&self) -> Result<(Option<String>, HashMap<String, String>), Error> {
        if self.fields.is_empty() {
            return Ok((None, HashMap::new()));
        }
        let mut placeholders = Placeholders::new();
        let projection = expression::projection(
            &self.model,
            &self.fields,
            &self.include_objects,
            "fields",
            &mut placeholders,
        )
        .map_err(|_faults| Error::Internal("a checked projection was rejected"))?;
        let (names, _) = placeholders.into_parts();
        Ok((Some(projection.text), names))
    }

    /// The key attributes of a stored item.
    pub(super) fn key_of(&self, stored: &Item) -> Item {
        let names = self.model.key_names();
        names
            .filter_map(|name| Some((name.to_owned(), stored.get(name)?.clone())))
            .collect()
    }
}
