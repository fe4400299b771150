//! The request of Get.

use std::sync::Arc;

use tollgate_proto::v1;

use super::values::Decoder;
use crate::model::Model;
use crate::operation::Get;

/// Decodes a Get.
pub(crate) fn get(request: v1::GetRequest, model: Arc<Model>) -> Get {
    let mut decoder = Decoder::default();
    Get {
        model,
        key: decoder.item(request.key, "key"),
        fields: request.fields,
        consistent_read: request.consistent_read,
        include_objects: request.include_objects,
        validate_only: request.validate_only,
        faults: decoder.into_faults(),
    }
}
