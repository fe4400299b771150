//! Where the objects of an attribute are stored: the option `s3` of a model file.

use super::limits::MAX_OBJECT_BYTES;
use super::names;
use super::value::Object;
use crate::yaml::{Cursor, Keys, Report};

/// The keys of `s3`.
pub(super) const S3: Keys = Keys {
    known: &[
        "bucket",
        "prefix",
        "region",
        "foreign_pointers",
        "max_size",
        "content_types",
        "offload_above",
        "purge_versions",
    ],
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
    /// The most bytes that a content may have.
    pub max_bytes: Option<u64>,
    /// The media types that an object may have, in lower case: `image/png`, or all of a kind: `image/*`. Empty: any.
    pub content_types: Vec<String>,
    /// Whether the objects of replaced and deleted items are deleted with their versions in a versioned bucket.
    pub purge_versions: bool,
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

impl Offload {
    /// What an object that is written violates: the field, and what it must be.
    pub fn violations(&self, object: &Object) -> Vec<(&'static str, String)> {
        let mut violations = Vec::new();
        let data_bytes = object.data.as_ref().map(|data| data.len() as u64);
        let max_bytes = self.max_bytes.unwrap_or(MAX_OBJECT_BYTES);
        if object.size_bytes > max_bytes {
            violations.push(("size", format!("must be at most {max_bytes}")));
        }
        if data_bytes.is_some_and(|bytes| bytes > max_bytes) {
            violations.push(("data", format!("must have at most {max_bytes} bytes")));
        }
        if !self.content_types.is_empty() && !self.allows(&object.content_type) {
            let allowed = self.content_types.join(", ");
            violations.push(("content_type", format!("must be one of {allowed}")));
        }
        violations
    }

    /// Whether objects may have this media type, whatever its parameters.
    fn allows(&self, content_type: &str) -> bool {
        let essence = content_type.split(';').next().unwrap_or_default();
        let essence = essence.trim().to_ascii_lowercase();
        self.content_types
            .iter()
            .any(|allowed| match allowed.strip_suffix('*') {
                Some(kind) => essence.len() > kind.len() && essence.starts_with(kind),
                None => *allowed == essence,
            })
    }
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
    let max_bytes = fields.get("max_size").and_then(|at| max_bytes(at, report));
    let content_types = fields
        .get("content_types")
        .map(|at| content_types(at, report))
        .unwrap_or_default();
    let purge_versions = fields
        .get("purge_versions")
        .and_then(|at| at.boolean(report))
        .unwrap_or_default();
    Some(Offload {
        bucket: bucket?,
        prefix,
        region,
        foreign_pointers,
        offload_above,
        max_bytes,
        content_types,
        purge_versions,
    })
}

fn max_bytes(at: &Cursor<'_>, report: &mut Report) -> Option<u64> {
    let bytes = at.whole(report)?;
    if !(1..=MAX_OBJECT_BYTES).contains(&bytes) {
        report.add(at, format!("must be 1 to {MAX_OBJECT_BYTES} bytes"));
        return None;
    }
    Some(bytes)
}

fn content_types(at: &Cursor<'_>, report: &mut Report) -> Vec<String> {
    let Some(items) = at.items(report) else {
        return Vec::new();
    };
    if items.is_empty() {
        report.add(at, "must have at least one media type");
    }
    let mut types = Vec::with_capacity(items.len());
    for item in &items {
        let Some(text) = item.text(report) else { continue };
        match is_media_range(text) {
            true => types.push(text.to_ascii_lowercase()),
            false => report.add(
                item,
                "must be a media type without parameters, such as image/png or image/*",
            ),
        }
    }
    types
}

/// Whether a text is a media type without parameters, or all types of a kind.
fn is_media_range(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    text.split_once('/')
        .is_some_and(|(kind, subtype)| is_name(kind) && (subtype == "*" || is_name(subtype)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn offload(max_bytes: Option<u64>, content_types: &[&str]) -> Offload {
        Offload {
            bucket: "files".to_owned(),
            prefix: String::new(),
            region: None,
            foreign_pointers: ForeignPointers::Refuse,
            offload_above: None,
            max_bytes,
            content_types: content_types.iter().map(|&kind| kind.to_owned()).collect(),
            purge_versions: false,
        }
    }

    #[test]
    fn media_types_are_compared_without_case_and_parameters() {
        let offload = offload(None, &["image/*", "application/pdf"]);
        for (content_type, is_allowed) in [
            ("image/png", true),
            ("IMAGE/PNG", true),
            ("application/pdf; version=1.7", true),
            ("image/", false),
            ("image", false),
            ("application/pdfx", false),
            ("text/plain", false),
            ("", false),
        ] {
            assert_eq!(offload.allows(content_type), is_allowed, "{content_type}");
        }
    }

    #[test]
    fn sizes_are_bounded_whether_announced_or_not() {
        let object = |data: &'static [u8], size_bytes: u64| Object {
            data: Some(Bytes::from_static(data)),
            size_bytes,
            ..Object::default()
        };
        let fields = |offload: &Offload, object: Object| -> Vec<&'static str> {
            let violations = offload.violations(&object).into_iter();
            violations.map(|(field, _)| field).collect()
        };
        let small = offload(Some(3), &[]);
        assert_eq!(fields(&small, object(b"abc", 3)), [""; 0]);
        assert_eq!(fields(&small, object(b"abcd", 0)), ["data"]);
        assert_eq!(fields(&small, object(b"", 4)), ["size"]);
        let any = offload(None, &[]);
        assert_eq!(fields(&any, object(b"", MAX_OBJECT_BYTES)), [""; 0]);
        assert_eq!(fields(&any, object(b"", MAX_OBJECT_BYTES + 1)), ["size"]);
    }

    #[test]
    fn media_types_have_two_names() {
        for valid in ["image/png", "image/*", "application/vnd.api+json"] {
            assert!(is_media_range(valid), "{valid}");
        }
        for invalid in [
            "",
            "image",
            "*/*",
            "image/",
            "/png",
            "image/png; q=1",
            "a b/c",
            "image/p*",
        ] {
            assert!(!is_media_range(invalid), "{invalid}");
        }
    }
}
