//! Writes lines to stderr or stdout through a bounded buffer and a thread. A pipe that is not read, or a disk that hangs,
//! blocks only that thread: lines that do not fit are dropped and counted, and the log reports them once writing succeeds
//! again.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// The most bytes that wait to be written; as many again may be being written.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// The most lines that wait to be written.
const MAX_LINES: usize = 16 * 1024;
/// How long the first line of a batch waits for others: one write for all costs less than one for each.
const LINGER: Duration = Duration::from_millis(20);
/// The capacity that an empty buffer keeps.
const KEPT_BYTES: usize = 64 * 1024;

/// Accepts lines and never blocks. Clones write to the same buffer.
#[derive(Clone)]
pub(super) struct LogWriter(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    has_lines: Condvar,
    is_idle: Condvar,
    dropped: Arc<AtomicU64>,
}

#[derive(Default)]
struct Waiting {
    bytes: Vec<u8>,
    lines: usize,
    /// Lines that were dropped and not reported yet.
    unreported: u64,
    is_writing: bool,
}

impl LogWriter {
    /// Creates a writer to `sink`. `dropped` counts lines that did not fit; `report` is called on the writer's thread with
    /// their number since the last report, once `sink` accepts bytes again.
    ///
    /// # Errors
    ///
    /// The thread cannot be started.
    pub(super) fn new(
        sink: impl Write + Send + 'static,
        dropped: Arc<AtomicU64>,
        report: impl Fn(u64) + Send + 'static,
    ) -> io::Result<LogWriter> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            has_lines: Condvar::new(),
            is_idle: Condvar::new(),
            dropped,
        });
        let writer = LogWriter(Arc::clone(&shared));
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || shared.write_to(sink, report))?;
        Ok(writer)
    }

    /// Waits until everything is written, but at most `limit`.
    pub(super) fn flush_within(&self, limit: Duration) {
        let until = Instant::now() + limit;
        let mut waiting = self.0.waiting.lock();
        while waiting.is_writing || waiting.lines > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.0.is_idle.wait_for(&mut waiting, left);
        }
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.0.waiting.lock();
        if waiting.lines >= MAX_LINES || waiting.bytes.len() + line.len() > MAX_BYTES {
            waiting.unreported += 1;
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.bytes.extend_from_slice(line);
        waiting.lines += 1;
        if waiting.lines == 1 && !waiting.is_writing {
            drop(waiting);
            self.0.has_lines.notify_one();
        }
    }
}

impl Shared {
    fn write_to(&self, mut sink: impl Write, report: impl Fn(u64)) {
        let mut bytes = Vec::new();
        loop {
            let unreported = self.take(&mut bytes);
            // the last batch was written, so the sink accepts bytes, and the buffer is empty
            if unreported > 0 {
                report(unreported);
            }
            // a closed log has no reader
            let _ = sink.write_all(&bytes).and_then(|()| sink.flush());
            bytes.clear();
            bytes.shrink_to(KEPT_BYTES);
        }
    }

    /// Waits for lines and takes them all. Returns how many were dropped.
    fn take(&self, bytes: &mut Vec<u8>) -> u64 {
        let mut waiting = self.waiting.lock();
        waiting.is_writing = false;
        if waiting.lines == 0 {
            self.is_idle.notify_all();
        }
        while waiting.lines == 0 {
            self.has_lines.wait(&mut waiting);
        }
        // counts as writing: lines that arrive now need not wake this thread
        waiting.is_writing = true;
        drop(waiting);
        std::thread::sleep(LINGER);
        let mut waiting = self.waiting.lock();
        std::mem::swap(&mut waiting.bytes, bytes);
        waiting.lines = 0;
        std::mem::take(&mut waiting.unreported)
    }
}

impl Write for LogWriter {
    /// Accepts one or more whole lines, or drops all of them.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.push(lines);
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::super::testing::Written;
    use super::*;

    /// Accepts nothing before it is opened.
    struct BlockedSink(Option<mpsc::Receiver<()>>, Written);

    impl Write for BlockedSink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(opened) = self.0.take() {
                opened.recv().unwrap();
            }
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn writes_whole_lines_in_order() {
        let written = Written::default();
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = LogWriter::new(written.clone(), Arc::clone(&dropped), |_| {}).unwrap();
        for number in 0..1000 {
            writer
                .clone()
                .write_all(format!("{number}\n").as_bytes())
                .unwrap();
        }
        writer.flush_within(Duration::from_secs(60));
        let expected: String = (0..1000).map(|number| format!("{number}\n")).collect();
        assert_eq!((written.text(), dropped.load(Ordering::Relaxed)), (expected, 0));
    }

    #[test]
    fn a_blocked_sink_blocks_no_caller_and_drops_are_counted_and_reported() {
        const LINE: &[u8] = &[b'x'; 1024];
        let (open, opened) = mpsc::channel();
        let (reported, report) = mpsc::channel();
        let written = Written::default();
        let dropped = Arc::new(AtomicU64::new(0));
        let sink = BlockedSink(Some(opened), written.clone());
        let writer = LogWriter::new(sink, Arc::clone(&dropped), move |count| {
            reported.send(count).unwrap();
        });
        let mut writer = writer.unwrap();
        let lines = 3 * MAX_BYTES / LINE.len();
        for _ in 0..lines {
            writer.write_all(LINE).unwrap();
        }
        writer.flush_within(Duration::from_millis(10));
        let count = dropped.load(Ordering::Relaxed);
        // one buffer waits and one is being written
        assert!(count as usize >= lines - 2 * MAX_BYTES / LINE.len(), "{count}");
        open.send(()).unwrap();
        writer.write_all(LINE).unwrap();
        assert_eq!(report.recv().unwrap(), dropped.load(Ordering::Relaxed));
        writer.flush_within(Duration::from_secs(60));
        let kept = lines + 1 - dropped.load(Ordering::Relaxed) as usize;
        assert_eq!(written.text().len(), kept * LINE.len());
    }
}
