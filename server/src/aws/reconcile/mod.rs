//! Compares tables, buckets and keys with what the models need, and adds what is missing. Changes and deletes nothing that
//! exists. Its requests belong to no call and are not billed.
//!
//! Resources are independent of each other and handled concurrently; the steps of one are done in order, each once the
//! previous one has taken effect. Every step can be repeated: a run that was interrupted is continued by the next.

mod buckets;
mod difference;
mod keys;
mod shape;
mod tables;

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;

use crate::model::Models;

use super::clients::Stores;
use super::provision::{Need, needs};
use buckets::Bucket;
pub use difference::{Difference, OnProgress};
use difference::{Step, Wait};

/// Resources handled concurrently.
const CONCURRENT: usize = 8;

/// What to compare and to add beside tables and buckets.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Create keys and aliases.
    pub keys: bool,
    /// Enable point-in-time recovery of tables.
    pub point_in_time_recovery: bool,
    /// The time that each resource has to become ready.
    pub timeout: Duration,
}

/// A resource that models need, and how it differs from what they need.
pub struct Resource<'a> {
    need: Need<'a>,
    prefixes: Vec<&'a str>,
    /// `table users`, and so on.
    pub name: String,
    /// Empty if it is as the models need it.
    pub differences: Vec<Difference>,
    /// Lines about what exists and no model uses.
    pub unused: Vec<String>,
    /// Why it could not be compared.
    pub failure: Option<String>,
}

/// Compares everything that the models need with what exists, in order of kind and name.
pub async fn compare<'a>(stores: &Stores, models: &'a Models, options: &Options) -> Vec<Resource<'a>> {
    let mut resources: Vec<Resource<'a>> = needs(models)
        .into_iter()
        .map(|need| Resource::new(need, models))
        .collect();
    stream::iter(&mut resources)
        .for_each_concurrent(CONCURRENT, |resource| resource.inspect(stores, options))
        .await;
    resources.sort_by(|one, other| (one.rank(), &one.name).cmp(&(other.rank(), &other.name)));
    resources
}

/// Adds what is missing. Returns the failures, with the names of their resources.
pub async fn apply(
    stores: &Stores,
    resources: &[Resource<'_>],
    options: &Options,
    on_progress: OnProgress<'_>,
) -> Vec<(String, String)> {
    let applied = stream::iter(resources).map(|resource| async move {
        let failed = resource.apply(stores, options, on_progress).await.err()?;
        Some((resource.name.clone(), failed))
    });
    let mut failures: Vec<(String, String)> = applied
        .buffer_unordered(CONCURRENT)
        .filter_map(std::future::ready)
        .collect()
        .await;
    failures.sort();
    failures
}

impl<'a> Resource<'a> {
    fn new(need: Need<'a>, models: &'a Models) -> Resource<'a> {
        let (name, prefixes) = match &need {
            Need::Table(table) => (format!("table {}", table.name), Vec::new()),
            Need::Bucket { name, .. } => (format!("bucket {name}"), prefixes(models, name)),
            Need::Key(id) => (format!("key {id}"), Vec::new()),
            Need::AcceptedKey(id) => (format!("accepted key {id}"), Vec::new()),
        };
        Resource {
            need,
            prefixes,
            name,
            differences: Vec::new(),
            unused: Vec::new(),
            failure: None,
        }
    }

    /// Tables come first, keys last.
    fn rank(&self) -> u8 {
        match self.need {
            Need::Table(_) => 0,
            Need::Bucket { .. } => 1,
            Need::Key(_) => 2,
            Need::AcceptedKey(_) => 3,
        }
    }

    async fn inspect(&mut self, stores: &Stores, options: &Options) {
        let inspected = match &self.need {
            Need::Table(table) => tables::inspect(stores, table, options.point_in_time_recovery).await,
            Need::Bucket { name, region } => {
                let bucket = self.bucket(name, *region);
                let inspected = buckets::inspect(stores, &bucket).await;
                inspected.map(|differences| (differences, Vec::new()))
            }
            Need::Key(id) | Need::AcceptedKey(id) => {
                let is_accepted = matches!(self.need, Need::AcceptedKey(_));
                let inspected = keys::inspect(stores, id, is_accepted, options.keys).await;
                inspected.map(|difference| (difference.into_iter().collect(), Vec::new()))
            }
        };
        match inspected {
            Ok((differences, unused)) => (self.differences, self.unused) = (differences, unused),
            Err(failure) => self.failure = Some(failure),
        }
    }

    async fn apply(
        &self,
        stores: &Stores,
        options: &Options,
        on_progress: OnProgress<'_>,
    ) -> Result<(), String> {
        let steps: Vec<&Step> = self.differences.iter().filter_map(Difference::step).collect();
        if steps.is_empty() {
            return Ok(());
        }
        let mut wait = Wait::new(options.timeout, on_progress);
        match &self.need {
            Need::Table(table) => tables::apply(stores, table, &steps, &mut wait).await,
            Need::Bucket { name, region } => {
                let bucket = self.bucket(name, *region);
                buckets::apply(stores, &bucket, &steps, &wait).await
            }
            Need::Key(alias) => keys::apply(stores, alias, &wait).await,
            Need::AcceptedKey(_) => Ok(()),
        }
    }

    fn bucket(&self, name: &'a str, region: Option<&'a str>) -> Bucket<'a> {
        Bucket {
            name,
            region,
            prefixes: self.prefixes.clone(),
        }
    }
}

/// The prefixes of a bucket under which models keep objects.
fn prefixes<'a>(models: &'a Models, bucket: &str) -> Vec<&'a str> {
    let attributes = models.iter().flat_map(|model| &model.attributes);
    let offloads = attributes.filter_map(|attribute| attribute.s3.as_ref());
    let mut prefixes: Vec<&str> = offloads
        .filter(|offload| offload.bucket == bucket)
        .map(|offload| offload.prefix.as_str())
        .collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    prefixes
}
