//! The request of Save.

use std::sync::Arc;

use tollgate_proto::v1;

use super::return_values::return_values;
use super::values::Decoder;
use crate::model::{Model, ReturnValues};
use crate::operation::Save;

/// Decodes a Save.
pub(crate) fn save(request: v1::SaveRequest, model: Arc<Model>) -> Save {
    let mut decoder = Decoder::default();
    let return_values = return_values(&mut decoder, request.return_values);
    match return_values {
        ReturnValues::None | ReturnValues::AllOld | ReturnValues::AllNew => {}
        ReturnValues::UpdatedOld | ReturnValues::UpdatedNew => {
            decoder.fault(
                "return_values",
                "must be NONE, ALL_OLD or ALL_NEW; a Save writes all attributes",
            );
        }
    }
    Save {
        model,
        item: decoder.item(request.item, "item"),
        condition: decoder.expression(request.condition, "condition"),
        must_create: false,
        return_values,
        request_id: decoder.request_id(request.request_id),
        validate_only: request.validate_only,
        faults: decoder.into_faults(),
    }
}
