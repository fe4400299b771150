//! What the caller of a request may do. Asked before anything is checked, so that the faults of a request say nothing about
//! a model that its caller may not use. What is permitted continues with the model as the caller sees it.

use std::cell::OnceCell;
use std::fmt;
use std::sync::Arc;

use super::error::Error;
use super::gateway::Gateway;
use crate::call::Call;
use crate::expression::{self, Expression};
use crate::item::check::check_key_parts;
use crate::item::{ItemId, Key};
use crate::model::{Item, Model, Template, Tenancy, Value};
use crate::policy::{Access, Action, Denied, KeyParts, Resource};

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

    /// The access to the item of a model that a request names by these attributes, as far as its key is valid, which is
    /// recorded for the audit log.
    pub(super) fn access(
        &self,
        action: Action,
        model: &Arc<Model>,
        consistent: bool,
        given: &Item,
    ) -> Result<Access, Error> {
        // found once, and only if something depends on it
        let found = OnceCell::new();
        let key = || found.get_or_init(|| given_key(model, given)).as_ref();
        if let Some(record) = self.call.audit()
            && let Some(key) = key()
        {
            record.add_item(&ItemId::new(&model.table, key).into_bytes());
        }
        let parts = || key().map_or_else(KeyParts::default, |key| key_parts(model, key));
        let access = self.decide(action, model, consistent, parts)?;
        if model.tenancy.is_some() {
            let partition = key().and_then(|key| text_of(key.partition()));
            self.check_partition(action, model, partition.as_deref())?;
        }
        Ok(access)
    }

    /// The outcome of a part of a batch or transaction. If it is not permitted, that is recorded for the audit log.
    pub(super) fn part(&self, outcome: Result<(), Error>, model: &Model, given: &Item) -> Result<(), Error> {
        let Some(record) = self.call.audit() else {
            return outcome;
        };
        record.add_model(&model.name);
        if let Err(Error::Denied { denied, .. }) = &outcome {
            let key = given_key(model, given);
            let identity = key.map(|key| ItemId::new(&model.table, &key).into_bytes());
            let policies = denied.policies.iter().map(String::as_str);
            record.denied_part(&model.name, identity.as_deref(), policies);
        }
        outcome
    }

    /// The access to a model for an action, and for that of the batch.
    fn decide(
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

    /// The access to items of a model that a Query or Scan reads. Without the partition of the caller's tenant, it reads
    /// those of all tenants, which needs an action for itself.
    pub(super) fn access_pages(
        &self,
        action: Action,
        model: &Arc<Model>,
        consistent: bool,
        key_condition: Option<&Expression>,
        index: &str,
    ) -> Result<Access, Error> {
        let key = || match key_condition.filter(|_| index.is_empty()) {
            Some(condition) => partition_parts(model, condition),
            None => KeyParts::default(),
        };
        let access = self.decide(action, model, consistent, key)?;
        let Some(tenancy) = &model.tenancy else {
            return Ok(access);
        };
        let partition = key_condition.and_then(|_| tenant_key(model, tenancy, index));
        match (partition, key_condition) {
            (Some(partition), Some(condition)) => {
                let text = partition_text(model, partition, condition).unwrap_or_default();
                self.check_partition(action, model, Some(&text))?;
            }
            _ => {
                let model = Resource::Model(model);
                self.gateway.authorize(self.call, Action::CrossTenant, &model)?;
            }
        }
        Ok(access)
    }

    /// Rejects an item that does not belong to the caller's tenant. A key that is not valid is reported later.
    fn check_partition(&self, action: Action, model: &Model, partition: Option<&str>) -> Result<(), Error> {
        let Some(tenancy) = &model.tenancy else {
            return Ok(());
        };
        let tenant = self.call.caller().and_then(|caller| caller.tenant.as_deref());
        let is_own = match (tenant, partition) {
            (Some(tenant), Some(partition)) => tenancy.tenant_of(partition) == Some(tenant),
            (Some(_), None) => true,
            (None, _) => false,
        };
        match is_own {
            true => Ok(()),
            false => {
                if let Some(record) = self.call.audit() {
                    record.denied([]);
                }
                Err(Error::Denied {
                    path: String::new(),
                    denied: Resource::Model(model).denied(action),
                })
            }
        }
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

/// The parts of a key that policies read.
fn key_parts(model: &Model, key: &Key) -> KeyParts {
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

/// The attribute whose values begin with the prefix of a tenant, if a Query of the table or of this index compares one.
fn tenant_key<'m>(model: &'m Model, tenancy: &Tenancy, index: &str) -> Option<&'m str> {
    let index = model.indexes.iter().find(|known| known.name == index);
    let name = match index.filter(|index| !index.local) {
        Some(index) => index.partition.first()?,
        None => &model.partition_key,
    };
    let template = model.attribute(name)?.template.as_ref();
    let has_prefix = template.is_some_and(|template| template.as_str().starts_with(tenancy.prefix()));
    (*name == model.partition_key || has_prefix).then_some(name)
}

/// The text of a partition key that a key condition names: by itself, or by the parts of it. None if it is named twice.
fn partition_text(model: &Model, name: &str, condition: &Expression) -> Option<String> {
    let equalities = expression::equalities(condition);
    let count = equalities.len();
    let given: Item = equalities.into_iter().collect();
    if given.len() < count {
        return None;
    }
    match given.get(name) {
        Some(value) => text_of(value),
        None => {
            let template = model.attribute(name)?.template.as_ref()?;
            template.build(|part| given.get(part)).ok()
        }
    }
}

/// The partition that a key condition names: by its key, or by the parts of it.
fn partition_parts(model: &Model, condition: &Expression) -> KeyParts {
    let template = templates(model).find(|(name, _)| *name == model.partition_key);
    let text = partition_text(model, &model.partition_key, condition);
    let mut parts = Vec::new();
    if let (Some(text), Some((_, template))) = (&text, template) {
        add_parts(template, text, &mut parts);
    }
    KeyParts {
        partition_key: text,
        parts,
    }
}

/// The key that the attributes of a request name, if it is valid.
fn given_key(model: &Model, given: &Item) -> Option<Key> {
    let is_part = |name: &str| {
        let mut templates = templates(model);
        templates.any(|(_, template)| template.has_part(name))
    };
    let given = given
        .iter()
        .filter(|(name, _)| model.is_key(name) || is_part(name));
    let given = given.map(|(name, value)| (name.clone(), value.clone()));
    let checked = check_key_parts(model, given.collect(), "key");
    checked.ok().map(|(key, _)| key)
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
