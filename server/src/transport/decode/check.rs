//! A check of a transaction.

use std::sync::Arc;

use tollgate_proto::v1;

use super::return_values::return_values;
use super::values::Decoder;
use crate::model::{Model, ReturnValues};
use crate::operation::Check;

/// Decodes a check.
pub(crate) fn check(request: v1::CheckRequest, model: Arc<Model>) -> Check {
    let mut decoder = Decoder::default();
    let return_values = return_values(&mut decoder, request.return_values);
    if !matches!(return_values, ReturnValues::None | ReturnValues::AllOld) {
        decoder.fault("return_values", "must be NONE or ALL_OLD; a check writes nothing");
    }
    Check {
        model,
        key: decoder.item(request.key, "key"),
        condition: decoder.expression(request.condition, "condition"),
        return_old: return_values == ReturnValues::AllOld,
        faults: decoder.into_faults(),
    }
}
