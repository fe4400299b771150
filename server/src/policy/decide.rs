//! One decision: evaluates the policies that may apply.

use std::collections::HashMap;

use cedar_policy::{
    Authorizer, Context as CedarContext, Decision, Entities, Entity, EntityUid, Request, RestrictedExpression,
};
use tracing::warn;

use super::action::{Action, AppliesTo};
use super::compile::Compiled;
use super::context::Context;
use super::denied::Denied;
use super::entities::{self, Unbuilt};
use crate::caller::Caller;
use crate::model::Model;

/// Who asks for what.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The caller; `None`: callers are not authenticated.
    pub caller: Option<&'a Caller>,
    /// The action.
    pub action: Action,
    /// The request.
    pub context: &'a Context,
}

/// What an action is done to.
#[derive(Clone, Copy, Debug)]
pub enum Resource<'a> {
    /// A model that is served.
    Model(&'a Model),
    /// A name that no served model has: what is refused must look the same.
    UnknownModel(&'a str),
    /// A field of a model; `*`: all attributes that it does not declare.
    Field(&'a Model, &'a str),
    /// A session of the caller.
    Session(&'a str),
    /// The server.
    Server,
}

/// What the policies say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) is_allowed: bool,
    /// The names of the policies that decided.
    pub(super) policies: Vec<String>,
    /// The names of the policies that could not be evaluated.
    pub(super) failed: Vec<String>,
}

impl Resource<'_> {
    /// Whether an action applies to resources of this type.
    pub fn suits(&self, action: Action) -> bool {
        match (self, action.applies_to()) {
            (Resource::Model(_) | Resource::UnknownModel(_), AppliesTo::Model)
            | (Resource::Field(..), AppliesTo::Field)
            | (Resource::Session(_), AppliesTo::Session | AppliesTo::Totals)
            | (Resource::Server, AppliesTo::Server | AppliesTo::Totals) => true,
            (
                Resource::Model(_)
                | Resource::UnknownModel(_)
                | Resource::Field(..)
                | Resource::Session(_)
                | Resource::Server,
                _,
            ) => false,
        }
    }

    /// The resources that an action applies to, for people.
    pub fn of(action: Action) -> &'static str {
        match action.applies_to() {
            AppliesTo::Model => "a model",
            AppliesTo::Field => "a field",
            AppliesTo::Server => "the server: name no model, field or session",
            AppliesTo::Session => "a session",
            AppliesTo::Totals => "a session, or the server: name no model or field",
        }
    }

    /// That this may not be done to it.
    pub fn denied(&self, action: Action) -> Denied {
        Denied::new(action, &self.uid())
    }

    pub(super) fn uid(&self) -> EntityUid {
        match self {
            Resource::Model(model) => entities::model_uid(&model.name),
            Resource::UnknownModel(name) => entities::model_uid(name),
            Resource::Field(model, name) => entities::field_uid(&model.name, name),
            Resource::Session(name) => entities::session_uid(name),
            Resource::Server => entities::server_uid(),
        }
    }

    fn entities(&self, caller: &Caller) -> Result<Vec<Entity>, Unbuilt> {
        Ok(match self {
            Resource::Model(model) => vec![entities::model(model)?],
            Resource::Field(model, _) => {
                let mut all = entities::fields(model)?;
                all.push(entities::model(model)?);
                all
            }
            Resource::Session(name) => vec![entities::session(name, caller)?],
            Resource::UnknownModel(_) | Resource::Server => Vec::new(),
        })
    }
}

/// Decides about several resources for one caller, whose entities are built once.
pub(super) struct Decider<'a> {
    compiled: &'a Compiled,
    caller: &'a Caller,
    context: &'a Context,
    entities: Entities,
}

impl<'a> Decider<'a> {
    /// Decides about resources like this one: fields of the same model, or this one alone.
    pub(super) fn new(
        compiled: &'a Compiled,
        caller: &'a Caller,
        context: &'a Context,
        actions: &[Action],
        resource: &Resource<'_>,
    ) -> Result<Decider<'a>, Unbuilt> {
        let mut all: HashMap<EntityUid, Entity> = HashMap::new();
        let named = compiled.named.iter().cloned();
        let of_request = resource.entities(caller)?;
        let actions = actions.iter().map(|action| entities::action(*action));
        let caller_entity = entities::caller(caller, &compiled.known)?;
        for entity in named.chain(of_request).chain(actions).chain([caller_entity]) {
            all.insert(entity.uid(), entity);
        }
        let entities = Entities::from_entities(all.into_values(), None).map_err(|_| Unbuilt)?;
        Ok(Decider {
            compiled,
            caller,
            context,
            entities,
        })
    }

    /// Decides. A policy that cannot be evaluated denies, and is logged.
    pub(super) fn decide(&self, action: Action, resource: &Resource<'_>) -> Decided {
        self.evaluate(action, resource).unwrap_or_else(|Unbuilt| {
            warn!(%action, "denied: the policies cannot be evaluated");
            Decided::default()
        })
    }

    fn evaluate(&self, action: Action, resource: &Resource<'_>) -> Result<Decided, Unbuilt> {
        let request = Request::new(
            entities::caller_uid(self.caller),
            entities::action_uid(action),
            resource.uid(),
            context(self.context)?,
            None,
        );
        let request = request.map_err(|_| Unbuilt)?;
        let policies = &self.compiled.actions[action.position()].policies;
        let response = Authorizer::new().is_authorized(&request, policies, &self.entities);
        let diagnostics = response.diagnostics();
        let mut failed: Vec<String> = diagnostics
            .errors()
            .map(|error| match error {
                cedar_policy::AuthorizationError::PolicyEvaluationError(error) => {
                    error.policy_id().to_string()
                }
            })
            .collect();
        failed.sort();
        let mut reasons: Vec<String> = diagnostics.reason().map(ToString::to_string).collect();
        reasons.sort();
        if !matches!(resource, Resource::UnknownModel(_)) {
            for policy in &failed {
                // never the cause: it may quote a key
                warn!(policy, %action, resource = %resource.uid(), "denied: a policy could not be evaluated");
            }
        }
        Ok(Decided {
            is_allowed: failed.is_empty() && response.decision() == Decision::Allow,
            policies: reasons,
            failed,
        })
    }
}

fn context(context: &Context) -> Result<CedarContext, Unbuilt> {
    let text = |value: &String| RestrictedExpression::new_string(value.clone());
    let mut pairs = vec![
        (
            "consistent".to_owned(),
            RestrictedExpression::new_bool(context.consistent),
        ),
        ("tls".to_owned(), RestrictedExpression::new_bool(context.tls)),
        ("time".to_owned(), RestrictedExpression::new_long(context.time)),
    ];
    let optional = [
        ("partition_key", &context.key.partition_key),
        ("session", &context.session),
    ];
    for (name, value) in optional {
        pairs.extend(value.as_ref().map(|value| (name.to_owned(), text(value))));
    }
    if !context.key.parts.is_empty() {
        let parts = context.key.parts.iter();
        let parts = parts.map(|(name, value)| (name.clone(), text(value)));
        let record = RestrictedExpression::new_record(parts).map_err(|_| Unbuilt)?;
        pairs.push(("key".to_owned(), record));
    }
    CedarContext::from_pairs(pairs).map_err(|_| Unbuilt)
}
