//! Reads one document of a model file: a model with its keys and attributes. Checks that concern several models are in
//! `files` and `tables`.

use super::attribute::Attribute;
use super::attribute_reader::Reader;
use super::attribute_rules;
use super::attribute_type::AttributeType;
use super::declared::{Declared, Lines, Parsed, Table};
use super::index::Index;
use super::index_reader::IndexReader;
use super::model_options::{self, Discriminator, Idempotency};
use super::names::{self, valid};
use super::place::{KeyRole, Place};
use super::protection::{self, Protection};
use super::schema::Model;
use super::stored_form::Compat;
use super::template::{Source, Template};
use super::tenancy::{self, Tenancy};
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
        "indexes",
        "discriminator",
        "idempotency",
        "kms_cache",
        "protect",
        "allow_unsealed",
        "tenant",
    ],
    later: &[],
};

/// Reads one document. Returns `None` if it is not a map.
pub(super) fn read(document: &Cursor<'_>, report: &mut Report) -> Option<Parsed> {
    let faults_before = report.count();
    let fields = document.fields(&MODEL, report)?;
    let name = fields.require("name", report);
    let name = name.and_then(|at| valid(at, names::model, report));
    let table = fields.require("table", report);
    let table = table.and_then(|at| valid(at, names::table, report));
    let partition_key = fields.require("partition_key", report);
    let partition_key = partition_key.and_then(|at| at.text(report));
    let sort_key = fields.get("sort_key").and_then(|at| at.text(report));
    let options = Options::read(&fields, report);
    let reader = Reader {
        compat: options.compat,
    };
    let mut declared = attributes(&fields, partition_key, sort_key, reader, report);
    check_single(&declared, report);
    let is_key = |name: &str| Some(name) == partition_key || Some(name) == sort_key;
    let implied = bind_discriminator(&fields, &options, &mut declared, &is_key, report);
    let indexes = IndexReader {
        declared: &declared,
        partition_key,
        sort_key,
    };
    let indexes = indexes.read(&fields, report);
    let line = |key: &str| fields.get(key).map_or(document.line(), Cursor::line);
    let lines = lines(&line, &indexes);
    let attributes: Vec<Attribute> = declared
        .iter()
        .filter_map(|declared| declared.attribute.clone())
        .chain(implied)
        .collect();
    let protection = protection_of(&fields, &attributes, report);
    let encrypted = (attributes.as_slice(), protection.as_ref());
    check_tenancy(&fields, &options, partition_key, encrypted, report);
    let keys = kinds_of(&declared, [partition_key, sort_key]);
    let keeps = options.unknown_attributes == UnknownAttributes::Keep;
    let known_table = table.clone().zip(keys).map(|(name, keys)| Table {
        name,
        keys,
        line: line("partition_key"),
        declared,
        keep_line: keeps.then(|| line("unknown_attributes")),
    });
    let identity = name.clone().zip(table).zip(partition_key.map(str::to_owned));
    let model = identity.map(|((name, table), partition_key)| Model {
        name,
        table,
        partition_key,
        sort_key: sort_key.map(str::to_owned),
        attributes,
        indexes: indexes.into_iter().map(|(index, _)| index).collect(),
        discriminator: options.discriminator,
        unknown_attributes: options.unknown_attributes,
        compat: options.compat,
        idempotency: options.idempotency,
        protection,
        kms_cache: options.kms_cache,
        tenancy: options.tenancy,
        sealed_by_others: Vec::new(),
        withholds_undeclared: false,
    });
    check_idempotency(&fields, model.as_ref(), report);
    Some(Parsed {
        model: model.filter(|_| report.count() == faults_before),
        name: name.map(|name| (name, line("name"))),
        table: known_table,
        lines,
    })
}

fn lines(line: &dyn Fn(&str) -> usize, indexes: &[(Index, usize)]) -> Lines {
    Lines {
        keys: line("partition_key"),
        indexes: indexes.iter().map(|(_, line)| *line).collect(),
        discriminator: line("discriminator"),
        idempotency: line("idempotency"),
        protect: line("protect"),
        tenant: line("tenant"),
    }
}

/// The options that need no attributes.
struct Options {
    unknown_attributes: UnknownAttributes,
    compat: Compat,
    discriminator: Option<Discriminator>,
    idempotency: Option<Idempotency>,
    kms_cache: bool,
    tenancy: Option<Tenancy>,
}

impl Options {
    fn read(fields: &Fields<'_>, report: &mut Report) -> Options {
        Options {
            unknown_attributes: fields
                .get("unknown_attributes")
                .and_then(|at| at.choice(UnknownAttributes::CHOICES, report))
                .unwrap_or_default(),
            compat: fields
                .get("compat")
                .and_then(|at| at.choice(Compat::CHOICES, report))
                .unwrap_or_default(),
            discriminator: fields
                .get("discriminator")
                .and_then(|at| model_options::discriminator(at, report)),
            idempotency: fields
                .get("idempotency")
                .and_then(|at| model_options::idempotency(at, report)),
            kms_cache: fields
                .get("kms_cache")
                .and_then(|at| at.choice(&[("on", true), ("off", false)], report))
                .unwrap_or(true),
            tenancy: fields.get("tenant").and_then(|at| tenancy::tenancy(at, report)),
        }
    }
}

/// Reports what a model of tenants must not have, and keys of tenants in another model.
fn check_tenancy(
    fields: &Fields<'_>,
    options: &Options,
    partition_key: Option<&str>,
    (attributes, protection): (&[Attribute], Option<&Protection>),
    report: &mut Report,
) {
    match (fields.get("tenant"), &options.tenancy) {
        (Some(at), Some(tenancy)) => tenancy::check(tenancy, partition_key, attributes, at, report),
        (Some(_), None) => {}
        (None, _) => tenancy::check_no_keys(attributes, protection, fields, report),
    }
}

/// The protection of whole items, if it is declared and valid.
fn protection_of(fields: &Fields<'_>, attributes: &[Attribute], report: &mut Report) -> Option<Protection> {
    let declared = protection::declared(fields, report)?;
    protection::resolve(declared, attributes, fields.get("protect")?, report)
}

/// Reports a second attribute of the types of which a model has one.
fn check_single(declared: &[Declared], report: &mut Report) {
    for kind in [AttributeType::Ttl, AttributeType::Version] {
        let mut of_kind = declared.iter().filter(|declared| {
            let attribute = declared.attribute.as_ref();
            attribute.is_some_and(|attribute| attribute.kind == kind)
        });
        let Some(first) = of_kind.next() else { continue };
        for other in of_kind {
            let (kind, first) = (kind.as_str(), &first.name);
            let text = format!("a model has one {kind} attribute, which is `{first}`");
            report.add_at(other.line, &other.path, text);
        }
    }
}

/// Gives the discriminator's attribute its value. Returns the attribute if the model does not declare it.
fn bind_discriminator(
    fields: &Fields<'_>,
    options: &Options,
    declared: &mut [Declared],
    is_key: &dyn Fn(&str) -> bool,
    report: &mut Report,
) -> Option<Attribute> {
    let (at, discriminator) = (fields.get("discriminator")?, options.discriminator.as_ref()?);
    let name = &discriminator.attribute;
    if declared
        .iter()
        .any(|declared| declared.name != *name && declared.stored_name() == name)
    {
        report.add(at, format!("`{name}` is the alias of another attribute"));
    }
    let Some(found) = declared.iter_mut().find(|declared| declared.name == *name) else {
        return Some(discriminator.implied());
    };
    let attribute = found.attribute.as_mut()?;
    match model_options::discriminator_fault(attribute, is_key(name)) {
        Some(fault) => report.add(at, format!("the attribute `{name}` {fault}")),
        None => discriminator.bind(attribute),
    }
    None
}

/// Reports `idempotency: item` of a model whose key the server generates: a repeat would create another item.
fn check_idempotency(fields: &Fields<'_>, model: Option<&Model>, report: &mut Report) {
    let (Some(at), Some(model)) = (fields.get("idempotency"), model) else {
        return;
    };
    if model.idempotency != Some(Idempotency::Item) {
        return;
    }
    let is_generated = |name: &str| model.attribute(name).is_some_and(|part| part.generate.is_some());
    let generated = model.key_names().find(|key| {
        let template = model.attribute(key).and_then(|key| key.template.as_ref());
        let parts = template.into_iter().flat_map(Template::parts);
        is_generated(key) || parts.into_iter().any(|part| is_generated(part.attribute()))
    });
    if let Some(key) = generated {
        let text = format!("`item` requires keys that the caller gives: `{key}` has a generated part");
        report.add(at, text);
    }
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
    let parts: Vec<Source<'_>> = attributes.iter().map(Attribute::as_part).collect();
    for ((_, at), declared) in entries.iter().zip(all) {
        let template = declared
            .attribute
            .as_mut()
            .and_then(|attribute| attribute.template.as_mut());
        for fault in template
            .map(|template| template.resolve(&parts))
            .unwrap_or_default()
        {
            report.add(at, format!("`template`: {fault}"));
        }
    }
}

/// The stored names and types of keys, if all are valid.
fn kinds_of(declared: &[Declared], keys: [Option<&str>; 2]) -> Option<Vec<(String, AttributeType)>> {
    let keys = keys.into_iter().flatten();
    keys.map(|key| kind_of(declared, key)).collect()
}

fn kind_of(declared: &[Declared], name: &str) -> Option<(String, AttributeType)> {
    let declared = declared.iter().find(|declared| declared.name == name)?;
    Some((
        declared.stored_name().to_owned(),
        declared.attribute.as_ref()?.kind,
    ))
}
