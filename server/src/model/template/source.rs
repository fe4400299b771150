//! What a template must know about an attribute that is one of its parts.

use crate::model::attribute_type::AttributeType;
use crate::model::stored_form::DatetimeStore;

/// An attribute of the model.
#[derive(Clone, Debug)]
pub(in crate::model) struct Source<'a> {
    /// Its name.
    pub(in crate::model) name: &'a str,
    /// Its type.
    pub(in crate::model) kind: AttributeType,
    /// How it is stored, if it is a datetime.
    pub(in crate::model) store: DatetimeStore,
    /// Why it cannot be a part, whatever its type.
    pub(in crate::model) conflict: Option<&'static str>,
}
