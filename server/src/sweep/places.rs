//! Where the objects of the served models are: their buckets and prefixes, and to which items keys below them lead.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::aws::Location;
use crate::item::Key;
use crate::model::{Model, Models, Offload};
use crate::object::folder::{self, Folder};
use crate::object::owner::offloads;

/// What is swept.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The prefixes to list: each object is below one of them at most.
    pub(super) roots: Vec<Root>,
    /// The tables to scan, by name, each with its models that have object attributes.
    pub(super) tables: Vec<(String, Vec<Arc<Model>>)>,
}

/// A prefix to list, with all places below it.
#[derive(Clone, Debug)]
pub(super) struct Root {
    /// The bucket.
    pub(super) bucket: String,
    /// The shortest prefix.
    pub(super) prefix: String,
    /// The region of the bucket, if it is not the client's.
    pub(super) region: Option<String>,
    /// The places, each a table's.
    pub(super) places: Vec<Place>,
}

/// A prefix under which items of a table have their objects.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// A model of the table; all agree on its keys.
    pub(super) model: Arc<Model>,
    /// The options of the attribute.
    pub(super) offload: Offload,
}

/// Whose an object may be, by its key.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Of one of these items: the numbers of the places, and the items.
    Owned(Vec<(usize, Folder)>),
    /// An upload by a presigned URL, below this place.
    Upload(usize),
    /// Of another program.
    Foreign,
}

impl Places {
    /// Where the objects of these models are.
    pub(super) fn new(models: &Models) -> Places {
        let mut buckets: BTreeMap<String, Vec<Place>> = BTreeMap::new();
        let mut tables: BTreeMap<String, Vec<Arc<Model>>> = BTreeMap::new();
        for model in models.iter() {
            for (_, offload) in offloads(model) {
                let places = buckets.entry(offload.bucket.clone()).or_default();
                let is_known = |place: &Place| {
                    place.offload.prefix == offload.prefix && place.model.table == model.table
                };
                if !places.iter().any(is_known) {
                    places.push(Place {
                        model: Arc::clone(model),
                        offload: offload.clone(),
                    });
                }
                let table = tables.entry(model.table.clone()).or_default();
                if !table.iter().any(|known| known.name == model.name) {
                    table.push(Arc::clone(model));
                }
            }
        }
        let roots = buckets
            .into_iter()
            .flat_map(|(bucket, places)| roots(&bucket, places));
        Places {
            roots: roots.collect(),
            tables: tables.into_iter().collect(),
        }
    }

    /// A text that is equal for equal places.
    pub(super) fn fingerprint(&self) -> String {
        let mut text = String::new();
        for root in &self.roots {
            for place in &root.places {
                let (bucket, prefix, table) = (&root.bucket, &place.offload.prefix, &place.model.table);
                text.push_str(&format!("s3://{bucket}/{prefix} {table}; "));
            }
        }
        text
    }
}

/// The places of a bucket, grouped below the prefixes that begin no other one.
fn roots(bucket: &str, mut places: Vec<Place>) -> Vec<Root> {
    // a prefix sorts before all that begin with it
    places.sort_by(|one, other| one.offload.prefix.cmp(&other.offload.prefix));
    let mut roots: Vec<Root> = Vec::new();
    for place in places {
        match roots.last_mut() {
            Some(root) if place.offload.prefix.starts_with(&root.prefix) => root.places.push(place),
            Some(_) | None => roots.push(Root {
                bucket: bucket.to_owned(),
                prefix: place.offload.prefix.clone(),
                region: place.offload.region.clone(),
                places: vec![place],
            }),
        }
    }
    roots
}

impl Root {
    /// The location of an object.
    pub(super) fn at<'a>(&'a self, key: &'a str) -> Location<'a> {
        Location {
            bucket: &self.bucket,
            key,
            region: self.region.as_deref(),
        }
    }

    /// Whose an object may be.
    pub(super) fn kind(&self, object_key: &str) -> Kind {
        let below = |place: &Place| folder::folder(&place.model, &place.offload.prefix, object_key);
        let owners = self.places.iter().enumerate();
        let owners: Vec<_> = owners
            .filter_map(|(index, place)| Some((index, below(place)?)))
            .collect();
        if !owners.is_empty() {
            return Kind::Owned(owners);
        }
        let is_upload = |place: &Place| folder::is_upload(&place.offload.prefix, object_key);
        match self.places.iter().position(is_upload) {
            Some(place) => Kind::Upload(place),
            None => Kind::Foreign,
        }
    }
}

/// The item of a folder, if the key names it.
pub(super) fn item(folder: &Folder) -> Option<&Key> {
    match folder {
        Folder::Of(key) => Some(key),
        Folder::Hashed => None,
    }
}
