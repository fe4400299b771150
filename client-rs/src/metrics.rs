//! The bill of a call, read from its trailers. All figures, including the cost, are the server's.

use std::fmt;

use serde::Serialize;
use tollgate_proto::metadata;
use tonic::metadata::MetadataMap;

/// Prefix of the figures in the trailers.
const PREFIX: &str = "tollgate-";

macro_rules! figures {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $key:expr, $label:literal, $format:literal;)*) => {
        /// The cost of a call, from its trailers. Exact, even if the call failed.
        ///
        /// If the client sent several RPCs for a call (a retry, or a resumed stream), the figures are the sum over those
        /// that ended with a bill. `calls` is their number.
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub struct CallMetrics {
            /// The id of the (last) call, for logs, traces and [`Client::call_metrics`](crate::Client::call_metrics).
            pub request_id: String,
            /// The number of RPCs in these figures. 0 if no bill arrived (no connection, or the deadline passed).
            pub calls: u64,
            $($(#[$doc])* pub $name: $type,)*
            /// The session's totals after this call, if it named a session.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub session: Option<SessionMetrics>,
            /// Whether the server left out trailers to stay within 4 KiB.
            #[serde(skip_serializing_if = "is_false")]
            pub truncated: bool,
        }

        /// A session's totals after a call, from the call's trailers.
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub struct SessionMetrics {
            /// Calls of the session so far.
            pub calls: u64,
            $($(#[$doc])* pub $name: $type,)*
        }

        impl CallMetrics {
            /// Reads the bill from the trailing metadata of a call. Missing figures are zero.
            pub fn from_metadata(trailers: &MetadataMap) -> CallMetrics {
                let request_id = text(trailers, metadata::REQUEST_ID).unwrap_or_default().to_owned();
                CallMetrics {
                    calls: u64::from(trailers.contains_key(metadata::DYNAMODB_CALLS)),
                    request_id,
                    $($name: figure(trailers, $key),)*
                    session: SessionMetrics::from_metadata(trailers),
                    truncated: text(trailers, metadata::TRUNCATED) == Some("1"),
                }
            }

            /// Adds the bill of a later RPC of the same call or series.
            pub fn add(&mut self, later: CallMetrics) {
                if !later.request_id.is_empty() {
                    self.request_id = later.request_id;
                }
                self.calls += later.calls;
                $(self.$name += later.$name;)*
                self.session = later.session.or(self.session.take());
                self.truncated |= later.truncated;
            }

            /// Every figure: its label, its text for the call, and its text for the session.
            fn rows(&self) -> Vec<(&'static str, String, Option<String>)> {
                let session = self.session.as_ref();
                vec![
                    ("calls", self.calls.to_string(), session.map(|session| session.calls.to_string())),
                    $(($label, format!($format, self.$name), session.map(|session| format!($format, session.$name))),)*
                ]
            }
        }

        impl SessionMetrics {
            fn from_metadata(trailers: &MetadataMap) -> Option<SessionMetrics> {
                let calls = text(trailers, metadata::SESSION_CALLS)?.parse().ok()?;
                Some(SessionMetrics { calls, $($name: figure(trailers, &session_key($key)),)* })
            }
        }
    };
}

figures! {
    /// DynamoDB API calls, retries included.
    dynamodb_calls: u64 = metadata::DYNAMODB_CALLS, "DynamoDB calls", "{}";
    /// Time in DynamoDB calls, in milliseconds.
    dynamodb_duration_ms: f64 = metadata::DYNAMODB_DURATION_MS, "DynamoDB time", "{:.3} ms";
    /// Read capacity units.
    rcu: f64 = metadata::RCU, "read units", "{}";
    /// Write capacity units.
    wcu: f64 = metadata::WCU, "write units", "{}";
    /// Items returned by DynamoDB.
    items: u64 = metadata::ITEMS, "items", "{}";
    /// KMS API calls, retries included.
    kms_calls: u64 = metadata::KMS_CALLS, "KMS calls", "{}";
    /// Time in KMS calls, in milliseconds.
    kms_duration_ms: f64 = metadata::KMS_DURATION_MS, "KMS time", "{:.3} ms";
    /// KMS calls that the server's data-key cache saved.
    kms_cache_hits: u64 = metadata::KMS_CACHE_HITS, "KMS cache hits", "{}";
    /// S3 API calls, retries included.
    s3_calls: u64 = metadata::S3_CALLS, "S3 calls", "{}";
    /// Time in S3 calls, in milliseconds.
    s3_duration_ms: f64 = metadata::S3_DURATION_MS, "S3 time", "{:.3} ms";
    /// Bytes of content sent to S3.
    s3_bytes_uploaded: u64 = metadata::S3_BYTES_UPLOADED, "S3 uploaded", "{} bytes";
    /// Bytes of content received from S3.
    s3_bytes_downloaded: u64 = metadata::S3_BYTES_DOWNLOADED, "S3 downloaded", "{} bytes";
    /// The server's attempts after the first, of any AWS call.
    retries: u64 = metadata::RETRIES, "AWS retries", "{}";
    /// Wall time in the server, in milliseconds.
    duration_ms: f64 = metadata::DURATION_MS, "wall time", "{:.3} ms";
    /// Cost in US dollars, by the server's price book.
    cost_usd: f64 = metadata::COST_USD, "cost", "$ {}";
}

fn is_false(truth: &bool) -> bool {
    !truth
}

fn text<'a>(trailers: &'a MetadataMap, key: &str) -> Option<&'a str> {
    trailers.get(key)?.to_str().ok()
}

fn figure<T: std::str::FromStr + Default>(trailers: &MetadataMap, key: &str) -> T {
    text(trailers, key)
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// The name of a figure in the session's totals: `tollgate-session-kms-calls` for `tollgate-kms-calls`.
fn session_key(key: &str) -> String {
    format!(
        "{}{}",
        metadata::SESSION_PREFIX,
        key.strip_prefix(PREFIX).unwrap_or(key)
    )
}

/// An aligned table with one figure per line, and the session's totals if present.
impl fmt::Display for CallMetrics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.rows();
        let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0).max("session".len());
        let call_width = width(&mut rows.iter().map(|(_, call, _)| call.len()));
        let session_width = width(
            &mut rows
                .iter()
                .map(|(_, _, session)| session.as_ref().map_or(0, String::len)),
        );
        match self.session {
            Some(_) => writeln!(
                formatter,
                "{:<15} {:>call_width$}  {:>session_width$}",
                "", "call", "session"
            )?,
            None => writeln!(formatter, "{:<15} {:>call_width$}", "", "call")?,
        }
        for (label, call, session) in &rows {
            write!(formatter, "{label:<15} {call:>call_width$}")?;
            if let Some(session) = session {
                write!(formatter, "  {session:>session_width$}")?;
            }
            writeln!(formatter)?;
        }
        write!(formatter, "{:<15} {}", "request id", self.request_id)
    }
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;

    fn trailers(entries: &[(&'static str, &str)]) -> MetadataMap {
        let mut map = MetadataMap::new();
        for (key, text) in entries {
            map.insert(*key, MetadataValue::try_from(*text).unwrap());
        }
        map
    }

    #[test]
    fn reads_every_figure() {
        let metrics = CallMetrics::from_metadata(&trailers(&[
            ("tollgate-request-id", "01J"),
            ("tollgate-dynamodb-calls", "1"),
            ("tollgate-dynamodb-duration-ms", "1.25"),
            ("tollgate-rcu", "0.5"),
            ("tollgate-wcu", "2"),
            ("tollgate-items", "3"),
            ("tollgate-kms-calls", "4"),
            ("tollgate-kms-duration-ms", "5.5"),
            ("tollgate-kms-cache-hits", "6"),
            ("tollgate-s3-calls", "7"),
            ("tollgate-s3-duration-ms", "8.5"),
            ("tollgate-s3-bytes-uploaded", "9"),
            ("tollgate-s3-bytes-downloaded", "10"),
            ("tollgate-retries", "11"),
            ("tollgate-duration-ms", "12.5"),
            ("tollgate-cost-usd", "0.00000125"),
            ("tollgate-session-calls", "13"),
            ("tollgate-session-kms-calls", "14"),
            ("tollgate-session-cost-usd", "0.5"),
        ]));
        let session = SessionMetrics {
            calls: 13,
            kms_calls: 14,
            cost_usd: 0.5,
            ..SessionMetrics::default()
        };
        let expected = CallMetrics {
            request_id: "01J".into(),
            calls: 1,
            dynamodb_calls: 1,
            dynamodb_duration_ms: 1.25,
            rcu: 0.5,
            wcu: 2.0,
            items: 3,
            kms_calls: 4,
            kms_duration_ms: 5.5,
            kms_cache_hits: 6,
            s3_calls: 7,
            s3_duration_ms: 8.5,
            s3_bytes_uploaded: 9,
            s3_bytes_downloaded: 10,
            retries: 11,
            duration_ms: 12.5,
            cost_usd: 0.00000125,
            session: Some(session),
            truncated: false,
        };
        assert_eq!(metrics, expected);
    }

    #[test]
    fn without_trailers_the_bill_is_empty() {
        assert_eq!(
            CallMetrics::from_metadata(&MetadataMap::new()),
            CallMetrics::default()
        );
    }

    #[test]
    fn invalid_figures_are_zero_and_truncation_is_reported() {
        let metrics = CallMetrics::from_metadata(&trailers(&[
            ("tollgate-dynamodb-calls", "many"),
            ("tollgate-trailers-truncated", "1"),
        ]));
        assert_eq!(
            (
                metrics.dynamodb_calls,
                metrics.session.is_none(),
                metrics.truncated
            ),
            (0, true, true)
        );
    }

    #[test]
    fn bills_of_one_call_add_up() {
        let bill = |request_id: &str| CallMetrics {
            request_id: request_id.into(),
            calls: 1,
            kms_calls: 2,
            rcu: 0.5,
            ..CallMetrics::default()
        };
        let session = SessionMetrics {
            calls: 9,
            ..SessionMetrics::default()
        };
        let mut sum = bill("a");
        sum.add(CallMetrics {
            session: Some(session),
            ..bill("b")
        });
        assert_eq!(
            (sum.request_id.as_str(), sum.calls, sum.kms_calls, sum.rcu),
            ("b", 2, 4, 1.0)
        );
        sum.add(CallMetrics::default());
        assert_eq!((sum.request_id.as_str(), sum.calls), ("b", 2));
        assert_eq!(sum.session.map(|session| session.calls), Some(9));
    }

    #[test]
    fn the_table_is_aligned() {
        let session = SessionMetrics {
            calls: 1000,
            cost_usd: 12.5,
            ..SessionMetrics::default()
        };
        let metrics = CallMetrics {
            request_id: "01J".into(),
            session: Some(session),
            ..CallMetrics::default()
        };
        let table = metrics.to_string();
        let lines: Vec<&str> = table.lines().collect();
        let figures = &lines[..lines.len() - 1];
        assert!(
            figures.iter().all(|line| line.len() == figures[0].len()),
            "{table}"
        );
        assert_eq!(lines.last(), Some(&"request id      01J"));
    }
}
