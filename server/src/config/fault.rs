//! What is wrong with a setting, and where it came from.

use std::fmt;

/// One fault of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// Where it came from: `file:line`, a variable's name or a flag.
    pub origin: String,
    /// The setting, where the origin does not name it already.
    pub path: String,
    /// What is wrong, in lower case, no full stop.
    pub text: String,
}

impl fmt::Display for ConfigFault {
    /// `origin: path: text`
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.is_empty() {
            true => write!(formatter, "{}: {}", self.origin, self.text),
            false => write!(formatter, "{}: {}: {}", self.origin, self.path, self.text),
        }
    }
}
