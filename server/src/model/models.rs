//! All models of a folder, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::schema::Model;
use super::tables;
use super::template::Template;
use crate::fault::did_you_mean;

/// A set of models, by name.
#[derive(Clone, Debug, Default)]
pub struct Models {
    by_name: Arc<BTreeMap<String, Arc<Model>>>,
}

impl Models {
    /// Creates a set of models. Their names must be unique, which the reader of the files checks.
    pub fn new(models: impl IntoIterator<Item = Model>) -> Models {
        let mut models: Vec<Model> = models.into_iter().collect();
        tables::set_sealed_by_others(&mut models);
        let by_name = models
            .into_iter()
            .map(|model| (model.name.clone(), Arc::new(model)))
            .collect();
        Models {
            by_name: Arc::new(by_name),
        }
    }

    /// The model of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Model>> {
        self.by_name.get(name)
    }

    /// Returns ` (did you mean …?)` if a model has a similar name, otherwise an empty string.
    pub fn near(&self, name: &str) -> String {
        did_you_mean(name, self.by_name.keys().map(String::as_str))
    }

    /// The number of models.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// What may surprise in valid models, one line each.
    pub fn warnings(&self) -> Vec<String> {
        self.iter().flat_map(|model| warnings(model)).collect()
    }

    /// All models, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.by_name.values()
    }
}

/// What may surprise in the sort keys of a model and its indexes.
fn warnings(model: &Model) -> Vec<String> {
    let of_indexes = model.indexes.iter().flat_map(|index| &index.sort);
    let mut names: Vec<&String> = model.sort_key.iter().chain(of_indexes).collect();
    names.sort_unstable();
    names.dedup();
    let mut texts = Vec::new();
    for name in names {
        let template = model.attribute(name).and_then(|key| key.template.as_ref());
        let found = template.map(Template::warnings).unwrap_or_default();
        texts.extend(
            found
                .into_iter()
                .map(|text| format!("{}: attributes.{name}.template: {text}", model.name)),
        );
    }
    texts
}
