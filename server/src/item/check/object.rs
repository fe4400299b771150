//! Checks an object in a request: data, name, media type and metadata that are valid S3 headers; or, without data, a stored
//! object to keep. Rejects server-set fields in any other case, so that a caller cannot make an item point to an object
//! that does not belong to it.

use std::collections::HashSet;

use crate::fault::{Faults, Path, by_name};
use crate::model::limits::{MAX_METADATA_BYTES, OWNER_METADATA_BYTES};
use crate::model::{Object, Offload};

/// Most bytes of names and values in a caller's metadata: S3's limit minus the metadata that identifies the owner.
const MAX_CALLER_METADATA_BYTES: usize = MAX_METADATA_BYTES - OWNER_METADATA_BYTES;
/// The prefix of metadata names that are reserved for the server.
const RESERVED_METADATA: &str = "tollgate-";
/// Most bytes of a file name, as in file systems.
const MAX_NAME_BYTES: usize = 255;
/// Most bytes of a media type: two names of 127 characters and a slash (RFC 6838, section 4.2), doubled for parameters.
const MAX_CONTENT_TYPE_BYTES: usize = 512;

pub(super) fn check(object: &Object, offload: Option<&Offload>, path: Path<'_>, faults: &mut Faults) {
    if !object.upload_token.is_empty() {
        return check_upload(object, path, faults);
    }
    if !object.is_new() && names_stored_object(object) {
        // the commit compares the other fields with the stored pointer
        return check_kept(object, Path::Name(&path, "metadata"), faults);
    }
    if !object.is_new() {
        faults.push(Path::Name(&path, "data"), REQUIRED_OR_KEPT);
    }
    check_fields(object, path, faults);
    for (field, violation) in offload.into_iter().flat_map(|offload| offload.violations(object)) {
        faults.push(Path::Name(&path, field), violation);
    }
}

/// Checks an object that an update sets.
pub(super) fn check_new(object: &Object, path: Path<'_>, faults: &mut Faults) {
    if !object.upload_token.is_empty() {
        return check_upload(object, path, faults);
    }
    if !object.is_new() {
        faults.push(
            Path::Name(&path, "data"),
            "is required; to keep the stored object, leave it out of the update",
        );
    }
    check_fields(object, path, faults);
}

/// Checks an object that was uploaded by URL. Its name, type, size and hash are compared with the token when that is
/// opened.
fn check_upload(object: &Object, path: Path<'_>, faults: &mut Faults) {
    if object.data.is_some() {
        faults.push(
            Path::Name(&path, "upload_token"),
            "must not be set together with data",
        );
    }
    check_server_fields(object, path, faults);
    check_metadata(object, Path::Name(&path, "metadata"), faults);
}

fn check_fields(object: &Object, path: Path<'_>, faults: &mut Faults) {
    check_server_fields(object, path, faults);
    check_name(&object.name, Path::Name(&path, "name"), faults);
    check_content_type(&object.content_type, Path::Name(&path, "content_type"), faults);
    check_metadata(object, Path::Name(&path, "metadata"), faults);
}

/// Checks the file name and the media type of an upload by URL, which are fields of its request.
pub fn check_description(name: &str, content_type: &str) -> Faults {
    let mut faults = Faults::new();
    check_name(name, Path::Root("name"), &mut faults);
    check_content_type(content_type, Path::Root("content_type"), &mut faults);
    faults
}

fn check_name(name: &str, path: Path<'_>, faults: &mut Faults) {
    if name.len() > MAX_NAME_BYTES {
        faults.push(path, format_args!("must have at most {MAX_NAME_BYTES} bytes"));
    }
}

fn check_content_type(content_type: &str, path: Path<'_>, faults: &mut Faults) {
    if content_type.len() > MAX_CONTENT_TYPE_BYTES {
        faults.push(
            path,
            format_args!("must have at most {MAX_CONTENT_TYPE_BYTES} bytes"),
        );
    }
    if !is_header_value(content_type) {
        faults.push(path, HEADER_VALUE);
    }
}

/// The faults of an object that must not be kept: those that it would have as a new object.
pub fn reject_kept(object: &Object, root: &str, attribute: &str) -> Faults {
    let root = Path::Root(root);
    let path = Path::Name(&root, attribute);
    let mut faults = Faults::default();
    faults.push(Path::Name(&path, "data"), REQUIRED_OR_KEPT);
    check_server_fields(object, path, &mut faults);
    faults
}

/// Whether the object has the fields that identify a stored object, which a Save needs to keep it.
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
    "is required; to keep the stored object, send its bucket, key and etag as they were read";
const HEADER_VALUE: &str =
    "must be printable ASCII without leading or trailing spaces, because it is sent as a header";

/// Size and SHA-256 may be announced with a content, unless the object was read from an item.
fn check_server_fields(object: &Object, path: Path<'_>, faults: &mut Faults) {
    let place = [
        ("bucket", &object.bucket),
        ("key", &object.key),
        ("etag", &object.etag),
        ("version_id", &object.version_id),
    ];
    let place = place.map(|(name, value)| (name, !value.is_empty()));
    let is_stored = !object.is_new() || place.iter().any(|(_, is_set)| *is_set);
    let announced = [
        ("size", is_stored && object.size_bytes != 0),
        ("sha256", is_stored && !object.sha256.is_empty()),
    ];
    for (name, _) in place.into_iter().chain(announced).filter(|(_, is_set)| *is_set) {
        faults.push(Path::Name(&path, name), "is set by the server; send data instead");
    }
    if !is_stored && !object.sha256.is_empty() && !is_sha256(&object.sha256) {
        faults.push(
            Path::Name(&path, "sha256"),
            "must be 64 hexadecimal digits in lower case",
        );
    }
}

/// Whether a text is a SHA-256 as callers announce it: in lower-case hex.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
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
    // sorted by name, so that the same one of two conflicting names is always reported
    let mut seen = HashSet::new();
    for (name, value) in by_name(&object.metadata) {
        let path = Path::Name(&path, name);
        if !is_header_name(name) {
            faults.push(
                path,
                "must have a name of letters, digits and !#$%&'*+-.^_`|~, because it is sent as a header",
            );
        } else if !seen.insert(name.to_ascii_lowercase()) {
            faults.push(
                path,
                "must differ from other names by more than case, because names are stored in lower case",
            );
        } else if name.to_ascii_lowercase().starts_with(RESERVED_METADATA) {
            faults.push(
                path,
                format_args!("must not begin with {RESERVED_METADATA}, which is reserved"),
            );
        }
        if !is_header_value(value) {
            faults.push(path, HEADER_VALUE);
        }
    }
}

/// Whether a name is a token as defined by RFC 9110, section 5.6.2.
fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether S3 returns the value unchanged.
fn is_header_value(value: &str) -> bool {
    value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && value.trim_matches(' ') == value
}
