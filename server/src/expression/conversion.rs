//! Values in the form that DynamoDB stores, by the attributes that they are compared with or assigned to.

use std::time::SystemTime;

use super::ast::{Operand, Path, Step};
use super::definitions::Definitions;
use crate::model::{Attribute, AttributeType, Model, SetEncoding, Value};

/// The declared attribute that a path leads to, at any depth.
pub(super) fn declared<'m>(
    model: &'m Model,
    definitions: Definitions<'_>,
    path: &Path<'_>,
) -> Option<&'m Attribute> {
    let mut attribute = model.attribute(definitions.name(&path.attribute)?)?;
    for step in &path.steps {
        attribute = match step {
            Step::Index(_) => attribute.items.as_deref()?,
            Step::Name(name) => attribute.attribute(definitions.name(name)?)?,
        };
    }
    Some(attribute)
}

/// The attribute that determines the form of the values in a comparison: that of its first path.
pub(super) fn standard<'m>(
    model: &'m Model,
    definitions: Definitions<'_>,
    operands: &[&Operand<'_>],
) -> Option<&'m Attribute> {
    operands.iter().find_map(|operand| match operand {
        Operand::Path(path) => declared(model, definitions, path),
        Operand::Value(_) | Operand::Size(_) => None,
    })
}

/// The stored form of a caller's value. A value whose type the attribute does not have is returned unchanged, unless
/// only its text can be wrong; comparing types is left to the caller.
///
/// # Errors
///
/// What would be right.
pub(super) fn converted(attribute: &Attribute, value: &Value, now: SystemTime) -> Result<Value, String> {
    match attribute.kind {
        // the same in both forms
        AttributeType::String
        | AttributeType::Number
        | AttributeType::Binary
        | AttributeType::Boolean
        | AttributeType::Object
        | AttributeType::Version => Ok(value.clone()),
        AttributeType::Datetime | AttributeType::Ttl | AttributeType::Json => {
            attribute.to_stored(value.clone(), now)
        }
        AttributeType::List
        | AttributeType::Map
        | AttributeType::StringSet
        | AttributeType::NumberSet
        | AttributeType::BinarySet => match attribute.kind.accepts(value) {
            true => attribute.to_stored(value.clone(), now),
            false => Ok(value.clone()),
        },
    }
}

/// DynamoDB's type of a stored attribute; none for objects.
pub(super) fn stored_type(attribute: &Attribute) -> Option<&'static str> {
    let is_list = attribute.set_encoding == SetEncoding::List;
    Some(match attribute.kind {
        AttributeType::String | AttributeType::Json => "S",
        AttributeType::Number | AttributeType::Ttl | AttributeType::Version => "N",
        AttributeType::Binary => "B",
        AttributeType::Boolean => "BOOL",
        AttributeType::Map => "M",
        AttributeType::StringSet | AttributeType::NumberSet | AttributeType::BinarySet if is_list => "L",
        AttributeType::List => "L",
        AttributeType::StringSet => "SS",
        AttributeType::NumberSet => "NS",
        AttributeType::BinarySet => "BS",
        AttributeType::Datetime if attribute.datetime_store.is_number() => "N",
        AttributeType::Datetime => "S",
        AttributeType::Object => return None,
    })
}

/// DynamoDB's type of the members of a set attribute.
pub(super) fn member_type(kind: AttributeType) -> Option<&'static str> {
    match kind {
        AttributeType::StringSet => Some("S"),
        AttributeType::NumberSet => Some("N"),
        AttributeType::BinarySet => Some("B"),
        AttributeType::String
        | AttributeType::Number
        | AttributeType::Binary
        | AttributeType::Boolean
        | AttributeType::List
        | AttributeType::Map
        | AttributeType::Object
        | AttributeType::Json
        | AttributeType::Datetime
        | AttributeType::Ttl
        | AttributeType::Version => None,
    }
}
