//! The request of Delete.

use std::sync::Arc;

use tollgate_proto::v1;

use super::return_values::return_values;
use super::values::Decoder;
use crate::model::{Model, ReturnValues};
use crate::operation::Delete;

/// Decodes a Delete.
pub(crate) fn delete(request: v1::DeleteRequest, model: Arc<Model>) -> Delete {
    let mut decoder = Decoder::default();
    let return_values = return_values(&mut decoder, request.return_values);
    match return_values {
        ReturnValues::None | ReturnValues::AllOld => {}
        ReturnValues::AllNew | ReturnValues::UpdatedOld | ReturnValues::UpdatedNew => {
            decoder.fault(
                "return_values",
                "must be NONE or ALL_OLD; a deleted item has no new values",
            );
        }
    }
    Delete {
        model,
        key: decoder.item(request.key, "key"),
        version: request.version,
        condition: decoder.expression(request.condition, "condition"),
        return_old: return_values == ReturnValues::AllOld,
        request_id: decoder.request_id(request.request_id),
        validate_only: request.validate_only,
        faults: decoder.into_faults(),
    }
}
