//! A line of the log as one JSON object, its fields beside `timestamp`, `level` and `target`. Written into one buffer:
//! there is a line for every call, and a serializer of maps over a writer over a formatter costs more than the call's bill
//! does.

use std::fmt::{self, Debug};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Room for the line of a call.
const LINE_BYTES: usize = 512;
/// Room for a time.
const TIME_BYTES: usize = 32;

/// Formats events as JSON objects, a line each.
#[derive(Debug)]
pub(super) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
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
        let metadata = event.metadata();
        let mut time = String::with_capacity(TIME_BYTES);
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Vec::with_capacity(LINE_BYTES);
        line.push(b'{');
        push(&mut line, "timestamp", &time);
        push(&mut line, "level", metadata.level().as_str());
        event.record(&mut Fields(&mut line));
        push(&mut line, "target", metadata.target());
        line.extend_from_slice(b"}\n");
        writer.write_str(str::from_utf8(&line).expect("JSON of texts is text"))
    }
}

/// Appends fields to an object.
struct Fields<'a>(&'a mut Vec<u8>);

impl Visit for Fields<'_> {
    /// With a decimal point, so that the field is of one type in every line; what is no number is null.
    fn record_f64(&mut self, field: &Field, value: f64) {
        push(self.0, field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        push(self.0, field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        push(self.0, field.name(), &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        push(self.0, field.name(), &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        push(self.0, field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        push(self.0, field.name(), &format!("{value:?}"));
    }
}

/// Appends a field. Names are those of events in sources: none has to be escaped.
fn push<T: Serialize + ?Sized>(line: &mut Vec<u8>, name: &str, value: &T) {
    if line.len() > 1 {
        line.push(b',');
    }
    line.push(b'"');
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
    serde_json::to_writer(line, value).expect("a plain value is written to memory");
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
            .event_format(JsonLine);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), say);
        written.text()
    }

    #[test]
    fn a_line_is_one_flat_object() {
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
    fn no_text_breaks_out_of_its_string() {
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
