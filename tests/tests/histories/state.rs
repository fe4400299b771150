//! What the items may hold: every state that some order of the calls of a step leads to, given what each call reported.

use std::collections::BTreeSet;

use super::content::{Slot, Written};

/// An item as written.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct State {
    /// The write that set the note.
    pub(crate) note: Option<u32>,
    /// How often it was counted up since it was saved.
    pub(crate) hits: u32,
    pub(crate) content: Option<Written>,
    pub(crate) cover: Option<Written>,
}

/// All items of a history; none for one that does not exist.
pub(crate) type World = Vec<Option<State>>;

/// What a write does to an item.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// Replaces it.
    Save(State),
    /// Replaces it by the objects that were seen and this note, if it still has them. Without any there is no condition.
    Keep { note: u32, seen: State },
    /// Changes it, and creates it if it is missing.
    Update(Change),
    /// Removes it.
    Delete,
    /// Nothing.
    Check,
}

/// A change of an item in place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) note: Option<u32>,
    pub(crate) count: bool,
    /// Objects that are set, and attributes that are removed.
    pub(crate) set: Vec<Written>,
    pub(crate) remove: Vec<Slot>,
}

/// The condition of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    None,
    Exists,
    Missing,
}

/// One write to one item.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) item: usize,
    pub(crate) condition: Condition,
    pub(crate) effect: Effect,
}

/// What a call reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Success.
    Applied,
    /// A condition was not met.
    Unmet,
    /// An error after which it is certain that nothing was changed.
    Refused(String),
    /// Nothing, or an error that leaves it open.
    Unknown,
}

/// A call, or a part of one that is applied alone, and what became of it.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Writes that are applied together or not at all.
    Write(Vec<Write>, Verdict),
    /// A read that found this.
    Read(usize, Option<State>),
    /// A read of one object that found this.
    ReadObject(usize, Slot, Option<Written>),
}

impl State {
    pub(crate) fn object(&self, slot: Slot) -> Option<Written> {
        match slot {
            Slot::Content => self.content,
            Slot::Cover => self.cover,
        }
    }

    pub(crate) fn set_object(&mut self, slot: Slot, object: Option<Written>) {
        match slot {
            Slot::Content => self.content = object,
            Slot::Cover => self.cover = object,
        }
    }

    /// The item after it was written back as it was seen, with another note; none if it no longer has the objects.
    fn keep(&self, note: u32, old: Option<&State>) -> Option<State> {
        let mut kept = self.objects();
        if !kept.all(|object| old.and_then(|old| old.object(object.slot)) == Some(object)) {
            return None;
        }
        Some(State {
            note: Some(note),
            hits: 0,
            content: self.content,
            cover: self.cover,
        })
    }

    /// All its objects.
    pub(crate) fn objects(&self) -> impl Iterator<Item = Written> {
        [self.content, self.cover].into_iter().flatten()
    }
}

impl Write {
    /// The world after it; none if a condition is not met.
    fn apply(&self, world: &World) -> Option<World> {
        let old = &world[self.item];
        let is_met = match self.condition {
            Condition::None => true,
            Condition::Exists => old.is_some(),
            Condition::Missing => old.is_none(),
        };
        if !is_met {
            return None;
        }
        let new = match &self.effect {
            Effect::Save(state) => Some(state.clone()),
            Effect::Keep { note, seen } => Some(seen.keep(*note, old.as_ref())?),
            Effect::Update(change) => Some(change.apply(old.clone().unwrap_or_default())),
            Effect::Delete => None,
            Effect::Check => old.clone(),
        };
        let mut world = world.clone();
        world[self.item] = new;
        Some(world)
    }
}

impl Change {
    fn apply(&self, mut state: State) -> State {
        state.note = self.note.or(state.note);
        state.hits += u32::from(self.count);
        for object in &self.set {
            state.set_object(object.slot, Some(*object));
        }
        for slot in &self.remove {
            state.set_object(*slot, None);
        }
        state
    }
}

impl Event {
    /// The worlds that are possible after it.
    fn apply(&self, world: &World) -> Vec<World> {
        match self {
            Event::Read(item, found) => match world[*item] == *found {
                true => vec![world.clone()],
                false => Vec::new(),
            },
            Event::ReadObject(item, slot, found) => {
                let object = world[*item].as_ref().and_then(|state| state.object(*slot));
                match object == *found {
                    true => vec![world.clone()],
                    false => Vec::new(),
                }
            }
            Event::Write(writes, verdict) => {
                let applied = writes
                    .iter()
                    .try_fold(world.clone(), |world, write| write.apply(&world));
                match (verdict, applied) {
                    (Verdict::Applied, applied) => applied.into_iter().collect(),
                    (Verdict::Unmet, None) | (Verdict::Refused(_), _) | (Verdict::Unknown, None) => {
                        vec![world.clone()]
                    }
                    (Verdict::Unmet, Some(_)) => Vec::new(),
                    (Verdict::Unknown, Some(applied)) => vec![world.clone(), applied],
                }
            }
        }
    }
}

/// All worlds that the events lead to, in any order.
pub(crate) fn possible(before: &World, events: &[Event]) -> BTreeSet<World> {
    let mut possible = BTreeSet::new();
    let mut order: Vec<usize> = (0..events.len()).collect();
    permute(&mut order, 0, &mut |order| {
        let mut worlds = BTreeSet::from([before.clone()]);
        for index in order {
            worlds = worlds
                .iter()
                .flat_map(|world| events[*index].apply(world))
                .collect();
        }
        possible.append(&mut worlds);
    });
    possible
}

fn permute(order: &mut [usize], from: usize, visit: &mut impl FnMut(&[usize])) {
    if from >= order.len() {
        return visit(order);
    }
    for index in from..order.len() {
        order.swap(from, index);
        permute(order, from + 1, visit);
        order.swap(from, index);
    }
}
