//! The plan of a batch of reads: which keys are read, each once, in which chunks, and for which reads of the request. Sends
//! nothing.

use std::collections::HashMap;
use std::sync::Arc;

use super::get::Get;
use super::view::View;
use crate::aws::{BatchGetItem, MAX_GETS, TableKeys};
use crate::call::Backoff;
use crate::item::{ItemId, Key};
use crate::model::{Item, Model};

/// The plan of a batch.
pub(super) struct Plan {
    groups: Vec<Group>,
    targets: Vec<Target>,
    by_target: HashMap<(usize, ItemId), usize>,
    /// The view of each read.
    views: Vec<usize>,
}

/// Keys that one request reads.
pub(super) struct Chunk {
    /// Indexes of targets; those of one table belong to one group.
    pub(super) targets: Vec<usize>,
    /// The wait before the request.
    pub(super) backoff: Backoff,
}

/// Keys of one table that are read alike.
struct Group {
    id: GroupId,
    /// A model of the table, for the names of its key attributes.
    model: Arc<Model>,
}

/// What reads must have in common to share a request.
#[derive(Clone, PartialEq, Eq, Hash)]
struct GroupId {
    table: String,
    projection: Option<String>,
    /// Sorted.
    names: Vec<(String, String)>,
    consistent_read: bool,
}

/// A key of a group, and the reads that ask for it.
struct Target {
    group: usize,
    /// `None` while a request that will not be split has it.
    key: Option<Key>,
    reads: Vec<usize>,
}

/// Builds a plan.
#[derive(Default)]
struct Builder {
    groups: Vec<Group>,
    by_group: HashMap<GroupId, usize>,
    views: Vec<View>,
    by_view: HashMap<ViewId, usize>,
    targets: Vec<Target>,
    by_target: HashMap<(usize, ItemId), usize>,
    /// The group and the view of the last read, which the next one often has too.
    last: Option<(usize, usize)>,
}

/// What distinguishes a view: the model, the fields and the inline objects.
type ViewId = (String, Vec<String>, Vec<String>);

impl Plan {
    /// Plans the reads of a request. Returns the plan, the distinct views and the chunks.
    pub(super) fn new(gets: Vec<Get>) -> (Plan, Vec<View>, Vec<Chunk>) {
        let mut builder = Builder::default();
        builder.targets.reserve(gets.len());
        builder.by_target.reserve(gets.len());
        let gets = gets.into_iter().enumerate();
        let views = gets.map(|(read, get)| builder.add(read, get)).collect();
        let Builder {
            groups,
            targets,
            by_target,
            views: distinct,
            ..
        } = builder;
        let plan = Plan {
            groups,
            targets,
            by_target,
            views,
        };
        let chunks = plan.chunks();
        (plan, distinct, chunks)
    }

    /// The targets of each group in turn, up to [`MAX_GETS`] together.
    fn chunks(&self) -> Vec<Chunk> {
        let mut order: Vec<usize> = (0..self.targets.len()).collect();
        order.sort_by_key(|&target| self.targets[target].group);
        let mut chunks: Vec<Chunk> = Vec::new();
        for target in order {
            let fits = chunks.last().is_some_and(|chunk| self.fits(chunk, target));
            match chunks.last_mut().filter(|_| fits) {
                Some(chunk) => chunk.targets.push(target),
                None => chunks.push(Chunk::of(vec![target])),
            }
        }
        chunks
    }

    fn fits(&self, chunk: &Chunk, target: usize) -> bool {
        let group = self.targets[target].group;
        let is_same_table =
            |other: usize| other != group && self.groups[other].id.table == self.groups[group].id.table;
        let last_group = chunk.targets.last().map(|&last| self.targets[last].group);
        chunk.targets.len() < MAX_GETS
            && (last_group == Some(group)
                || !chunk
                    .targets
                    .iter()
                    .any(|&other| is_same_table(self.targets[other].group)))
    }

    /// The request for a chunk.
    pub(super) fn request(&mut self, chunk: &Chunk) -> BatchGetItem {
        let mut tables: Vec<(usize, TableKeys)> = Vec::new();
        let is_split_if_refused = self.has_several_groups(chunk);
        for &target in &chunk.targets {
            let Target { group, key, .. } = &mut self.targets[target];
            if tables.last().is_none_or(|(last, _)| last != group) {
                let mut keys = self.groups[*group].id.table_keys();
                keys.keys.reserve(chunk.targets.len());
                tables.push((*group, keys));
            }
            let key = match is_split_if_refused {
                true => key.clone(),
                false => key.take(),
            };
            if let (Some((_, table)), Some(key)) = (tables.last_mut(), key) {
                table.keys.push(key.into_attributes());
            }
        }
        BatchGetItem {
            tables: tables.into_iter().map(|(_, table)| table).collect(),
            uncounted: false,
        }
    }

    fn has_several_groups(&self, chunk: &Chunk) -> bool {
        let mut groups = chunk.targets.iter().map(|&target| self.targets[target].group);
        let first = groups.next();
        groups.any(|group| Some(group) != first)
    }

    /// The parts of a chunk, one for each table; `None` if it has a single one.
    pub(super) fn split(&self, chunk: &Chunk) -> Option<Vec<Chunk>> {
        let mut parts: Vec<(usize, Chunk)> = Vec::new();
        for &target in &chunk.targets {
            let group = self.targets[target].group;
            match parts.last_mut().filter(|(last, _)| *last == group) {
                Some((_, part)) => part.targets.push(target),
                None => parts.push((group, Chunk::of(vec![target]))),
            }
        }
        (parts.len() > 1).then(|| parts.into_iter().map(|(_, part)| part).collect())
    }

    /// Takes back the key that the store left unprocessed in a chunk. Returns its target.
    pub(super) fn take_back(&mut self, chunk: &Chunk, table: &str, key: &Item) -> Option<usize> {
        let group = self.group_of(chunk, table)?;
        let target = self.target_of(group, key)?;
        let kept = &mut self.targets[target].key;
        if kept.is_none() {
            *kept = Key::from_item(&self.groups[group].model, key);
        }
        kept.is_some().then_some(target)
    }

    /// The group of a chunk that reads a table.
    pub(super) fn group_of(&self, chunk: &Chunk, table: &str) -> Option<usize> {
        let groups = chunk.targets.iter().map(|&target| self.targets[target].group);
        let mut last = None;
        groups
            .filter(|&group| last.replace(group) != Some(group))
            .find(|&group| self.groups[group].id.table == table)
    }

    /// The target of an item or key of a group, whether a chunk asks for it or not.
    pub(super) fn target_of(&self, group: usize, item: &Item) -> Option<usize> {
        let id = ItemId::of_stored(&self.groups[group].model, item)?;
        self.by_target.get(&(group, id)).copied()
    }

    /// Puts the targets of a chunk in the order of their groups.
    pub(super) fn sort(&self, targets: &mut [usize]) {
        targets.sort_unstable_by_key(|&target| (self.targets[target].group, target));
    }

    /// Takes the reads that ask for a target.
    pub(super) fn take_reads(&mut self, target: usize) -> Vec<usize> {
        std::mem::take(&mut self.targets[target].reads)
    }

    /// The view of a read.
    pub(super) fn view(&self, read: usize) -> usize {
        self.views[read]
    }
}

impl Builder {
    /// Adds a read. Returns its view.
    fn add(&mut self, read: usize, get: Get) -> usize {
        let (key, group, view) = match self.last {
            Some((group, view)) if self.is_like(group, view, &get) => (get.key, group, view),
            _ => self.place(get),
        };
        self.last = Some((group, view));
        let id = ItemId::new(&self.groups[group].id.table, &key);
        let targets = &mut self.targets;
        let target = *self.by_target.entry((group, id)).or_insert_with(|| {
            targets.push(Target {
                group,
                key: Some(key),
                reads: Vec::new(),
            });
            targets.len() - 1
        });
        self.targets[target].reads.push(read);
        view
    }

    /// Whether a read certainly has this group and this view.
    fn is_like(&self, group: usize, view: usize, get: &Get) -> bool {
        let (
            view,
            GroupId {
                names,
                consistent_read,
                ..
            },
        ) = (&self.views[view], &self.groups[group].id);
        Arc::ptr_eq(&view.model, &get.view.model)
            && view.fields == get.view.fields
            && view.include_objects == get.view.include_objects
            // equal fields of one model have equal projections, but placeholders may be numbered in another order
            && names.is_empty()
            && get.names.is_empty()
            && *consistent_read == get.consistent_read
    }

    /// The key of a read, its group and its view.
    fn place(&mut self, get: Get) -> (Key, usize, usize) {
        let Get {
            key,
            view,
            names,
            consistent_read,
        } = get;
        let (projection, names) = view.projection_with(names);
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        let group = GroupId {
            table: view.model.table.clone(),
            projection,
            names,
            consistent_read,
        };
        let groups = &mut self.groups;
        let group = *self.by_group.entry(group).or_insert_with_key(|id| {
            groups.push(Group {
                id: id.clone(),
                model: Arc::clone(&view.model),
            });
            groups.len() - 1
        });
        let view_id = (
            view.model.name.clone(),
            view.fields.clone(),
            view.include_objects.clone(),
        );
        let views = &mut self.views;
        let view = *self.by_view.entry(view_id).or_insert_with(|| {
            views.push(view);
            views.len() - 1
        });
        (key, group, view)
    }
}

impl Chunk {
    fn of(targets: Vec<usize>) -> Chunk {
        Chunk {
            targets,
            backoff: Backoff::default(),
        }
    }
}

impl GroupId {
    fn table_keys(&self) -> TableKeys {
        TableKeys {
            table: self.table.clone(),
            keys: Vec::new(),
            projection: self.projection.clone(),
            names: self.names.iter().cloned().collect(),
            consistent_read: self.consistent_read,
        }
    }
}
