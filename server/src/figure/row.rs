//! The parts of a row in the table of figures: the unit of a figure, and its instrument.

/// The unit in which a figure is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Bytes.
    Bytes,
    /// Microseconds; reported in milliseconds or seconds.
    Microseconds,
    /// Thousandths of a capacity unit; reported in units.
    Milliunits,
    /// 10⁻¹² US dollars; reported in dollars.
    Picodollars,
}

/// An instrument that only grows.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    /// Its name.
    pub name: &'static str,
    /// Its unit, as OpenTelemetry writes it.
    pub unit: &'static str,
    /// What it counts.
    pub description: &'static str,
    /// The label that distinguishes the figures of one instrument, and its value.
    pub label: Option<(&'static str, &'static str)>,
}

impl Counter {
    /// An instrument of one figure.
    pub(super) const fn new(name: &'static str, unit: &'static str, description: &'static str) -> Counter {
        Counter {
            name,
            unit,
            description,
            label: None,
        }
    }

    /// The part of an instrument with this label.
    pub(super) const fn labelled(self, name: &'static str, value: &'static str) -> Counter {
        Counter {
            label: Some((name, value)),
            ..self
        }
    }
}

/// `Some` of its argument, or `None` without one.
macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

pub(super) use optional;
