//! The task that empties a queue: a batch at a time, one after the other. Exporters try a batch again as long as they
//! may; here it is sent or lost.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::queue::Queue;
use super::teller::Teller;
use super::{Exporter, Lost, Signal};

/// Runs until it is stopped, and then until the queue is empty.
pub(super) async fn run<T: Send + 'static>(
    queue: Arc<Queue<T>>,
    exporter: impl Exporter<T>,
    teller: Arc<Teller>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(queue.bounds.delay) => {}
            () = queue.full_batch.notified() => {}
            () = stop.cancelled() => {}
        }
        drain(&queue, &exporter, &teller).await;
    }
    drain(&queue, &exporter, &teller).await;
}

async fn drain<T>(queue: &Queue<T>, exporter: &impl Exporter<T>, teller: &Teller) {
    // no more than what waits now: under load the end of the queue is never reached
    let mut batches = queue.len().div_ceil(queue.bounds.batch);
    while batches > 0 {
        batches -= 1;
        let batch = queue.take();
        if batch.is_empty() {
            break;
        }
        let count = batch.len();
        let unsent = InHand::new(&queue.lost, queue.signal, count);
        let sent = exporter.export(batch).await;
        unsent.settle(sent.is_ok());
        match sent {
            Ok(()) => teller.taken(queue.signal, exporter.rejected().min(count)),
            Err(error) => teller.failed(queue.signal, &error),
        }
    }
}

/// Records on their way: lost unless they were sent, also where the task is ended midway.
pub(super) struct InHand<'a> {
    lost: &'a Lost,
    signal: Signal,
    count: usize,
}

impl<'a> InHand<'a> {
    pub(super) fn new(lost: &'a Lost, signal: Signal, count: usize) -> InHand<'a> {
        InHand { lost, signal, count }
    }

    pub(super) fn settle(mut self, sent: bool) {
        if sent {
            self.count = 0;
        }
    }
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.lost.add(self.signal, self.count);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

    use super::super::super::variables::Bounds;
    use super::*;

    #[derive(Default)]
    struct Sink {
        taken: Mutex<Vec<Vec<u32>>>,
        refuses: AtomicBool,
        hangs: AtomicBool,
    }

    impl Exporter<u32> for Arc<Sink> {
        async fn export(&self, batch: Vec<u32>) -> OTelSdkResult {
            if self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if self.refuses.load(Ordering::SeqCst) {
                return Err(OTelSdkError::InternalFailure("no".into()));
            }
            self.taken.lock().unwrap().push(batch);
            Ok(())
        }
    }

    fn teller(lost: &Arc<Lost>) -> Arc<Teller> {
        Arc::new(Teller::new("collector:4317", Arc::clone(lost)))
    }

    fn queue(queue: usize, batch: usize, delay: Duration) -> (Arc<Queue<u32>>, Arc<Lost>) {
        let lost = Arc::new(Lost::default());
        let bounds = Bounds { queue, batch, delay };
        (Queue::new(Signal::Traces, bounds, Arc::clone(&lost)), lost)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn whole_batches_go_at_once_and_the_rest_when_it_ends() {
        let (queue, lost) = queue(100, 3, HOUR);
        let sink = Arc::new(Sink::default());
        let stop = CancellationToken::new();
        let work = run(Arc::clone(&queue), Arc::clone(&sink), teller(&lost), stop.clone());
        let task = tokio::spawn(work);
        tokio::task::yield_now().await;
        (0..3).for_each(|item| queue.put(item));
        while sink.taken.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        queue.put(3);
        stop.cancel();
        task.await.unwrap();
        assert_eq!(*sink.taken.lock().unwrap(), [vec![0, 1, 2], vec![3]]);
        assert_eq!(lost.counts()[0], ("traces", 0));
    }

    #[tokio::test]
    async fn what_does_not_fit_and_what_is_refused_is_counted() {
        let (queue, lost) = queue(4, 2, HOUR);
        let sink = Arc::new(Sink::default());
        sink.refuses.store(true, Ordering::SeqCst);
        (0..7).for_each(|item| queue.put(item));
        assert_eq!(lost.counts()[0], ("traces", 3));
        let stop = CancellationToken::new();
        stop.cancel();
        run(Arc::clone(&queue), Arc::clone(&sink), teller(&lost), stop).await;
        assert_eq!(lost.counts()[0], ("traces", 7));
        assert_eq!(lost.counts()[2], ("logs", 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_hanging_collector_holds_is_lost_with_it() {
        let (queue, lost) = queue(10, 10, HOUR);
        let sink = Arc::new(Sink::default());
        sink.hangs.store(true, Ordering::SeqCst);
        queue.put(1);
        let mut tasks = super::super::Tasks::default();
        let work = run(Arc::clone(&queue), sink, teller(&lost), tasks.stop.clone());
        tasks.running.spawn(work);
        let begun = tokio::time::Instant::now();
        tasks.finish(Duration::from_secs(5)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        tokio::task::yield_now().await;
        assert_eq!(lost.counts()[0], ("traces", 1));
    }
}
