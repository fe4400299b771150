//! The threads that talk to SQLite: one writer, a few readers, one that removes old bodies. Async callers wait for
//! them on a channel. Knows nothing of S3.
//!
//! The writer takes what has queued up into one transaction, each job in a savepoint of its own, and answers when
//! the transaction has been committed: writers that come together share one push to the disk. A job that was not
//! begun when its caller left is not done; one that was begun is done to its end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as blocking};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::super::layout::S3_INDEX_LOG;
use super::bodies::{Arrival, Bodies, Doomed};
use super::fault::Fault;

/// Threads that read the index.
pub(super) const READERS: usize = 4;
/// Jobs that may wait for the writer, and for the readers.
const QUEUE: usize = 256;
/// Most jobs in one transaction.
const BATCH: usize = 64;
/// Contents that may wait for their bodies' removal; past it writers wait.
const REMOVALS: usize = 1024;

/// A connection, and whoever shares it: in memory the readers share the writer's.
pub(super) type Shared = Arc<Mutex<Connection>>;

type ReadJob = Box<dyn FnOnce(&Connection) + Send>;
type WriteJob = Box<dyn FnOnce(&Connection) -> Option<Done> + Send>;
type Announce = Box<dyn FnOnce(Result<(), Fault>) + Send>;

/// What is to be done about bodies once a write is committed.
#[derive(Default)]
pub(super) struct Aftermath {
    /// Bodies that the index names from now on.
    pub(super) keep: Option<Arrival>,
    /// Bodies that it names no more.
    pub(super) remove: Vec<Doomed>,
}

/// A job that ran, and how its caller learns of the commit.
struct Done {
    aftermath: Aftermath,
    announce: Announce,
}

/// The threads of one store; they end when it is dropped, after what has queued up.
pub(super) struct Workers {
    writes: Option<mpsc::Sender<WriteJob>>,
    reads: Option<mpsc::Sender<ReadJob>>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts the threads: one writer, one reader for each of `readers`.
    pub(super) fn start(writer: Shared, readers: Vec<Shared>, bodies: &Arc<Bodies>) -> std::io::Result<Self> {
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

    /// Reads the index; the job sees one connection and should see one snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        let job: ReadJob = Box::new(move |connection| {
            if !reply.is_closed() {
                // a caller that has left needs no answer
                reply.send(job(connection)).ok();
            }
        });
        let queue = self.reads.as_ref().ok_or_else(closed)?;
        queue.send(job).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Writes the index; answers once the write is committed. The job's [`Aftermath`] is seen to whether or not the
    /// caller still waits.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<(T, Aftermath), Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        let job: WriteJob = Box::new(move |connection| {
            if reply.is_closed() {
                return None;
            }
            let (result, aftermath) = match in_savepoint(connection, job) {
                Ok((value, aftermath)) => (Ok(value), aftermath),
                Err(fault) => (Err(fault), Aftermath::default()),
            };
            // a caller that left meanwhile needs no answer
            let announce =
                Box::new(move |committed: Result<(), Fault>| drop(reply.send(committed.and(result))));
            Some(Done { aftermath, announce })
        });
        let queue = self.writes.as_ref().ok_or_else(closed)?;
        queue.send(job).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.writes = None;
        self.reads = None;
        for thread in self.threads.drain(..) {
            // a thread that panicked has nothing left to end
            thread.join().ok();
        }
    }
}

fn closed() -> Fault {
    Fault::Broken("the store is closed or takes no writes".to_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_all(connection: &Shared, queue: &Mutex<mpsc::Receiver<ReadJob>>) {
    loop {
        let job = lock(queue).blocking_recv();
        let Some(job) = job else { return };
        job(&lock(connection));
    }
}

fn write_all(
    connection: &Shared,
    mut queue: mpsc::Receiver<WriteJob>,
    removals: &blocking::SyncSender<Doomed>,
) {
    while let Some(first) = queue.blocking_recv() {
        let mut jobs = vec![first];
        while jobs.len() < BATCH
            && let Ok(job) = queue.try_recv()
        {
            jobs.push(job);
        }
        let (committed, done) = write_batch(&lock(connection), jobs);
        settle(&committed, done, removals);
    }
}

/// Runs jobs in one transaction. A job that failed has undone its own part; it too is answered after the commit,
/// since what it was refused for may be the work of a job beside it.
fn write_batch(connection: &Connection, jobs: Vec<WriteJob>) -> (rusqlite::Result<()>, Vec<Done>) {
    if let Err(failure) = connection.execute_batch("BEGIN IMMEDIATE") {
        // the jobs were not begun: dropping them tells their callers and discards their bodies
        tracing::error!(error = %failure, "the S3 index takes no writes");
        return (Ok(()), Vec::new());
    }
    let done: Vec<Done> = jobs.into_iter().filter_map(|job| job(connection)).collect();
    let committed = connection.execute_batch("COMMIT");
    if committed.is_err() && !connection.is_autocommit() {
        // nothing more can be done here if this fails too: the next BEGIN will say so
        connection.execute_batch("ROLLBACK").ok();
    }
    (committed, done)
}

/// After a commit that failed nobody can say what is on the disk: bodies stay, and the next start sweeps by what the
/// index then says.
fn settle(committed: &rusqlite::Result<()>, done: Vec<Done>, removals: &blocking::SyncSender<Doomed>) {
    for Done { aftermath, announce } in done {
        if let Some(arrival) = aftermath.keep {
            arrival.keep();
        }
        announce(match committed {
            Ok(()) => Ok(()),
            Err(failure) => Err(Fault::Broken(format!(
                "the index did not take the write: {failure}"
            ))),
        });
        if committed.is_ok() {
            for doomed in aftermath.remove {
                // the remover ends after the writer
                removals.send(doomed).ok();
            }
        }
    }
}

fn remove_all(bodies: &Bodies, queue: &blocking::Receiver<Doomed>) {
    while let Ok(first) = queue.recv() {
        let batch: Vec<Doomed> = std::iter::once(first)
            .chain(queue.try_iter().take(REMOVALS))
            .collect();
        if let Err(failure) = bodies.push_index(S3_INDEX_LOG) {
            tracing::warn!(error = %failure, "old bodies stay until the next start");
            continue;
        }
        for doomed in batch {
            bodies.remove(doomed);
        }
    }
}

fn in_savepoint<T>(
    connection: &Connection,
    job: impl FnOnce(&Connection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    if connection.is_autocommit() {
        return Err(Fault::Broken(
            "the transaction was lost to an earlier failure".to_owned(),
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
    async fn a_job_that_fails_undoes_its_own_part_only() {
        let connection = Arc::new(Mutex::new(open_memory().unwrap()));
        let bodies = Arc::new(Bodies::memory());
        let workers =
            Workers::start(Arc::clone(&connection), vec![Arc::clone(&connection)], &bodies).unwrap();
        // the writer waits for the connection, so that all jobs come into few transactions
        let held = connection.lock().unwrap();
        let jobs = join_all((0..100_i64).map(|number| {
            workers.write(move |connection| {
                connection.execute("INSERT INTO bucket VALUES (?1, ?2)", (number.to_string(), number))?;
                if number % 3 == 0 {
                    return Err(Fault::Broken("refused".to_owned()));
                }
                Ok((number, Aftermath::default()))
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
    async fn a_lost_transaction_is_told_to_all_whose_work_it_held() {
        let connection = Arc::new(Mutex::new(open_memory().unwrap()));
        let bodies = Arc::new(Bodies::memory());
        let workers =
            Workers::start(Arc::clone(&connection), vec![Arc::clone(&connection)], &bodies).unwrap();
        let held = connection.lock().unwrap();
        let jobs = join_all((0..10_i64).map(|number| {
            workers.write(move |connection| {
                // as SQLite does by itself on a full disk
                let statement = if number == 5 {
                    "ROLLBACK"
                } else {
                    "INSERT INTO bucket VALUES (hex(randomblob(8)), 0)"
                };
                connection.execute_batch(statement)?;
                Ok(((), Aftermath::default()))
            })
        }));
        let (results, ()) = tokio::join!(jobs, async { drop(held) });
        let acknowledged = results.iter().filter(|result| result.is_ok()).count();
        let count = workers.read(|connection| {
            Ok(connection.query_row("SELECT count(*) FROM bucket", [], |row| row.get::<_, usize>(0))?)
        });
        assert_eq!(count.await.unwrap(), acknowledged);
        assert!(workers.write(|_| Ok(((), Aftermath::default()))).await.is_ok());
    }
}
