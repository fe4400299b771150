//! Looks up the ids that policies name: Cedar's schema knows types, but not which models, fields, actions and groups
//! there are.

use std::collections::BTreeSet;

use cedar_policy::{EntityUid, Policy};

use super::action::Action;
use super::entities::{TYPES, UNDECLARED};
use super::schema::Known;
use crate::fault::did_you_mean;
use crate::model::Models;

/// The ids that policies can name.
pub(super) struct Ids {
    models: BTreeSet<String>,
    fields: BTreeSet<String>,
    actions: BTreeSet<String>,
    groups: Option<BTreeSet<String>>,
}

impl Ids {
    pub(super) fn new(models: &Models, known: &Known) -> Ids {
        let fields = models.iter().flat_map(|model| {
            let names = model.attributes.iter().map(|attribute| attribute.name.as_str());
            let names = names.chain([UNDECLARED.0]);
            names.map(|name| format!("{}.{name}", model.name))
        });
        let actions = Action::ALL.iter().map(|action| action.name());
        Ids {
            models: models.iter().map(|model| model.name.clone()).collect(),
            fields: fields.collect(),
            actions: actions.chain(Action::GROUPS).map(str::to_owned).collect(),
            groups: known.groups.clone(),
        }
    }

    /// The literals of a policy that name nothing, each with what is wrong.
    pub(super) fn unknown(&self, policy: &Policy) -> Vec<(EntityUid, String)> {
        let mut seen = BTreeSet::new();
        let literals = policy.entity_literals().into_iter();
        literals
            .filter(|literal| seen.insert(literal.to_string()))
            .filter_map(|literal| self.refusal(&literal).map(|text| (literal, text)))
            .collect()
    }

    fn refusal(&self, literal: &EntityUid) -> Option<String> {
        let (what, known) = match literal.type_name() {
            name if *name == TYPES.model => ("model", &self.models),
            name if *name == TYPES.field => ("field", &self.fields),
            name if *name == TYPES.action => ("action", &self.actions),
            name if *name == TYPES.group => ("group", self.groups.as_ref()?),
            _ => return None,
        };
        let id = literal.id().unescaped();
        if known.contains(id) {
            return None;
        }
        let near = did_you_mean(id, known.iter().map(String::as_str));
        Some(format!("there is no {what} {:?}{near}", shortened(id)))
    }
}

/// Characters of an id that a fault shows.
const MAX_SHOWN_CHARACTERS: usize = 64;

/// An id, shortened.
fn shortened(id: &str) -> String {
    match id.char_indices().nth(MAX_SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &id[..end]),
        None => id.to_owned(),
    }
}
