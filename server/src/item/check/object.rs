//! An object as a caller may send it: content, name, media type and metadata that survive as S3 headers; or, without
//! content, the object that the item has already, to keep it. Otherwise what only the server says of an object is refused,
//! so that nobody points an item at an object that is not the item's own.

use std::collections::HashSet;

use crate::fault::{Faults, Path, by_name};
use crate::model::Object;
use crate::model::limits::{MAX_METADATA_BYTES, OWNER_METADATA_BYTES};

/// Names and values of a caller's metadata together: what S3 takes, less what names the object's owner.
const MAX_CALLER_METADATA_BYTES: usize = MAX_METADATA_BYTES - OWNER_METADATA_BYTES;
/// Names of metadata that begin with this are the server's.
const OWN_METADATA: &str = "tollgate-";
/// Longest file name, as file systems have it.
const MAX_NAME_BYTES: usize = 255;
/// Longest media type: twice 127 characters and the slash (RFC 6838, section 4.2), and as much for parameters.
const MAX_CONTENT_TYPE_BYTES: usize = 512;

pub(super) fn check(object: &Object, path: Path<'_>, faults: &mut Faults) {
    if object.data.is_none() && names_stored_object(object) {
        // compared with what is stored by the commit
        return check_kept(object, Path::Name(&path, "metadata"), faults);
    }
    if object.data.is_none() {
        faults.push(Path::Name(&path, "data"), REQUIRED_OR_KEPT);
    }
    check_server_fields(object, path, faults);
    if object.name.len() > MAX_NAME_BYTES {
        faults.push(
            Path::Name(&path, "name"),
            format_args!("must have at most {MAX_NAME_BYTES} bytes"),
        );
    }
    let content_type = Path::Name(&path, "content_type");
    if object.content_type.len() > MAX_CONTENT_TYPE_BYTES {
        faults.push(
            content_type,
            format_args!("must have at most {MAX_CONTENT_TYPE_BYTES} bytes"),
        );
    }
    if !is_header_value(&object.content_type) {
        faults.push(content_type, HEADER_VALUE);
    }
    check_metadata(object, Path::Name(&path, "metadata"), faults);
}

/// The faults of an object that cannot be kept, as if it had been sent to be written.
pub fn not_kept(object: &Object, root: &str, attribute: &str) -> Faults {
    let root = Path::Root(root);
    let path = Path::Name(&root, attribute);
    let mut faults = Faults::default();
    faults.push(Path::Name(&path, "data"), REQUIRED_OR_KEPT);
    check_server_fields(object, path, &mut faults);
    faults
}

/// Whether this names a stored object: all that a Save needs to keep it.
pub fn names_stored_object(object: &Object) -> bool {
    ![&object.bucket, &object.key, &object.etag]
        .into_iter()
        .any(String::is_empty)
}

fn check_kept(object: &Object, path: Path<'_>, faults: &mut Faults) {
    if object.metadata.contains_key("") {
        faults.push(path, "must not have an empty name");
    }
}

const REQUIRED_OR_KEPT: &str =
    "is required, or bucket, key and etag as they were read, to keep the stored object";
const HEADER_VALUE: &str = "must be printable ASCII without spaces at its ends: it becomes a header";

fn check_server_fields(object: &Object, path: Path<'_>, faults: &mut Faults) {
    let fields = [
        ("bucket", !object.bucket.is_empty()),
        ("key", !object.key.is_empty()),
        ("size", object.size_bytes != 0),
        ("etag", !object.etag.is_empty()),
        ("version_id", !object.version_id.is_empty()),
        ("sha256", !object.sha256.is_empty()),
    ];
    for (name, _) in fields.into_iter().filter(|(_, is_set)| *is_set) {
        faults.push(Path::Name(&path, name), "set by the server; send data");
    }
}

fn check_metadata(object: &Object, path: Path<'_>, faults: &mut Faults) {
    let bytes: usize = object
        .metadata
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > MAX_CALLER_METADATA_BYTES {
        faults.push(
            path,
            format_args!("must have at most {MAX_CALLER_METADATA_BYTES} bytes in all"),
        );
    }
    // in the order of their names, so that of two that meet always the same one is reported
    let mut seen = HashSet::new();
    for (name, value) in by_name(&object.metadata) {
        let path = Path::Name(&path, name);
        if !is_header_name(name) {
            faults.push(
                path,
                "must have a name of letters, digits and !#$%&'*+-.^_`|~: it becomes a header",
            );
        } else if !seen.insert(name.to_ascii_lowercase()) {
            faults.push(
                path,
                "must differ from other names by more than case: names are stored in lower case",
            );
        } else if name.to_ascii_lowercase().starts_with(OWN_METADATA) {
            faults.push(
                path,
                format!("must not begin with {OWN_METADATA}: such names are the server's"),
            );
        }
        if !is_header_value(value) {
            faults.push(path, HEADER_VALUE);
        }
    }
}

/// A token of RFC 9110, section 5.6.2.
fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// What comes back from S3 as it was sent.
fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && value.trim_matches(' ') == value
}
