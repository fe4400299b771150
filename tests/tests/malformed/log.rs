//! The log of the process: read as it is written, and checked line by line.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::timeout;

/// The most bytes of a line. A message names a few fields and bounds what it quotes.
const MOST_LINE_BYTES: usize = 16 << 10;
/// Lines that are kept for who waits for them.
const KEPT: usize = 1000;
/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The log.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Shared>);

#[derive(Default)]
struct Shared {
    lines: Mutex<Lines>,
    changed: Notify,
}

#[derive(Default)]
struct Lines {
    count: u64,
    kept: VecDeque<String>,
    faults: Vec<String>,
}

impl Log {
    /// Reads in a thread until the process ends.
    pub(crate) fn read(stream: impl Read + Send + 'static) -> Log {
        let log = Log::default();
        let writer = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n') {
                let Ok(line) = line else { return };
                writer.add(&line);
            }
        });
        log
    }

    fn add(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).into_owned();
        let mut lines = self.0.lines.lock();
        if line.len() > MOST_LINE_BYTES {
            let begin: String = text.chars().take(300).collect();
            lines
                .faults
                .push(format!("a line of {} bytes: {begin}", line.len()));
        }
        if text.contains("panicked") {
            lines.faults.push(text.clone());
        }
        lines.count += 1;
        lines.kept.push_back(text);
        if lines.kept.len() > KEPT {
            lines.kept.pop_front();
        }
        drop(lines);
        self.0.changed.notify_waiters();
    }

    /// The number of lines so far.
    pub(crate) fn count(&self) -> u64 {
        self.0.lines.lock().count
    }

    /// What no line may be.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.0.lines.lock().faults.clone()
    }

    /// The last lines.
    pub(crate) fn last(&self, lines: usize) -> Vec<String> {
        let all = self.0.lines.lock();
        all.kept.iter().rev().take(lines).rev().cloned().collect()
    }

    /// Waits until a line contains this, and returns those after line `from` up to it.
    pub(crate) async fn until(&self, from: u64, text: &str) -> Result<Vec<String>, String> {
        let waiting = async {
            loop {
                let changed = self.0.changed.notified();
                let mut changed = std::pin::pin!(changed);
                changed.as_mut().enable();
                if let Some(found) = self.after(from, text) {
                    return found;
                }
                changed.await;
            }
        };
        let found = timeout(PATIENCE, waiting).await;
        found.map_err(|_| format!("no line of the log has {text:?}"))
    }

    fn after(&self, from: u64, text: &str) -> Option<Vec<String>> {
        let lines = self.0.lines.lock();
        let dropped = lines.count - lines.kept.len() as u64;
        let skipped = usize::try_from(from.saturating_sub(dropped)).expect("a small number");
        let new: Vec<&String> = lines.kept.iter().skip(skipped).collect();
        let found = new.iter().position(|line| line.contains(text))?;
        Some(new[..=found].iter().map(|line| (*line).clone()).collect())
    }
}
