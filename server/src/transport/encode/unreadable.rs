//! The attributes of an item that could not be read.

use tollgate_proto::v1;

use crate::call::Call;
use crate::operation::UnreadableAttribute;
use crate::transport::failure;

/// The attributes with their errors.
pub(super) fn unreadable(call: &Call, attributes: Vec<UnreadableAttribute>) -> Vec<v1::UnreadableAttribute> {
    let encode = |attribute: UnreadableAttribute| v1::UnreadableAttribute {
        error: Some(failure::unreadable(call, &attribute)),
        attribute: attribute.attribute,
    };
    attributes.into_iter().map(encode).collect()
}
