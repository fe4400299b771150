//! The contents in a request: whether each has the size and the SHA-256 that it announces.

use super::error::Error;
use crate::fault::{Faults, Path, by_name};
use crate::model::{Item, Object, Value};
use crate::write::{ContentError, sha256_hex};

/// The objects in a request with a content and what it announces, by name.
pub(super) fn announced(values: &Item) -> Vec<(String, Object)> {
    let is_announced = |object: &Object| object.size_bytes != 0 || !object.sha256.is_empty();
    let objects = by_name(values)
        .into_iter()
        .filter_map(|(name, value)| match value {
            Value::Object(object) if object.data.is_some() && is_announced(object) => {
                Some((name.clone(), (**object).clone()))
            }
            _ => None,
        });
    objects.collect()
}

/// Rejects contents that are not as announced. `field` is that of the objects.
pub(super) async fn check(field: Path<'_>, objects: Vec<(String, Object)>) -> Result<(), Error> {
    let mut faults = Faults::new();
    for (name, object) in objects {
        let Some(data) = object.data else { continue };
        let path = Path::Name(&field, &name);
        let announced_bytes = object.size_bytes;
        if announced_bytes != 0 && announced_bytes != data.len() as u64 {
            faults.push(Path::Name(&path, "size"), ContentError::Size { announced_bytes });
        }
        if !object.sha256.is_empty() && sha256_hex(data).await != object.sha256 {
            faults.push(Path::Name(&path, "sha256"), ContentError::Sha256);
        }
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Error::Checksum(faults)),
    }
}
