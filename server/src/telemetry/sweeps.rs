//! The instruments of sweeps, read when somebody collects.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::InstrumentSources;
use super::names::{instrument, label};

/// Creates the instruments.
pub(super) fn observe(meter: &Meter, sources: &Arc<InstrumentSources>) {
    let read = Arc::clone(sources);
    meter
        .u64_observable_counter(instrument::SWEEP_RUNS)
        .with_unit("{sweep}")
        .with_description("Sweeps of the objects in S3")
        .with_callback(move |observer| {
            let figures = (read.sweeps)();
            let by_outcome = [("succeeded", figures.succeeded), ("failed", figures.failed)];
            report(observer, label::OUTCOME, &by_outcome);
        })
        .build();
    let read = Arc::clone(sources);
    meter
        .u64_observable_counter(instrument::SWEEP_REMOVED)
        .with_unit("{object}")
        .with_description("Objects and multipart uploads that sweeps removed")
        .with_callback(move |observer| {
            let figures = (read.sweeps)();
            let by_kind = [("orphan", figures.deleted), ("stray_upload", figures.aborted)];
            report(observer, label::KIND, &by_kind);
        })
        .build();
    let read = Arc::clone(sources);
    meter
        .u64_observable_gauge(instrument::SWEEP_FOUND)
        .with_unit("{object}")
        .with_description("Orphans, multipart uploads and pointers to nothing that the last sweep found")
        .with_callback(move |observer| {
            let figures = (read.sweeps)();
            let by_kind = [
                ("orphan", figures.orphans),
                ("stray_upload", figures.stray_uploads),
                ("dangling", figures.dangling),
            ];
            report(observer, label::KIND, &by_kind);
        })
        .build();
    let read = Arc::clone(sources);
    meter
        .u64_observable_gauge(instrument::SWEEP_SIZE)
        .with_unit("By")
        .with_description("Bytes of the orphans and multipart uploads that the last sweep found")
        .with_callback(move |observer| observer.observe((read.sweeps)().bytes, &[]))
        .build();
}

fn report(observer: &dyn AsyncInstrument<u64>, name: &'static str, values: &[(&'static str, u64)]) {
    for &(label, value) in values {
        observer.observe(value, &[KeyValue::new(name, label)]);
    }
}
