//! What a write returns of the item.

use tollgate_proto::v1;

use super::values::Decoder;
use crate::model::ReturnValues;

/// Decodes `return_values`.
pub(super) fn return_values(decoder: &mut Decoder, values: i32) -> ReturnValues {
    match v1::ReturnValues::try_from(values) {
        Ok(v1::ReturnValues::Unspecified | v1::ReturnValues::None) => ReturnValues::None,
        Ok(v1::ReturnValues::AllOld) => ReturnValues::AllOld,
        Ok(v1::ReturnValues::AllNew) => ReturnValues::AllNew,
        Ok(v1::ReturnValues::UpdatedOld) => ReturnValues::UpdatedOld,
        Ok(v1::ReturnValues::UpdatedNew) => ReturnValues::UpdatedNew,
        Err(_) => {
            decoder.fault(
                "return_values",
                "must be NONE, ALL_OLD, ALL_NEW, UPDATED_OLD or UPDATED_NEW",
            );
            ReturnValues::None
        }
    }
}
