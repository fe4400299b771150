//! What is wrong with a setting, and its origin.

use std::fmt;

/// One fault of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFault {
    /// The origin of the setting: `file:line`, the name of a variable, or a flag.
    pub origin: String,
    /// The setting, unless the origin already names it.
    pub path: String,
    /// What is wrong, in lower case, without a full stop.
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
