//! Compares the models being served with those of a reload, and decides which changes require a restart. Pure: loads and
//! replaces nothing.

use std::fmt;
use std::sync::Arc;

use super::attribute::Attribute;
use super::attribute_type::AttributeType;
use super::checks::Checks;
use super::models::Models;
use super::number::Number;
use super::offload::Offload;
use super::schema::Model;
use super::value::Value;

/// What a reload would change.
#[derive(Debug, Default)]
pub struct Changes {
    /// Models that are not served yet.
    pub added: Vec<Arc<Model>>,
    /// Changes that are safe while calls are in flight, including added models.
    pub safe: Vec<Change>,
    /// Changes that require a restart, because stored items, tables or keys depend on them.
    pub refused: Vec<Change>,
}

/// One difference. Its text says which option changed and what to do. It never contains a value of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The model's name.
    pub model: String,
    /// The attribute or option, and how it changed.
    pub text: String,
}

impl Changes {
    /// Compares the models being served with others.
    pub fn between(served: &Models, read: &Models) -> Changes {
        let mut changes = Changes::default();
        for old in served.iter() {
            let mut comparison = Comparison::new(&old.name, &mut changes);
            match read.get(&old.name) {
                Some(new) => comparison.model(old, new),
                None => {
                    comparison
                        .refuse("the model was removed, but callers may still use it: restart to apply");
                }
            }
        }
        for new in read.iter().filter(|new| served.get(&new.name).is_none()) {
            let text = format!("the model was added, on the table {}", new.table);
            Comparison::new(&new.name, &mut changes).accept(text);
            changes.added.push(Arc::clone(new));
        }
        changes
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.model, self.text)
    }
}

/// One model being compared.
struct Comparison<'a> {
    name: &'a str,
    changes: &'a mut Changes,
}

impl<'a> Comparison<'a> {
    fn new(name: &'a str, changes: &'a mut Changes) -> Comparison<'a> {
        Comparison { name, changes }
    }

    fn accept(&mut self, text: impl Into<String>) {
        let change = Change {
            model: self.name.to_owned(),
            text: text.into(),
        };
        self.changes.safe.push(change);
    }

    fn refuse(&mut self, text: impl Into<String>) {
        let change = Change {
            model: self.name.to_owned(),
            text: text.into(),
        };
        self.changes.refused.push(change);
    }

    /// Lists every field, so that adding one requires deciding whether a reload may change it.
    fn model(&mut self, old: &Model, new: &Model) {
        let Model {
            name: _,
            table,
            partition_key,
            sort_key,
            attributes,
            indexes,
            discriminator,
            unknown_attributes,
            compat,
            idempotency,
            protection,
            kms_cache,
            tenancy,
            // derived from the other models of the table
            sealed_by_others: _,
            // a view of one caller
            withholds_undeclared: _,
        } = old;
        if *table != new.table {
            let text = format!("`table` changed from {table} to {}: restart to apply", new.table);
            self.refuse(text);
        }
        for (option, before, after) in [
            ("partition_key", Some(partition_key), Some(&new.partition_key)),
            ("sort_key", sort_key.as_ref(), new.sort_key.as_ref()),
        ] {
            if before != after {
                let (before, after) = (shown(before), shown(after));
                self.refuse(format!(
                    "`{option}` changed from {before} to {after}: items are stored by it; restart to apply"
                ));
            }
        }
        if *unknown_attributes != new.unknown_attributes {
            let (before, after) = (unknown_attributes.as_str(), new.unknown_attributes.as_str());
            self.accept(format!("`unknown_attributes` changed from {before} to {after}"));
        }
        if *kms_cache != new.kms_cache {
            let shown = |on: bool| if on { "on" } else { "off" };
            let (before, after) = (shown(*kms_cache), shown(new.kms_cache));
            self.accept(format!("`kms_cache` changed from {before} to {after}"));
        }
        for (option, is_changed) in [
            ("indexes", *indexes != new.indexes),
            ("discriminator", *discriminator != new.discriminator),
            ("compat", *compat != new.compat),
            ("idempotency", *idempotency != new.idempotency),
            ("protect", *protection != new.protection),
            ("tenant", *tenancy != new.tenancy),
        ] {
            if is_changed {
                self.refuse(format!(
                    "`{option}` changed: tables and stored items depend on it; restart to apply"
                ));
            }
        }
        let is_key = |name: &str| {
            old.is_key(name)
                || old
                    .indexes
                    .iter()
                    .any(|index| index.key_names().any(|key| key == name))
        };
        self.attributes("", attributes, &new.attributes, &is_key);
    }

    /// Compares the attributes of the model, or those inside the attribute whose name, with a dot, is `prefix`.
    fn attributes(
        &mut self,
        prefix: &str,
        old: &[Attribute],
        new: &[Attribute],
        is_key: &dyn Fn(&str) -> bool,
    ) {
        for attribute in old {
            let name = format!("{prefix}{}", attribute.name);
            match named(new, &attribute.name) {
                Some(other) => self.attribute(&name, attribute, other, is_key(&name)),
                None => self.refuse(format!(
                    "attribute `{name}` was removed: stored items may have it; restart to apply"
                )),
            }
        }
        for attribute in new
            .iter()
            .filter(|attribute| named(old, &attribute.name).is_none())
        {
            self.added(&format!("{prefix}{}", attribute.name), attribute);
        }
    }

    fn added(&mut self, name: &str, attribute: &Attribute) {
        let needs = match attribute {
            Attribute {
                encrypted: Some(_), ..
            } => "it is encrypted",
            Attribute { s3: Some(_), .. } => "it is kept in S3",
            Attribute {
                compressed: Some(_), ..
            } => "it is compressed",
            Attribute {
                kind: AttributeType::Ttl,
                ..
            } => "items expire by it",
            Attribute {
                kind: AttributeType::Version,
                ..
            } => "items are locked by it",
            _ => return self.accept(format!("attribute `{name}` was added")),
        };
        self.refuse(format!(
            "attribute `{name}` was added, but {needs}: stored items may have another value for it; \
             restart to apply"
        ));
    }

    fn attribute(&mut self, name: &str, old: &Attribute, new: &Attribute, is_key: bool) {
        if old.kind != new.kind {
            let (before, after) = (old.kind.as_str(), new.kind.as_str());
            self.refuse(format!(
                "attribute `{name}`: `type` changed from {before} to {after}: items are stored with it; \
                 restart to apply"
            ));
            return;
        }
        self.stored_options(name, old, new);
        self.value_options(name, old, new, is_key);
        self.checks(name, &old.checks, &new.checks);
        self.attributes(&format!("{name}."), &old.attributes, &new.attributes, &|_| false);
        let member = format!("{name}[]");
        match (&old.items, &new.items) {
            (Some(old), Some(new)) => self.attribute(&member, old, new, false),
            (None, None) => {}
            (None, Some(_)) | (Some(_), None) => self.option(name, "items", "was added or removed"),
        }
    }

    /// The options that stored items depend on, which require a restart.
    fn stored_options(&mut self, name: &str, old: &Attribute, new: &Attribute) {
        for (option, is_changed, depends) in [
            ("alias", old.stored_name != new.stored_name, "stored items depend"),
            ("template", old.template != new.template, "stored keys depend"),
            (
                "encrypted",
                old.encrypted != new.encrypted,
                "stored values depend",
            ),
            (
                "compressed",
                old.compressed.is_some() != new.compressed.is_some(),
                "stored values depend",
            ),
            ("s3", objects_of(old) != objects_of(new), "stored objects depend"),
            (
                "set_encoding",
                old.set_encoding != new.set_encoding,
                "stored values depend",
            ),
            (
                "store",
                old.datetime_store != new.datetime_store,
                "stored values depend",
            ),
        ] {
            if is_changed {
                self.refuse(format!(
                    "attribute `{name}`: `{option}` changed: {depends} on it; restart to apply"
                ));
            }
        }
    }

    /// The options that concern only further calls. Lists every field, so that adding one requires deciding whether a
    /// reload may change it.
    fn value_options(&mut self, name: &str, old: &Attribute, new: &Attribute, is_key: bool) {
        // add-a-model-option: decide whether a reload may change it
        let Attribute {
            name: _,
            stored_name: _,
            kind: _,
            required,
            default,
            generate,
            template: _,
            hidden,
            checks: _,
            encrypted: _,
            compressed,
            s3,
            attributes: _,
            items: _,
            nested_unknown,
            set_encoding: _,
            null_sets_repair,
            hide_expired,
            datetime_store: _,
            // refused for the whole model
            compat: _,
            // a view of one caller
            withheld: _,
        } = old;
        for (option, is_changed) in [
            ("default", *default != new.default),
            ("generate", *generate != new.generate),
            ("s3", *s3 != new.s3 && objects_of(old) == objects_of(new)),
        ] {
            match is_changed {
                true if is_key => self.refuse(format!(
                    "attribute `{name}`: `{option}` of a key changed: items are found by it; restart to apply"
                )),
                true => self.option(name, option, "changed"),
                false => {}
            }
        }
        if *required != new.required {
            self.option(name, "required", &from_to(required, new.required));
        }
        let is_compressed = compressed.is_some() && new.compressed.is_some();
        for (option, is_changed) in [
            ("hidden", *hidden != new.hidden),
            ("compressed", is_compressed && *compressed != new.compressed),
            ("unknown_attributes", *nested_unknown != new.nested_unknown),
            ("null_sets", *null_sets_repair != new.null_sets_repair),
            ("hide_expired", *hide_expired != new.hide_expired),
        ] {
            if is_changed {
                self.option(name, option, "changed");
            }
        }
    }

    fn checks(&mut self, name: &str, old: &Checks, new: &Checks) {
        let Checks {
            min,
            max,
            min_length,
            max_length,
            pattern: _,
            one_of,
        } = old;
        for (option, before, after) in [("min", min, &new.min), ("max", max, &new.max)] {
            if before != after {
                let text = |number: &Option<Number>| number.as_ref().map(|number| number.as_str().to_owned());
                self.option(name, option, &from_to(shown(text(before)), shown(text(after))));
            }
        }
        for (option, before, after) in [
            ("min_length", min_length, new.min_length),
            ("max_length", max_length, new.max_length),
        ] {
            if *before != after {
                self.option(name, option, &from_to(shown(*before), shown(after)));
            }
        }
        if old.pattern_text() != new.pattern_text() {
            self.option(name, "pattern", "changed");
        }
        if !same_members(one_of, &new.one_of) {
            self.option(name, "enum", "changed");
        }
    }

    fn option(&mut self, name: &str, option: &str, how: &str) {
        self.accept(format!("attribute `{name}`: `{option}` {how}"));
    }
}

fn named<'a>(attributes: &'a [Attribute], name: &str) -> Option<&'a Attribute> {
    attributes.iter().find(|attribute| attribute.name == name)
}

fn from_to(before: impl fmt::Display, after: impl fmt::Display) -> String {
    format!("changed from {before} to {after}")
}

fn shown(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

/// Compares two enums regardless of order.
fn same_members(left: &[Value], right: &[Value]) -> bool {
    left.len() == right.len() && left.iter().all(|value| right.contains(value))
}
/// The options that say where objects are, without those that limit new ones.
fn objects_of(attribute: &Attribute) -> Option<Offload> {
    attribute.s3.clone().map(|offload| Offload {
        max_bytes: None,
        content_types: Vec::new(),
        ..offload
    })
}
