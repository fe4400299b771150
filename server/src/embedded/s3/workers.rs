//! The threads that use SQLite: one writer, a few readers, and one that removes unreferenced bodies. Async callers wait
//! for their results on a channel. Knows nothing of S3.
//!
//! The writer runs all queued jobs in one transaction, each in a separate savepoint, and replies after the commit, so
//! that concurrent writes share one flush to the disk. A job whose caller has gone before it starts is skipped; a job
//! that has started runs to its end.

use std::sync::{Arc, mpsc as blocking};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::super::layout::S3_INDEX_LOG;
use super::bodies::{Bodies, RemovedBodies};
use super::body_writer::NewBody;
use super::fault::Fault;

/// Threads that read the index.
pub(super) const READERS: usize = 4;
/// Jobs that may wait for the writer, and for the readers.
const QUEUE: usize = 256;
/// The maximum number of jobs in one transaction.
const BATCH: usize = 64;
/// Contents whose bodies may wait for removal; beyond this number writers wait.
const REMOVALS: usize = 1024;

/// A connection that threads may share: in memory the readers use the connection of the writer.
pub(super) type SharedConnection = Arc<Mutex<Connection>>;

type ReadJob = Box<dyn FnOnce(&Connection) + Send>;
type WriteJob = Box<dyn FnOnce(&Connection) -> Option<Done> + Send>;
type Announce = Box<dyn FnOnce(Result<(), Fault>) + Send>;

/// What happens to bodies after the commit of a write.
#[derive(Default)]
pub(super) struct BodyChanges {
    /// A new body that the index refers to now.
    pub(super) keep: Option<NewBody>,
    /// Bodies that the index no longer refers to.
    pub(super) remove: Vec<RemovedBodies>,
}

/// A job that has run, and the reply to its caller.
struct Done {
    changes: BodyChanges,
    announce: Announce,
}

/// The threads of one store. Dropping this completes the queued jobs and ends the threads.
pub(super) struct Workers {
    writes: Option<mpsc::Sender<WriteJob>>,
    reads: Option<mpsc::Sender<ReadJob>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts the threads: one writer, and one reader per connection in `readers`.
    pub(super) fn start(
        writer: SharedConnection,
        readers: Vec<SharedConnection>,
        bodies: &Arc<Bodies>,
    ) -> std::io::Result<Self> {
        let (writes, write_queue) = mpsc::channel(QUEUE);
        let (reads, read_queue) = mpsc::channel(QUEUE);
        let (removals, removal_queue) = blocking::sync_channel(REMOVALS);
        let read_queue = Arc::new(Mutex::new(read_queue));
        let mut workers = Self {
            writes: Some(writes),
            reads: Some(reads),
            threads: Vec::new(),
        };
        for reader in readers {
            let queue = Arc::clone(&read_queue);
            workers.spawn("s3-reader", move || read_all(&reader, &queue))?;
        }
        workers.spawn("s3-writer", move || write_all(&writer, write_queue, &removals))?;
        let bodies = Arc::clone(bodies);
        workers.spawn("s3-remover", move || remove_all(&bodies, &removal_queue))?;
        Ok(workers)
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.threads
            .push(thread::Builder::new().name(name.to_owned()).spawn(work)?);
        Ok(())
    }

    /// Reads the index. A job of several statements should use a transaction to see one snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, result) = oneshot::channel();
        let job: ReadJob = Box::new(move |connection| {
            if !reply.is_closed() {
                // fails only if the caller has gone
                reply.send(job(connection)).ok();
            }
        });
        let queue = self.reads.as_ref().ok_or_else(closed)?;
        queue.send(job).await.map_err(|_| closed())?;
        result.await.map_err(|_| closed())?
    }

    /// Writes the index, and returns after the commit. The [`BodyChanges`] of the job is applied even if the caller has
    /// gone.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<(T, BodyChanges), Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, result) = oneshot::channel();
        let job: WriteJob = Box::new(move |connection| {
            if reply.is_closed() {
                return None;
            }
            let (outcome, changes) = match in_savepoint(connection, job) {
                Ok((value, changes)) => (Ok(value), changes),
                Err(fault) => (Err(fault), BodyChanges::default()),
            };
            // fails only if the caller has gone
            let announce =
                Box::new(move |committed: Result<(), Fault>| drop(reply.send(committed.and(outcome))));
            Some(Done { changes, announce })
        });
        let queue = self.writes.as_ref().ok_or_else(closed)?;
        queue.send(job).await.map_err(|_| closed())?;
        result.await.map_err(|_| closed())?
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.writes = None;
        self.reads = None;
        for thread in self.threads.drain(..) {
            // a thread that panicked has ended
            thread.join().ok();
        }
    }
}

fn closed() -> Fault {
    Fault::Broken("the store is closed or cannot be written".to_owned())
}

fn read_all(connection: &SharedConnection, queue: &Mutex<mpsc::Receiver<ReadJob>>) {
    loop {
        let job = queue.lock().blocking_recv();
        let Some(job) = job else { return };
        job(&connection.lock());
    }
}

fn write_all(
    connection: &SharedConnection,
    mut queue: mpsc::Receiver<WriteJob>,
    removals: &blocking::SyncSender<RemovedBodies>,
) {
    while let Some(first) = queue.blocking_recv() {
        let mut jobs = vec![first];
        while jobs.len() < BATCH
            && let Ok(job) = queue.try_recv()
        {
            jobs.push(job);
        }
        let (committed, done) = write_batch(&connection.lock(), jobs);
        finish_batch(&committed, done, removals);
    }
}

/// Runs jobs in one transaction. A job that fails rolls back its own changes. It too gets its reply after the commit,
/// because the reason of its failure may be a change of another job in the transaction.
fn write_batch(connection: &Connection, jobs: Vec<WriteJob>) -> (rusqlite::Result<()>, Vec<Done>) {
    if let Err(failure) = connection.execute_batch("BEGIN IMMEDIATE") {
        // the jobs have not started: dropping them fails their callers and removes their bodies
        tracing::error!(error = %failure, "cannot write the S3 index");
        return (Ok(()), Vec::new());
    }
    let done: Vec<Done> = jobs.into_iter().filter_map(|job| job(connection)).collect();
    let committed = connection.execute_batch("COMMIT");
    if committed.is_err() && !connection.is_autocommit() {
        // if this fails too, the next BEGIN reports it
        connection.execute_batch("ROLLBACK").ok();
    }
    (committed, done)
}

/// Replies to the callers and applies the changes to bodies. After a failed commit the state on disk is unknown: all
/// bodies stay, and the next start sweeps those that the index does not refer to.
fn finish_batch(
    committed: &rusqlite::Result<()>,
    done: Vec<Done>,
    removals: &blocking::SyncSender<RemovedBodies>,
) {
    for Done { changes, announce } in done {
        if let Some(new_body) = changes.keep {
            new_body.keep();
        }
        announce(match committed {
            Ok(()) => Ok(()),
            Err(failure) => Err(Fault::Broken(format!("cannot commit to the index: {failure}"))),
        });
        if committed.is_ok() {
            for removed in changes.remove {
                // cannot fail: the remover ends after the writer
                removals.send(removed).ok();
            }
        }
    }
}

fn remove_all(bodies: &Bodies, queue: &blocking::Receiver<RemovedBodies>) {
    while let Ok(first) = queue.recv() {
        let batch: Vec<RemovedBodies> = std::iter::once(first)
            .chain(queue.try_iter().take(REMOVALS))
            .collect();
        if let Err(failure) = bodies.sync_index_log(S3_INDEX_LOG) {
            tracing::warn!(error = %failure, "cannot flush the index; unreferenced bodies stay until the next start");
            continue;
        }
        for removed in batch {
            bodies.remove(removed);
        }
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    job: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    if connection.is_autocommit() {
        return Err(Fault::Broken(
            "an earlier failure ended the transaction".to_owned(),
        ));
    }
    connection.execute_batch("SAVEPOINT job")?;
    match job(connection) {
        Ok(value) => {
            connection.execute_batch("RELEASE job")?;
            Ok(value)
        }
        Err(fault) => {
            connection.execute_batch("ROLLBACK TO job; RELEASE job")?;
            Err(fault)
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::super::schema::open_memory;
    use super::*;

    #[tokio::test]
    async fn a_failed_job_rolls_back_only_its_own_changes() {
        let connection = Arc::new(Mutex::new(open_memory().unwrap()));
        let bodies = Arc::new(Bodies::memory());
        let workers =
            Workers::start(Arc::clone(&connection), vec![Arc::clone(&connection)], &bodies).unwrap();
        // the writer waits for the connection, so that the jobs share few transactions
        let held = connection.lock();
        let jobs = join_all((0..100_i64).map(|number| {
            workers.write(move |connection| {
                connection.execute("INSERT INTO bucket VALUES (?1, ?2)", (number.to_string(), number))?;
                if number % 3 == 0 {
                    return Err(Fault::Broken("refused".to_owned()));
                }
                Ok((number, BodyChanges::default()))
            })
        }));
        let (results, ()) = tokio::join!(jobs, async { drop(held) });
        let written: Vec<i64> = results
            .iter()
            .filter_map(|result| result.as_ref().ok().copied())
            .collect();
        assert_eq!(written.len(), 66);
        let stored = workers.read(|connection| {
            let mut statement = connection.prepare("SELECT created_ms FROM bucket ORDER BY created_ms")?;
            Ok(statement
                .query_map([], |row| row.get(0))?
                .collect::<Result<Vec<i64>, _>>()?)
        });
        assert_eq!(stored.await.unwrap(), written);
    }

    #[tokio::test]
    async fn a_lost_transaction_fails_all_of_its_jobs() {
        let connection = Arc::new(Mutex::new(open_memory().unwrap()));
        let bodies = Arc::new(Bodies::memory());
        let workers =
            Workers::start(Arc::clone(&connection), vec![Arc::clone(&connection)], &bodies).unwrap();
        let held = connection.lock();
        let jobs = join_all((0..10_i64).map(|number| {
            workers.write(move |connection| {
                // SQLite does this itself on a full disk
                let statement = if number == 5 {
                    "ROLLBACK"
                } else {
                    "INSERT INTO bucket VALUES (hex(randomblob(8)), 0)"
                };
                connection.execute_batch(statement)?;
                Ok(((), BodyChanges::default()))
            })
        }));
        let (results, ()) = tokio::join!(jobs, async { drop(held) });
        let acknowledged = results.iter().filter(|result| result.is_ok()).count();
        let count = workers.read(|connection| {
            Ok(connection.query_row("SELECT count(*) FROM bucket", [], |row| row.get::<_, usize>(0))?)
        });
        assert_eq!(count.await.unwrap(), acknowledged);
        assert!(workers.write(|_| Ok(((), BodyChanges::default()))).await.is_ok());
    }
}
