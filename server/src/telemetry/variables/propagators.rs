//! Which trace headers of a caller are read.

use super::reader::Reader;

/// Which trace headers of a caller are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Propagators {
    pub(in super::super) trace_context: bool,
    pub(in super::super) baggage: bool,
}

pub(super) fn propagators(reader: &mut Reader<'_>) -> Propagators {
    let name = "OTEL_PROPAGATORS";
    let chosen = reader.choice(name).unwrap_or("tracecontext,baggage".to_owned());
    let chosen: Vec<&str> = chosen.split(',').map(str::trim).collect();
    if chosen
        .iter()
        .any(|name| !matches!(*name, "tracecontext" | "baggage" | "none"))
    {
        reader.fault(
            name,
            "must be a list of tracecontext, baggage and none; others are ignored",
        );
    }
    Propagators {
        trace_context: chosen.contains(&"tracecontext"),
        baggage: chosen.contains(&"baggage"),
    }
}
