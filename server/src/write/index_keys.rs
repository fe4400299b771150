//! The index keys that an update builds anew from their templates. A part that the update does not determine is read, and
//! the commit is conditional on it.

use std::collections::BTreeSet;

use crate::expression::{Effect, Update};
use crate::item::Key;
use crate::model::{Attribute, Item, Known, Model, Part, Template, TemplateError, Value};

/// The index keys that depend on the stored item.
#[derive(Clone, Debug, Default)]
pub struct IndexKeys {
    /// By the model's names.
    keys: Vec<String>,
    /// The attributes that must be read for them, by the model's names.
    read: BTreeSet<String>,
}

/// Why a key cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{attribute} {problem}")]
pub struct IndexKeyError {
    /// The part or key that is invalid.
    pub attribute: String,
    /// What would be right; never a value.
    pub problem: String,
}

/// What is known of an item after an update.
pub(super) struct Updated<'a> {
    model: &'a Model,
    update: &'a Update,
    /// What the item's key says of it, by the model's names.
    fixed: Item,
    /// The texts of the parts that the item's key has in another form than the item, such as lower case.
    texts: Vec<(Part, Value)>,
    /// The values of attributes that the item may lack, by the model's names.
    defaults: &'a Item,
    /// By stored names; `None`: it is not read.
    stored: Option<&'a Item>,
}

impl IndexKeys {
    /// Whether there are any.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys, by the model's names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }

    /// The number of attributes that the commit pins.
    pub fn pins(&self) -> usize {
        self.read.len()
    }

    /// Stored names of the attributes that must be read.
    pub(super) fn read_names<'a>(&'a self, model: &'a Model) -> impl Iterator<Item = &'a str> {
        self.read.iter().map(|name| model.stored_name(name))
    }

    /// Finds the index keys that an update changes. Those that do not depend on the stored item are added to it. `defaults`
    /// are the values that it gives to attributes that the item lacks, and `may_create` is whether it can create the item.
    ///
    /// # Errors
    ///
    /// The first key that cannot be built.
    pub fn plan(
        model: &Model,
        key: &Key,
        update: &mut Update,
        defaults: &Item,
        may_create: bool,
    ) -> Result<IndexKeys, IndexKeyError> {
        let mut pending = IndexKeys::default();
        let mut built = Vec::new();
        let updated = Updated::new(model, key, update, defaults, None);
        let touched = update.touched();
        for (attribute, template) in model.rebuilt() {
            let dependencies = model.dependencies(attribute, template);
            let is_unknown = |name: &str| {
                let is_condition = model.conditions_of(&attribute.name).any(|other| other == name);
                updated.value_in(template, name) == Known::Unknown
                    || (is_condition && updated.value(name) == Known::Unknown)
            };
            let is_given = |name: &str| defaults.contains_key(name) && is_unknown(name);
            let is_changed = dependencies
                .iter()
                .any(|name| touched.contains(*name) || is_given(name));
            match updated.build(attribute, template)? {
                Some(value) if is_changed || (may_create && value.is_some()) => {
                    built.push((attribute.name.clone(), value));
                }
                None if is_changed => {
                    let unknown = dependencies.into_iter().filter(|name| is_unknown(name));
                    pending.read.extend(unknown.map(str::to_owned));
                    pending.keys.push(attribute.name.clone());
                }
                Some(_) | None => {}
            }
        }
        apply(update, built);
        Ok(pending)
    }

    /// Adds the pending keys to an update of this stored item, by stored names. Returns those that are set.
    ///
    /// # Errors
    ///
    /// The first key that cannot be built.
    pub(super) fn complete(
        &self,
        model: &Model,
        key: &Key,
        update: &mut Update,
        defaults: &Item,
        stored: &Item,
    ) -> Result<Item, IndexKeyError> {
        let updated = Updated::new(model, key, update, defaults, Some(stored));
        let mut built = Vec::new();
        for (attribute, template) in model.rebuilt() {
            if self.keys.contains(&attribute.name) {
                let value = updated.build(attribute, template)?.flatten();
                built.push((attribute.name.clone(), value));
            }
        }
        let set = built
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
        let set = set.collect();
        apply(update, built);
        Ok(set)
    }
}

/// Sets or removes keys.
fn apply(update: &mut Update, keys: Vec<(String, Option<Value>)>) {
    for (name, value) in keys {
        match value {
            Some(value) => update.set(&name, value),
            None => update.remove(&name),
        }
    }
}

impl<'a> Updated<'a> {
    fn new(
        model: &'a Model,
        key: &Key,
        update: &'a Update,
        defaults: &'a Item,
        stored: Option<&'a Item>,
    ) -> Updated<'a> {
        let mut fixed = Item::new();
        let mut texts = Vec::new();
        let stored_key = key.item();
        for name in model.key_names() {
            let Some(value) = stored_key.get(model.stored_name(name)) else {
                continue;
            };
            let template = model.attribute(name).and_then(|key| key.template.as_ref());
            if let (Some(template), Value::S(key)) = (template, value) {
                fixed.extend(template.take_apart(key).into_iter().flatten());
                let parts = template.texts(key).into_iter().flatten();
                texts.extend(parts.map(|(part, text)| (part.clone(), Value::S(text.to_owned()))));
            }
            fixed.insert(name.to_owned(), value.clone());
        }
        if let Some(discriminator) = &model.discriminator {
            let value = Value::S(discriminator.value.clone());
            fixed.insert(discriminator.attribute.clone(), value);
        }
        Updated {
            model,
            update,
            fixed,
            texts,
            defaults,
            stored,
        }
    }

    /// What is known of an attribute after the update.
    fn value(&self, name: &str) -> Known<'_> {
        if let Some(value) = self.fixed.get(name) {
            return Known::Value(value);
        }
        let or_stored = |default: Option<&'a Value>| match self.stored {
            None => Known::Unknown,
            Some(stored) => Known::from(stored.get(self.model.stored_name(name)).or(default)),
        };
        match self.update.effect(name) {
            Effect::Set(value) => Known::from(Some(value)),
            Effect::Removed => Known::Absent,
            Effect::SetIfAbsent(value) => or_stored(Some(value)),
            Effect::None => or_stored(self.defaults.get(name)),
            // checked updates do not compute what a key depends on
            Effect::Computed => Known::Unknown,
        }
    }

    /// What is known of an attribute as part of a key. A text of the item's key stands for an unknown value if the
    /// template takes the same form of it.
    fn value_in(&self, template: &Template, name: &str) -> Known<'_> {
        let known = self.value(name);
        if known != Known::Unknown {
            return known;
        }
        let mut parts = template
            .parts()
            .filter(|part| part.attribute() == name)
            .peekable();
        let Some(format) = parts.peek().map(|part| part.format()) else {
            return Known::Unknown;
        };
        let has_form = |part: &Part| part.attribute() == name && part.format() == format;
        match self.texts.iter().find(|(part, _)| has_form(part)) {
            Some((_, text)) if parts.all(has_form) => Known::Value(text),
            Some(_) | None => Known::Unknown,
        }
    }

    /// The value of a key, or that it has none; `None` if that depends on the stored item.
    #[expect(clippy::option_option, reason = "a key without a value is known as well")]
    fn build(
        &self,
        attribute: &Attribute,
        template: &Template,
    ) -> Result<Option<Option<Value>>, IndexKeyError> {
        let is_built = self.model.builds(&attribute.name, |name| self.value(name));
        let part_value = |name: &str| self.value_in(template, name);
        let has = |known| template.parts().any(|part| part_value(part.attribute()) == known);
        if is_built == Some(false) || has(Known::Absent) {
            return Ok(Some(None));
        }
        if is_built.is_none() || has(Known::Unknown) {
            return Ok(None);
        }
        let value = |name: &str| match part_value(name) {
            Known::Value(value) => Some(value),
            Known::Absent | Known::Unknown => None,
        };
        let key = match template.build(value) {
            Ok(key) => Value::S(key),
            Err(TemplateError::Missing { .. }) => return Ok(Some(None)),
            Err(TemplateError::Invalid { attribute, problem }) => {
                return Err(IndexKeyError { attribute, problem });
            }
        };
        let violations = attribute.checks.violations(&key).into_iter();
        let mut problems = violations.chain(self.model.index_key_problem(&attribute.name, &key));
        match problems.next() {
            Some(problem) => Err(IndexKeyError {
                attribute: attribute.name.clone(),
                problem,
            }),
            None => Ok(Some(Some(key))),
        }
    }
}
