//! The chain of lines. `prev` is the last field of a chained line, and has two HMACs in hexadecimal, with a dot between them:
//! that of the line before, and that of this line and of the line before, which covers this line without `prev`:
//!
//! ```text
//! {"time":"…", …, "seq":7,"prev":"<of line 6>.<of line 7>"}
//! ```
//!
//! The line before the first one has the number 0, and an HMAC of zeros.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::key::{AuditKey, MAC_BYTES, Mac, from_hex, push_hex};

/// What precedes the HMACs of a line.
const PREFIX: &str = ",\"prev\":\"";
/// What follows them.
const SUFFIX: &str = "\"}";
/// The bytes of the two HMACs.
const PAIR_BYTES: usize = 4 * MAC_BYTES + 1;

/// The last line of a chain: its number, and its HMACs. As text, `SEQ:PREV`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the line.
    pub seq: u64,
    /// The HMAC of the line before.
    pub(super) before: Mac,
    /// Its own.
    pub(super) mac: Mac,
}

/// A line of a chain, which is not verified.
pub(super) struct Link<'a> {
    /// Its number and HMACs, as it says.
    pub(super) head: Head,
    /// The line without `prev`, and without its last brace.
    text: &'a str,
}

impl Head {
    /// Before the first line.
    pub const START: Head = Head {
        seq: 0,
        before: [0; MAC_BYTES],
        mac: [0; MAC_BYTES],
    };

    /// Appends the value of `prev`.
    fn push_prev(&self, text: &mut String) {
        push_hex(text, &self.before);
        text.push('.');
        push_hex(text, &self.mac);
    }

    /// Appends `prev` to the next line, and returns its head.
    pub(super) fn link(&self, key: &AuditKey, line: &mut String) -> Head {
        let next = Head {
            seq: self.seq.saturating_add(1),
            before: self.mac,
            mac: key.line(&self.mac, line.as_bytes()),
        };
        line.pop();
        line.push_str(PREFIX);
        next.push_prev(line);
        line.push_str(SUFFIX);
        next
    }
}

impl fmt::Display for Head {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut prev = String::with_capacity(PAIR_BYTES);
        self.push_prev(&mut prev);
        write!(formatter, "{}:{prev}", self.seq)
    }
}

/// A text is not `SEQ:PREV`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be SEQ:PREV, the `seq` and `prev` of a line, with a colon between them")]
pub struct NotAHead;

impl FromStr for Head {
    type Err = NotAHead;

    fn from_str(text: &str) -> Result<Head, NotAHead> {
        let (seq, prev) = text.trim().split_once(':').ok_or(NotAHead)?;
        let (before, mac) = prev.split_once('.').ok_or(NotAHead)?;
        Ok(Head {
            seq: seq.parse().map_err(|_| NotAHead)?,
            before: from_hex(before).ok_or(NotAHead)?,
            mac: from_hex(mac).ok_or(NotAHead)?,
        })
    }
}

impl<'a> Link<'a> {
    /// Splits a line, without its line break. `None`: it is not a line of a chain.
    pub(super) fn parse(line: &'a str) -> Option<Link<'a>> {
        let rest = line.strip_suffix(SUFFIX)?;
        let (rest, pair) = rest.split_at_checked(rest.len().checked_sub(PAIR_BYTES)?)?;
        let text = rest.strip_suffix(PREFIX)?;
        let (before, mac) = pair.split_once('.')?;
        Some(Link {
            head: Head {
                seq: number(line)?,
                before: from_hex(before)?,
                mac: from_hex(mac)?,
            },
            text,
        })
    }

    /// Whether the line is as it was written.
    pub(super) fn is_authentic(&self, key: &AuditKey) -> bool {
        let text = format!("{}}}", self.text);
        key.line(&self.head.before, text.as_bytes()) == self.head.mac
    }
}

/// The number of a line.
pub(super) fn number(line: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Numbered {
        seq: u64,
    }
    serde_json::from_str::<Numbered>(line).ok().map(|line| line.seq)
}
