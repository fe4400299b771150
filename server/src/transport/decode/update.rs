//! The request of Update.

use std::sync::Arc;

use tollgate_proto::v1;

use super::return_values::return_values;
use super::values::Decoder;
use crate::model::Model;
use crate::operation::Update;

/// Decodes an Update.
pub(crate) fn update(request: v1::UpdateRequest, model: Arc<Model>) -> Update {
    let mut decoder = Decoder::default();
    let return_values = return_values(&mut decoder, request.return_values);
    Update {
        model,
        key: decoder.item(request.key, "key"),
        version: request.version,
        update: decoder.expression(request.update, "update"),
        condition: decoder.expression(request.condition, "condition"),
        return_values,
        must_exist: request.must_exist,
        request_id: decoder.request_id(request.request_id),
        validate_only: request.validate_only,
        faults: decoder.into_faults(),
    }
}
