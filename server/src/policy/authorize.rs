//! Decisions about models and their fields, which are kept, and about everything else.

use std::sync::Arc;

use super::access::{Access, FieldSet, Fields, Kept, KeptFields};
use super::action::Action;
use super::cache::{CacheKey, KeyHasher};
use super::compile::Compiled;
use super::decide::{Asked, Decided, Decider, Resource};
use super::denied::Denied;
use super::entities::UNDECLARED;
use super::reads::{Attribute, Reads};
use crate::caller::{Caller, Claim};
use crate::model::Model;

impl Compiled {
    /// Whether an action may be done to a resource, and the names of the policies that permit it.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn authorize(&self, asked: Asked<'_>, resource: &Resource<'_>) -> Result<Arc<[String]>, Denied> {
        let denied = || Denied::new(asked.action, &resource.uid());
        let caller = asked.caller.ok_or_else(denied)?;
        let decider = Decider::new(self, caller, asked.context, &[asked.action], resource);
        let decided = decider.map_or_else(
            |_| Decided::default(),
            |decider| decider.decide(asked.action, resource),
        );
        match decided.is_allowed {
            true => Ok(decided.policies.into()),
            false => {
                let policies = decided.policies.into_iter().chain(decided.failed);
                Err(denied().by(policies.collect()))
            }
        }
    }

    /// Whether an action may be done to a model, and to which of its fields.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn access(&self, asked: Asked<'_>, model: &Arc<Model>) -> Result<Access, Denied> {
        let resource = Resource::Model(model);
        let denied = || Denied::new(asked.action, &resource.uid());
        let caller = asked.caller.ok_or_else(denied)?;
        let key = self.key(asked, caller, &model.name, self.reads(asked.action));
        if let Some(kept) = self.accesses.decisions.get(&key)
            && Arc::ptr_eq(&kept.model, model)
        {
            return kept.access.map_err(|policies| denied().by(policies));
        }
        let access = match self.authorize(asked, &resource) {
            Ok(policies) => {
                let access = self.accesses.access(model, self.fields(asked, caller, model));
                Ok(access.by(policies))
            }
            Err(denied) => Err(denied.policies),
        };
        let kept = Kept {
            model: Arc::clone(model),
            access: access.clone(),
        };
        self.accesses.decisions.put(key, kept);
        access.map_err(|policies| denied().by(policies))
    }

    /// Whether a decision about an action, or about fields for it, depends on the key of the item.
    pub fn reads_key(&self, action: Action) -> bool {
        let reads = self.reads(action);
        reads.has(Attribute::PartitionKey) || reads.has(Attribute::Key)
    }

    /// Whether it depends on the time.
    pub fn reads_time(&self, action: Action) -> bool {
        self.reads(action).has(Attribute::Time)
    }

    fn reads(&self, action: Action) -> Reads {
        self.actions[action.position()].reads.and(self.field_reads())
    }

    fn field_reads(&self) -> Reads {
        let of = |action: Action| self.actions[action.position()].reads;
        of(Action::ReadField).and(of(Action::WriteField))
    }

    /// The fields that a caller may read and write, which do not depend on what else it does with the model.
    fn fields(&self, asked: Asked<'_>, caller: &Caller, model: &Arc<Model>) -> Arc<Fields> {
        let asked = Asked {
            action: Action::ReadField,
            ..asked
        };
        let key = self.key(asked, caller, &model.name, self.field_reads());
        if let Some(kept) = self.accesses.fields.get(&key)
            && Arc::ptr_eq(&kept.model, model)
        {
            return kept.fields;
        }
        let actions = [Action::ReadField, Action::WriteField];
        let undeclared = Resource::Field(model, UNDECLARED.0);
        let decider = Decider::new(self, caller, asked.context, &actions, &undeclared).ok();
        let set = |action: Action| {
            let names = model.attributes.iter().map(|attribute| attribute.name.as_str());
            let names = names.chain([UNDECLARED.0]);
            FieldSet::new(names.map(|name| {
                let resource = Resource::Field(model, name);
                decider
                    .as_ref()
                    .is_some_and(|decider| decider.decide(action, &resource).is_allowed)
            }))
        };
        let fields = Arc::new(Fields {
            readable: set(Action::ReadField),
            writable: set(Action::WriteField),
        });
        let kept = KeptFields {
            model: Arc::clone(model),
            fields: Arc::clone(&fields),
        };
        self.accesses.fields.put(key, kept);
        fields
    }

    /// All that a decision depends on, apart from the policies and the model.
    fn key(&self, asked: Asked<'_>, caller: &Caller, model: &str, reads: Reads) -> CacheKey {
        let mut hasher = KeyHasher::default();
        hasher.add(caller.id());
        hasher.add(&(caller.groups.len() as u64).to_be_bytes());
        caller
            .groups
            .iter()
            .for_each(|group| hasher.add(group.as_bytes()));
        hasher.add(&(caller.claims.len() as u64).to_be_bytes());
        for (name, claim) in &caller.claims {
            hasher.add(name.as_bytes());
            add_claim(&mut hasher, claim);
        }
        hasher.add(asked.action.name().as_bytes());
        hasher.add(model.as_bytes());
        asked.context.add_to(reads, |part| hasher.add(part));
        hasher.finish()
    }
}

fn add_claim(hasher: &mut KeyHasher, claim: &Claim) {
    match claim {
        Claim::Text(text) => {
            hasher.add(b"text");
            hasher.add(text.as_bytes());
        }
        Claim::Long(number) => {
            hasher.add(b"long");
            hasher.add(&number.to_be_bytes());
        }
        Claim::Boolean(boolean) => {
            hasher.add(b"boolean");
            hasher.add(&[u8::from(*boolean)]);
        }
        Claim::Texts(texts) => {
            hasher.add(b"texts");
            hasher.add(&(texts.len() as u64).to_be_bytes());
            texts.iter().for_each(|text| hasher.add(text.as_bytes()));
        }
    }
}
