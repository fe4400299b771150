//! The formats of log lines: JSON objects, and text. Both end with the ids of the trace that the line belongs to. Never
//! changes or omits a field.

use std::fmt::{self, Debug};

use serde::Serializer as _;
use serde::ser::SerializeMap;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::telemetry::current_trace_ids;

/// Enough for the line of a call.
const LINE_BYTES: usize = 640;
/// Enough for a timestamp.
const TIME_BYTES: usize = 32;

/// Formats an event as a flat JSON object on one line. The JSON of `tracing-subscriber` has no place for the trace ids.
#[derive(Debug)]
pub(super) struct JsonFormat;

/// Formats the fields of an event as text, followed by the ids of its trace.
#[derive(Debug)]
pub(super) struct TextFields;

impl<S, N> FormatEvent<S, N> for JsonFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut time = String::with_capacity(TIME_BYTES);
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Vec::with_capacity(LINE_BYTES);
        write_object(&mut line, event, &time).map_err(|_| fmt::Error)?;
        line.push(b'\n');
        writer.write_str(str::from_utf8(&line).map_err(|_| fmt::Error)?)
    }
}

fn write_object(line: &mut Vec<u8>, event: &Event<'_>, time: &str) -> serde_json::Result<()> {
    let metadata = event.metadata();
    let mut serializer = serde_json::Serializer::new(line);
    let mut object = serializer.serialize_map(None)?;
    object.serialize_entry("timestamp", time)?;
    object.serialize_entry("level", metadata.level().as_str())?;
    let mut fields = Fields {
        object: &mut object,
        result: Ok(()),
    };
    event.record(&mut fields);
    fields.result?;
    object.serialize_entry("target", metadata.target())?;
    if let Some(ids) = current_trace_ids() {
        object.serialize_entry("trace_id", &ids.trace_id)?;
        object.serialize_entry("span_id", &ids.span_id)?;
    }
    object.end()
}

/// Adds the fields of an event to an object.
struct Fields<'a, M: SerializeMap> {
    object: &'a mut M,
    result: Result<(), M::Error>,
}

impl<M: SerializeMap> Fields<'_, M> {
    fn add<T: serde::Serialize + ?Sized>(&mut self, field: &Field, value: &T) {
        if self.result.is_ok() {
            self.result = self.object.serialize_entry(field.name(), value);
        }
    }
}

impl<M: SerializeMap> Visit for Fields<'_, M> {
    /// Whole numbers keep a decimal point, so that a field has one type in all lines; NaN and infinity become null.
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.add(field, &format_args!("{value:?}"));
    }
}

impl<'w> FormatFields<'w> for TextFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        DefaultFields::new().format_fields(writer.by_ref(), fields)?;
        match current_trace_ids() {
            Some(ids) => write!(writer, " trace_id={} span_id={}", ids.trace_id, ids.span_id),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::super::testing::Written;
    use super::*;

    fn logged(say: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .event_format(JsonFormat);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), say);
        written.text()
    }

    #[test]
    fn writes_one_flat_object_per_line() {
        let line = logged(|| {
            let none: Option<&str> = None;
            tracing::warn!(
                target: "tollgate::call",
                op = "Get",
                session = none,
                code = -5,
                rcu = 0.5,
                whole = 2.0,
                nothing = f64::NAN,
                kms = u64::MAX,
                open = true,
                shown = %"plain",
                "call"
            );
        });
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.ends_with("}\n"), "{line}");
        assert!(line.contains(r#""whole":2.0,"#), "{line}");
        let mut object: Value = serde_json::from_str(&line).unwrap();
        let timestamp = object.as_object_mut().unwrap().remove("timestamp").unwrap();
        let timestamp = timestamp.as_str().unwrap();
        assert!(timestamp.contains('T') && timestamp.ends_with('Z'), "{timestamp}");
        let expected = json!({
            "level": "WARN", "message": "call", "op": "Get", "code": -5, "rcu": 0.5, "whole": 2.0,
            "nothing": null, "kms": u64::MAX, "open": true, "shown": "plain", "target": "tollgate::call",
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn escapes_all_text() {
        let texts = ["\"}", "a\\", "line\nline", "\u{0}\u{1f}", "ü\u{2028}", ""];
        for text in texts {
            let line = logged(|| tracing::info!(text, debug = ?text, "{text}"));
            let object: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(
                (&object["text"], &object["message"]),
                (&json!(text), &json!(text))
            );
            assert_eq!(object["debug"], json!(format!("{text:?}")));
            assert_eq!(line.matches('\n').count(), 1, "{line}");
        }
    }
}
