//! The faults of one file, each with its line and path.

use std::fmt;

/// One fault of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The name of the file.
    pub file: String,
    /// The line, counted from 1; 0 if the fault concerns the whole file or folder.
    pub line: usize,
    /// The path in the document (`attributes.ssn.encrypted.key_id`); empty if the fault has none.
    pub path: String,
    /// What is wrong, in lower case, without a full stop.
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

    /// The name of the file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The number of faults so far.
    pub fn count(&self) -> usize {
        self.faults.len()
    }

    /// Adds a fault at a line and path.
    pub fn add_at(&mut self, line: usize, path: impl Into<String>, text: impl Into<String>) {
        self.faults.push(Fault {
            file: self.file.clone(),
            line,
            path: path.into(),
            text: text.into(),
        });
    }

    /// All faults, sorted by line.
    pub fn into_faults(mut self) -> Vec<Fault> {
        self.faults.sort_by_key(|fault| fault.line);
        self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_faults_like_a_compiler() {
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
