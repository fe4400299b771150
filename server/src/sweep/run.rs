//! A whole sweep: its phases in order.

use tokio::sync::mpsc;

use super::context::Context;
use super::counts::Counts;
use super::deletion;
use super::error::Error;
use super::event::Event;
use super::objects::{self, Held, Task};
use super::options::Options;
use super::places::Places;
use super::pointers;
use super::position::{Mark, Position};
use super::uploads;
use crate::aws::{ACTIVE, Stores};
use crate::call::Call;
use crate::model::Models;

/// More than one orphan among so many objects stops a sweep.
const OBJECTS_PER_ORPHAN: u64 = 10;

/// A sweep over the objects of some models.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The stores.
    pub stores: Stores,
    /// The models whose objects are swept.
    pub models: Models,
    /// What to do.
    pub options: Options,
    /// The call that the requests are billed to. Its deadline is not used: each request has its own.
    pub call: Call,
}

impl Sweep {
    /// Sweeps from the beginning, or from the mark of an earlier sweep with the same models and options. Reports while it
    /// runs; ends early if the receiver is dropped. Returns the sums.
    ///
    /// # Errors
    ///
    /// Why it ended early; what it did before is done.
    pub async fn run(&self, from: Option<Mark>, events: mpsc::Sender<Event>) -> Result<Counts, Error> {
        self.options.check()?;
        let context = Context::new(
            self.stores.clone(),
            Places::new(&self.models),
            self.options.clone(),
            self.call.clone(),
            events,
        );
        let start = match from {
            Some(mark) => {
                context.resume(&mark)?;
                mark.position
            }
            None => Position::start(),
        };
        if !self.options.force {
            check_tables(&context).await?;
        }
        run_from(&context, start).await?;
        context.progress(None).await?;
        Ok(context.counts())
    }
}

async fn run_from(context: &Context, start: Position) -> Result<(), Error> {
    let from_uploads = (0, None);
    match start {
        Position::Objects { root, after } => {
            let is_start = root == 0 && after.is_empty();
            survey(context, (root, after), is_start).await?;
            uploads::walk(context, from_uploads).await?;
            pointers::walk(context, (0, None)).await
        }
        Position::Deletion { root, after } => {
            objects::walk(context, (root, after), Task::Delete).await?;
            uploads::walk(context, from_uploads).await?;
            pointers::walk(context, (0, None)).await
        }
        Position::Uploads { root, after } => {
            uploads::walk(context, (root, after)).await?;
            pointers::walk(context, (0, None)).await
        }
        Position::Pointers { table, after } => pointers::walk(context, (table, after)).await,
    }
}

/// Looks for orphans, and deletes them if there are not too many.
async fn survey(context: &Context, from: (usize, String), is_start: bool) -> Result<(), Error> {
    let mut held = Held {
        // what an earlier sweep found is not held any more
        has_more: !is_start,
        ..Held::default()
    };
    objects::walk(context, from, Task::Survey(&mut held)).await?;
    if !context.options.dry_run {
        let counts = context.counts();
        check_orphans(&counts, context.options.force)?;
        let position = Position::Deletion {
            root: 0,
            after: String::new(),
        };
        context.progress(Some(position)).await?;
        match held.has_more && counts.orphans > 0 {
            true => {
                drop(held);
                objects::walk(context, (0, String::new()), Task::Delete).await?;
            }
            false => deletion::delete_all(context, &held.orphans).await?,
        }
    }
    let position = Position::Uploads { root: 0, after: None };
    context.progress(Some(position)).await
}

async fn check_tables(context: &Context) -> Result<(), Error> {
    for (table, _) in &context.places.tables {
        let status = context
            .stores
            .dynamodb
            .table_status(&context.call(), table)
            .await?;
        if status != ACTIVE {
            return Err(Error::NotActive {
                table: table.clone(),
                status,
            });
        }
    }
    Ok(())
}

/// Uploads that nobody took up say nothing about items.
fn check_orphans(counts: &Counts, is_forced: bool) -> Result<(), Error> {
    let orphans = counts.orphans - counts.abandoned;
    if !is_forced && orphans * OBJECTS_PER_ORPHAN > counts.objects {
        return Err(Error::TooManyOrphans {
            orphans,
            objects: counts.objects,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_tenth_stops_a_sweep() {
        let counts = |objects, orphans, abandoned| Counts {
            objects,
            orphans,
            abandoned,
            ..Counts::default()
        };
        assert!(check_orphans(&counts(100, 10, 0), false).is_ok());
        assert!(check_orphans(&counts(100, 15, 5), false).is_ok());
        assert!(check_orphans(&counts(0, 0, 0), false).is_ok());
        assert!(check_orphans(&counts(100, 11, 0), true).is_ok());
        let refused = check_orphans(&counts(100, 11, 0), false).unwrap_err().to_string();
        assert!(refused.starts_with("11 of 100 objects are orphans"), "{refused}");
    }
}
