//! The faults of one file, each with its line and path.

use std::fmt;

/// One fault of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1; 0 where the fault is the file's or the folder's.
    pub line: usize,
    /// The path in the document (`attributes.ssn.encrypted.key_id`); empty where the fault has none.
    pub path: String,
    /// What is wrong, in lower case, no full stop.
    pub text: String,
}

/// Collects the faults of one file.
#[derive(Debug)]
pub struct Report {
    file: String,
    faults: Vec<Fault>,
}

impl fmt::Display for Fault {
    /// `file:line: path: text`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.file)?;
        if self.line > 0 {
            write!(formatter, ":{}", self.line)?;
        }
        if !self.path.is_empty() {
            write!(formatter, ": {}", self.path)?;
        }
        write!(formatter, ": {}", self.text)
    }
}

impl Report {
    /// An empty report on a file.
    pub fn new(file: impl Into<String>) -> Report {
        Report {
            file: file.into(),
            faults: Vec::new(),
        }
    }

    /// The file that is reported on.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// How many faults there are by now.
    pub fn count(&self) -> usize {
        self.faults.len()
    }

    /// A fault at a line and path.
    pub fn add_at(&mut self, line: usize, path: impl Into<String>, text: impl Into<String>) {
        self.faults.push(Fault {
            file: self.file.clone(),
            line,
            path: path.into(),
            text: text.into(),
        });
    }

    /// All faults in the order of their lines.
    pub fn into_faults(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|fault| fault.line);
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_like_a_compilers() {
        let mut fault = Fault {
            file: "a.yaml".into(),
            line: 3,
            path: "name".into(),
            text: "is empty".into(),
        };
        assert_eq!(fault.to_string(), "a.yaml:3: name: is empty");
        fault.path.clear();
        assert_eq!(fault.to_string(), "a.yaml:3: is empty");
        fault.line = 0;
        assert_eq!(fault.to_string(), "a.yaml: is empty");
    }
}
