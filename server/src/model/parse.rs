//! Reads one document of a model file: a model with its keys and attributes. Checks that concern several models are in
//! `files` and `tables`.

use super::attribute::Attribute;
use super::attribute_reader::Reader;
use super::attribute_rules;
use super::attribute_type::AttributeType;
use super::names::{self, valid};
use super::place::{KeyRole, Place};
use super::schema::Model;
use super::stored_form::Compat;
use super::unknown_attributes::UnknownAttributes;
use crate::yaml::{Cursor, Fields, Keys, Report, did_you_mean};

/// The keys of a model.
pub(super) const MODEL: Keys = Keys {
    known: &[
        "name",
        "table",
        "partition_key",
        "sort_key",
        "attributes",
        "unknown_attributes",
        "compat",
    ],
    later: &[
        "indexes",
        "discriminator",
        "idempotency",
        "tenant",
        "protect",
        "kms_cache",
    ],
};

/// The content of a document, as far as it is valid.
pub(super) struct Parsed {
    /// The model, if it has no faults.
    pub(super) model: Option<Model>,
    /// Its name, with the line of the name.
    pub(super) name: Option<(String, usize)>,
    /// The table, if all its keys are valid.
    pub(super) table: Option<Table>,
}

/// What models of the same table must agree on: the stored names and types of the keys, and what is encrypted or in S3.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) keys: Vec<(String, AttributeType)>,
    /// The line of the keys.
    pub(super) line: usize,
    pub(super) declared: Vec<Declared>,
    /// The line of `unknown_attributes: keep`, if present.
    pub(super) keep_line: Option<usize>,
}

/// An attribute with its place.
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) line: usize,
    /// The path in the document.
    pub(super) path: String,
    /// None if the attribute has faults.
    pub(super) attribute: Option<Attribute>,
}

impl Declared {
    /// The name in DynamoDB, if the attribute has no faults; otherwise the name in the model file.
    pub(super) fn stored_name(&self) -> &str {
        self.attribute
            .as_ref()
            .map_or(&self.name, |attribute| &attribute.stored_name)
    }
}

/// Reads one document. Returns `None` if it is not a map.
pub(super) fn read(document: &Cursor<'_>, report: &mut Report) -> Option<Parsed> {
    let faults_before = report.count();
    let fields = document.fields(&MODEL, report)?;
    let name = fields
        .require("name", report)
        .and_then(|at| valid(at, names::model, report));
    let table = fields
        .require("table", report)
        .and_then(|at| valid(at, names::table, report));
    let partition_key = fields
        .require("partition_key", report)
        .and_then(|at| at.text(report));
    let sort_key = fields.get("sort_key").and_then(|at| at.text(report));
    let compat = fields
        .get("compat")
        .and_then(|at| at.choice(Compat::CHOICES, report))
        .unwrap_or_default();
    let declared = attributes(&fields, partition_key, sort_key, Reader { compat }, report);
    let unknown_attributes = fields
        .get("unknown_attributes")
        .and_then(|at| at.choice(UnknownAttributes::CHOICES, report))
        .unwrap_or_default();
    let line = |key: &str| fields.get(key).map_or(document.line(), Cursor::line);
    let keys = [partition_key, sort_key]
        .into_iter()
        .flatten()
        .map(|key| kind_of(&declared, key));
    let keys: Option<Vec<(String, AttributeType)>> = keys.collect();
    let attributes = declared
        .iter()
        .filter_map(|declared| declared.attribute.clone())
        .collect();
    let keeps = unknown_attributes == UnknownAttributes::Keep;
    let known_table = table.clone().zip(keys).map(|(name, keys)| Table {
        name,
        keys,
        line: line("partition_key"),
        declared,
        keep_line: keeps.then(|| line("unknown_attributes")),
    });
    let model = name
        .clone()
        .zip(table)
        .zip(partition_key)
        .map(|((name, table), partition_key)| Model {
            name,
            table,
            partition_key: partition_key.to_owned(),
            sort_key: sort_key.map(str::to_owned),
            attributes,
            indexes: Vec::new(),
            discriminator: None,
            unknown_attributes,
            compat,
            idempotency: None,
            sealed_by_others: Vec::new(),
        });
    Some(Parsed {
        model: model.filter(|_| report.count() == faults_before),
        name: name.map(|name| (name, line("name"))),
        table: known_table,
    })
}

fn attributes(
    fields: &Fields<'_>,
    partition_key: Option<&str>,
    sort_key: Option<&str>,
    reader: Reader,
    report: &mut Report,
) -> Vec<Declared> {
    let Some(entries) = fields
        .require("attributes", report)
        .and_then(|at| at.entries(report))
    else {
        return Vec::new();
    };
    let declared: Vec<&str> = entries.iter().map(|(name, _)| *name).collect();
    for (option, key) in [("partition_key", partition_key), ("sort_key", sort_key)] {
        if let (Some(at), Some(key)) = (fields.get(option), key)
            && !declared.contains(&key)
        {
            let near = did_you_mean(key, declared.iter().copied());
            report.add(at, format!("is not an attribute of this model{near}"));
        }
    }
    if let (Some(at), true) = (
        fields.get("sort_key"),
        sort_key.is_some() && sort_key == partition_key,
    ) {
        report.add(at, "must differ from the partition key");
    }
    let place = |name: &str| match name {
        _ if Some(name) == partition_key => Place::Key(KeyRole::Partition),
        _ if Some(name) == sort_key => Place::Key(KeyRole::Sort),
        _ => Place::Model,
    };
    let mut all = Vec::with_capacity(entries.len());
    for (name, at) in &entries {
        let faults_before = report.count();
        let attribute = reader.read(name, at, place(name), report);
        all.push(Declared {
            name: (*name).to_owned(),
            line: at.line(),
            path: at.path().to_owned(),
            attribute: attribute.filter(|_| report.count() == faults_before),
        });
    }
    let valid: Vec<Attribute> = all
        .iter()
        .filter_map(|declared| declared.attribute.clone())
        .collect();
    attribute_rules::check_stored_names(&entries, &valid, report);
    resolve_templates(&entries, &valid, &mut all, report);
    all
}

/// Gives the parts of all templates the types of their attributes.
fn resolve_templates(
    entries: &[(&str, Cursor<'_>)],
    attributes: &[Attribute],
    all: &mut [Declared],
    report: &mut Report,
) {
    for ((_, at), declared) in entries.iter().zip(all) {
        let template = declared
            .attribute
            .as_mut()
            .and_then(|attribute| attribute.template.as_mut());
        for fault in template
            .map(|template| template.resolve(attributes))
            .unwrap_or_default()
        {
            report.add(at, format!("`template`: {fault}"));
        }
    }
}

fn kind_of(declared: &[Declared], name: &str) -> Option<(String, AttributeType)> {
    let declared = declared.iter().find(|declared| declared.name == name)?;
    Some((
        declared.stored_name().to_owned(),
        declared.attribute.as_ref()?.kind,
    ))
}
