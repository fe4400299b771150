//! An attribute of a model: its type and its options. Reads them from a model file and checks that they are consistent.

use super::attribute_type::AttributeType;
use super::checks::Checks;
use super::encryption::{Encryption, EncryptionMode, encryption};
use super::limits::{MAX_PARTITION_KEY_BYTES, MAX_SORT_KEY_BYTES};
use super::offload::{Offload, offload};
use super::value::Value;
use super::{checks, literal, names};
use crate::yaml::{Cursor, Fields, Keys, Report, did_you_mean};

/// One attribute of a model.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// The name that requests use.
    pub name: String,
    /// The type of its value.
    pub kind: AttributeType,
    /// Whether a Save must set it to a value that is not null.
    pub required: bool,
    /// The value if the caller sets none.
    pub default: Option<Value>,
    /// What writes check.
    pub checks: Checks,
    /// Set if the attribute is encrypted.
    pub encrypted: Option<Encryption>,
    /// Set if the attribute is stored in S3. Then `kind` is `Object`.
    pub s3: Option<Offload>,
    // add-a-model-option: its field
}

/// The keys of an attribute.
pub(super) const ATTRIBUTE: Keys = Keys {
    known: &[
        "type",
        "required",
        "default",
        "min",
        "max",
        "min_length",
        "max_length",
        "enum",
        "pattern",
        "encrypted",
        "s3",
    ],
    // add-a-model-option: add its key to `known`, and read it in `read`
    later: &[
        "alias",
        "template",
        "generate",
        "compressed",
        "discriminator",
        "set_encoding",
        "hide_expired",
        "compat",
    ],
};

const TYPES: [AttributeType; 7] = [
    AttributeType::String,
    AttributeType::Number,
    AttributeType::Binary,
    AttributeType::Boolean,
    AttributeType::List,
    AttributeType::Map,
    AttributeType::Object,
];

const LATER_TYPES: [&str; 7] = [
    "string_set",
    "number_set",
    "binary_set",
    "json",
    "datetime",
    "ttl",
    "version",
];

/// Which key an attribute is.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyRole {
    Partition,
    Sort,
}

impl KeyRole {
    fn name(self) -> &'static str {
        match self {
            KeyRole::Partition => "the partition key",
            KeyRole::Sort => "the sort key",
        }
    }

    /// Maximum bytes of the key's value.
    fn max_bytes(self) -> usize {
        match self {
            KeyRole::Partition => MAX_PARTITION_KEY_BYTES,
            KeyRole::Sort => MAX_SORT_KEY_BYTES,
        }
    }
}

/// Reads one attribute. Returns `None` if its type is unknown.
pub(super) fn read(
    name: &str,
    at: &Cursor<'_>,
    role: Option<KeyRole>,
    report: &mut Report,
) -> Option<Attribute> {
    if let Err(fault) = names::attribute(name, role.is_some()) {
        report.add(at, fault);
    }
    let fields = at.fields(&ATTRIBUTE, report)?;
    let required = fields
        .get("required")
        .and_then(|at| at.boolean(report))
        .unwrap_or_default();
    let Some(kind) = fields.require("type", report).and_then(|at| kind(at, report)) else {
        // reports the other faults too
        fields
            .get("encrypted")
            .and_then(|at| encryption(at, AttributeType::String, report));
        fields.get("s3").and_then(|at| offload(at, report));
        return None;
    };
    let checks = checks::read(&fields, kind, report);
    let default = fields.get("default").and_then(|at| {
        let value = literal::value(at, kind, report)?;
        checks
            .violations(&value)
            .into_iter()
            .for_each(|text| report.add(at, text));
        Some(value)
    });
    let attribute = Attribute {
        name: name.to_owned(),
        kind,
        required: required || (role.is_some() && fields.get("default").is_none()),
        default,
        checks,
        encrypted: fields
            .get("encrypted")
            .and_then(|at| encryption(at, kind, report)),
        s3: fields.get("s3").and_then(|at| offload(at, report)),
    };
    check_storage(&fields, &attribute, report);
    if let Some(role) = role {
        check_key(&fields, &attribute, role, report);
    }
    Some(attribute)
}

fn kind(at: &Cursor<'_>, report: &mut Report) -> Option<AttributeType> {
    let text = at.text(report)?;
    let found = TYPES.into_iter().find(|kind| kind.as_str() == text);
    if found.is_none() && LATER_TYPES.contains(&text) {
        report.add(at, format!("type `{text}` is not supported by this version"));
    } else if found.is_none() {
        let names = TYPES.map(AttributeType::as_str);
        report.add(
            at,
            format!("must be one of {}{}", names.join(", "), did_you_mean(text, names)),
        );
    }
    found
}

/// Checks that encryption and offload are consistent with the rest of the attribute.
fn check_storage(fields: &Fields<'_>, attribute: &Attribute, report: &mut Report) {
    match (fields.get("s3"), attribute.kind) {
        (Some(at), kind) if kind != AttributeType::Object => {
            report.add(at, format!("applies only to object, not to {}", kind.as_str()));
        }
        (None, AttributeType::Object) => {
            report.add(fields.at(), "an object requires `s3` with a bucket");
        }
        _ => {}
    }
    if let (Some(at), AttributeType::Object) = (fields.get("encrypted"), attribute.kind) {
        report.add(at, "is not supported for objects by this version");
    }
    let read_only = attribute
        .encrypted
        .as_ref()
        .is_some_and(|seal| seal.mode == EncryptionMode::ReadOnly);
    for option in ["default", "required"].iter().filter(|_| read_only) {
        if let Some(at) = fields.get(option)
            && (*option == "default" || attribute.required)
        {
            report.add(
                at,
                "conflicts with `mode: read_only`: no write can set the attribute",
            );
        }
    }
}

/// Checks DynamoDB's rules for key attributes.
fn check_key(fields: &Fields<'_>, attribute: &Attribute, role: KeyRole, report: &mut Report) {
    use AttributeType::{Binary, Number, String};
    if let Some(at) = fields.get("type")
        && !matches!(attribute.kind, String | Number | Binary)
    {
        let text = format!(
            "{} must be string, number or binary, not {}",
            role.name(),
            attribute.kind.as_str()
        );
        report.add(at, text);
    }
    if let Some(at) = fields.get("encrypted") {
        report.add(at, format!("{} cannot be encrypted", role.name()));
    }
    if let (Some(at), Some(length)) = (
        fields.get("default"),
        attribute.default.as_ref().and_then(key_length),
    ) && !(1..=role.max_bytes()).contains(&length)
    {
        report.add(
            at,
            format!("{} must have 1 to {} bytes", role.name(), role.max_bytes()),
        );
    }
}

fn key_length(value: &Value) -> Option<usize> {
    match value {
        Value::S(text) => Some(text.len()),
        Value::B(bytes) => Some(bytes.len()),
        _ => None,
    }
}
