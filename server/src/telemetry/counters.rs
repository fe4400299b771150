//! The counters of the table of figures, read from the totals since the process started whenever somebody collects. They
//! cost a call nothing, and report what its trailers reported.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::InstrumentSources;
use super::names::{self, attribute, label};
use crate::figure::unit::{dollars, seconds, thousandths};
use crate::figure::{Counter, FIGURES, Figure, Unit};

/// Creates all counters.
pub(super) fn observe(meter: &Meter, sources: &Arc<InstrumentSources>) {
    for (index, figure) in FIGURES.iter().enumerate() {
        let Some(counter) = figure.counter else { continue };
        let is_first = !FIGURES[..index].iter().any(|other| is_of(other, counter.name));
        if is_first {
            build(meter, &counter, Arc::clone(sources));
        }
    }
}

fn build(meter: &Meter, counter: &Counter, sources: Arc<InstrumentSources>) {
    let figures: Vec<&Figure> = figures_of(counter.name).collect();
    let is_integer = figures
        .iter()
        .all(|figure| matches!(figure.unit, Unit::Count | Unit::Bytes));
    if is_integer {
        meter
            .u64_observable_counter(counter.name)
            .with_unit(counter.unit)
            .with_description(counter.description)
            .with_callback(move |observer| report(&sources, &figures, observer, |_, value| value))
            .build();
    } else {
        meter
            .f64_observable_counter(counter.name)
            .with_unit(counter.unit)
            .with_description(counter.description)
            .with_callback(move |observer| report(&sources, &figures, observer, amount))
            .build();
    }
}

fn report<T>(
    sources: &InstrumentSources,
    figures: &[&Figure],
    observer: &dyn AsyncInstrument<T>,
    convert: fn(Unit, u64) -> T,
) {
    for sum in (sources.bills)() {
        let mut labels = vec![
            KeyValue::new(label::MODEL, sum.model),
            KeyValue::new(attribute::RPC_METHOD, names::method(sum.rpc)),
        ];
        for figure in figures {
            labels.truncate(2);
            let own = figure.counter.and_then(|counter| counter.label);
            labels.extend(own.map(|(name, value)| KeyValue::new(name, value)));
            observer.observe(convert(figure.unit, (figure.value)(&sum.bill)), &labels);
        }
    }
}

/// A figure in the unit of its instrument: seconds, capacity units or dollars.
pub(super) fn amount(unit: Unit, figure: u64) -> f64 {
    match unit {
        Unit::Count | Unit::Bytes => figure as f64,
        Unit::Microseconds => seconds(figure),
        Unit::Milliunits => thousandths(figure),
        Unit::Picodollars => dollars(figure),
    }
}

/// The figures of an instrument.
pub(super) fn figures_of(name: &str) -> impl Iterator<Item = &'static Figure> {
    FIGURES.iter().filter(move |figure| is_of(figure, name))
}

fn is_of(figure: &Figure, name: &str) -> bool {
    figure.counter.is_some_and(|counter| counter.name == name)
}
