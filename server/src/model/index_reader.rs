//! Reads the secondary indexes of a model, and checks them against its attributes and DynamoDB's limits.

use std::collections::{BTreeMap, BTreeSet};

use super::attribute::Attribute;
use super::attribute_type::AttributeType;
use super::declared::Declared;
use super::index::{Index, Projection};
use super::limits::{MAX_INDEX_KEY_ATTRIBUTES, MAX_KEY_NAME_BYTES, MAX_PROJECTED_NAMES};
use super::literal;
use super::names;
use super::value::Value;
use crate::yaml::{Cursor, Fields, Keys, Report, View, did_you_mean};

/// The keys of an index.
pub(super) const INDEX: Keys = Keys {
    known: &["name", "local", "partition_key", "sort_key", "projection", "when"],
    later: &[],
};

/// Maximum number of values of one attribute in `when`.
const MAX_VALUES: usize = 100;

/// Reads the indexes of one model.
pub(super) struct IndexReader<'a> {
    /// The attributes, including those with faults.
    pub(super) declared: &'a [Declared],
    /// The table's partition key.
    pub(super) partition_key: Option<&'a str>,
    /// The table's sort key.
    pub(super) sort_key: Option<&'a str>,
}

impl IndexReader<'_> {
    /// Reads all indexes of a model, each with its line.
    pub(super) fn read(&self, model: &Fields<'_>, report: &mut Report) -> Vec<(Index, usize)> {
        let entries = model.get("indexes").and_then(|at| at.entries(report));
        let entries = entries.unwrap_or_default();
        entries
            .iter()
            .filter_map(|(name, at)| Some((self.index(name, at, report)?, at.line())))
            .collect()
    }

    fn index(&self, name: &str, at: &Cursor<'_>, report: &mut Report) -> Option<Index> {
        let fields = at.fields(&INDEX, report)?;
        let stored_name = match fields.get("name") {
            Some(at) => names::valid(at, names::table, report)?,
            None => name.to_owned(),
        };
        if let (None, Err(fault)) = (fields.get("name"), names::table(name)) {
            report.add(at, fault);
        } else if name.is_empty() || name.len() > MAX_KEY_NAME_BYTES {
            report.add(at, "an index's name must be 1 to 255 bytes");
        }
        let local = fields
            .get("local")
            .and_then(|at| at.boolean(report))
            .unwrap_or_default();
        let partition = match local {
            true => self.local_partition(&fields, report),
            false => fields
                .require("partition_key", report)
                .map(|at| self.key(at, report))
                .unwrap_or_default(),
        };
        let sort = fields
            .get("sort_key")
            .map(|at| self.key(at, report))
            .unwrap_or_default();
        self.check_keys(&fields, local, &partition, &sort, report);
        let keys: BTreeSet<&str> = partition
            .iter()
            .chain(&sort)
            .map(String::as_str)
            .chain(self.partition_key)
            .chain(self.sort_key)
            .collect();
        let projection = fields
            .get("projection")
            .map(|at| projection(at, &keys, report))
            .unwrap_or_default();
        if let (Some(at), Projection::KeysOnly, false) = (fields.get("projection"), &projection, local) {
            self.check_expiry(at, &keys, report);
        }
        let when = fields
            .get("when")
            .map(|at| self.when(at, report))
            .unwrap_or_default();
        if let (Some(at), false) = (
            fields.get("when"),
            keys.iter()
                .any(|key| self.attribute(key).is_some_and(|key| key.template.is_some())),
        ) {
            report.add(at, "applies only to an index whose keys have a `template`");
        }
        Some(Index {
            name: name.to_owned(),
            stored_name,
            local,
            partition,
            sort,
            projection,
            when,
        })
    }

    /// The partition key of a local index: the table's.
    fn local_partition(&self, fields: &Fields<'_>, report: &mut Report) -> Vec<String> {
        if let Some(at) = fields.get("partition_key")
            && at.text(report).is_some_and(|key| Some(key) != self.partition_key)
        {
            report.add(
                at,
                "must be the table's partition key, or left out: the index is local",
            );
        }
        self.partition_key.map(str::to_owned).into_iter().collect()
    }

    /// Reads the attributes of a key: a name, or a list of names.
    fn key(&self, at: &Cursor<'_>, report: &mut Report) -> Vec<String> {
        let parts = match at.view(report) {
            Some(View::List(items)) => items,
            Some(View::Text(_)) => vec![at.clone()],
            Some(other) => {
                at.expected::<()>("a name or a list of names", &other, report);
                return Vec::new();
            }
            None => return Vec::new(),
        };
        if !(1..=MAX_INDEX_KEY_ATTRIBUTES).contains(&parts.len()) {
            report.add(
                at,
                format!("must have 1 to {MAX_INDEX_KEY_ATTRIBUTES} attributes"),
            );
        }
        let mut key = Vec::with_capacity(parts.len());
        for part in &parts {
            let Some(name) = part.text(report) else { continue };
            let Some(declared) = self.declared.iter().find(|declared| declared.name == name) else {
                report.add(part, self.not_declared(name));
                continue;
            };
            if let Some(fault) = declared.attribute.as_ref().and_then(key_fault) {
                report.add(part, fault);
            }
            key.push(name.to_owned());
        }
        key
    }

    fn check_keys(
        &self,
        fields: &Fields<'_>,
        local: bool,
        partition: &[String],
        sort: &[String],
        report: &mut Report,
    ) {
        let mut seen = BTreeSet::new();
        if let Some(twice) = partition.iter().chain(sort).find(|name| !seen.insert(*name)) {
            report.add(
                fields.at(),
                format!("has the attribute `{twice}` twice in its keys"),
            );
        }
        if !local {
            return;
        }
        if self.sort_key.is_none() {
            report.add(
                fields.at(),
                "a local index requires a table with a sort key: use a global index",
            );
        }
        match (fields.require("sort_key", report), sort) {
            (Some(at), [_, _, ..]) => report.add(at, "a local index has one sort key attribute"),
            (Some(at), [name]) if Some(name.as_str()) == self.sort_key => {
                report.add(at, "must differ from the table's sort key");
            }
            _ => {}
        }
    }

    /// A global index of keys alone would not show which items have expired.
    fn check_expiry(&self, at: &Cursor<'_>, keys: &BTreeSet<&str>, report: &mut Report) {
        let attributes = self
            .declared
            .iter()
            .filter_map(|declared| declared.attribute.as_ref());
        let hiding = attributes
            .filter(|attribute| attribute.hide_expired)
            .find(|attribute| !keys.contains(attribute.name.as_str()));
        if let Some(ttl) = hiding {
            let name = &ttl.name;
            report.add(
                at,
                format!("lacks `{name}`, by which expired items are hidden: use `projection: [{name}]`"),
            );
        }
    }

    /// Reads the values of attributes with which the index's keys are built.
    fn when(&self, at: &Cursor<'_>, report: &mut Report) -> BTreeMap<String, Vec<Value>> {
        use AttributeType::{Boolean, Number, String};
        let mut when = BTreeMap::new();
        for (name, at) in at.entries(report).unwrap_or_default() {
            let Some(declared) = self.declared.iter().find(|declared| declared.name == name) else {
                report.add(&at, self.not_declared(name));
                continue;
            };
            let Some(attribute) = &declared.attribute else {
                continue;
            };
            if !matches!(attribute.kind, String | Number | Boolean)
                || attribute.encrypted.is_some()
                || attribute.compressed.is_some()
                || attribute.offloads_values()
            {
                report.add(
                    &at,
                    "must be a string, number or boolean, neither encrypted nor compressed nor in S3",
                );
                continue;
            }
            let values = values(&at, attribute, report);
            when.insert(name.to_owned(), values);
        }
        when
    }

    fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.declared
            .iter()
            .find(|declared| declared.name == name)?
            .attribute
            .as_ref()
    }

    fn not_declared(&self, name: &str) -> String {
        let names = self.declared.iter().map(|declared| declared.name.as_str());
        format!("is not an attribute of this model{}", did_you_mean(name, names))
    }
}

/// Why an attribute cannot be in the key of an index.
fn key_fault(attribute: &Attribute) -> Option<String> {
    use AttributeType::{Binary, Datetime, Number, String, Ttl};
    if attribute.encrypted.is_some() {
        return Some("is encrypted: an index key cannot be".to_owned());
    }
    if attribute.compressed.is_some() {
        return Some("is compressed: an index key cannot be".to_owned());
    }
    if attribute.offloads_values() {
        return Some("is in S3 above a size: an index key cannot be".to_owned());
    }
    if !matches!(attribute.kind, String | Number | Binary | Datetime | Ttl) {
        let kind = attribute.kind.as_str();
        return Some(format!(
            "must be string, number, binary, datetime or ttl, not {kind}"
        ));
    }
    names::attribute(&attribute.stored_name, true)
        .err()
        .map(str::to_owned)
}

fn values(at: &Cursor<'_>, attribute: &Attribute, report: &mut Report) -> Vec<Value> {
    let items = at.items(report).unwrap_or_default();
    if !(1..=MAX_VALUES).contains(&items.len()) {
        report.add(at, format!("must list 1 to {MAX_VALUES} values"));
    }
    let mut values = Vec::with_capacity(items.len());
    for item in items {
        let Some(value) = literal::value(&item, attribute.kind, report) else {
            continue;
        };
        for text in attribute.checks.violations(&value) {
            report.add(&item, text);
        }
        values.push(value);
    }
    values
}

/// Reads `all`, `keys_only` or a list of names. Names that the model does not declare are checked with the other models
/// of the table.
fn projection(at: &Cursor<'_>, keys: &BTreeSet<&str>, report: &mut Report) -> Projection {
    let items = match at.view(report) {
        Some(View::Text("all")) => return Projection::All,
        Some(View::Text("keys_only")) => return Projection::KeysOnly,
        Some(View::List(items)) => items,
        Some(_) => {
            report.add(at, "must be all, keys_only or a list of attributes");
            return Projection::All;
        }
        None => return Projection::All,
    };
    if !(1..=MAX_PROJECTED_NAMES).contains(&items.len()) {
        report.add(
            at,
            format!("must list 1 to {MAX_PROJECTED_NAMES} attributes, or be keys_only"),
        );
    }
    let mut included: Vec<String> = Vec::with_capacity(items.len());
    for item in &items {
        let Some(name) = item.text(report) else { continue };
        if keys.contains(name) {
            report.add(item, "is a key, which every index contains");
        } else if included.iter().any(|other| other == name) {
            report.add(item, "is a duplicate");
        } else {
            included.push(name.to_owned());
        }
    }
    Projection::Include(included)
}
