//! Where the objects of an attribute are stored: the option `s3` of a model file.

use super::names;
use crate::yaml::{Cursor, Keys, Report};

/// The keys of `s3`.
pub(super) const S3: Keys = Keys {
    known: &["bucket", "prefix", "region", "foreign_pointers", "offload_above"],
    later: &[],
};

const FOREIGN_POINTERS: &[(&str, ForeignPointers)] = &[
    (ForeignPointers::Refuse.as_str(), ForeignPointers::Refuse),
    (ForeignPointers::Read.as_str(), ForeignPointers::Read),
];

/// Where the objects of an attribute are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offload {
    /// The bucket.
    pub bucket: String,
    /// Prefix of the objects' keys. Empty, or ends in `/`.
    pub prefix: String,
    /// The region of the bucket, if it differs from the client's.
    pub region: Option<String>,
    /// What reads do with pointers to objects of other items.
    pub foreign_pointers: ForeignPointers,
    /// Of a string or binary: values with more stored bytes are in S3.
    pub offload_above: Option<u64>,
}

/// What reads do with pointers to objects outside the item's folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForeignPointers {
    /// Do not read their objects.
    #[default]
    Refuse,
    /// Read their objects. They are never deleted.
    Read,
}

impl ForeignPointers {
    /// The name in model files.
    pub const fn as_str(self) -> &'static str {
        match self {
            ForeignPointers::Refuse => "refuse",
            ForeignPointers::Read => "read",
        }
    }
}

/// Reads `s3`. Adds a trailing `/` to the prefix.
pub(super) fn offload(at: &Cursor<'_>, report: &mut Report) -> Option<Offload> {
    let fields = at.fields(&S3, report)?;
    let bucket = fields
        .require("bucket", report)
        .and_then(|at| names::valid(at, names::bucket, report));
    let region = fields
        .get("region")
        .and_then(|at| names::valid(at, names::region, report));
    let mut prefix = fields
        .get("prefix")
        .and_then(|at| names::valid(at, names::prefix, report))
        .unwrap_or_default();
    if !prefix.is_empty() && !prefix.ends_with('/') {
        prefix.push('/');
    }
    let foreign_pointers = fields
        .get("foreign_pointers")
        .and_then(|at| at.choice(FOREIGN_POINTERS, report))
        .unwrap_or_default();
    let offload_above = fields.get("offload_above").and_then(|at| at.whole(report));
    Some(Offload {
        bucket: bucket?,
        prefix,
        region,
        foreign_pointers,
        offload_above,
    })
}
