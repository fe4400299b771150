//! Verifies the lines of a chain, one by one. Never fails on any content: whatever a file has is a line of the chain or a
//! finding.

use std::io::{self, BufRead, Read as _};

use super::chain::{Head, Link};
use super::file::MAX_LINE_BYTES;
use super::key::AuditKey;

/// Verifies files in the order of their lines.
pub struct Verifier<'a> {
    key: &'a AuditKey,
    last: Head,
    first_seq: Option<u64>,
    lines: u64,
    /// The head that must be among the lines, and whether it was.
    expected: Option<(Head, bool)>,
}

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The number of the line in its file, from 1; `None`: the chain as a whole.
    pub line: Option<u64>,
    /// What is wrong.
    pub text: String,
}

/// A chain without findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many lines it has.
    pub lines: u64,
    /// The `seq` of the first one.
    pub first_seq: Option<u64>,
    /// The last one.
    pub head: Head,
}

impl<'a> Verifier<'a> {
    /// Verifies what follows a line; [`Head::START`]: a chain from its beginning. `expected` must be among its lines.
    pub fn new(key: &'a AuditKey, after: Head, expected: Option<Head>) -> Verifier<'a> {
        Verifier {
            key,
            last: after,
            first_seq: None,
            lines: 0,
            expected: expected.map(|head| (head, head == after)),
        }
    }

    /// Verifies the lines of the next file.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn read(&mut self, mut file: impl BufRead) -> io::Result<Result<(), Finding>> {
        let mut bytes = Vec::new();
        for number in 1.. {
            bytes.clear();
            (&mut file)
                .take(MAX_LINE_BYTES as u64 + 1)
                .read_until(b'\n', &mut bytes)?;
            if bytes.is_empty() {
                break;
            }
            if let Err(text) = self.next(&bytes) {
                return Ok(Err(Finding {
                    line: Some(number),
                    text,
                }));
            }
        }
        Ok(Ok(()))
    }

    /// Verifies one line.
    fn next(&mut self, bytes: &[u8]) -> Result<(), String> {
        let Some(line) = bytes.strip_suffix(b"\n") else {
            return Err(match bytes.len() > MAX_LINE_BYTES {
                true => "is longer than any line of an audit log".to_owned(),
                false => "was not written to its end, or its end was cut off".to_owned(),
            });
        };
        let link = std::str::from_utf8(line).ok().and_then(Link::parse);
        let link = link.ok_or("was changed or inserted: it is not a line of a chain")?;
        if !link.is_authentic(self.key) {
            return Err("was changed or inserted: its HMAC is wrong (or the key is)".to_owned());
        }
        let (last, head) = (self.last, link.head);
        if head.before != last.mac || Some(head.seq) != last.seq.checked_add(1) {
            return Err(match head.seq.checked_sub(last.seq) {
                Some(0) | None => format!(
                    "was inserted: line {} of the chain follows line {}",
                    head.seq, last.seq
                ),
                Some(1) => format!(
                    "does not follow the line before: line {} of the chain is missing or of another chain",
                    last.seq
                ),
                Some(_) if last.seq == 0 => format!(
                    "is not the first of the chain: the {} lines before it were cut out, or are in files that were rotated",
                    head.seq - 1
                ),
                Some(more) => format!(
                    "lines before it were cut out: {} after seq {}",
                    more - 1,
                    last.seq
                ),
            });
        }
        self.first_seq.get_or_insert(head.seq);
        self.lines += 1;
        self.last = head;
        if let Some((expected, is_found)) = &mut self.expected {
            *is_found |= *expected == head;
        }
        Ok(())
    }

    /// The result for all files.
    ///
    /// # Errors
    ///
    /// The expected line is not among the lines.
    pub fn finish(self) -> Result<Verified, Finding> {
        match self.expected {
            Some((expected, false)) => Err(Finding {
                line: None,
                text: match expected.seq > self.last.seq {
                    true => format!(
                        "the end was cut off: the last line has seq {}, and seq {} is expected",
                        self.last.seq, expected.seq
                    ),
                    false => format!(
                        "the expected line with seq {} is not among the lines",
                        expected.seq
                    ),
                },
            }),
            Some((_, true)) | None => Ok(Verified {
                lines: self.lines,
                first_seq: self.first_seq,
                head: self.last,
            }),
        }
    }
}
