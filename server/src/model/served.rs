//! The models being served. A reload replaces them all at once; whoever holds a model keeps the one it has.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::models::Models;
use super::schema::Model;

/// A handle on the models being served. Clones share them: what one replaces, all see.
#[derive(Clone)]
pub struct Served(Arc<ArcSwap<Models>>);

impl Served {
    /// Serves these models until they are replaced.
    pub fn new(models: Models) -> Served {
        Served(Arc::new(ArcSwap::from_pointee(models)))
    }

    /// The model of this name, as it is now.
    pub fn get(&self, name: &str) -> Option<Arc<Model>> {
        self.0.load().get(name).cloned()
    }

    /// All models as they are now: a later reload does not change them.
    pub fn all(&self) -> Models {
        Models::clone(&self.0.load())
    }

    /// Serves these models from now on.
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
    fn all_handles_see_a_reload_and_holders_keep_their_model() {
        let served = Served::new(Models::examples());
        let other = served.clone();
        let (held, all) = (other.get("User").unwrap(), other.all());
        served.replace(Models::default());
        assert!(other.get("User").is_none() && other.all().is_empty());
        assert_eq!((held.name.as_str(), all.len()), ("User", 3));
    }
}
