//! The request of Presign.

use std::sync::Arc;
use std::time::Duration;

use tollgate_proto::v1;

use super::values::Decoder;
use crate::model::Model;
use crate::operation::{Presign, PresignMethod};

/// Decodes a Presign.
pub(crate) fn presign(request: v1::PresignRequest, model: Arc<Model>) -> Presign {
    let mut decoder = Decoder::default();
    let method = match v1::PresignMethod::try_from(request.method) {
        Ok(v1::PresignMethod::Get) => Some(PresignMethod::Get),
        Ok(v1::PresignMethod::Put) => Some(PresignMethod::Put),
        Ok(v1::PresignMethod::Unspecified) | Err(_) => {
            decoder.fault("method", "must be PRESIGN_METHOD_GET or PRESIGN_METHOD_PUT");
            None
        }
    };
    let expires = request.expires.and_then(|expires| {
        let decoded = Duration::try_from(expires).ok();
        if decoded.is_none() {
            decoder.fault("expires", "must be between 1 second and 7 days");
        }
        decoded
    });
    Presign {
        model,
        key: decoder.item(request.key, "key"),
        attribute: request.attribute,
        method,
        expires,
        name: request.name,
        content_type: request.content_type,
        size_bytes: request.size,
        sha256: request.sha256,
        validate_only: request.validate_only,
        faults: decoder.into_faults(),
    }
}
