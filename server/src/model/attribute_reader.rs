//! Reads an attribute from a model file, with the attributes inside it.

use std::time::SystemTime;

use super::attribute::Attribute;
use super::attribute_type::AttributeType;
use super::compression::compression;
use super::encryption::encryption;
use super::generate::Generate;
use super::limits::MAX_DEPTH;
use super::offload::offload;
use super::place::Place;
use super::stored_form::{Compat, DatetimeStore, SetEncoding};
use super::template::Template;
use super::unknown_attributes::UnknownAttributes;
use super::value::Value;
use super::{attribute_rules, checks, literal, names};
use crate::yaml::{Cursor, Fields, Keys, Report, did_you_mean};

/// The keys of an attribute.
pub(super) const ATTRIBUTE: Keys = Keys {
    known: &[
        "type",
        "alias",
        "required",
        "default",
        "generate",
        "template",
        "delimiter",
        "hidden",
        "min",
        "max",
        "min_length",
        "max_length",
        "enum",
        "pattern",
        "encrypted",
        "compressed",
        "s3",
        "attributes",
        "items",
        "unknown_attributes",
        "set_encoding",
        "null_sets",
        "hide_expired",
        "store",
    ],
    // add-a-model-option: add its key to `known`, and read it in `read`
    later: &[],
};

/// What separates the parts of a template, unless the attribute says otherwise.
const DELIMITER: &str = "#";

/// Reads attributes of one model.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    /// The option `compat` of the model.
    pub(super) compat: Compat,
}

impl Reader {
    /// Reads one attribute. Returns `None` if its type is unknown.
    pub(super) fn read(
        self,
        name: &str,
        at: &Cursor<'_>,
        place: Place,
        report: &mut Report,
    ) -> Option<Attribute> {
        self.read_at(name, at, place, 0, report)
    }

    fn read_at(
        self,
        name: &str,
        at: &Cursor<'_>,
        place: Place,
        depth: usize,
        report: &mut Report,
    ) -> Option<Attribute> {
        if depth >= MAX_DEPTH {
            report.add(at, format!("nested deeper than {MAX_DEPTH} levels"));
            return None;
        }
        if place != Place::Member
            && let Err(fault) = names::attribute(name, place.key().is_some())
        {
            report.add(at, fault);
        }
        let fields = at.fields(&ATTRIBUTE, report)?;
        let Some(kind) = fields.require("type", report).and_then(|at| kind(at, report)) else {
            // reports the other faults too
            fields
                .get("encrypted")
                .and_then(|at| encryption(at, AttributeType::String, report));
            fields.get("s3").and_then(|at| offload(at, report));
            return None;
        };
        let mut attribute = Attribute {
            compat: self.compat,
            checks: checks::read(&fields, kind, report),
            ..Attribute::plain(name, kind)
        };
        read_value(&mut attribute, &fields, place, report);
        read_storage(&mut attribute, &fields, report);
        attribute.attributes = self.attributes(&fields, depth, report);
        attribute.items = fields
            .get("items")
            .and_then(|at| self.read_at("", at, Place::Member, depth + 1, report))
            .map(Box::new);
        attribute.default = fields
            .get("default")
            .and_then(|at| default(at, &attribute, report));
        attribute_rules::check(&fields, &attribute, place, report);
        Some(attribute)
    }

    /// Reads the fields that a map declares.
    fn attributes(self, fields: &Fields<'_>, depth: usize, report: &mut Report) -> Vec<Attribute> {
        let Some(entries) = fields.get("attributes").and_then(|at| at.entries(report)) else {
            return Vec::new();
        };
        let attributes: Vec<Attribute> = entries
            .iter()
            .filter_map(|(name, at)| self.read_at(name, at, Place::Field, depth + 1, report))
            .collect();
        attribute_rules::check_stored_names(&entries, &attributes, report);
        attributes
    }
}

/// Reads what concerns the value.
fn read_value(attribute: &mut Attribute, fields: &Fields<'_>, place: Place, report: &mut Report) {
    let required = flag(fields, "required", report);
    let is_made = ["default", "generate", "template"]
        .iter()
        .any(|option| fields.get(option).is_some());
    attribute.required = required || (place.key().is_some() && !is_made);
    attribute.hidden = flag(fields, "hidden", report);
    attribute.generate = fields
        .get("generate")
        .and_then(|at| at.choice(Generate::CHOICES, report));
    let delimiter = fields.get("delimiter").and_then(|at| at.text(report));
    attribute.template = fields.get("template").and_then(|at| {
        let text = at.text(report)?;
        Template::parse(text, delimiter.unwrap_or(DELIMITER))
            .map_err(|fault| report.add(at, fault))
            .ok()
    });
    attribute.nested_unknown = fields
        .get("unknown_attributes")
        .and_then(|at| at.choice(UnknownAttributes::CHOICES, report));
}

/// Reads what concerns the stored form.
fn read_storage(attribute: &mut Attribute, fields: &Fields<'_>, report: &mut Report) {
    if let Some(alias) = fields.get("alias").and_then(|at| at.text(report)) {
        alias.clone_into(&mut attribute.stored_name);
    }
    attribute.encrypted = fields
        .get("encrypted")
        .and_then(|at| encryption(at, attribute.kind, report));
    attribute.compressed = fields.get("compressed").and_then(|at| compression(at, report));
    attribute.s3 = fields.get("s3").and_then(|at| offload(at, report));
    let set_encoding = match attribute.compat {
        Compat::Native => SetEncoding::Native,
        Compat::Pydynox => SetEncoding::List,
    };
    attribute.set_encoding = fields
        .get("set_encoding")
        .and_then(|at| at.choice(SetEncoding::CHOICES, report))
        .unwrap_or(set_encoding);
    attribute.null_sets_repair = fields
        .get("null_sets")
        .and_then(|at| at.choice(&[("repair", true)], report))
        .unwrap_or_default();
    attribute.hide_expired = flag(fields, "hide_expired", report);
    attribute.datetime_store = fields
        .get("store")
        .and_then(|at| at.choice(DatetimeStore::CHOICES, report))
        .unwrap_or_default();
}

fn flag(fields: &Fields<'_>, option: &str, report: &mut Report) -> bool {
    fields
        .get(option)
        .and_then(|at| at.boolean(report))
        .unwrap_or_default()
}

/// Reads a default, and reports which checks it fails, those of nested attributes too.
fn default(at: &Cursor<'_>, attribute: &Attribute, report: &mut Report) -> Option<Value> {
    if attribute.kind == AttributeType::Version {
        // reported with the other options
        return None;
    }
    let value = literal::value(at, attribute.kind, report)?;
    // a duration from now is valid at any time
    if let Err(fault) = attribute.to_stored(value.clone(), SystemTime::UNIX_EPOCH) {
        report.add(at, fault);
        return None;
    }
    for fault in nested_violations(attribute, &value) {
        report.add(at, fault);
    }
    attribute
        .checks
        .violations(&value)
        .into_iter()
        .for_each(|text| report.add(at, text));
    Some(value)
}

/// What is wrong inside a map or list, each with the path in it.
fn nested_violations(attribute: &Attribute, value: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    match value {
        Value::M(fields) => {
            for field in &attribute.attributes {
                match fields.get(&field.name) {
                    Some(value) => texts.extend(violations(field, &format!("{}: ", field.name), value)),
                    None if field.required && field.default.is_none() => {
                        texts.push(format!("{}: is required", field.name));
                    }
                    None => {}
                }
            }
        }
        Value::L(members) => {
            if let Some(item) = attribute.items.as_deref() {
                for (number, member) in members.iter().enumerate() {
                    texts.extend(violations(item, &format!("[{number}]: "), member));
                }
            }
        }
        _ => {}
    }
    texts
}

fn violations(attribute: &Attribute, path: &str, value: &Value) -> Vec<String> {
    if *value == Value::Null {
        return Vec::new();
    }
    let mut texts = attribute.checks.violations(value);
    texts.extend(nested_violations(attribute, value));
    texts.into_iter().map(|text| format!("{path}{text}")).collect()
}

fn kind(at: &Cursor<'_>, report: &mut Report) -> Option<AttributeType> {
    let text = at.text(report)?;
    let found = AttributeType::ALL.into_iter().find(|kind| kind.as_str() == text);
    if found.is_none() {
        let names = AttributeType::ALL.map(AttributeType::as_str);
        report.add(
            at,
            format!("must be one of {}{}", names.join(", "), did_you_mean(text, names)),
        );
    }
    found
}
