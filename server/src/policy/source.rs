//! The text of policies by file, and faults with file and line. Reads no file: `files` does.

use std::fmt;

/// The texts of all policy files, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources(pub(super) Vec<Source>);

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Its name, without the folder.
    pub(super) file: String,
    pub(super) text: String,
}

/// What is wrong with a policy or its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, or the folder.
    pub file: String,
    /// The line, counted from 1; 0: the whole file.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

impl Fault {
    /// A fault of a whole file or folder.
    pub(super) fn of_file(file: impl fmt::Display, text: impl fmt::Display) -> Fault {
        Fault {
            file: file.to_string(),
            line: 0,
            text: text.to_string(),
        }
    }
}

impl fmt::Display for Fault {
    /// `file:line: text`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(formatter, "{}: {}", self.file, self.text),
            line => write!(formatter, "{}:{line}: {}", self.file, self.text),
        }
    }
}

impl Source {
    /// The line of a byte of the text, counted from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// A fault at a byte of the text.
    pub(super) fn fault(&self, offset: usize, text: impl fmt::Display) -> Fault {
        Fault {
            file: self.file.clone(),
            line: self.line(offset),
            text: one_line(&text.to_string()),
        }
    }
}

#[cfg(test)]
impl Sources {
    /// One file, `test.cedar`.
    pub(super) fn of(text: &str) -> Sources {
        Sources(vec![Source {
            file: "test.cedar".to_owned(),
            text: text.to_owned(),
        }])
    }
}

/// A message of Cedar, which may have several lines, as one.
fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join(": ").trim_end_matches('.').to_owned()
}
