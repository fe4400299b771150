//! A dry run of the sweep after a history: what it finds.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use tollgate_proto::v1;
use tollgate_proto::v1::sweep_response::Event;
use tonic::Status;

use super::process::Process;

/// What a sweep found of a history.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The keys of objects that no item points to.
    pub(crate) orphans: BTreeSet<String>,
    /// Uploads that nobody completes.
    pub(crate) uploads: usize,
    /// The keys of objects that items point to, and that do not exist.
    pub(crate) dangling: BTreeSet<String>,
}

/// Sweeps everything, however young, and returns what is under these folders, other than pointers of the table `copies`.
pub(crate) async fn sweep(process: &Process, folders: &[String], copies: &str) -> Result<Found, Status> {
    let request = v1::SweepRequest {
        dry_run: true,
        grace: Some(prost_types::Duration::default()),
        ..v1::SweepRequest::default()
    };
    let mut events = process.admin().sweep(request).await?.into_inner();
    let is_own = |key: &str| folders.iter().any(|folder| key.starts_with(folder));
    let mut found = Found::default();
    while let Some(event) = events.next().await {
        match event?.event {
            Some(Event::Orphan(orphan)) if is_own(&orphan.key) => _ = found.orphans.insert(orphan.key),
            Some(Event::StrayUpload(upload)) if is_own(&upload.key) => found.uploads += 1,
            Some(Event::Dangling(pointer)) if is_own(&pointer.key) && pointer.table != copies => {
                found.dangling.insert(pointer.key);
            }
            _ => {}
        }
    }
    Ok(found)
}
