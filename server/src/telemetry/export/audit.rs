//! The lines of the audit log on their way to the collector. Other records are dropped if the collector is away; these wait
//! until it has accepted them, and calls do not begin while too many wait: whoever writes the lines asks for room first.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, LoggerProvider as _, Severity};
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::super::TARGET;
use super::super::names::{AUDIT_SCOPE, attribute};
use super::super::variables::Bounds;
use super::exporter::Exporter;
use super::signal::{Dropped, Signal};

/// Bytes of lines that wait before calls have no room.
const MAX_BYTES: usize = 8 << 20;
/// Further bytes, for the lines of calls in flight.
const RESERVE_BYTES: usize = 4 << 20;
/// Further lines besides those of the calls in flight: changes of what decides about calls, and services without a limit.
const RESERVE_LINES: usize = 64;
/// Bytes of the lines in one export, unless one line is longer; collectors accept 4 MiB.
const MAX_BATCH_BYTES: usize = 1 << 20;
/// A problem of one kind is not logged again within this time.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The lines of the audit log that wait for the collector. Cheap to clone.
#[derive(Clone)]
pub struct AuditLines(Arc<Shared>);

struct Shared {
    bounds: Bounds,
    /// The most lines that wait: those of `bounds`, and those of the calls in flight.
    max_lines: usize,
    dropped: Arc<Dropped>,
    has_room: AtomicBool,
    waiting: Mutex<Waiting>,
    /// Notified when a whole batch waits.
    full_batch: Notify,
}

#[derive(Default)]
struct Waiting {
    lines: VecDeque<Line>,
    bytes: usize,
    /// Lines that were lost and not logged yet.
    lost: u64,
    is_failing: bool,
    losses: Interval,
    overflows: Interval,
    failures: Interval,
}

#[derive(Clone)]
struct Line {
    seq: u64,
    text: Arc<str>,
    time: SystemTime,
}

/// Allows an event once in [`LOG_INTERVAL`].
#[derive(Default)]
struct Interval(Option<Instant>);

impl AuditLines {
    /// A queue of `bounds.queue` lines, with space for those of the calls in flight.
    pub(in super::super) fn new(bounds: Bounds, calls_in_flight: usize, dropped: Arc<Dropped>) -> AuditLines {
        let reserve = calls_in_flight.saturating_add(RESERVE_LINES);
        AuditLines(Arc::new(Shared {
            bounds,
            max_lines: bounds.queue.saturating_add(reserve),
            dropped,
            has_room: AtomicBool::new(true),
            waiting: Mutex::default(),
            full_batch: Notify::new(),
        }))
    }

    /// Whether the lines of further calls have room.
    pub fn has_room(&self) -> bool {
        self.0.has_room.load(Ordering::Acquire)
    }

    /// Adds a line, or loses it if even the space for calls in flight is used up.
    pub fn put(&self, seq: u64, text: String) {
        let shared = &self.0;
        let mut waiting = shared.waiting.lock();
        let bytes = waiting.bytes.saturating_add(text.len());
        if waiting.lines.len() >= shared.max_lines || bytes > MAX_BYTES + RESERVE_BYTES {
            shared.lose(&mut waiting, 1);
            return;
        }
        waiting.bytes = bytes;
        waiting.lines.push_back(Line {
            seq,
            text: text.into(),
            time: SystemTime::now(),
        });
        shared.look_for_room(&mut waiting);
        if waiting.lines.len() == shared.bounds.batch {
            shared.full_batch.notify_one();
        }
    }

    /// Loses what still waits: the process ends.
    pub(in super::super) fn give_up(&self) {
        let mut waiting = self.0.waiting.lock();
        let lines = std::mem::take(&mut waiting.lines).len() as u64;
        waiting.bytes = 0;
        let lines = lines.saturating_add(std::mem::take(&mut waiting.lost));
        if lines > 0 {
            error!(target: TARGET, lines, "audit: lines are lost, since the collector did not accept them in time");
        }
    }

    /// The next lines, which stay in the queue.
    fn batch(&self) -> Vec<Line> {
        let waiting = self.0.waiting.lock();
        let mut bytes = 0_usize;
        let fits = |line: &&Line| {
            let is_first = bytes == 0;
            bytes = bytes.saturating_add(line.text.len());
            is_first || bytes <= MAX_BATCH_BYTES
        };
        let lines = waiting.lines.iter().take(self.0.bounds.batch);
        lines.take_while(fits).cloned().collect()
    }

    /// Removes lines that the collector accepted, but for some that it rejected for good.
    fn accepted(&self, count: usize, rejected: usize) {
        let shared = &self.0;
        let mut waiting = shared.waiting.lock();
        let count = count.min(waiting.lines.len());
        let bytes: usize = waiting.lines.drain(..count).map(|line| line.text.len()).sum();
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        if rejected > 0 {
            shared.lose(&mut waiting, rejected.min(count));
        }
        shared.look_for_room(&mut waiting);
        if std::mem::take(&mut waiting.is_failing) {
            info!(target: TARGET, waiting = waiting.lines.len(), "audit: lines are exported again");
        }
    }

    fn failed(&self, error: &OTelSdkError) {
        let mut waiting = self.0.waiting.lock();
        waiting.is_failing = true;
        if waiting.failures.allows() {
            warn!(target: TARGET, %error, waiting = waiting.lines.len(), "audit: lines cannot be exported; they wait");
        }
    }
}

impl Shared {
    /// Counts lost lines, and logs them once in a while.
    fn lose(&self, waiting: &mut Waiting, count: usize) {
        self.dropped.add(Signal::Audit, count);
        waiting.lost = waiting.lost.saturating_add(count as u64);
        if waiting.losses.allows() {
            let lines = std::mem::take(&mut waiting.lost);
            error!(target: TARGET, lines, "audit: lines are lost: the collector does not accept them");
        }
    }

    fn look_for_room(&self, waiting: &mut Waiting) {
        let has_room = waiting.lines.len() < self.bounds.queue && waiting.bytes < MAX_BYTES;
        let had_room = self.has_room.swap(has_room, Ordering::AcqRel);
        if had_room && !has_room && waiting.overflows.allows() {
            error!(target: TARGET, waiting = waiting.lines.len(), "audit: too many lines wait for the collector");
        }
    }
}

impl Interval {
    fn allows(&mut self) -> bool {
        let now = Instant::now();
        let allows = self.0.is_none_or(|last| now >= last + LOG_INTERVAL);
        if allows {
            self.0 = Some(now);
        }
        allows
    }
}

/// Exports lines in their order until it is stopped, then until none waits.
pub(super) async fn run(lines: AuditLines, exporter: impl Exporter<SdkLogRecord>, stop: CancellationToken) {
    // only creates records; nothing is emitted
    let logger = SdkLoggerProvider::builder().build().logger(AUDIT_SCOPE);
    while !stop.is_cancelled() {
        tokio::select! {
            () = tokio::time::sleep(lines.0.bounds.delay) => {}
            () = lines.0.full_batch.notified() => {}
            () = stop.cancelled() => {}
        }
        export(&lines, &exporter, &logger).await;
    }
    // whoever stops it sets the limit
    while !export(&lines, &exporter, &logger).await {
        tokio::time::sleep(lines.0.bounds.delay.min(Duration::from_secs(1))).await;
    }
}

/// Exports what waits. Returns whether nothing waits any more; after a failure, all of the batch does.
async fn export(lines: &AuditLines, exporter: &impl Exporter<SdkLogRecord>, logger: &SdkLogger) -> bool {
    loop {
        let batch = lines.batch();
        if batch.is_empty() {
            return true;
        }
        let records = batch.iter().map(|line| record(line, logger)).collect();
        match exporter.export(records).await {
            Ok(()) => lines.accepted(batch.len(), exporter.take_rejected()),
            Err(error) => {
                lines.failed(&error);
                return false;
            }
        }
    }
}

fn record(line: &Line, logger: &SdkLogger) -> SdkLogRecord {
    let mut record = logger.create_log_record();
    // the target names the scope
    record.set_target(AUDIT_SCOPE);
    record.set_timestamp(line.time);
    record.set_observed_timestamp(line.time);
    record.set_severity_number(Severity::Info);
    record.set_severity_text("INFO");
    record.set_body(AnyValue::from(line.text.to_string()));
    let seq = i64::try_from(line.seq).unwrap_or(i64::MAX);
    record.add_attribute(attribute::AUDIT_SEQ, seq);
    record
}

impl fmt::Debug for AuditLines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AuditLines")
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::error::OTelSdkResult;

    use super::*;

    #[derive(Default)]
    struct Sink {
        exported: Mutex<Vec<Vec<SdkLogRecord>>>,
        is_away: AtomicBool,
        rejected: Mutex<usize>,
    }

    impl Exporter<SdkLogRecord> for Arc<Sink> {
        async fn export(&self, batch: Vec<SdkLogRecord>) -> OTelSdkResult {
            if self.is_away.load(Ordering::SeqCst) {
                return Err(OTelSdkError::InternalFailure("away".into()));
            }
            self.exported.lock().push(batch);
            Ok(())
        }

        fn take_rejected(&self) -> usize {
            std::mem::take(&mut *self.rejected.lock())
        }
    }

    fn lines(queue: usize, batch: usize) -> (AuditLines, Arc<Dropped>) {
        let (dropped, delay) = (Arc::new(Dropped::default()), Duration::from_millis(1));
        let bounds = Bounds { queue, batch, delay };
        (AuditLines::new(bounds, 1, Arc::clone(&dropped)), dropped)
    }

    fn lost(dropped: &Dropped) -> u64 {
        dropped.get(Signal::Audit)
    }

    /// Exports all that waits.
    async fn finish(lines: &AuditLines, sink: &Arc<Sink>) {
        let stop = CancellationToken::new();
        stop.cancel();
        run(lines.clone(), Arc::clone(sink), stop).await;
    }

    #[tokio::test]
    async fn lines_wait_for_the_collector_in_their_order() {
        let (lines, dropped) = lines(100, 2);
        let sink = Arc::new(Sink::default());
        sink.is_away.store(true, Ordering::SeqCst);
        (1..=3).for_each(|seq| lines.put(seq, format!("line {seq}")));
        let logger = SdkLoggerProvider::builder().build().logger(AUDIT_SCOPE);
        assert!(!export(&lines, &sink, &logger).await);
        sink.is_away.store(false, Ordering::SeqCst);
        finish(&lines, &sink).await;
        let exported = sink.exported.lock();
        assert_eq!(exported.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        let bodies: Vec<_> = exported
            .iter()
            .flatten()
            .map(|record| record.body().cloned())
            .collect();
        let expected = [1, 2, 3].map(|seq| Some(AnyValue::from(format!("line {seq}"))));
        assert_eq!((bodies, lost(&dropped)), (expected.to_vec(), 0));
    }

    #[tokio::test]
    async fn a_full_queue_has_no_room_but_takes_the_lines_of_calls_in_flight() {
        let (lines, dropped) = lines(2, 2);
        lines.put(1, "a".to_owned());
        assert!(lines.has_room());
        lines.put(2, "b".to_owned());
        assert!(!lines.has_room());
        let in_flight = 1 + RESERVE_LINES as u64;
        (0..in_flight).for_each(|seq| lines.put(3 + seq, "c".to_owned()));
        assert_eq!(lost(&dropped), 0);
        lines.put(9, "d".to_owned());
        assert_eq!(lost(&dropped), 1);
        finish(&lines, &Arc::default()).await;
        assert!(lines.has_room());
    }

    #[tokio::test]
    async fn bytes_are_bounded_in_all_and_in_a_batch() {
        let (lines, dropped) = lines(100, 100);
        let mebibyte = "x".repeat(1 << 20);
        (0..8).for_each(|seq| lines.put(seq, mebibyte.clone()));
        assert!(!lines.has_room());
        (8..13).for_each(|seq| lines.put(seq, mebibyte.clone()));
        assert_eq!(lost(&dropped), 1);
        let sink = Arc::new(Sink::default());
        finish(&lines, &sink).await;
        assert!(sink.exported.lock().iter().all(|batch| batch.len() == 1));
        assert_eq!(sink.exported.lock().len(), 12);
    }

    #[tokio::test]
    async fn rejected_lines_count_as_lost() {
        let (lines, dropped) = lines(100, 100);
        (0..3).for_each(|seq| lines.put(seq, "a".to_owned()));
        let sink = Arc::new(Sink::default());
        *sink.rejected.lock() = 2;
        finish(&lines, &sink).await;
        assert_eq!((lost(&dropped), lines.batch().len()), (2, 0));
    }
}
