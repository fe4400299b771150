//! The models being served. A reload replaces all of them at once; calls in flight keep the model that they hold.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::models::Models;
use super::schema::Model;

/// A handle to the models being served. Clones share them.
#[derive(Clone)]
pub struct Served(Arc<ArcSwap<Models>>);

impl Served {
    /// Serves these models until they are replaced.
    pub fn new(models: Models) -> Served {
        Served(Arc::new(ArcSwap::from_pointee(models)))
    }

    /// The current model of this name.
    pub fn get(&self, name: &str) -> Option<Arc<Model>> {
        self.0.load().get(name).cloned()
    }

    /// A snapshot of all models, which later reloads do not change.
    pub fn all(&self) -> Models {
        Models::clone(&self.0.load())
    }

    /// Replaces all models.
    pub fn replace(&self, models: Models) {
        self.0.store(Arc::new(models));
    }
}

impl fmt::Debug for Served {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Served")
            .field(&self.0.load().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reload_changes_all_handles_and_no_held_model() {
        let served = Served::new(Models::examples());
        let other = served.clone();
        let (held, all) = (other.get("User").unwrap(), other.all());
        served.replace(Models::default());
        assert!(other.get("User").is_none() && other.all().is_empty());
        assert_eq!((held.name.as_str(), all.len()), ("User", 3));
    }
}
