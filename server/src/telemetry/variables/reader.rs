//! Reads single variables, and collects those that are invalid.

use std::time::Duration;

use crate::config::OtelVariables;

/// Timeouts and intervals are reduced to this.
const MAX_DURATION: Duration = Duration::from_secs(3600);

/// Reads the variables that were passed in.
pub(super) struct Reader<'a> {
    pub(super) given: &'a OtelVariables,
    /// The variables that are invalid.
    pub(super) faults: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn new(given: &OtelVariables) -> Reader<'_> {
        Reader {
            given,
            faults: Vec::new(),
        }
    }

    /// Records an invalid variable, once even if several signals use it.
    pub(super) fn fault(&mut self, name: &str, text: &str) {
        let fault = format!("{name}: {text}");
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// A value out of a closed set, or several of them, in lower case: case does not matter.
    pub(super) fn choice(&self, name: &str) -> Option<String> {
        self.given.get(name).map(str::to_ascii_lowercase)
    }

    pub(super) fn is_true(&self, name: &str) -> bool {
        self.given
            .get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The variable of a signal, else the common one, with its name.
    pub(super) fn of_signal(&self, signal: &str, suffix: &str) -> Option<(String, String)> {
        let specific = format!("OTEL_EXPORTER_OTLP_{}_{suffix}", signal.to_uppercase());
        let common = format!("OTEL_EXPORTER_OTLP_{suffix}");
        let mut names = [specific, common].into_iter();
        names.find_map(|name| {
            let value = self.given.get(&name)?.to_owned();
            Some((name, value))
        })
    }

    /// A number from 1 to `max`.
    pub(super) fn count(&mut self, name: &str, default: usize, max: usize) -> usize {
        let Some(text) = self.given.get(name) else {
            return default;
        };
        let count = text.parse().ok().filter(|count| (1..=max).contains(count));
        count.unwrap_or_else(|| {
            self.fault(name, &format!("must be a whole number from 1 to {max}"));
            default
        })
    }

    /// A duration in milliseconds.
    pub(super) fn millis(&mut self, name: &str, default: Duration) -> Duration {
        let Some(text) = self.given.get(name) else {
            return default;
        };
        match text.parse() {
            Ok(millis) if millis > 0 => Duration::from_millis(millis).min(MAX_DURATION),
            Ok(_) | Err(_) => {
                self.fault(name, "must be a whole number of milliseconds greater than 0");
                default
            }
        }
    }
}
