//! Checks that models of the same table agree on its indexes and on how their items are distinguished: the stored keys,
//! types and projections of indexes, the discriminator, the types of attributes that DynamoDB or every writer reads, and
//! that templates do not produce keys of another model's items.

use std::collections::{BTreeMap, BTreeSet};

use super::attribute::Attribute;
use super::attribute_type::AttributeType;
use super::declared::{Lines, Parsed};
use super::index::{Index, Projection};
use super::limits::{MAX_GLOBAL_INDEXES, MAX_LOCAL_INDEXES, MAX_PROJECTED_ATTRIBUTES};
use super::model_options::Idempotency;
use super::overlap::overlap;
use super::schema::Model;
use crate::yaml::Report;

/// A model without faults, with its place.
struct Member<'a> {
    model: &'a Model,
    parsed: &'a Parsed,
    /// The index of the report of its file.
    report: usize,
    file: String,
}

/// Reports where models of the same table disagree. Each model comes with the index of the report of its file.
pub(super) fn check(parsed: &[(usize, Parsed)], reports: &mut [Report]) {
    let mut tables: BTreeMap<&str, Vec<Member<'_>>> = BTreeMap::new();
    for (report, parsed) in parsed {
        if let Some(model) = &parsed.model {
            let file = reports[*report].file().to_owned();
            tables.entry(&model.table).or_default().push(Member {
                model,
                parsed,
                report: *report,
                file,
            });
        }
    }
    check_marker_tables(&tables, reports);
    for members in tables.values() {
        check_indexes(members, reports);
        check_key_types(members, reports);
        check_limits(members, reports);
        check_projected_names(members, reports);
        check_attributes(members, reports);
        check_discriminators(members, reports);
        check_ownership(members, reports);
        check_templates(members, reports);
        check_protection(members, reports);
        check_tenancy(members, reports);
    }
}

/// A table that remembers request ids holds no items of models.
fn check_marker_tables(tables: &BTreeMap<&str, Vec<Member<'_>>>, reports: &mut [Report]) {
    for member in tables.values().flatten() {
        let Some(Idempotency::Table(name)) = &member.model.idempotency else {
            continue;
        };
        if let Some(owner) = tables.get(name.as_str()).and_then(|members| members.first()) {
            let text = format!(
                "must be a table for this purpose alone: {} has its items there",
                owner.place(owner.parsed.lines.keys)
            );
            member.add(
                member.parsed.lines.idempotency,
                "idempotency.table",
                text,
                reports,
            );
        }
    }
}

impl Member<'_> {
    fn place(&self, line: usize) -> String {
        self.parsed.place(&self.file, line)
    }

    fn index_line(&self, index: usize) -> usize {
        self.parsed.lines.indexes.get(index).copied().unwrap_or_default()
    }

    fn add(&self, line: usize, path: impl Into<String>, text: String, reports: &mut [Report]) {
        reports[self.report].add_at(line, path, text);
    }
}

/// Every index of the members, with the line where it is declared.
fn indexes<'a>(members: &'a [Member<'a>]) -> impl Iterator<Item = (&'a Member<'a>, &'a Index, usize)> {
    members.iter().flat_map(|member| {
        let indexes = member.model.indexes.iter().enumerate();
        indexes.map(move |(number, index)| (member, index, member.index_line(number)))
    })
}

/// Indexes with the same stored name are the same index.
fn check_indexes(members: &[Member<'_>], reports: &mut [Report]) {
    let mut first: BTreeMap<&str, (&Member<'_>, &Index, usize)> = BTreeMap::new();
    for (member, index, line) in indexes(members) {
        let (owner, other, other_line) = *first.entry(&index.stored_name).or_insert((member, index, line));
        if std::ptr::eq(index, other) {
            continue;
        }
        let option = if index.local != other.local {
            "local"
        } else if stored_names(member.model, &index.partition) != stored_names(owner.model, &other.partition)
        {
            "partition_key"
        } else if stored_names(member.model, &index.sort) != stored_names(owner.model, &other.sort) {
            "sort_key"
        } else if projected(member.model, index) != projected(owner.model, other) {
            "projection"
        } else {
            continue;
        };
        let path = format!("indexes.{}.{option}", index.name);
        let text = format!(
            "must be the same as in the index {} of {}: both are stored as `{}`",
            other.name,
            owner.place(other_line),
            index.stored_name
        );
        member.add(line, path, text, reports);
    }
}

fn stored_names<'a>(model: &'a Model, names: &'a [String]) -> Vec<&'a str> {
    names.iter().map(|name| model.stored_name(name)).collect()
}

/// The kind of projection, and the stored names that it lists.
fn projected<'a>(model: &'a Model, index: &'a Index) -> (u8, BTreeSet<&'a str>) {
    match &index.projection {
        Projection::All => (0, BTreeSet::new()),
        Projection::KeysOnly => (1, BTreeSet::new()),
        Projection::Include(names) => (2, names.iter().map(|name| model.stored_name(name)).collect()),
    }
}

/// An attribute has one type in all keys of a table and its indexes.
fn check_key_types(members: &[Member<'_>], reports: &mut [Report]) {
    let mut first: BTreeMap<&str, (&'static str, String)> = BTreeMap::new();
    for member in members {
        for name in member.model.key_names() {
            if let Some(key) = member.model.attribute(name) {
                let place = member.place(member.parsed.lines.keys);
                first.entry(&key.stored_name).or_insert((key.key_type(), place));
            }
        }
    }
    for (member, index, line) in indexes(members) {
        for key in index.key_names().filter_map(|name| member.model.attribute(name)) {
            let here = (key.key_type(), member.place(line));
            let (kind, place) = first.entry(&key.stored_name).or_insert_with(|| here.clone());
            if *kind != here.0 {
                let text = format!(
                    "the key `{}` is stored as {}, but as {kind} by {place}, which uses the same table",
                    key.name, here.0
                );
                member.add(line, format!("indexes.{}", index.name), text, reports);
            }
        }
    }
}

/// DynamoDB's limits of a table's indexes.
fn check_limits(members: &[Member<'_>], reports: &mut [Report]) {
    let mut seen = BTreeSet::new();
    let (mut global, mut local, mut names) = (0, 0, 0);
    for (member, index, line) in indexes(members) {
        if !seen.insert(index.stored_name.as_str()) {
            continue;
        }
        match index.local {
            true => local += 1,
            false => global += 1,
        }
        if let Projection::Include(included) = &index.projection {
            names += included.len();
        }
        let exceeded = if !index.local && global == MAX_GLOBAL_INDEXES + 1 {
            format!("a table has at most {MAX_GLOBAL_INDEXES} global indexes")
        } else if index.local && local == MAX_LOCAL_INDEXES + 1 {
            format!("a table has at most {MAX_LOCAL_INDEXES} local indexes")
        } else if names > MAX_PROJECTED_ATTRIBUTES {
            names = 0;
            format!("the indexes of a table list at most {MAX_PROJECTED_ATTRIBUTES} projected attributes")
        } else {
            continue;
        };
        member.add(line, format!("indexes.{}", index.name), exceeded, reports);
    }
}

/// What a projection lists is an attribute of the model, or of another one of the table.
fn check_projected_names(members: &[Member<'_>], reports: &mut [Report]) {
    let stored: BTreeSet<&str> = members
        .iter()
        .flat_map(|member| &member.model.attributes)
        .map(|attribute| attribute.stored_name.as_str())
        .collect();
    for (member, index, line) in indexes(members) {
        let Projection::Include(names) = &index.projection else {
            continue;
        };
        for name in names {
            if member.model.attribute(name).is_none() && !stored.contains(name.as_str()) {
                let text = format!("`{name}` is not an attribute of a model of this table");
                let path = format!("indexes.{}.projection", index.name);
                member.add(line, path, text, reports);
            }
        }
    }
}

/// Attributes that DynamoDB or every writer reads have one type in all models, and compressed ones are compressed in all.
fn check_attributes(members: &[Member<'_>], reports: &mut [Report]) {
    use AttributeType::{Ttl, Version};
    let mut ttl: Option<(&Attribute, &Member<'_>)> = None;
    let mut first: BTreeMap<&str, (&Attribute, &Member<'_>)> = BTreeMap::new();
    for member in members {
        let declared = member.parsed.table.iter().flat_map(|table| &table.declared);
        for (attribute, at) in declared.filter_map(|at| Some((at.attribute.as_ref()?, at))) {
            let (other, owner) = *first.entry(&attribute.stored_name).or_insert((attribute, member));
            let by = || owner.place(owner.parsed.lines.keys);
            let one_is =
                |kind| attribute.kind != other.kind && (attribute.kind == kind || other.kind == kind);
            if one_is(Ttl) || one_is(Version) {
                let text = format!(
                    "must have type {}, as in {}, which uses the same table",
                    other.kind.as_str(),
                    by()
                );
                member.add(at.line, &at.path, text, reports);
            } else if attribute.compressed.is_some() != other.compressed.is_some() {
                let text = match other.compressed {
                    Some(_) => format!("must be compressed as in {}, which uses the same table", by()),
                    None => format!(
                        "must not be compressed: {} does not compress it for the same table",
                        by()
                    ),
                };
                member.add(at.line, &at.path, text, reports);
            }
            if attribute.kind != Ttl {
                continue;
            }
            let (other, owner) = *ttl.get_or_insert((attribute, member));
            if other.stored_name != attribute.stored_name {
                let text = format!(
                    "a table has one ttl attribute, which is `{}` in {}",
                    other.stored_name,
                    owner.place(owner.parsed.lines.keys)
                );
                member.add(at.line, &at.path, text, reports);
            }
        }
    }
}

/// Discriminators of one table are in the same attribute.
fn check_discriminators(members: &[Member<'_>], reports: &mut [Report]) {
    let mut first: Option<(&str, &Member<'_>)> = None;
    for member in members {
        let Some(discriminator) = &member.model.discriminator else {
            continue;
        };
        let stored = member.model.stored_name(&discriminator.attribute);
        let (other, owner) = *first.get_or_insert((stored, member));
        if other != stored {
            let text = format!(
                "must be stored as `{other}`, as in {}, which uses the same table",
                owner.place(owner.parsed.lines.discriminator)
            );
            let line = member.parsed.lines.discriminator;
            member.add(line, "discriminator.attribute", text, reports);
        }
    }
}

/// An index that several models use contains what says whose item it is: the discriminator, which `provision` adds to
/// lists, or a templated key that begins with literal text.
fn check_ownership(members: &[Member<'_>], reports: &mut [Report]) {
    let distinct: BTreeSet<&str> = members
        .iter()
        .filter_map(|member| Some(member.model.discriminator.as_ref()?.value.as_str()))
        .collect();
    if distinct.len() < 2 {
        return;
    }
    for (member, index, line) in indexes(members) {
        let model = member.model;
        let is_shown = model.discriminator.is_none() || index.projection != Projection::KeysOnly;
        let mut keys = model.key_names().chain(index.key_names());
        let is_templated = |name: &str| {
            let key = model.attribute(name).and_then(|key| key.template.as_ref());
            key.is_some_and(|template| !template.literal_prefix().is_empty())
        };
        if !is_shown && !keys.any(is_templated) {
            let text =
                "does not show whose item it is: project the discriminator, or use keys with a `template`";
            let path = format!("indexes.{}.projection", index.name);
            member.add(line, path, text.to_owned(), reports);
        }
    }
}

/// The keys of two models are never equal, unless the models are views of the same items.
fn check_templates(members: &[Member<'_>], reports: &mut [Report]) {
    for (number, member) in members.iter().enumerate() {
        for other in &members[..number] {
            if is_view(member.model, other.model) || !can_meet(member.model, other.model) {
                continue;
            }
            let line = member.parsed.lines.keys;
            let text = format!(
                "the templates can produce the keys of {}, in the same table: begin them with different text",
                other.place(other.parsed.lines.keys)
            );
            member.add(line, "partition_key", text, reports);
        }
    }
}

/// All models of a table say in the same way whose items they are: otherwise one could reach the items of another's
/// tenants.
fn check_tenancy(members: &[Member<'_>], reports: &mut [Report]) {
    let is_same = |one: &Model, other: &Model| one.tenancy == other.tenancy;
    check_agreement(members, ("tenant", |lines| lines.tenant), "", is_same, reports);
}

/// A seal that one model writes is verified by all.
fn check_protection(members: &[Member<'_>], reports: &mut [Report]) {
    let is_same = |one: &Model, other: &Model| match (&one.protection, &other.protection) {
        (Some(one), Some(other)) => one.is_like(other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    let hint = "; name the `mode` and `key_id` in both";
    check_agreement(
        members,
        ("protect", |lines| lines.protect),
        hint,
        is_same,
        reports,
    );
}

/// Reports an option that is not the same as in the first model.
fn check_agreement(
    members: &[Member<'_>],
    (option, line): (&str, fn(&Lines) -> usize),
    hint: &str,
    is_same: impl Fn(&Model, &Model) -> bool,
    reports: &mut [Report],
) {
    let Some((first, others)) = members.split_first() else {
        return;
    };
    for other in others.iter().filter(|other| !is_same(first.model, other.model)) {
        let place = first.place(line(&first.parsed.lines));
        let text = format!("must be the same as in {place}, which uses the same table{hint}");
        other.add(line(&other.parsed.lines), option, text, reports);
    }
}

/// Whether both models are of the same items: they have the same discriminator, or none and the same templates.
fn is_view(one: &Model, other: &Model) -> bool {
    let templates = |model: &Model| -> Vec<String> {
        let keys = model.key_names().filter_map(|key| model.attribute(key));
        keys.filter_map(|key| Some(key.template.as_ref()?.as_str().to_owned()))
            .collect()
    };
    match (&one.discriminator, &other.discriminator) {
        (Some(one), Some(other)) => one.value == other.value,
        (None, None) => templates(one) == templates(other),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Whether all keys of both models have templates, and each can produce a key of the other.
fn can_meet(one: &Model, other: &Model) -> bool {
    let mut keys = one
        .key_names()
        .zip(other.key_names())
        .map(|(one_key, other_key)| {
            let one = one.attribute(one_key).and_then(|key| key.template.as_ref());
            let other = other.attribute(other_key).and_then(|key| key.template.as_ref());
            one.zip(other)
        });
    keys.all(|templates| templates.is_some_and(|(one, other)| overlap(one, other)))
}
