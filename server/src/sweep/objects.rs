//! The walk over all objects: surveys them, or deletes their orphans.
//!
//! A writer that has just replaced an object deletes it a moment later. What looks like an orphan is therefore looked at
//! again after a second, by a consistent read of its item and a look for the object; only what is still there is reported.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::claims::{self, Claimed, ClaimedKind};
use super::context::Context;
use super::deletion;
use super::error::Error;
use super::event::Finding;
use super::hashed;
use super::places::Root;
use super::position::Position;
use crate::aws::ListedObject;
use crate::call;

/// How long an object must look like an orphan.
const SETTLE_TIME: Duration = Duration::from_secs(1);
/// Objects that may wait to be looked at again.
const MAX_PENDING: usize = 5_000;
/// Pages between two marks.
const PAGES_PER_MARK: usize = 16;
/// Objects named by hashes that wait for a scan of their table.
const MAX_HASHED: usize = 1_000;

/// What a walk does with orphans.
pub(super) enum Task<'a> {
    /// Reports them, and holds as many as fit.
    Survey(&'a mut Held),
    /// Deletes them.
    Delete,
}

/// Orphans that a survey found.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Each with the number of its root.
    pub(super) orphans: Vec<(usize, Claimed)>,
    /// Whether there are more.
    pub(super) has_more: bool,
}

/// Walks over the objects that follow `after` under the root with this number, and all objects of the later roots.
pub(super) async fn walk(
    context: &Context,
    (first, after): (usize, String),
    mut task: Task<'_>,
) -> Result<(), Error> {
    let mut after = after;
    for (number, root) in context.places.roots.iter().enumerate().skip(first) {
        let mut walk = Walk {
            context,
            root,
            number,
            pending: VecDeque::new(),
            hashed: Vec::new(),
        };
        walk.run(std::mem::take(&mut after), &mut task).await?;
    }
    Ok(())
}

/// The walk over one root.
struct Walk<'a> {
    context: &'a Context,
    root: &'a Root,
    number: usize,
    /// What looks like an orphan, and since when.
    pending: VecDeque<(Instant, Claimed)>,
    hashed: Vec<Claimed>,
}

impl Walk<'_> {
    async fn run(&mut self, mut after: String, task: &mut Task<'_>) -> Result<(), Error> {
        for pages in 1.. {
            let location = self.root.at(&self.root.prefix);
            let call = self.context.call();
            let page = self
                .context
                .stores
                .s3
                .list_objects(&call, location, &after)
                .await?;
            if let Some(last) = page.objects.last() {
                last.key.clone_into(&mut after);
            }
            let is_last = !page.has_more || page.objects.is_empty();
            self.take(page.objects, page.now, task).await?;
            if is_last || self.hashed.len() >= MAX_HASHED {
                self.match_hashed().await?;
            }
            let waits = is_last || pages % PAGES_PER_MARK == 0 || self.pending.len() >= MAX_PENDING;
            self.settle(waits, task).await?;
            self.report(&after, task).await?;
            if is_last {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn take(
        &mut self,
        objects: Vec<ListedObject>,
        now: SystemTime,
        task: &Task<'_>,
    ) -> Result<(), Error> {
        let (unclaimed, owned) = claims::unclaimed(self.context, self.root, objects, now).await?;
        if let Task::Survey(_) = task {
            self.context.count(|counts| counts.objects += owned);
        }
        for claimed in unclaimed {
            match claimed.kind {
                ClaimedKind::Hashed => self.hashed.push(claimed),
                ClaimedKind::Owned | ClaimedKind::Upload => {
                    self.pending.push_back((call::now(), claimed));
                }
            }
        }
        Ok(())
    }

    async fn match_hashed(&mut self) -> Result<(), Error> {
        let hashed = std::mem::take(&mut self.hashed);
        let unpointed = hashed::unpointed(self.context, self.root, hashed).await?;
        let now = call::now();
        self.pending
            .extend(unpointed.into_iter().map(|claimed| (now, claimed)));
        Ok(())
    }

    /// Handles what has looked like an orphan for long enough; with `waits`, everything.
    async fn settle(&mut self, waits: bool, task: &mut Task<'_>) -> Result<(), Error> {
        let settle_time = match task {
            Task::Survey(_) => SETTLE_TIME,
            // it is read again right before it is deleted
            Task::Delete => Duration::ZERO,
        };
        if waits && let Some((since, _)) = self.pending.back() {
            tokio::time::sleep_until((*since + settle_time).into()).await;
        }
        let mut due = Vec::new();
        while let Some((since, _)) = self.pending.front()
            && call::now().duration_since(*since) >= settle_time
        {
            due.extend(self.pending.pop_front().map(|(_, claimed)| claimed));
        }
        match task {
            Task::Survey(held) => self.survey(due, held).await,
            Task::Delete => {
                let deletions: Vec<_> = due
                    .iter()
                    .map(|claimed| deletion::delete(self.context, self.root, claimed))
                    .collect();
                stream::iter(deletions)
                    .buffer_unordered(self.context.in_flight())
                    .try_collect()
                    .await
            }
        }
    }

    async fn survey(&self, due: Vec<Claimed>, held: &mut Held) -> Result<(), Error> {
        let looks: Vec<_> = due.into_iter().map(|claimed| self.look(claimed)).collect();
        let mut looks = stream::iter(looks).buffered(self.context.in_flight());
        while let Some(orphan) = looks.try_next().await? {
            let Some(orphan) = orphan else { continue };
            let bytes = orphan.object.bytes;
            self.context.count(|counts| {
                counts.orphans += 1;
                counts.orphan_bytes += bytes;
                counts.abandoned += u64::from(orphan.kind == ClaimedKind::Upload);
            });
            self.context
                .found(Finding::Orphan {
                    bucket: self.root.bucket.clone(),
                    key: orphan.object.key.clone(),
                    bytes,
                })
                .await?;
            match held.orphans.len() < self.context.options.held {
                true => held.orphans.push((self.number, orphan)),
                false => held.has_more = true,
            }
        }
        Ok(())
    }

    /// Looks again; `None` if the item points to the object, or it is gone.
    async fn look(&self, claimed: Claimed) -> Result<Option<Claimed>, Error> {
        if let Some(item_key) = &claimed.item_key {
            let model = &self.root.places[claimed.place].model;
            let key = &claimed.object.key;
            if self
                .context
                .is_pointed_to(model, item_key, self.root, key)
                .await?
            {
                return Ok(None);
            }
        }
        let head = claims::head(self.context, self.root, &claimed.object.key).await?;
        Ok(head.map(|head| Claimed {
            version_id: head.stored.version_id,
            ..claimed
        }))
    }

    async fn report(&self, after: &str, task: &Task<'_>) -> Result<(), Error> {
        let is_settled = self.pending.is_empty() && self.hashed.is_empty();
        let (root, after) = (self.number, after.to_owned());
        let position = match task {
            Task::Survey(_) => Position::Objects { root, after },
            Task::Delete => Position::Deletion { root, after },
        };
        self.context.progress(is_settled.then_some(position)).await
    }
}
