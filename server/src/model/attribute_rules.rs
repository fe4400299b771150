//! Checks that the options of an attribute are consistent with each other, with its type, and with where it is declared.

use std::collections::HashMap;

use super::attribute::Attribute;
use super::attribute_type::AttributeType;
use super::encryption::{EncryptionFormat, EncryptionMode};
use super::generate::Generate;
use super::names;
use super::place::{KeyRole, Place};
use super::value::Value;
use crate::yaml::{Cursor, Fields, Report};

/// The options that apply only to some types.
const TYPES_OF_OPTIONS: &[(&str, &[AttributeType])] = &[
    ("template", &[AttributeType::String]),
    (
        "compressed",
        &[AttributeType::String, AttributeType::Json, AttributeType::Object],
    ),
    ("attributes", &[AttributeType::Map]),
    ("unknown_attributes", &[AttributeType::Map]),
    ("items", &[AttributeType::List]),
    ("set_encoding", SETS),
    ("null_sets", SETS),
    ("hide_expired", &[AttributeType::Ttl]),
    ("store", &[AttributeType::Datetime]),
    (
        "s3",
        &[
            AttributeType::Object,
            AttributeType::String,
            AttributeType::Binary,
        ],
    ),
];

const SETS: &[AttributeType] = &[
    AttributeType::StringSet,
    AttributeType::NumberSet,
    AttributeType::BinarySet,
];

/// The options that an attribute inside a map or list cannot have.
const NOT_NESTED: &[&str] = &[
    "template",
    "generate",
    "encrypted",
    "compressed",
    "hidden",
    "hide_expired",
    "null_sets",
    "s3",
];

/// The options that the members of a list cannot have either.
const NOT_OF_MEMBERS: &[&str] = &["alias", "required", "default"];

/// Options of which an attribute can have only one.
const EXCLUSIVE: &[(&str, &str)] = &[
    ("default", "generate"),
    ("default", "template"),
    ("generate", "template"),
];

/// Reports every inconsistency.
pub(super) fn check(fields: &Fields<'_>, attribute: &Attribute, place: Place, report: &mut Report) {
    check_types(fields, attribute, report);
    check_sources(fields, attribute, report);
    check_storage(fields, attribute, report);
    check_nesting(fields, attribute, place, report);
    if let Some(role) = place.key() {
        check_key(fields, attribute, role, report);
    }
}

/// Reports aliases that are another attribute's name or alias. `entries` are the attributes of the model file.
pub(super) fn check_stored_names(
    entries: &[(&str, Cursor<'_>)],
    attributes: &[Attribute],
    report: &mut Report,
) {
    let mut owners: HashMap<&str, &str> = HashMap::new();
    for (name, _) in entries {
        owners.insert(name, name);
    }
    for attribute in attributes {
        let (name, stored) = (attribute.name.as_str(), attribute.stored_name.as_str());
        if name == stored {
            continue;
        }
        let owner = *owners.entry(stored).or_insert(name);
        let at = entries.iter().find(|(entry, _)| *entry == name);
        if let (true, Some((_, at))) = (owner != name, at) {
            report.add(
                at,
                format!("`alias` must differ from the name and alias of the attribute `{owner}`"),
            );
        }
    }
}

/// Reports options that do not apply to the type.
fn check_types(fields: &Fields<'_>, attribute: &Attribute, report: &mut Report) {
    let kind = attribute.kind;
    for (option, kinds) in TYPES_OF_OPTIONS {
        if let Some(at) = fields.get(option)
            && !kinds.contains(&kind)
        {
            report.add(at, applies_only_to(kinds, kind));
        }
    }
    if let (Some(at), Some(generate)) = (fields.get("generate"), attribute.generate)
        && !generate.types().contains(&kind)
    {
        let name = generate.as_str();
        report.add(at, format!("{name} {}", applies_only_to(generate.types(), kind)));
    }
    if let (Some(at), None) = (fields.get("delimiter"), fields.get("template")) {
        report.add(at, "applies only to an attribute with a `template`");
    }
    if let (Some(at), true) = (
        fields.get("unknown_attributes"),
        kind == AttributeType::Map && fields.get("attributes").is_none(),
    ) {
        report.add(at, "applies only to a map with `attributes`");
    }
    if let Some(at) = fields.get("alias")
        && let Err(fault) = names::attribute(&attribute.stored_name, false)
    {
        report.add(at, fault);
    }
}

fn applies_only_to(kinds: &[AttributeType], kind: AttributeType) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    format!("applies only to {}, not to {}", names.join(", "), kind.as_str())
}

/// Reports conflicts between the options that say where the value comes from.
fn check_sources(fields: &Fields<'_>, attribute: &Attribute, report: &mut Report) {
    for (first, second) in EXCLUSIVE {
        if let (Some(_), Some(at)) = (fields.get(first), fields.get(second)) {
            report.add(at, format!("conflicts with `{first}`"));
        }
    }
    if attribute.kind == AttributeType::Version {
        for option in ["required", "default"] {
            if let Some(at) = fields.get(option) {
                report.add(
                    at,
                    "does not apply to version: without one, a Save creates the item",
                );
            }
        }
    }
    let read_only = attribute
        .encrypted
        .as_ref()
        .is_some_and(|seal| seal.mode == EncryptionMode::ReadOnly);
    for option in ["default", "generate", "required"].iter().filter(|_| read_only) {
        if let Some(at) = fields.get(option)
            && (*option != "required" || attribute.required)
        {
            report.add(
                at,
                "conflicts with `mode: read_only`: no write can set the attribute",
            );
        }
    }
}

/// Reports conflicts between the options of the stored form.
fn check_storage(fields: &Fields<'_>, attribute: &Attribute, report: &mut Report) {
    use AttributeType::{Object, Ttl, Version};
    if attribute.kind == Object && fields.get("s3").is_none() {
        report.add(fields.at(), "an object requires `s3` with a bucket");
    }
    if let Some(at) = fields.get("encrypted") {
        match attribute.kind {
            Ttl => report.add(at, "does not apply to ttl: DynamoDB reads it"),
            Version => report.add(at, "does not apply to version: DynamoDB compares it"),
            _ => {}
        }
    }
    check_offload(fields, attribute, report);
    if attribute.template.is_some() {
        for option in ["encrypted", "compressed", "s3"] {
            if let Some(at) = fields.get(option) {
                report.add(at, "conflicts with `template`: its value is a key");
            }
        }
    }
}

/// Reports conflicts of `s3.offload_above`, which strings and binaries have and objects do not.
fn check_offload(fields: &Fields<'_>, attribute: &Attribute, report: &mut Report) {
    use AttributeType::{Binary, Object, String};
    let (Some(at), Some(offload)) = (fields.get("s3"), &attribute.s3) else {
        return;
    };
    match (attribute.kind, offload.offload_above) {
        (Object, Some(_)) => report.add(
            at,
            "`offload_above` does not apply to object, which is always in S3",
        ),
        (String | Binary, None) => {
            let kind = attribute.kind.as_str();
            report.add(
                at,
                format!("requires `offload_above`: the bytes above which a {kind} is in S3"),
            );
        }
        (String | Binary, Some(above)) => {
            let default = attribute.default.as_ref().and_then(text_length);
            if let (Some(at), true) = (
                fields.get("default"),
                default.is_some_and(|bytes| bytes as u64 > above),
            ) {
                report.add(at, "must not be longer than `offload_above`");
            }
        }
        (_, _) => {}
    }
    let is_limited = offload.max_bytes.is_some() || !offload.content_types.is_empty();
    if attribute.kind != Object && is_limited {
        report.add(at, "`max_size` and `content_types` apply only to object");
    }
    let encryption = attribute.encrypted.as_ref();
    if encryption.is_some_and(|encryption| encryption.format == EncryptionFormat::Pydynox) {
        report.add(at, "conflicts with `format: pydynox`, which has no objects");
    }
}

/// Reports what an attribute inside a map or list cannot be or have.
fn check_nesting(fields: &Fields<'_>, attribute: &Attribute, place: Place, report: &mut Report) {
    use AttributeType::{Object, Ttl, Version};
    if !place.is_nested() {
        return;
    }
    if let (Some(at), Object | Ttl | Version) = (fields.get("type"), attribute.kind) {
        let kind = attribute.kind.as_str();
        report.add(
            at,
            format!("{kind} applies only to attributes of the model, not inside a map or list"),
        );
    }
    for option in NOT_NESTED {
        if let Some(at) = fields.get(option) {
            report.add(
                at,
                "applies only to attributes of the model, not inside a map or list",
            );
        }
    }
    for option in NOT_OF_MEMBERS.iter().filter(|_| place == Place::Member) {
        if let Some(at) = fields.get(option) {
            report.add(at, "does not apply to the members of a list");
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
    for (option, verb) in [
        ("encrypted", "encrypted"),
        ("compressed", "compressed"),
        ("s3", "in S3"),
    ] {
        if let Some(at) = fields.get(option) {
            report.add(at, format!("{} cannot be {verb}", role.name()));
        }
    }
    if let (Some(at), Err(fault)) = (
        fields.get("alias"),
        names::attribute(&attribute.stored_name, true),
    ) {
        report.add(at, fault);
    }
    if let (Some(at), Some(Generate::UtcNowOnWrite)) = (fields.get("generate"), attribute.generate) {
        report.add(at, format!("{} cannot change on each write", role.name()));
    }
    if let (Some(at), Some(length)) = (
        fields.get("default"),
        attribute.default.as_ref().and_then(text_length),
    ) && !(1..=role.max_bytes()).contains(&length)
    {
        report.add(
            at,
            format!("{} must have 1 to {} bytes", role.name(), role.max_bytes()),
        );
    }
}

fn text_length(value: &Value) -> Option<usize> {
    match value {
        Value::S(text) => Some(text.len()),
        Value::B(bytes) => Some(bytes.len()),
        _ => None,
    }
}
