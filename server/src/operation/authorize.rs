//! What the caller of a request may do. Asked before anything is checked, so that the faults of a request say nothing about
//! a model that its caller may not use. What is permitted continues with the model as the caller sees it.

use std::fmt;
use std::sync::Arc;

use super::error::Error;
use super::gateway::Gateway;
use crate::call::Call;
use crate::expression::{self, Expression};
use crate::item::check::check_key_parts;
use crate::model::{Item, Model, Template, Value};
use crate::policy::{Access, Action, Denied, KeyParts};

/// Who asks, and as part of what.
#[derive(Clone, Copy)]
pub(super) struct Authorizing<'a> {
    gateway: &'a Gateway,
    call: &'a Call,
    /// The action of the batch or transaction that the operation is a part of.
    within: Option<Action>,
}

impl<'a> Authorizing<'a> {
    /// For a request of its kind alone.
    pub(super) fn alone(gateway: &'a Gateway, call: &'a Call) -> Authorizing<'a> {
        Authorizing {
            gateway,
            call,
            within: None,
        }
    }

    /// For a part of a batch or transaction.
    pub(super) fn within(gateway: &'a Gateway, call: &'a Call, batch: Action) -> Authorizing<'a> {
        Authorizing {
            gateway,
            call,
            within: Some(batch),
        }
    }

    /// The access to a model for an action, and for that of the batch.
    pub(super) fn access(
        &self,
        action: Action,
        model: &Arc<Model>,
        consistent: bool,
        key: impl Fn() -> KeyParts,
    ) -> Result<Access, Error> {
        if let Some(within) = self.within {
            self.gateway.access(self.call, within, model, consistent, &key)?;
        }
        self.gateway.access(self.call, action, model, consistent, key)
    }
}

impl Authorizing<'_> {
    /// A further model that a request names.
    pub(super) fn model(&self, action: Action, name: &str) -> Result<Arc<Model>, Error> {
        self.gateway.model(self.call, &[action], name)
    }
}

/// The error of a field of a request.
pub(super) fn at(path: impl fmt::Display, denied: Denied) -> Error {
    Error::Denied {
        path: path.to_string(),
        denied,
    }
}

/// Rejects an expression that names fields that the caller may not read: whether it is met would show their values.
pub(super) fn check_named(access: &Access, expression: Option<&Expression>, path: &str) -> Result<(), Error> {
    if access.can_read_all() {
        return Ok(());
    }
    let names = expression.map(expression::attributes).unwrap_or_default();
    for name in names {
        access.check_read(&name).map_err(|denied| at(path, denied))?;
    }
    Ok(())
}

/// Rejects an expected version of a caller who may not read it: it is compared with the stored one.
pub(super) fn check_version(access: &Access, version: u64) -> Result<(), Error> {
    match access.model().version().filter(|_| version > 0) {
        Some(attribute) => access
            .check_read(&attribute.name)
            .map_err(|denied| at("version", denied)),
        None => Ok(()),
    }
}

/// The key that the attributes of a request name, as far as they are valid.
pub(super) fn key_parts(model: &Model, given: &Item) -> KeyParts {
    let is_part = |name: &str| {
        let mut templates = templates(model);
        templates.any(|(_, template)| template.has_part(name))
    };
    let given = given
        .iter()
        .filter(|(name, _)| model.is_key(name) || is_part(name));
    let given = given.map(|(name, value)| (name.clone(), value.clone()));
    let Ok((key, _)) = check_key_parts(model, given.collect(), "key") else {
        return KeyParts::default();
    };
    let mut parts = Vec::new();
    for (name, template) in templates(model) {
        let value = match name == model.partition_key {
            true => Some(key.partition()),
            false => key.sort(),
        };
        if let Some(Value::S(text)) = value {
            add_parts(template, text, &mut parts);
        }
    }
    KeyParts {
        partition_key: text_of(key.partition()),
        parts,
    }
}

/// The partition that a key condition names: by its key, or by the parts of it.
pub(super) fn partition_parts(model: &Model, condition: &Expression) -> KeyParts {
    let given: Item = expression::equalities(condition).into_iter().collect();
    let template = templates(model).find(|(name, _)| *name == model.partition_key);
    let text = match (given.get(&model.partition_key), template) {
        (Some(value), _) => text_of(value),
        (None, Some((_, template))) => template.build(|part| given.get(part)).ok(),
        (None, None) => None,
    };
    let mut parts = Vec::new();
    if let (Some(text), Some((_, template))) = (&text, template) {
        add_parts(template, text, &mut parts);
    }
    KeyParts {
        partition_key: text,
        parts,
    }
}

fn templates(model: &Model) -> impl Iterator<Item = (&str, &Template)> {
    model
        .key_names()
        .filter_map(|name| Some((name, model.attribute(name)?.template.as_ref()?)))
}

fn add_parts(template: &Template, text: &str, parts: &mut Vec<(String, String)>) {
    for (part, text) in template.texts(text).unwrap_or_default() {
        if !parts.iter().any(|(known, _)| known == part.attribute()) {
            parts.push((part.attribute().to_owned(), text.to_owned()));
        }
    }
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::S(text) => Some(text.clone()),
        Value::N(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}
