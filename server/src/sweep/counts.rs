//! The sums of a sweep.

use serde::{Deserialize, Serialize};

/// The sums of a sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counts {
    /// Objects under the served prefixes, without those of other programs.
    pub objects: u64,
    /// Orphans found.
    pub orphans: u64,
    /// Orphans that are uploads by presigned URLs, which are found in the normal course of things.
    pub abandoned: u64,
    /// The bytes of the orphans.
    pub orphan_bytes: u64,
    /// Objects deleted.
    pub deleted: u64,
    /// Stray uploads found.
    pub stray_uploads: u64,
    /// The bytes of their parts.
    pub stray_bytes: u64,
    /// Uploads aborted.
    pub aborted: u64,
    /// Pointers in items.
    pub pointers: u64,
    /// Pointers to objects that do not exist.
    pub dangling: u64,
    /// Objects copied for pointers that were copied in.
    pub adopted: u64,
    /// Pointers to objects of other items that remain.
    pub foreign: u64,
}

impl Counts {
    /// The bytes that nobody needs.
    pub fn bytes(&self) -> u64 {
        self.orphan_bytes + self.stray_bytes
    }
}
