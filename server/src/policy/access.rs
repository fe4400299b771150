//! What a caller may do with the fields of a model, and the model as that caller sees it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;

use super::action::Action;
use super::cache::Cache;
use super::denied::Denied;
use super::entities::{UNDECLARED, field_uid};
use crate::model::Model;

/// Decisions about models and fields that are kept.
const MAX_DECISIONS: usize = 65_536;
/// Sets of fields that are kept.
const MAX_FIELD_SETS: usize = 16_384;
/// Views of models that are kept.
const MAX_VIEWS: usize = 1024;

/// A set of the fields of one model, by position; the one of all undeclared attributes is last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct FieldSet {
    words: Vec<u64>,
    count: usize,
}

/// The fields that a caller may read, and those that it may write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) readable: FieldSet,
    pub(super) writable: FieldSet,
}

/// What a caller may do with the fields of a model.
#[derive(Clone, Debug)]
pub struct Access {
    model: Arc<Model>,
    /// `None`: everything.
    fields: Option<Arc<Fields>>,
    policies: Arc<[String]>,
}

impl FieldSet {
    /// The fields at these positions.
    pub(super) fn new(is_in: impl IntoIterator<Item = bool>) -> FieldSet {
        let mut set = FieldSet {
            words: Vec::new(),
            count: 0,
        };
        for is_in in is_in {
            if set.count.is_multiple_of(64) {
                set.words.push(0);
            }
            if let Some(word) = set.words.last_mut() {
                *word |= u64::from(is_in) << (set.count % 64);
            }
            set.count += 1;
        }
        set
    }

    pub(super) fn has(&self, position: usize) -> bool {
        let word = self.words.get(position / 64).copied().unwrap_or_default();
        word & (1 << (position % 64)) != 0
    }

    fn has_undeclared(&self) -> bool {
        self.count.checked_sub(1).is_some_and(|last| self.has(last))
    }

    fn is_full(&self) -> bool {
        let count: u32 = self.words.iter().map(|word| word.count_ones()).sum();
        count as usize == self.count
    }
}

impl Access {
    /// Everything.
    pub fn whole(model: Arc<Model>) -> Access {
        Access {
            model,
            fields: None,
            policies: Arc::default(),
        }
    }

    /// The same, permitted by these policies.
    pub(super) fn by(self, policies: Arc<[String]>) -> Access {
        Access { policies, ..self }
    }

    /// The names of the policies that permitted the action.
    pub fn policies(&self) -> &[String] {
        &self.policies
    }

    /// The model as the caller sees it: fields that it may not read are marked.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Whether the caller may read a field; one that the model does not declare is as all of those.
    pub fn can_read(&self, name: &str) -> bool {
        match self.model.attribute(name) {
            Some(attribute) => !attribute.withheld,
            None => !self.model.withholds_undeclared,
        }
    }

    /// Whether the caller may read every field of the model.
    pub fn can_read_all(&self) -> bool {
        self.fields
            .as_ref()
            .is_none_or(|fields| fields.readable.is_full())
    }

    /// Rejects a field that the caller may not read.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn check_read(&self, name: &str) -> Result<(), Denied> {
        match self.can_read(name) {
            true => Ok(()),
            false => Err(self.denied(Action::ReadField, name)),
        }
    }

    /// Rejects a field that the caller may not set or remove.
    ///
    /// # Errors
    ///
    /// It may not.
    pub fn check_write(&self, name: &str) -> Result<(), Denied> {
        match self.can_write(name) {
            true => Ok(()),
            false => Err(self.denied(Action::WriteField, name)),
        }
    }

    fn denied(&self, action: Action, name: &str) -> Denied {
        let name = self
            .model
            .attribute(name)
            .map_or(UNDECLARED.0, |attribute| &attribute.name);
        Denied::new(action, &field_uid(&self.model.name, name))
    }

    /// Whether the caller may set and remove a field.
    pub fn can_write(&self, name: &str) -> bool {
        let Some(fields) = &self.fields else { return true };
        let mut attributes = self.model.attributes.iter();
        match attributes.position(|attribute| attribute.name == name) {
            Some(position) => fields.writable.has(position),
            None => fields.writable.has_undeclared(),
        }
    }

    /// Whether the caller may write every field of the model.
    pub fn can_write_all(&self) -> bool {
        self.fields
            .as_ref()
            .is_none_or(|fields| fields.writable.is_full())
    }
}

/// The model as a caller sees it that may read these fields. A templated key is readable only if its parts are.
fn view(model: &Arc<Model>, readable: &FieldSet) -> Arc<Model> {
    if readable.is_full() {
        return Arc::clone(model);
    }
    let mut seen = Model::clone(model);
    for (position, attribute) in seen.attributes.iter_mut().enumerate() {
        attribute.withheld = !readable.has(position);
    }
    let withheld: Vec<String> = seen
        .attributes
        .iter()
        .filter(|attribute| attribute.withheld)
        .map(|attribute| attribute.name.clone())
        .collect();
    for attribute in &mut seen.attributes {
        let template = attribute.template.as_ref();
        let hides_part = |part: &crate::model::Part| withheld.iter().any(|name| name == part.attribute());
        attribute.withheld |= template.is_some_and(|template| template.parts().any(hides_part));
    }
    seen.withholds_undeclared = !readable.has_undeclared();
    Arc::new(seen)
}

/// A decision about a model that was made before.
#[derive(Clone)]
pub(super) struct Kept {
    /// The model that it is about; a reload may have replaced it.
    pub(super) model: Arc<Model>,
    /// Denied, by these policies.
    pub(super) access: Result<Access, Arc<[String]>>,
}

/// Fields of a model that were decided before.
#[derive(Clone)]
pub(super) struct KeptFields {
    pub(super) model: Arc<Model>,
    pub(super) fields: Arc<Fields>,
}

/// A model and its view.
type Viewed = (Arc<Model>, Arc<Model>);

/// What was decided before.
pub(super) struct Accesses {
    pub(super) decisions: Cache<Kept>,
    pub(super) fields: Cache<KeptFields>,
    views: Mutex<LruCache<(String, FieldSet), Viewed>>,
}

impl Accesses {
    pub(super) fn new() -> Accesses {
        let views = NonZeroUsize::new(MAX_VIEWS).unwrap_or(NonZeroUsize::MIN);
        Accesses {
            decisions: Cache::new(MAX_DECISIONS),
            fields: Cache::new(MAX_FIELD_SETS),
            views: Mutex::new(LruCache::new(views)),
        }
    }

    /// The access of these fields. Callers that may read the same share a view of the model.
    pub(super) fn access(&self, model: &Arc<Model>, fields: Arc<Fields>) -> Access {
        let key = (model.name.clone(), fields.readable.clone());
        let mut views = self.views.lock();
        let kept = views.get(&key).filter(|(of, _)| Arc::ptr_eq(of, model));
        let seen = match kept {
            Some((_, seen)) => Arc::clone(seen),
            None => {
                let seen = view(model, &fields.readable);
                views.put(key, (Arc::clone(model), Arc::clone(&seen)));
                seen
            }
        };
        Access {
            model: seen,
            fields: Some(fields),
            policies: Arc::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{AttributeType, testing};

    proptest! {
        #[test]
        fn a_set_has_what_was_put_in(members in proptest::collection::vec(any::<bool>(), 0..200)) {
            let set = FieldSet::new(members.iter().copied());
            for (position, member) in members.iter().enumerate() {
                prop_assert_eq!(set.has(position), *member);
            }
            prop_assert!(!set.has(members.len()));
            prop_assert_eq!(set.is_full(), members.iter().all(|member| *member));
            prop_assert_eq!(set.has_undeclared(), members.last() == Some(&true));
        }
    }

    #[test]
    fn the_view_of_a_model_marks_what_is_withheld() {
        let attributes = ["a", "b"].map(|name| testing::attribute(name, AttributeType::String));
        let model = Arc::new(testing::model(attributes.into()));
        let accesses = Accesses::new();
        let access = |readable: [bool; 5], writable: [bool; 5]| {
            let fields = Fields {
                readable: FieldSet::new(readable),
                writable: FieldSet::new(writable),
            };
            accesses.access(&model, Arc::new(fields))
        };
        let all = access([true; 5], [true; 5]);
        assert!(Arc::ptr_eq(all.model(), &model) && all.can_write_all());
        let some = access(
            [true, true, true, false, false],
            [false, false, true, true, false],
        );
        assert!(some.can_read("a") && !some.can_read("b") && !some.can_read("x"));
        assert!(some.can_write("b") && !some.can_write("pk") && !some.can_write("x"));
        assert!(!some.can_write_all());
        let same = access([true, true, true, false, false], [true; 5]);
        assert!(Arc::ptr_eq(some.model(), same.model()), "views are shared");
    }
}
