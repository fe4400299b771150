//! A fixed number of threads with one bounded queue: keeps SQLite's blocking work off the async threads. A job that
//! panics fails only its own caller.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Semaphore, oneshot};

use super::super::error::Error;
use super::handle::Handle;

/// Jobs that may wait for a thread; further callers wait before they queue theirs.
const QUEUED_JOBS: usize = 256;
/// Nested values are processed recursively.
const STACK_BYTES: usize = 8 * 1024 * 1024;

type Job = Box<dyn FnOnce(&mut Handle) + Send>;

/// The job did not finish: it panicked, or the threads have ended.
#[derive(Debug)]
pub(super) struct Unfinished;

/// Threads that each own a handle and take jobs from one queue.
pub(super) struct Threads {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

struct Queue {
    jobs: Mutex<Jobs>,
    ready: Condvar,
    slots: Arc<Semaphore>,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    closed: bool,
}

impl Threads {
    /// Starts a thread per handle.
    pub(super) fn start(name: &str, handles: Vec<Handle>) -> Result<Self, Error> {
        let queue = Arc::new(Queue {
            jobs: Mutex::default(),
            ready: Condvar::new(),
            slots: Arc::new(Semaphore::new(QUEUED_JOBS)),
        });
        let mut started = Self {
            queue,
            threads: Vec::with_capacity(handles.len()),
        };
        for handle in handles {
            let queue = Arc::clone(&started.queue);
            let thread = std::thread::Builder::new()
                .name(name.to_owned())
                .stack_size(STACK_BYTES)
                .spawn(move || work(&queue, handle))
                .map_err(|failure| Error::System(format!("a thread: {failure}")))?;
            started.threads.push(thread);
        }
        Ok(started)
    }

    /// Runs a job on the next free thread. If the caller drops the future, the job is skipped, unless it has already
    /// started: then it completes.
    pub(super) fn run<A: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Handle) -> A + Send + 'static,
    ) -> BoxFuture<'static, Result<A, Unfinished>> {
        let queue = Arc::clone(&self.queue);
        async move {
            let slot = Arc::clone(&queue.slots)
                .acquire_owned()
                .await
                .map_err(|_| Unfinished)?;
            let (reply, result) = oneshot::channel();
            queue.push(Box::new(move |handle| {
                drop(slot);
                if !reply.is_closed() {
                    // fails only if the caller has gone
                    let _ = reply.send(job(handle));
                }
            }));
            result.await.map_err(|_| Unfinished)
        }
        .boxed()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a DynamoDB thread has panicked");
            }
        }
    }
}

impl Queue {
    fn push(&self, job: Job) {
        self.jobs.lock().waiting.push_back(job);
        self.ready.notify_one();
    }

    /// The next job; `None` once the queue is closed and empty.
    fn next(&self) -> Option<Job> {
        let mut jobs = self.jobs.lock();
        loop {
            if let Some(job) = jobs.waiting.pop_front() {
                return Some(job);
            }
            if jobs.closed {
                return None;
            }
            self.ready.wait(&mut jobs);
        }
    }

    fn close(&self) {
        self.slots.close();
        self.jobs.lock().closed = true;
        self.ready.notify_all();
    }
}

fn work(queue: &Queue, mut handle: Handle) {
    while let Some(job) = queue.next() {
        if catch_unwind(AssertUnwindSafe(|| job(&mut handle))).is_err() {
            tracing::error!("a DynamoDB job panicked");
            handle.recover();
        }
        handle.truncate_large_log();
        handle.remove_expired();
    }
}
