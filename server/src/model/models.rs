//! All models of a folder, by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::schema::Model;
use super::tables;
use crate::fault::did_you_mean;

/// All models being served, by name.
#[derive(Clone, Debug, Default)]
pub struct Models {
    by_name: Arc<BTreeMap<String, Arc<Model>>>,
}

impl Models {
    /// Models by their names; `models` are unique by name (the reader of the files sees to that).
    pub fn new(models: impl IntoIterator<Item = Model>) -> Models {
        let mut models: Vec<Model> = models.into_iter().collect();
        tables::note_sealed(&mut models);
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

    /// ` (did you mean …?)` if a model is near a name that none has, else nothing.
    pub fn near(&self, name: &str) -> String {
        did_you_mean(name, self.by_name.keys().map(String::as_str))
    }

    /// How many models there are.
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there is no model.
    pub fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// All models in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Model>> {
        self.by_name.values()
    }
}
