//! One setting: its name, and how it is parsed and printed.

use super::tree::Config;
use super::values::Raw;

/// The printed value of a setting that is not set.
pub(super) const UNSET: &str = "null";

/// One setting.
pub(super) struct Setting {
    /// Its path in the settings file, such as `limits.in_flight`.
    pub(super) path: &'static str,
    /// Parses the raw value into the settings, or returns what is expected.
    pub(super) read: Read,
    /// Whether its value is a map, or a list of maps.
    pub(super) is_structured: bool,
    show: Show,
}

type Read = fn(&mut Config, &Raw) -> Result<(), String>;

/// Prints the value of a setting as YAML.
enum Show {
    Always(fn(&Config) -> String),
    /// `None` if it is not set.
    Optional(fn(&Config) -> Option<String>),
}

impl Setting {
    /// The environment variable of the setting.
    pub(super) fn variable(&self) -> String {
        variable(self.path)
    }

    /// Whether `null` in the file leaves the setting unset.
    pub(super) fn is_optional(&self) -> bool {
        matches!(self.show, Show::Optional(_))
    }

    pub(super) fn value(&self, config: &Config) -> String {
        match self.show {
            Show::Always(show) => show(config),
            Show::Optional(show) => show(config).unwrap_or_else(|| UNSET.to_owned()),
        }
    }
}

/// The environment variable of a path, such as `TOLLGATE_LIMITS__IN_FLIGHT` for `limits.in_flight`.
pub(super) fn variable(path: &str) -> String {
    format!("TOLLGATE_{}", path.replace('.', "__").to_uppercase())
}

pub(super) const fn setting(path: &'static str, read: Read, show: fn(&Config) -> String) -> Setting {
    Setting {
        path,
        read,
        is_structured: false,
        show: Show::Always(show),
    }
}

/// A setting whose value is a map, or a list of maps.
pub(super) const fn structured(path: &'static str, read: Read, show: fn(&Config) -> String) -> Setting {
    Setting {
        path,
        read,
        is_structured: true,
        show: Show::Always(show),
    }
}

pub(super) const fn optional(path: &'static str, read: Read, show: fn(&Config) -> Option<String>) -> Setting {
    Setting {
        path,
        read,
        is_structured: false,
        show: Show::Optional(show),
    }
}
