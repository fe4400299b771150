//! The request of Download.

use std::sync::Arc;

use tollgate_proto::v1;

use super::values::Decoder;
use crate::model::Model;
use crate::operation::Download;

/// Decodes a Download.
pub(crate) fn download(request: v1::DownloadRequest, model: Arc<Model>) -> Download {
    let mut decoder = Decoder::default();
    Download {
        model,
        key: decoder.item(request.key, "key"),
        attribute: request.attribute,
        offset: request.offset,
        length: request.length,
        if_match: request.if_match,
        consistent_read: request.consistent_read,
        validate_only: request.validate_only,
        faults: decoder.into_faults(),
    }
}
