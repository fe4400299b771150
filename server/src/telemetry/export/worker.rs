//! The task that exports a queue, one batch at a time. Never retries: that is up to the exporters.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::exporter::Exporter;
use super::health::CollectorHealth;
use super::in_hand::InHand;
use super::queue::Queue;

/// Runs until it is stopped, then until the queue is empty.
pub(super) async fn run<T: Send + 'static>(
    queue: Arc<Queue<T>>,
    exporter: impl Exporter<T>,
    health: Arc<CollectorHealth>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(queue.bounds.delay) => {}
            () = queue.full_batch.notified() => {}
            () = stop.cancelled() => {}
        }
        drain(&queue, &exporter, &health).await;
    }
    drain(&queue, &exporter, &health).await;
}

async fn drain<T>(queue: &Queue<T>, exporter: &impl Exporter<T>, health: &CollectorHealth) {
    // only what waits now: under load the end of the queue may never be reached
    let mut batches = queue.len().div_ceil(queue.bounds.batch);
    while batches > 0 {
        batches -= 1;
        let batch = queue.take();
        if batch.is_empty() {
            break;
        }
        let count = batch.len();
        let in_hand = InHand::new(&queue.dropped, queue.signal, count);
        let exported = exporter.export(batch).await;
        in_hand.settle(exported.is_ok());
        match exported {
            Ok(()) => health.exported(queue.signal, exporter.take_rejected().min(count)),
            Err(error) => health.failed(queue.signal, &error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};

    use parking_lot::Mutex;

    use super::super::super::variables::Bounds;
    use super::super::signal::{Dropped, Signal};
    use super::super::tasks::Tasks;
    use super::*;

    #[derive(Default)]
    struct Sink {
        exported: Mutex<Vec<Vec<u32>>>,
        fails: AtomicBool,
        hangs: AtomicBool,
    }

    impl Exporter<u32> for Arc<Sink> {
        async fn export(&self, batch: Vec<u32>) -> OTelSdkResult {
            if self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            if self.fails.load(Ordering::SeqCst) {
                return Err(OTelSdkError::InternalFailure("no".into()));
            }
            self.exported.lock().push(batch);
            Ok(())
        }
    }

    fn health(dropped: &Arc<Dropped>) -> Arc<CollectorHealth> {
        Arc::new(CollectorHealth::new("collector:4317", Arc::clone(dropped)))
    }

    fn queue(queue: usize, batch: usize, delay: Duration) -> (Arc<Queue<u32>>, Arc<Dropped>) {
        let dropped = Arc::new(Dropped::default());
        let bounds = Bounds { queue, batch, delay };
        (Queue::new(Signal::Traces, bounds, Arc::clone(&dropped)), dropped)
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn exports_whole_batches_at_once_and_the_rest_at_the_end() {
        let (queue, dropped) = queue(100, 3, HOUR);
        let sink = Arc::new(Sink::default());
        let stop = CancellationToken::new();
        let work = run(
            Arc::clone(&queue),
            Arc::clone(&sink),
            health(&dropped),
            stop.clone(),
        );
        let task = tokio::spawn(work);
        tokio::task::yield_now().await;
        (0..3).for_each(|item| queue.put(item));
        while sink.exported.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        queue.put(3);
        stop.cancel();
        task.await.unwrap();
        assert_eq!(*sink.exported.lock(), [vec![0, 1, 2], vec![3]]);
        assert_eq!(dropped.counts()[0], ("traces", 0));
    }

    #[tokio::test]
    async fn counts_records_that_do_not_fit_or_fail() {
        let (queue, dropped) = queue(4, 2, HOUR);
        let sink = Arc::new(Sink::default());
        sink.fails.store(true, Ordering::SeqCst);
        (0..7).for_each(|item| queue.put(item));
        assert_eq!(dropped.counts()[0], ("traces", 3));
        let stop = CancellationToken::new();
        stop.cancel();
        run(Arc::clone(&queue), Arc::clone(&sink), health(&dropped), stop).await;
        assert_eq!(dropped.counts()[0], ("traces", 7));
        assert_eq!(dropped.counts()[2], ("logs", 0));
    }

    #[tokio::test(start_paused = true)]
    async fn counts_the_records_of_an_aborted_export_as_dropped() {
        let (queue, dropped) = queue(10, 10, HOUR);
        let sink = Arc::new(Sink::default());
        sink.hangs.store(true, Ordering::SeqCst);
        queue.put(1);
        let mut tasks = Tasks::default();
        let work = run(Arc::clone(&queue), sink, health(&dropped), tasks.stop.clone());
        tasks.running.spawn(work);
        let begun = tokio::time::Instant::now();
        tasks.finish(Duration::from_secs(5)).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
        tokio::task::yield_now().await;
        assert_eq!(dropped.counts()[0], ("traces", 1));
    }
}
