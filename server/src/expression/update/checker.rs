//! What all checks of an update share: names, attributes and errors.

use std::time::SystemTime;

use super::super::ast::{Path, Step as PathStep};
use super::super::check::step_refusal;
use super::super::definitions::Definitions;
use super::super::names::{quoted, undeclared, undeclared_field};
use super::bounds::{Bound, BoundError};
use super::changes::{Step, Target};
use crate::fault::{Fault, Faults};
use crate::model::{Attribute, AttributeType, Discriminator, Model};

/// Collects the errors of one update expression.
pub(super) struct Checker<'a> {
    pub(super) model: &'a Model,
    pub(super) definitions: Definitions<'a>,
    pub(super) faults: Faults,
    /// When the request arrived.
    pub(super) now: SystemTime,
    pub(super) bounds: Vec<Bound>,
}

impl<'a> Checker<'a> {
    /// The declared attribute that a path changes, if it may be changed.
    pub(super) fn changed_attribute(&mut self, path: &Path<'a>, target: &Target) -> Option<&'a Attribute> {
        let attribute = self.attribute(path, &target.attribute)?;
        let refusal = if let Some(refusal) = self.fixed_refusal(attribute) {
            Some(refusal)
        } else if path.steps.is_empty() {
            None
        } else {
            within_refusal(attribute).or_else(|| step_refusal(attribute, path.steps.first()))
        };
        if let Some(refusal) = refusal {
            self.fault_at(path.attribute.column, refusal);
            return None;
        }
        Some(attribute)
    }

    /// Why no update may change an attribute.
    fn fixed_refusal(&self, attribute: &Attribute) -> Option<String> {
        let name = quoted(&attribute.name);
        if self.model.is_key(&attribute.name) {
            return Some(format!(
                "{name} is a key attribute: the key of an item cannot be updated"
            ));
        }
        if attribute.kind == AttributeType::Version {
            return Some(format!(
                "{name} is the version: the server sets it, and the request names it in `version`"
            ));
        }
        if attribute.template.is_some() {
            return Some(format!("{name} is built from its template: the server sets it"));
        }
        let is_discriminator = |discriminator: &Discriminator| discriminator.attribute == attribute.name;
        if self.model.discriminator.as_ref().is_some_and(is_discriminator) {
            return Some(format!("{name} is the discriminator: it cannot be updated"));
        }
        let mut keys = self.model.key_names().filter_map(|key| self.model.attribute(key));
        let built = keys.find(|key| {
            let template = key.template.as_ref();
            template.is_some_and(|template| template.has_part(&attribute.name))
        })?;
        let key = quoted(&built.name);
        Some(format!(
            "{name} is a part of the key {key}: the key of an item cannot be updated"
        ))
    }

    /// Why an attribute cannot get a value that depends on what is stored: a key of an index is built of it.
    pub(super) fn part_refusal(&self, attribute: &Attribute) -> Option<String> {
        let built = self.model.rebuilt_of(&attribute.name)?;
        let (name, key) = (quoted(&attribute.name), quoted(&built.name));
        Some(format!(
            "{name} determines {key}, which is built from its template: it can only be set to a :value, or removed"
        ))
    }

    /// The attribute of the model, or an error if the model does not allow the name.
    pub(super) fn attribute(&mut self, path: &Path<'a>, name: &str) -> Option<&'a Attribute> {
        let declared = self.model.attribute(name);
        if declared.is_none() {
            if self.model.sealed_by_others.iter().any(|sealed| sealed == name) {
                let description = format!("{} is encrypted by another model of the table", quoted(name));
                self.fault_at(path.attribute.column, description);
            } else if let Some(description) = undeclared(self.model, name) {
                self.push(self.definitions.name_fault(&path.attribute, description));
            }
        }
        let steps = self.definitions.steps(path);
        if let Some(refusal) = declared.and_then(|attribute| undeclared_field(self.model, attribute, steps)) {
            self.fault_at(path.attribute.column, refusal);
            return None;
        }
        declared
    }

    pub(super) fn keep_bound(
        &mut self,
        attribute: &Attribute,
        column: usize,
        bound: Result<Option<Bound>, BoundError>,
    ) {
        let name = quoted(&attribute.name);
        match bound {
            Ok(bound) => self.bounds.extend(bound),
            Err(BoundError::Unreachable) => {
                self.fault_at(column, format!("{name} would be longer than its max_length"));
            }
            Err(BoundError::Precision) => {
                self.fault_at(
                    column,
                    format!("{name} has bounds that need more than 38 digits to be checked"),
                );
            }
        }
    }

    pub(super) fn target(&self, path: &Path<'a>) -> Option<Target> {
        let steps = path.steps.iter().map(|step| {
            Some(match step {
                PathStep::Index(index) => Step::Index(*index),
                PathStep::Name(name) => Step::Name(self.definitions.name(name)?.to_owned()),
            })
        });
        Some(Target {
            attribute: self.definitions.name(&path.attribute)?.to_owned(),
            steps: steps.collect::<Option<_>>()?,
        })
    }

    pub(super) fn is_same_attribute(&self, one: &Path<'a>, other: &Path<'a>) -> bool {
        other.steps.is_empty()
            && self.definitions.name(&one.attribute) == self.definitions.name(&other.attribute)
    }

    pub(super) fn label(&self, path: &Path<'a>) -> String {
        quoted(
            self.definitions
                .name(&path.attribute)
                .unwrap_or(path.attribute.text),
        )
    }

    pub(super) fn fault_at(&mut self, column: usize, description: impl AsRef<str>) {
        self.push(self.definitions.fault_at(column, description));
    }

    pub(super) fn push(&mut self, fault: Fault) {
        if !self.faults.contains(&fault) {
            self.faults.extend(fault);
        }
    }
}

/// Why nothing within an attribute can be read or changed by the store.
pub(super) fn within_refusal(attribute: &Attribute) -> Option<String> {
    let name = quoted(&attribute.name);
    if attribute.encrypted.is_some() {
        return Some(format!(
            "{name} is encrypted: it can only be set to a :value, as a whole"
        ));
    }
    if attribute.compressed.is_some() {
        return Some(format!(
            "{name} is compressed: it can only be set to a :value, as a whole"
        ));
    }
    if attribute.offloads_values() {
        return Some(format!(
            "{name} is in S3 above a size: it can only be set to a :value, as a whole"
        ));
    }
    (attribute.kind == AttributeType::Object)
        .then(|| format!("{name} is an object: it can only be set to a :value, as a whole"))
}
