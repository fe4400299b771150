//! What a decision is about: the action and its resource, by the names that people write.

use std::sync::Arc;

use crate::model::{Model, Models};
use crate::policy::{Action, Resource};

/// The names of a resource. At most one is set; none is the server.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Names<'a> {
    pub(super) model: Option<&'a str>,
    pub(super) field: Option<&'a str>,
    pub(super) session: Option<&'a str>,
}

/// A resource that exists.
pub(super) enum Target<'a> {
    Model(Arc<Model>),
    Field(Arc<Model>, &'a str),
    Session(&'a str),
    Server,
}

impl<'a> Names<'a> {
    /// The resource, if it exists and the action applies to it.
    pub(super) fn resolve(self, action: Action, models: &Models) -> Result<Target<'a>, String> {
        let target = match self {
            Names {
                model: Some(name),
                field: None,
                session: None,
            } => Target::Model(model(name, models)?),
            Names {
                model: None,
                field: Some(name),
                session: None,
            } => field(name, models)?,
            Names {
                model: None,
                field: None,
                session: Some(name),
            } => Target::Session(name),
            Names {
                model: None,
                field: None,
                session: None,
            } => Target::Server,
            Names { .. } => return Err("names more than one of model, field and session".to_owned()),
        };
        match target.resource().suits(action) {
            true => Ok(target),
            false => Err(format!("{action} applies to {}", Resource::of(action))),
        }
    }
}

impl Target<'_> {
    pub(super) fn resource(&self) -> Resource<'_> {
        match self {
            Target::Model(model) => Resource::Model(model),
            Target::Field(model, name) => Resource::Field(model, name),
            Target::Session(name) => Resource::Session(name),
            Target::Server => Resource::Server,
        }
    }
}

fn model(name: &str, models: &Models) -> Result<Arc<Model>, String> {
    let found = models.get(name).cloned();
    found.ok_or_else(|| format!("there is no model {name:?}{}", models.near(name)))
}

fn field<'a>(name: &'a str, models: &Models) -> Result<Target<'a>, String> {
    let Some((of, field)) = name.split_once('.') else {
        return Err(format!("{name:?} must be MODEL.FIELD"));
    };
    let model = model(of, models)?;
    if field != "*" && model.attribute(field).is_none() {
        return Err(format!(
            "{of} has no field {field:?}; those that it does not declare are {of}.*"
        ));
    }
    Ok(Target::Field(model, field))
}

/// The action of this name.
pub(super) fn action(name: &str) -> Result<Action, String> {
    Action::from_name(name).ok_or_else(|| {
        let known = Action::ALL.iter().map(|action| action.name());
        format!(
            "there is no action {name:?}{}",
            crate::fault::did_you_mean(name, known)
        )
    })
}
