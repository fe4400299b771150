//! The steps of checking a whole item. The caller's values come first; what they leave out is taken from the given keys,
//! generated, or filled with defaults; then keys are built and checked.

use std::time::SystemTime;

use super::key;
use super::value::{self, REQUIRED, Rules, stored_name_of, stores_no_null, unknown_attribute};
use super::version::{self, VersionExpectation, given_version};
use crate::fault::{Faults, Path};
use crate::model::{
    Attribute, AttributeType, EncryptionMode, ITEM_SEAL, Index, Item, Known, Model, REMEMBERED_REQUEST,
    TemplateError, UnknownAttributes, Value,
};

/// An item that is being checked.
pub(super) struct ItemCheck<'a> {
    pub(super) model: &'a Model,
    pub(super) root: Path<'a>,
    pub(super) rules: Rules,
    /// The valid values, in their stored form.
    pub(super) item: Item,
    /// Attributes that the server set, in order.
    pub(super) generated: Vec<String>,
    pub(super) version: VersionExpectation,
    /// Attributes with faults.
    invalid: Vec<String>,
    /// Attributes that the caller set to null and that store no null.
    without: Vec<String>,
    pub(super) faults: Faults,
    pub(super) forbidden: Faults,
}

impl<'a> ItemCheck<'a> {
    pub(super) fn new(model: &'a Model, root: Path<'a>, max_depth: usize, now: SystemTime) -> ItemCheck<'a> {
        ItemCheck {
            model,
            root,
            rules: Rules {
                unknown: model.unknown_attributes,
                max_depth,
                now,
            },
            item: Item::new(),
            generated: Vec::new(),
            version: match model.version() {
                Some(_) => VersionExpectation::Create,
                None => VersionExpectation::None,
            },
            invalid: Vec::new(),
            without: Vec::new(),
            faults: Faults::new(),
            forbidden: Faults::new(),
        }
    }

    /// Checks what the caller set.
    pub(super) fn check_given(&mut self, mut given: Item) {
        self.item.reserve(given.len());
        for attribute in &self.model.attributes {
            if let Some((name, value)) = given.remove_entry(&attribute.name) {
                self.check_attribute(attribute, name, value);
            }
        }
        if let Some(discriminator) = &self.model.discriminator
            && let Some(value) = given.remove(&discriminator.attribute)
        {
            self.check_discriminator(&discriminator.attribute, &value);
        }
        self.check_unknown(given);
    }

    fn check_attribute(&mut self, attribute: &'a Attribute, name: String, value: Value) {
        let path = Path::Name(&self.root, &attribute.name);
        let discriminator = self.model.discriminator.as_ref();
        if is_read_only(attribute) {
            self.forbidden
                .push(path, "is read_only: this server may not set it");
            self.invalid.push(attribute.name.clone());
        } else if discriminator.is_some_and(|discriminator| discriminator.attribute == attribute.name) {
            self.check_discriminator(&attribute.name, &value);
        } else if value == Value::Null {
            self.check_null(attribute);
        } else if attribute.generate.is_some_and(|generate| generate.is_on_write()) {
            // the server's value replaces it
        } else if attribute.kind == AttributeType::Version {
            match given_version(&value) {
                Some((version, next)) => {
                    self.version = VersionExpectation::Exactly(version);
                    self.item.insert(attribute.name.clone(), next);
                    self.generated.push(attribute.name.clone());
                }
                None => self.refuse(
                    attribute,
                    "must be the version that was read, a whole number from 1; leave it out to create the item",
                ),
            }
        } else if attribute.template.is_some() && !self.model.is_key(&attribute.name) {
            self.check_rebuilt(attribute, &value);
        } else {
            match self.rules.check(attribute, value, path, 1, &mut self.faults) {
                Some(value) => {
                    self.item.insert(name, value);
                }
                None => self.invalid.push(name),
            }
        }
    }

    /// A key of an index is built anew, but a constant must be what it is.
    fn check_rebuilt(&mut self, attribute: &'a Attribute, value: &Value) {
        let Some(template) = attribute
            .template
            .as_ref()
            .filter(|template| template.is_constant())
        else {
            return;
        };
        if template.build(|_| None).ok().map(Value::S).as_ref() != Some(value) {
            self.refuse(attribute, format_args!("must be {}", template.as_str()));
        }
    }

    fn check_null(&mut self, attribute: &'a Attribute) {
        let name = &attribute.name;
        if attribute.generate.is_some() || attribute.template.is_some() {
            return;
        }
        if attribute.required || self.model.is_key(name) {
            return self.refuse(attribute, REQUIRED);
        }
        let index = self.model.indexes.iter().find(|index| is_key_of(index, name));
        match index {
            Some(index) => self.refuse(
                attribute,
                format_args!("must not be null: it is a key of the index {}", index.name),
            ),
            None if stores_no_null(attribute.kind) => self.without.push(name.clone()),
            None => {
                self.item.insert(name.clone(), Value::Null);
            }
        }
    }

    fn check_discriminator(&mut self, name: &str, value: &Value) {
        let Some(discriminator) = &self.model.discriminator else {
            return;
        };
        let is_own = matches!(value, Value::S(text) if *text == discriminator.value);
        if !is_own && *value != Value::Null {
            self.invalid.push(name.to_owned());
            self.faults.push(
                Path::Name(&self.root, name),
                format_args!(
                    "must be {:?} in items of {}",
                    discriminator.value, self.model.name
                ),
            );
        }
    }

    fn check_unknown(&mut self, given: Item) {
        let mut unknown: Vec<_> = given.into_iter().collect();
        unknown.sort_unstable_by(|(left, _), (right, _)| left.cmp(right));
        for (name, value) in unknown {
            let path = Path::Name(&self.root, &name);
            if name == REMEMBERED_REQUEST || name == ITEM_SEAL {
                self.faults.push(path, "is reserved");
                continue;
            }
            match (self.model.unknown_attributes, self.model.stored_attribute(&name)) {
                (UnknownAttributes::Drop, _) => {}
                (UnknownAttributes::Keep, Some(attribute)) => {
                    self.faults.push(path, stored_name_of(&attribute.name));
                }
                (UnknownAttributes::Reject, _) => {
                    let present = |known: &str| self.item.contains_key(known);
                    self.faults
                        .push(path, unknown_attribute(self.model, &name, present));
                }
                (UnknownAttributes::Keep, None) => {
                    value::check_name(&name, path, &mut self.faults);
                    value::check_parts(&value, path, 1, self.rules.max_depth, &mut self.faults);
                    self.item.insert(name, value);
                }
            }
        }
    }

    /// Adds what the caller left out: parts of the given keys, the discriminator, the first version, and generated and
    /// default values.
    pub(super) fn fill(&mut self) {
        key::take_apart(
            self.model,
            &mut self.item,
            self.root,
            &mut self.invalid,
            &mut self.faults,
        );
        if let Some(discriminator) = &self.model.discriminator {
            let value = Value::S(discriminator.value.clone());
            self.item.insert(discriminator.attribute.clone(), value);
        }
        for attribute in &self.model.attributes {
            let name = &attribute.name;
            let is_out = self.without.contains(name) || self.invalid.contains(name);
            if self.item.contains_key(name) || is_out || is_read_only(attribute) {
                continue;
            }
            let value = match (attribute.kind, &attribute.default) {
                (AttributeType::Version, _) => Some(version::first()),
                (_, Some(default)) => Some(default.clone()),
                (_, None) => attribute.generated(self.rules.now),
            };
            let Some(value) = value else { continue };
            let path = Path::Name(&self.root, name);
            let checked = match value {
                Value::Null => Some(Value::Null),
                value => self.rules.check(attribute, value, path, 1, &mut self.faults),
            };
            self.insert(attribute, checked);
            self.generated.push(name.clone());
        }
    }

    /// Builds the templated keys: those of the table, and those of indexes as far as their parts are there.
    pub(super) fn build_keys(&mut self) {
        let built = key::build(
            self.model,
            &mut self.item,
            self.root,
            &mut self.invalid,
            &mut self.faults,
        );
        self.generated.extend(built.into_iter().map(str::to_owned));
        for (attribute, template) in self.model.rebuilt() {
            let value = |name: &str| Known::from(self.item.get(name));
            let is_built = self.model.builds(&attribute.name, value) == Some(true);
            if !is_built || key::has_invalid_part(template, &self.invalid) {
                continue;
            }
            match template.build(|part| self.item.get(part)) {
                Ok(key) => {
                    let key = Value::S(key);
                    let path = Path::Name(&self.root, &attribute.name);
                    let key = self.rules.check(attribute, key, path, 1, &mut self.faults);
                    self.insert(attribute, key);
                    self.generated.push(attribute.name.clone());
                }
                Err(TemplateError::Missing { .. }) => {}
                Err(TemplateError::Invalid { attribute, problem }) => {
                    self.faults.push(Path::Name(&self.root, &attribute), problem);
                    self.invalid.push(attribute);
                }
            }
        }
    }

    /// Reports required attributes that are missing, and keys that cannot be stored.
    pub(super) fn check_whole(&mut self) {
        for attribute in &self.model.attributes {
            let name = &attribute.name;
            let path = Path::Name(&self.root, name);
            let is_key = self.model.is_key(name);
            match self.item.get(name) {
                Some(value) if is_key => {
                    key::check_key_size(self.model, attribute, value, path, &mut self.faults);
                }
                Some(_) => {}
                None if self.invalid.contains(name) || (is_key && attribute.template.is_some()) => {}
                None if attribute.required || is_key => {
                    let text = path.to_string();
                    if !self.faults.iter().any(|fault| fault.field == text) {
                        self.faults.push(path, REQUIRED);
                    }
                }
                None => {}
            }
        }
        key::check_index_keys(self.model, &self.item, self.root, &mut self.faults);
    }

    fn insert(&mut self, attribute: &Attribute, value: Option<Value>) {
        match value {
            Some(value) => {
                self.item.insert(attribute.name.clone(), value);
            }
            None => self.invalid.push(attribute.name.clone()),
        }
    }

    fn refuse(&mut self, attribute: &Attribute, problem: impl std::fmt::Display) {
        self.invalid.push(attribute.name.clone());
        self.faults.push(Path::Name(&self.root, &attribute.name), problem);
    }
}

fn is_key_of(index: &Index, name: &str) -> bool {
    index.key_names().any(|key| key == name)
}

/// Whether this server may not set the attribute.
pub fn is_read_only(attribute: &Attribute) -> bool {
    attribute
        .encrypted
        .as_ref()
        .is_some_and(|encryption| encryption.mode == EncryptionMode::ReadOnly)
}
