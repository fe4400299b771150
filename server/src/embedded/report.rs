//! What `fsck` reports: findings and counts.

use std::collections::BTreeMap;

/// Findings that are listed; further ones are only counted.
const MAX_FINDINGS: usize = 1000;

/// The result of a check.
#[derive(Debug, Default)]
pub struct Report {
    /// The first 1,000 findings.
    pub findings: Vec<Finding>,
    /// The number of all findings.
    pub found: usize,
    /// How many of them were repaired.
    pub repaired: usize,
    /// How many things were checked, by name.
    pub checked: BTreeMap<&'static str, u64>,
    /// Files in `s3/lost`, from this run or earlier ones.
    pub set_aside: u64,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, relative to the data folder.
    pub path: String,
    /// What is wrong.
    pub problem: String,
    /// What was done about it; `None` if nothing was done.
    pub repair: Option<String>,
}

impl Report {
    /// Adds a finding.
    pub(super) fn add(
        &mut self,
        path: impl Into<String>,
        problem: impl Into<String>,
        repair: Option<String>,
    ) {
        self.found += 1;
        self.repaired += usize::from(repair.is_some());
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding {
                path: path.into(),
                problem: problem.into(),
                repair,
            });
        }
    }

    /// Adds to the number of things that were checked.
    pub(super) fn count(&mut self, name: &'static str, number: u64) {
        *self.checked.entry(name).or_default() += number;
    }
}
