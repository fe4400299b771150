//! The keys that a Query compares.

use crate::model::{Index, Model};

/// The names of the partition and of the sort key attributes.
pub(super) fn key_names<'m>(model: &'m Model, index: Option<&'m Index>) -> (Vec<&'m str>, Vec<&'m str>) {
    match index {
        Some(index) => (
            index.partition.iter().map(String::as_str).collect(),
            index.sort.iter().map(String::as_str).collect(),
        ),
        None => (
            vec![model.partition_key.as_str()],
            model.sort_key.as_deref().into_iter().collect(),
        ),
    }
}
