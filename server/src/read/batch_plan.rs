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
    /// The view of each read.
    views: Vec<usize>,
    /// A model of each table, for the names of its key attributes.
    models: HashMap<String, Arc<Model>>,
}

/// Keys that one request reads.
pub(super) struct Chunk {
    /// Indexes of targets; those of one table belong to one group.
    pub(super) targets: Vec<usize>,
    /// The wait before the request.
    pub(super) backoff: Backoff,
}

/// What reads must have in common to share a request.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Group {
    table: String,
    projection: Option<String>,
    /// Sorted.
    names: Vec<(String, String)>,
    consistent_read: bool,
}

/// A key of a group, and the reads that ask for it.
struct Target {
    group: usize,
    key: Key,
    reads: Vec<usize>,
}

/// Builds a plan.
#[derive(Default)]
struct Builder {
    groups: Vec<Group>,
    by_group: HashMap<Group, usize>,
    views: Vec<View>,
    by_view: HashMap<ViewId, usize>,
    targets: Vec<Target>,
    by_target: HashMap<(usize, ItemId), usize>,
}

/// What distinguishes a view: the model, the fields and the inline objects.
type ViewId = (String, Vec<String>, Vec<String>);

impl Plan {
    /// Plans the reads of a request. Returns the plan, the distinct views and the chunks.
    pub(super) fn new(gets: Vec<Get>) -> (Plan, Vec<View>, Vec<Chunk>) {
        let mut builder = Builder::default();
        let (mut views, mut models) = (Vec::with_capacity(gets.len()), HashMap::new());
        for (read, get) in gets.into_iter().enumerate() {
            let model = &get.view.model;
            if !models.contains_key(&model.table) {
                models.insert(model.table.clone(), Arc::clone(model));
            }
            views.push(builder.add(read, get));
        }
        let Builder {
            groups,
            targets,
            views: distinct,
            ..
        } = builder;
        let plan = Plan {
            groups,
            targets,
            views,
            models,
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
            |other: usize| other != group && self.groups[other].table == self.groups[group].table;
        let last_group = chunk.targets.last().map(|&last| self.targets[last].group);
        chunk.targets.len() < MAX_GETS
            && (last_group == Some(group)
                || !chunk
                    .targets
                    .iter()
                    .any(|&other| is_same_table(self.targets[other].group)))
    }

    /// The request for a chunk.
    pub(super) fn request(&self, chunk: &Chunk) -> BatchGetItem {
        let mut tables: Vec<(usize, TableKeys)> = Vec::new();
        for &target in &chunk.targets {
            let Target { group, key, .. } = &self.targets[target];
            if tables.last().is_none_or(|(last, _)| last != group) {
                tables.push((*group, self.groups[*group].table_keys()));
            }
            if let Some((_, table)) = tables.last_mut() {
                table.keys.push(key.item());
            }
        }
        BatchGetItem {
            tables: tables.into_iter().map(|(_, table)| table).collect(),
            uncounted: false,
        }
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

    /// The reads of each target of a chunk.
    pub(super) fn all<'a>(&'a self, chunk: &'a Chunk) -> impl Iterator<Item = Vec<usize>> + 'a {
        chunk.targets.iter().map(|&target| self.reads(target))
    }

    /// The targets of a chunk by the identity of their items.
    pub(super) fn targets<'a>(&'a self, chunk: &'a Chunk) -> impl Iterator<Item = (ItemId, usize)> + 'a {
        chunk.targets.iter().map(|&target| {
            let Target { group, key, .. } = &self.targets[target];
            (ItemId::new(&self.groups[*group].table, key), target)
        })
    }

    /// The identity of an item or key that the store returned.
    pub(super) fn id_of(&self, table: &str, item: &Item) -> Option<ItemId> {
        let key = Key::from_item(self.models.get(table)?, item)?;
        Some(ItemId::new(table, &key))
    }

    /// The reads that ask for a target.
    pub(super) fn reads(&self, target: usize) -> Vec<usize> {
        self.targets[target].reads.clone()
    }

    /// The view of a read.
    pub(super) fn view(&self, read: usize) -> usize {
        self.views[read]
    }
}

impl Builder {
    /// Adds a read. Returns its view.
    fn add(&mut self, read: usize, get: Get) -> usize {
        let Get {
            key,
            view,
            names,
            consistent_read,
        } = get;
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort_unstable();
        let group = Group {
            table: view.model.table.clone(),
            projection: view.projection_text(),
            names,
            consistent_read,
        };
        let id = ItemId::new(&group.table, &key);
        let groups = &mut self.groups;
        let group = *self.by_group.entry(group).or_insert_with_key(|group| {
            groups.push(group.clone());
            groups.len() - 1
        });
        let targets = &mut self.targets;
        let target = *self.by_target.entry((group, id)).or_insert_with(|| {
            targets.push(Target {
                group,
                key,
                reads: Vec::new(),
            });
            targets.len() - 1
        });
        self.targets[target].reads.push(read);
        let view_id = (
            view.model.name.clone(),
            view.fields.clone(),
            view.include_objects.clone(),
        );
        let views = &mut self.views;
        *self.by_view.entry(view_id).or_insert_with(|| {
            views.push(view);
            views.len() - 1
        })
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

impl Group {
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
