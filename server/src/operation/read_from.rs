//! What a Query or Scan reads from: the models of a collection, and the table or one of its indexes.

use std::sync::Arc;

use super::authorize::{at, check_named};
use super::error::{Error, shorten};
use crate::expression::{Expression, ReadScope, attributes};
use crate::fault::{Faults, Path};
use crate::model::{Attribute, Index, Model, Template, UnknownAttributes};
use crate::policy::Access;

/// Models that one request names.
const MAX_MODELS: usize = 100;

/// The names in a request beside that of its model.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    /// The further models.
    pub(super) models: &'a [String],
    /// The index; empty: the table.
    pub(super) index: &'a str,
}

/// What a Query or Scan reads from.
pub(super) struct ReadFrom {
    /// The request's model, and the further ones of a collection.
    models: Vec<Arc<Model>>,
    /// What the caller may do with the fields of each.
    accesses: Vec<Access>,
    /// A model with the attributes of all.
    merged: Arc<Model>,
    /// The index; `None`: the table.
    pub(super) index: Option<Index>,
}

impl ReadFrom {
    /// Resolves the names of a request. Returns the faults of the field `models` separately.
    ///
    /// # Errors
    ///
    /// `UnknownModel` and `UnknownIndex`.
    pub(super) fn resolve(
        first: Access,
        names: Names<'_>,
        find: impl Fn(&str) -> Result<Access, Error>,
    ) -> Result<(ReadFrom, Faults), Error> {
        let Names {
            models: further,
            index,
        } = names;
        let model = Arc::clone(first.model());
        let model = &model;
        let index = match index {
            "" => None,
            name => Some(find_index(model, name)?),
        };
        // the order of an index shows the values of its keys
        for name in index.iter().flat_map(|index| index.key_names()) {
            first.check_read(name).map_err(|denied| at("index", denied))?;
        }
        let mut faults = Faults::new();
        let mut models = vec![Arc::clone(model)];
        let mut accesses = vec![first];
        if further.len() > MAX_MODELS {
            faults.push("models", format_args!("must name at most {MAX_MODELS} models"));
        }
        let root = Path::Root("models");
        for (position, name) in further.iter().take(MAX_MODELS).enumerate() {
            let access = find(name)?;
            let other = Arc::clone(access.model());
            if models.iter().any(|known| known.name == other.name) {
                continue;
            }
            match refusal(model, &other, index) {
                Some(description) => faults.push(Path::Index(&root, position), description),
                None => {
                    models.push(other);
                    accesses.push(access);
                }
            }
        }
        let merged = merged(&models);
        let from = ReadFrom {
            models,
            accesses,
            merged,
            index: index.cloned(),
        };
        Ok((from, faults))
    }

    /// Rejects an expression that names fields that the caller may not read in one of the models.
    pub(super) fn check_named(&self, expression: Option<&Expression>, path: &str) -> Result<(), Error> {
        let mut accesses = self.accesses.iter();
        accesses.try_for_each(|access| check_named(access, expression, path))
    }

    /// The attributes that the request can name: those of all its models.
    pub(super) fn model(&self) -> &Model {
        &self.merged
    }

    /// The request's model, as the caller sees it.
    pub(super) fn first(&self) -> Arc<Model> {
        Arc::clone(&self.models[0])
    }

    /// The further models of a collection.
    pub(super) fn others(&self) -> &[Arc<Model>] {
        self.models.get(1..).unwrap_or_default()
    }

    /// Whether the items of several models are read.
    pub(super) fn is_collection(&self) -> bool {
        self.models.len() > 1
    }

    /// The scope of a projection.
    pub(super) fn scope(&self) -> ReadScope<'_> {
        let index = self.index.as_ref();
        let mut needed = Vec::new();
        for model in &self.models {
            let names = model
                .deciding_names()
                .chain(model.key_names().map(|key| model.stored_name(key)));
            for name in names.filter(|name| is_in(index, model, name)) {
                if !needed.iter().any(|known| known == name) {
                    needed.push(name.to_owned());
                }
            }
        }
        ReadScope {
            model: &self.merged,
            index,
            needed,
        }
    }

    /// Whether the index contains an attribute, or the table is read.
    pub(super) fn contains(&self, name: &str) -> bool {
        let mut models = self.models.iter();
        match &self.index {
            Some(index) => models.any(|model| model.index_contains(index, name)),
            None => true,
        }
    }

    /// Whether a Query compares this attribute in its key condition.
    pub(super) fn is_key(&self, name: &str) -> bool {
        match &self.index {
            Some(index) => index.key_names().any(|key| key == name),
            None => self.merged.is_key(name),
        }
    }

    /// Reports the attributes of a filter that the index does not contain, and those that are not the same attribute in all
    /// models of a collection that declare them. DynamoDB reads attributes from the table to return them, also with a
    /// local index, but not to filter.
    pub(super) fn check_filter(&self, filter: &Expression) -> Faults {
        let mut faults = Faults::new();
        for name in attributes(filter) {
            if let Some(index) = &self.index
                && self.merged.attribute(&name).is_some()
                && !self.contains(&name)
            {
                let (name, index) = (shorten(&name), &index.name);
                let description = format!("{name:?} is not in the projection of the index {index:?}");
                faults.push("filter.text", description);
            }
            if let Some((one, other)) = self.conflict(&name) {
                let name = shorten(&name);
                let description = format!("{name:?} is not the same attribute in {one} and {other}");
                faults.push("filter.text", description);
            }
        }
        faults
    }

    /// Reports fields that are not the same attribute in all models that declare them.
    pub(super) fn check_fields(&self, attributes: &[String]) -> Faults {
        let mut faults = Faults::new();
        for name in attributes {
            if let Some((one, other)) = self.conflict(name) {
                let name = shorten(name);
                let description = format!("{name:?} is not the same attribute in {one} and {other}");
                faults.push("fields", description);
            }
        }
        faults
    }

    /// Two models that declare an attribute of this name differently.
    fn conflict(&self, name: &str) -> Option<(&str, &str)> {
        let mut declaring = self
            .models
            .iter()
            .filter_map(|model| Some((model, model.attribute(name)?)));
        let (first, attribute) = declaring.next()?;
        let (other, _) = declaring.find(|(_, other)| !are_same(attribute, other))?;
        Some((&first.name, &other.name))
    }
}

fn find_index<'m>(model: &'m Model, name: &str) -> Result<&'m Index, Error> {
    model.index(name).ok_or_else(|| Error::UnknownIndex {
        index: shorten(name),
        model: model.name.clone(),
        known: model.indexes.iter().map(|index| index.name.clone()).collect(),
    })
}

/// Why the items of another model cannot be read together with those of the first, if they cannot.
fn refusal(first: &Model, other: &Model, index: Option<&Index>) -> Option<String> {
    if other.table != first.table {
        return Some(format!("{} is not in the table of {}", other.name, first.name));
    }
    let Some(index) = index else {
        let is_same = literal(first, &first.partition_key) == literal(other, &other.partition_key);
        return (!is_same).then(|| other_partition(first, other));
    };
    let mut indexes = other.indexes.iter();
    let Some(same) = indexes.find(|candidate| candidate.stored_name == index.stored_name) else {
        return Some(format!(
            "{} has no index that is stored as {:?}",
            other.name, index.stored_name
        ));
    };
    let first_literals = index.partition.iter().map(|name| literal(first, name));
    let is_same = first_literals.eq(same.partition.iter().map(|name| literal(other, name)));
    (!is_same).then(|| other_partition(first, other))
}

fn other_partition(first: &Model, other: &Model) -> String {
    format!(
        "the partition keys of {} do not begin with the same text as those of {}",
        other.name, first.name
    )
}

/// The text with which the values of a key begin, as far as its template says.
fn literal<'m>(model: &'m Model, key: &str) -> &'m str {
    let template = model
        .attribute(key)
        .and_then(|attribute| attribute.template.as_ref());
    template.map_or("", Template::literal_prefix)
}

/// Whether a stored name is that of an attribute that the index contains.
fn is_in(index: Option<&Index>, model: &Model, stored_name: &str) -> bool {
    let Some(index) = index else { return true };
    let attribute = model.stored_attribute(stored_name);
    attribute.is_some_and(|attribute| model.index_contains(index, &attribute.name))
}

/// Whether a filter means the same stored values by both.
fn are_same(one: &Attribute, other: &Attribute) -> bool {
    one.stored_name == other.stored_name
        && one.kind == other.kind
        && one.datetime_store == other.datetime_store
        && one.set_encoding == other.set_encoding
}

/// A model with the attributes of all; where two have the same name, that of the first.
fn merged(models: &[Arc<Model>]) -> Arc<Model> {
    let Some((first, others)) = models.split_first().filter(|(_, others)| !others.is_empty()) else {
        return Arc::clone(&models[0]);
    };
    let mut merged = Model::clone(first);
    for other in others {
        for attribute in &other.attributes {
            if merged.attribute(&attribute.name).is_none() {
                merged.attributes.push(attribute.clone());
            }
        }
        if other.unknown_attributes == UnknownAttributes::Keep {
            merged.unknown_attributes = UnknownAttributes::Keep;
        }
    }
    let declared = |name: &String| merged.stored_attribute(name).is_some();
    let sealed: Vec<_> = merged
        .sealed_by_others
        .iter()
        .filter(|name| !declared(name))
        .cloned()
        .collect();
    merged.sealed_by_others = sealed;
    Arc::new(merged)
}
