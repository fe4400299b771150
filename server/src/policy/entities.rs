//! Callers, actions, models, fields and sessions as Cedar's entities.

use std::collections::{HashMap, HashSet};
use std::str::FromStr as _;
use std::sync::LazyLock;

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};

use super::action::Action;
use super::schema::{ClaimType, Known};
use crate::caller::{Caller, Claim};
use crate::model::{Attribute, Model};

/// The name of the field of all attributes that a model does not declare, and their type.
pub(super) const UNDECLARED: (&str, &str) = ("*", "undeclared");
/// The id of the server.
const SERVER: &str = "self";

/// The types of entities.
pub(super) struct Types {
    pub(super) caller: EntityTypeName,
    pub(super) group: EntityTypeName,
    pub(super) action: EntityTypeName,
    pub(super) model: EntityTypeName,
    pub(super) field: EntityTypeName,
    session: EntityTypeName,
    server: EntityTypeName,
}

/// The types of entities.
pub(super) static TYPES: LazyLock<Types> = LazyLock::new(|| {
    let named = |name: &str| {
        EntityTypeName::from_str(&format!("Tollgate::{name}")).expect("a valid name, as a test checks")
    };
    Types {
        caller: named("Caller"),
        group: named("Group"),
        action: named("Action"),
        model: named("Model"),
        field: named("Field"),
        session: named("Session"),
        server: named("Server"),
    }
});

/// An entity cannot be built; a bug in this program.
#[derive(Debug)]
pub(super) struct Unbuilt;

fn uid(name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
}

pub(super) fn caller_uid(caller: &Caller) -> EntityUid {
    uid(&TYPES.caller, &caller.name)
}

pub(super) fn action_uid(action: Action) -> EntityUid {
    uid(&TYPES.action, action.name())
}

/// The group of an action.
pub(super) fn action_group_uid(action: Action) -> Option<EntityUid> {
    action.group().map(|group| uid(&TYPES.action, group))
}

pub(super) fn model_uid(name: &str) -> EntityUid {
    uid(&TYPES.model, name)
}

pub(super) fn field_uid(model: &str, field: &str) -> EntityUid {
    uid(&TYPES.field, &format!("{model}.{field}"))
}

pub(super) fn session_uid(name: &str) -> EntityUid {
    uid(&TYPES.session, name)
}

pub(super) fn server_uid() -> EntityUid {
    uid(&TYPES.server, SERVER)
}

fn text(value: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(value.to_owned())
}

fn record(
    members: impl IntoIterator<Item = (String, RestrictedExpression)>,
) -> Result<RestrictedExpression, Unbuilt> {
    RestrictedExpression::new_record(members).map_err(|_| Unbuilt)
}

fn entity(
    uid: EntityUid,
    attributes: HashMap<String, RestrictedExpression>,
    parents: HashSet<EntityUid>,
) -> Result<Entity, Unbuilt> {
    Entity::new(uid, attributes, parents).map_err(|_| Unbuilt)
}

/// A caller, in its groups. Of its claims, those that are declared with their type.
pub(super) fn caller(caller: &Caller, known: &Known) -> Result<Entity, Unbuilt> {
    let claims = caller.claims.iter();
    let claims = claims.filter(|(name, claim)| known.claims.get(*name) == Some(&type_of(claim)));
    let claims = claims.map(|(name, claim)| (name.clone(), expression(claim)));
    let mut attributes = HashMap::from([
        ("name".to_owned(), text(&caller.name)),
        ("source".to_owned(), text(caller.source.as_str())),
        ("issuer".to_owned(), text(&caller.issuer)),
        ("claims".to_owned(), record(claims)?),
    ]);
    if let Some(tenant) = &caller.tenant {
        attributes.insert("tenant".to_owned(), text(tenant));
    }
    let groups = caller.groups.iter().map(|group| uid(&TYPES.group, group));
    entity(caller_uid(caller), attributes, groups.collect())
}

fn type_of(claim: &Claim) -> ClaimType {
    match claim {
        Claim::Text(_) => ClaimType::Text,
        Claim::Long(_) => ClaimType::Long,
        Claim::Boolean(_) => ClaimType::Boolean,
        Claim::Texts(_) => ClaimType::Texts,
    }
}

fn expression(claim: &Claim) -> RestrictedExpression {
    match claim {
        Claim::Text(value) => text(value),
        Claim::Long(number) => RestrictedExpression::new_long(*number),
        Claim::Boolean(boolean) => RestrictedExpression::new_bool(*boolean),
        Claim::Texts(texts) => RestrictedExpression::new_set(texts.iter().map(|value| text(value))),
    }
}

/// An action, in its group.
pub(super) fn action(action: Action) -> Entity {
    Entity::new_no_attrs(action_uid(action), action_group_uid(action).into_iter().collect())
}

/// A model.
pub(super) fn model(model: &Model) -> Result<Entity, Unbuilt> {
    let attributes = HashMap::from([
        ("table".to_owned(), text(&model.table)),
        ("name".to_owned(), text(&model.name)),
    ]);
    entity(model_uid(&model.name), attributes, HashSet::new())
}

/// The fields of a model, in its order, and the one of all undeclared attributes.
pub(super) fn fields(model: &Model) -> Result<Vec<Entity>, Unbuilt> {
    let declared = model.attributes.iter().map(|attribute| {
        let kind = attribute.kind.as_str();
        (attribute.name.as_str(), is_encrypted(attribute), kind)
    });
    let (name, kind) = UNDECLARED;
    let all = declared.chain([(name, false, kind)]);
    let entities = all.map(|(name, is_encrypted, kind)| {
        let attributes = HashMap::from([
            (
                "encrypted".to_owned(),
                RestrictedExpression::new_bool(is_encrypted),
            ),
            ("type".to_owned(), text(kind)),
        ]);
        let parents = HashSet::from([model_uid(&model.name)]);
        entity(field_uid(&model.name, name), attributes, parents)
    });
    entities.collect()
}

fn is_encrypted(attribute: &Attribute) -> bool {
    attribute.encrypted.is_some()
}

/// A session of this caller.
pub(super) fn session(name: &str, owner: &Caller) -> Result<Entity, Unbuilt> {
    let owner = RestrictedExpression::new_entity_uid(caller_uid(owner));
    let attributes = HashMap::from([("owner".to_owned(), owner)]);
    entity(session_uid(name), attributes, HashSet::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_the_types_are_valid() {
        assert_eq!(TYPES.caller.to_string(), "Tollgate::Caller");
        assert_eq!(server_uid().to_string(), "Tollgate::Server::\"self\"");
    }
}
