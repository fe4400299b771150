//! Lines on their way to stderr or stdout: a bounded buffer, and a thread that writes it. A pipe that nobody reads, or a
//! disk that hangs, blocks that thread alone: lines that do not fit are dropped and counted, and the log has a line
//! about them once it flows again.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that wait to be written; as many again may be on their way.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Lines that wait to be written.
const MAX_LINES: usize = 16 * 1024;
/// How long the first line of a batch waits for others: one write for all of them costs less than one for each.
const LINGER: Duration = Duration::from_millis(2);
/// Room that an empty buffer keeps.
const KEPT_BYTES: usize = 64 * 1024;

/// Takes lines and never blocks. Clones write to the same place.
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
    /// Dropped, and the log has no line about them yet.
    unreported: u64,
    is_writing: bool,
}

impl LogWriter {
    /// A writer to `sink`. `dropped` counts lines that did not fit; `report` is called on the writer's thread with how
    /// many there were since the last time, once `sink` takes bytes again.
    ///
    /// # Errors
    /// There is no thread to be had.
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

    /// Waits until everything is written, at most for this long.
    pub(super) fn flush_within(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut waiting = self.0.waiting();
        while waiting.is_writing || waiting.lines > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.0.is_idle.wait_timeout(waiting, left);
            waiting = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.0.waiting();
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
            // what was taken last is written, so it flows; and there is room for this line now
            if unreported > 0 {
                report(unreported);
            }
            // a log that is closed is read by nobody
            let _ = sink.write_all(&bytes).and_then(|()| sink.flush());
            bytes.clear();
            bytes.shrink_to(KEPT_BYTES);
        }
    }

    /// Waits for lines and takes them all; and how many were dropped.
    fn take(&self, bytes: &mut Vec<u8>) -> u64 {
        let mut waiting = self.waiting();
        waiting.is_writing = false;
        if waiting.lines == 0 {
            self.is_idle.notify_all();
        }
        while waiting.lines == 0 {
            let waited = self.has_lines.wait(waiting);
            waiting = waited.unwrap_or_else(PoisonError::into_inner);
        }
        // counts as writing: lines that come now need not wake this thread
        waiting.is_writing = true;
        drop(waiting);
        std::thread::sleep(LINGER);
        let mut waiting = self.waiting();
        std::mem::swap(&mut waiting.bytes, bytes);
        waiting.lines = 0;
        std::mem::take(&mut waiting.unreported)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for LogWriter {
    /// Takes one line, or several, whole or not at all.
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

    /// Takes nothing before it is opened.
    struct Gate(Option<mpsc::Receiver<()>>, Written);

    impl Write for Gate {
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
    fn lines_arrive_whole_and_in_order() {
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
    fn a_sink_that_takes_nothing_blocks_nobody_and_drops_are_counted_and_reported() {
        const LINE: &[u8] = &[b'x'; 1024];
        let (open, opened) = mpsc::channel();
        let (reported, report) = mpsc::channel();
        let written = Written::default();
        let dropped = Arc::new(AtomicU64::new(0));
        let sink = Gate(Some(opened), written.clone());
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
        // one buffer waits and one is on its way
        assert!(count as usize >= lines - 2 * MAX_BYTES / LINE.len(), "{count}");
        open.send(()).unwrap();
        writer.write_all(LINE).unwrap();
        assert_eq!(report.recv().unwrap(), dropped.load(Ordering::Relaxed));
        writer.flush_within(Duration::from_secs(60));
        let kept = lines + 1 - dropped.load(Ordering::Relaxed) as usize;
        assert_eq!(written.text().len(), kept * LINE.len());
    }
}
