//! Fixed engine threads behind one bounded queue: SQLite's blocking work off the async threads. A job that panics
//! costs its own caller an error and nothing else.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{Semaphore, oneshot};

use super::super::Error;
use super::handle::Handle;

/// Jobs that may wait for a thread; callers past it wait for room.
const QUEUED_JOBS: usize = 256;
/// Deep values are walked by recursion.
const STACK_BYTES: usize = 8 * 1024 * 1024;

type Job = Box<dyn FnOnce(&mut Handle) + Send>;

/// The job was not finished: it panicked, or the threads are gone.
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
    room: Arc<Semaphore>,
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
            room: Arc::new(Semaphore::new(QUEUED_JOBS)),
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

    /// Runs a job on the next free thread. A caller that leaves before its job has begun takes it along; one that
    /// leaves later misses the answer only.
    pub(super) fn run<A: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Handle) -> A + Send + 'static,
    ) -> BoxFuture<'static, Result<A, Unfinished>> {
        let queue = Arc::clone(&self.queue);
        async move {
            let room = Arc::clone(&queue.room)
                .acquire_owned()
                .await
                .map_err(|_| Unfinished)?;
            let (answer, answered) = oneshot::channel();
            queue.push(Box::new(move |handle| {
                drop(room);
                if !answer.is_closed() {
                    // the caller may leave at any moment
                    let _ = answer.send(job(handle));
                }
            }));
            answered.await.map_err(|_| Unfinished)
        }
        .boxed()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a dynamodb thread had died");
            }
        }
    }
}

impl Queue {
    fn push(&self, job: Job) {
        self.jobs().waiting.push_back(job);
        self.ready.notify_one();
    }

    /// The next job; `None` once the queue is closed and empty.
    fn next(&self) -> Option<Job> {
        let mut jobs = self.jobs();
        loop {
            if let Some(job) = jobs.waiting.pop_front() {
                return Some(job);
            }
            if jobs.closed {
                return None;
            }
            jobs = self.ready.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn close(&self) {
        self.room.close();
        self.jobs().closed = true;
        self.ready.notify_all();
    }

    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        // no code that can panic runs under the lock
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn work(queue: &Queue, mut handle: Handle) {
    while let Some(job) = queue.next() {
        if catch_unwind(AssertUnwindSafe(|| job(&mut handle))).is_err() {
            tracing::error!("a dynamodb job panicked");
            handle.recover();
        }
        handle.tend_log();
    }
}
