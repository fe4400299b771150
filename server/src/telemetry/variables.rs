//! OpenTelemetry's own variables, as its specification has them: what is exported, where to, and how. They come with
//! the settings; this room does not read the environment (the exporter of `opentelemetry-otlp` looks there again for
//! what it is told here, and finds the same). As the specification has it, nothing here is a fault that keeps the
//! service from starting: what cannot be used is told in the log and left out.
//!
//! | variable | default |
//! |---|---|
//! | `OTEL_SDK_DISABLED` | `false` |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT`, `…_TRACES_ENDPOINT`, `…_METRICS_ENDPOINT`, `…_LOGS_ENDPOINT` | none: not exported |
//! | `OTEL_EXPORTER_OTLP_PROTOCOL` and per signal: `grpc`, `http/protobuf` | `grpc` at port 4317, else `http/protobuf` |
//! | `OTEL_EXPORTER_OTLP_HEADERS`, `_TIMEOUT`, `_CERTIFICATE` and per signal | none, 10 s, the system's roots |
//! | `OTEL_EXPORTER_OTLP_COMPRESSION` and per signal: `gzip`, `none` | `none` |
//! | `OTEL_TRACES_EXPORTER`, `OTEL_METRICS_EXPORTER`, `OTEL_LOGS_EXPORTER` | `otlp` |
//! | `OTEL_TRACES_SAMPLER`, `OTEL_TRACES_SAMPLER_ARG` | `parentbased_always_on` |
//! | `OTEL_PROPAGATORS` | `tracecontext,baggage` |
//! | `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME` | `tollgate` |
//! | `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | 60 s, `cumulative` |
//! | `OTEL_BSP_…`, `OTEL_BLRP_…`: `MAX_QUEUE_SIZE`, `MAX_EXPORT_BATCH_SIZE`, `SCHEDULE_DELAY` | 8192, 1024, 1 s |

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::Sampler;
use percent_encoding::percent_decode_str;

use super::names::{SERVICE, resource};
use crate::config::OtelVariables;

/// The port that collectors take gRPC at.
const GRPC_PORT: u16 = 4317;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
const DEFAULT_BOUNDS: Bounds = Bounds {
    queue: 8192,
    batch: 1024,
    delay: Duration::from_secs(1),
};
/// Records in a queue at most, whatever is asked for: some hundred megabytes.
const MAX_QUEUE: usize = 262_144;
/// Timeouts and intervals are cut to this.
const LONGEST: Duration = Duration::from_secs(3600);

/// All that the variables say.
#[derive(Debug)]
pub(super) struct Variables {
    pub(super) traces: Option<Export>,
    pub(super) metrics: Option<Export>,
    pub(super) logs: Option<Export>,
    pub(super) sampler: Sampler,
    pub(super) propagators: Propagators,
    pub(super) resource: Resource,
    pub(super) interval: Duration,
    pub(super) temporality: Temporality,
    pub(super) span_bounds: Bounds,
    pub(super) log_bounds: Bounds,
    /// What cannot be used, for the log.
    pub(super) faults: Vec<String>,
}

/// Where one signal goes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Export {
    pub(super) signal: &'static str,
    pub(super) protocol: Protocol,
    /// For HTTP with its path.
    pub(super) endpoint: String,
    /// Names in lower case; values may be secret.
    pub(super) headers: Vec<(String, String)>,
    pub(super) timeout: Duration,
    /// Whether what is sent is compressed, by gzip.
    pub(super) gzip: bool,
    /// A PEM file of the authorities that are trusted instead of the system's.
    pub(super) certificate: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

/// Which of a caller's headers are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Propagators {
    pub(super) trace_context: bool,
    pub(super) baggage: bool,
}

/// Bounds of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Records that wait at most; past it they are dropped.
    pub(super) queue: usize,
    /// Records of one export at most.
    pub(super) batch: usize,
    /// How long a record waits for others.
    pub(super) delay: Duration,
}

impl Variables {
    /// Reads all of them.
    pub(super) fn read(given: &OtelVariables) -> Variables {
        let mut reader = Reader {
            given,
            faults: Vec::new(),
        };
        let disabled = reader.is_true("OTEL_SDK_DISABLED");
        Variables {
            traces: reader.export("traces", disabled),
            metrics: reader.export("metrics", disabled),
            logs: reader.export("logs", disabled),
            sampler: reader.sampler(),
            propagators: reader.propagators(),
            resource: reader.resource(),
            interval: reader.millis("OTEL_METRIC_EXPORT_INTERVAL", DEFAULT_INTERVAL),
            temporality: reader.temporality(),
            span_bounds: reader.bounds("OTEL_BSP"),
            log_bounds: reader.bounds("OTEL_BLRP"),
            faults: reader.faults,
        }
    }
}

struct Reader<'a> {
    given: &'a OtelVariables,
    faults: Vec<String>,
}

impl Reader<'_> {
    /// Once, however many signals a variable is of.
    fn fault(&mut self, name: &str, text: &str) {
        let fault = format!("{name}: {text}");
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }

    /// A name out of a closed set, or several: their case is of no matter.
    fn choice(&self, name: &str) -> Option<String> {
        self.given.get(name).map(str::to_ascii_lowercase)
    }

    fn is_true(&self, name: &str) -> bool {
        self.given
            .get(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The signal's own variable, else the one of all signals; with its name.
    fn of_signal(&self, signal: &str, what: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{what}", signal.to_uppercase());
        let common = format!("OTEL_EXPORTER_OTLP_{what}");
        let mut names = [own, common].into_iter();
        names.find_map(|name| {
            let value = self.given.get(&name)?.to_owned();
            Some((name, value))
        })
    }

    fn export(&mut self, signal: &'static str, disabled: bool) -> Option<Export> {
        let (name, endpoint) = self.of_signal(signal, "ENDPOINT")?;
        if disabled || !self.is_otlp(signal) {
            return None;
        }
        let uri = endpoint.parse::<Uri>().ok();
        let uri =
            uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
        let Some(uri) = uri else {
            self.fault(
                &name,
                "must be a URL such as `http://localhost:4317`; nothing is exported there",
            );
            return None;
        };
        let protocol = self.protocol(signal, &uri);
        let is_base = name == "OTEL_EXPORTER_OTLP_ENDPOINT";
        let endpoint = match protocol {
            Protocol::Http if is_base => format!("{}/v1/{signal}", endpoint.trim_end_matches('/')),
            Protocol::Http | Protocol::Grpc => endpoint,
        };
        Some(Export {
            signal,
            protocol,
            endpoint,
            headers: self.headers(signal),
            timeout: self.timeout(signal),
            gzip: self.gzip(signal),
            certificate: self
                .of_signal(signal, "CERTIFICATE")
                .map(|(_, path)| PathBuf::from(path)),
        })
    }

    /// Whether the signal's list of exporters has OTLP; `prometheus` is the side port, which has its own setting.
    fn is_otlp(&mut self, signal: &str) -> bool {
        let name = format!("OTEL_{}_EXPORTER", signal.to_uppercase());
        let Some(chosen) = self.choice(&name) else {
            return true;
        };
        let chosen: Vec<&str> = chosen.split(',').map(str::trim).collect();
        if let Some(unknown) = chosen
            .iter()
            .find(|name| !matches!(**name, "otlp" | "none" | "prometheus"))
        {
            self.fault(&name, &format!("there is no exporter {unknown:?}; otlp or none"));
        }
        chosen.contains(&"otlp")
    }

    fn protocol(&mut self, signal: &str, uri: &Uri) -> Protocol {
        let by_port = match uri.port_u16() {
            Some(GRPC_PORT) => Protocol::Grpc,
            _ => Protocol::Http,
        };
        let Some((name, protocol)) = self.of_signal(signal, "PROTOCOL") else {
            return by_port;
        };
        match protocol.to_ascii_lowercase().as_str() {
            "grpc" => Protocol::Grpc,
            "http/protobuf" => Protocol::Http,
            _ => {
                self.fault(&name, "must be grpc or http/protobuf");
                by_port
            }
        }
    }

    /// `name=value,…`, the values percent-encoded.
    fn headers(&mut self, signal: &str) -> Vec<(String, String)> {
        let Some((name, text)) = self.of_signal(signal, "HEADERS") else {
            return Vec::new();
        };
        let mut headers = Vec::new();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let header = pair.split_once('=').and_then(|(name, value)| {
                let name = name.trim().to_ascii_lowercase();
                let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
                let valid =
                    name.parse::<http::HeaderName>().is_ok() && value.parse::<http::HeaderValue>().is_ok();
                valid.then_some((name, value))
            });
            match header {
                Some(header) => headers.push(header),
                // the text may be a secret
                None => self.fault(&name, "must be name=value, separated by commas, percent-encoded"),
            }
        }
        headers
    }

    fn timeout(&mut self, signal: &str) -> Duration {
        match self.of_signal(signal, "TIMEOUT") {
            Some((name, _)) => self.millis(&name, DEFAULT_TIMEOUT),
            None => DEFAULT_TIMEOUT,
        }
    }

    fn gzip(&mut self, signal: &str) -> bool {
        let Some((name, compression)) = self.of_signal(signal, "COMPRESSION") else {
            return false;
        };
        match compression.to_ascii_lowercase().as_str() {
            "gzip" => true,
            "none" => false,
            _ => {
                self.fault(&name, "must be gzip or none");
                false
            }
        }
    }

    fn sampler(&mut self) -> Sampler {
        let default = || Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        let Some(sampler) = self.choice("OTEL_TRACES_SAMPLER") else {
            return default();
        };
        match sampler.as_str() {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(self.ratio()),
            "parentbased_always_on" => default(),
            "parentbased_always_off" => Sampler::ParentBased(Box::new(Sampler::AlwaysOff)),
            "parentbased_traceidratio" => {
                Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(self.ratio())))
            }
            _ => {
                self.fault(
                    "OTEL_TRACES_SAMPLER",
                    "must be always_on, always_off, traceidratio, or parentbased_ and one of these",
                );
                default()
            }
        }
    }

    fn ratio(&mut self) -> f64 {
        let name = "OTEL_TRACES_SAMPLER_ARG";
        let Some(text) = self.given.get(name) else {
            return 1.0;
        };
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.unwrap_or_else(|| {
            self.fault(name, "must be a number from 0 to 1");
            1.0
        })
    }

    fn propagators(&mut self) -> Propagators {
        let name = "OTEL_PROPAGATORS";
        let chosen = self.choice(name).unwrap_or("tracecontext,baggage".to_owned());
        let chosen: Vec<&str> = chosen.split(',').map(str::trim).collect();
        if chosen
            .iter()
            .any(|name| !matches!(*name, "tracecontext" | "baggage" | "none"))
        {
            self.fault(
                name,
                "must be of tracecontext, baggage, none; others are not read",
            );
        }
        Propagators {
            trace_context: chosen.contains(&"tracecontext"),
            baggage: chosen.contains(&"baggage"),
        }
    }

    /// What names this process, and what the operator says of it.
    fn resource(&mut self) -> Resource {
        let name = "OTEL_RESOURCE_ATTRIBUTES";
        let mut attributes = vec![
            KeyValue::new(resource::SERVICE_NAME, SERVICE),
            KeyValue::new(resource::SERVICE_VERSION, crate::build::VERSION),
            KeyValue::new(resource::SERVICE_INSTANCE_ID, ulid::Ulid::generate().to_string()),
        ];
        let text = self.given.get(name).unwrap_or_default().to_owned();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let decoded = pair.split_once('=').and_then(|(key, value)| {
                let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
                Some(KeyValue::new(
                    key.trim().to_owned(),
                    Value::from(value.into_owned()),
                ))
            });
            match decoded {
                Some(attribute) => attributes.push(attribute),
                None => self.fault(name, "must be name=value, separated by commas, percent-encoded"),
            }
        }
        if let Some(service) = self.given.get("OTEL_SERVICE_NAME") {
            attributes.push(KeyValue::new(resource::SERVICE_NAME, service.to_owned()));
        }
        // of two with one name the last stands
        Resource::builder_empty()
            .with_detector(Box::new(TelemetryResourceDetector))
            .with_attributes(attributes)
            .build()
    }

    fn temporality(&mut self) -> Temporality {
        let name = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
        match self.choice(name).as_deref().unwrap_or("cumulative") {
            "cumulative" => Temporality::Cumulative,
            "delta" => Temporality::Delta,
            "lowmemory" => Temporality::LowMemory,
            _ => {
                self.fault(name, "must be cumulative, delta or lowmemory");
                Temporality::Cumulative
            }
        }
    }

    fn bounds(&mut self, prefix: &str) -> Bounds {
        let queue = self.count(&format!("{prefix}_MAX_QUEUE_SIZE"), DEFAULT_BOUNDS.queue);
        let batch = self.count(&format!("{prefix}_MAX_EXPORT_BATCH_SIZE"), DEFAULT_BOUNDS.batch);
        Bounds {
            queue,
            batch: batch.min(queue),
            delay: self.millis(&format!("{prefix}_SCHEDULE_DELAY"), DEFAULT_BOUNDS.delay),
        }
    }

    fn count(&mut self, name: &str, default: usize) -> usize {
        let Some(text) = self.given.get(name) else {
            return default;
        };
        let count = text.parse().ok().filter(|count| (1..=MAX_QUEUE).contains(count));
        count.unwrap_or_else(|| {
            self.fault(name, &format!("must be a whole number from 1 to {MAX_QUEUE}"));
            default
        })
    }

    fn millis(&mut self, name: &str, default: Duration) -> Duration {
        let Some(text) = self.given.get(name) else {
            return default;
        };
        match text.parse() {
            Ok(millis) if millis > 0 => Duration::from_millis(millis).min(LONGEST),
            Ok(_) | Err(_) => {
                self.fault(name, "must be a whole number of milliseconds above 0");
                default
            }
        }
    }
}

impl Export {
    /// Host and port of the endpoint, for the log: without the credentials that a URL may have.
    pub(super) fn collector(&self) -> String {
        let uri = self.endpoint.parse::<Uri>().ok();
        let authority = uri.as_ref().and_then(|uri| uri.authority());
        let authority = authority.map_or("", |authority| authority.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        host.to_owned()
    }
}

impl fmt::Debug for Export {
    /// Without the headers, whose values may be secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Export")
            .field("signal", &self.signal)
            .field("protocol", &self.protocol)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Flags};

    fn read(variables: &[(&str, &str)]) -> Variables {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::load(&Flags::default(), variables).unwrap();
        Variables::read(&config.telemetry.variables)
    }

    #[test]
    fn nothing_is_exported_where_nothing_is_set() {
        let read = read(&[("OTEL_SERVICE_NAME", "other")]);
        assert!(read.traces.is_none() && read.metrics.is_none() && read.logs.is_none());
        assert!(read.faults.is_empty());
        let name = read.resource.get(&resource::SERVICE_NAME.into());
        assert_eq!(name, Some(Value::from("other")));
    }

    #[test]
    fn one_endpoint_is_for_all_signals() {
        let grpc = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317")]);
        let traces = grpc.traces.unwrap();
        assert_eq!(
            (traces.protocol, traces.endpoint.as_str(), traces.timeout),
            (Protocol::Grpc, "http://collector:4317", Duration::from_secs(10))
        );
        let http = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "https://collector:4318/")]);
        assert_eq!(http.traces.unwrap().endpoint, "https://collector:4318/v1/traces");
        assert_eq!(
            http.metrics.unwrap().endpoint,
            "https://collector:4318/v1/metrics"
        );
        assert_eq!(http.logs.unwrap().endpoint, "https://collector:4318/v1/logs");
    }

    #[test]
    fn a_signals_own_variables_win() {
        let read = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:9/as/it/is"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x, tenant=t"),
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "500"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "none"),
            ("OTEL_METRICS_EXPORTER", "none"),
        ]);
        assert_eq!(read.traces.as_ref().unwrap().endpoint, "http://traces:9/as/it/is");
        assert!(read.metrics.is_none());
        let logs = read.logs.unwrap();
        assert_eq!(
            (logs.protocol, logs.timeout, logs.gzip),
            (Protocol::Grpc, Duration::from_millis(500), true)
        );
        assert!(!read.traces.as_ref().unwrap().gzip);
        let headers = logs
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        assert_eq!(
            headers.collect::<Vec<_>>(),
            [("authorization", "Bearer x"), ("tenant", "t")]
        );
        assert!(!format!("{:?}", read.traces).contains("Bearer"));
    }

    #[test]
    fn disabled_is_disabled() {
        let read = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x:4317"),
            ("OTEL_SDK_DISABLED", "True"),
        ]);
        assert!(read.traces.is_none() && read.metrics.is_none() && read.logs.is_none());
    }

    #[test]
    fn what_cannot_be_used_is_told_without_its_value_and_left_out() {
        let read = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://x:1"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "hunter2"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zip"),
            ("OTEL_TRACES_SAMPLER", "xray"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1s"),
            ("OTEL_LOGS_EXPORTER", "otlp,console"),
            ("OTEL_PROPAGATORS", "b3"),
        ]);
        assert!(read.traces.is_none() && read.metrics.is_none());
        assert_eq!(read.logs.unwrap().protocol, Protocol::Http);
        assert!(matches!(read.sampler, Sampler::ParentBased(_)));
        assert_eq!(read.span_bounds, DEFAULT_BOUNDS);
        assert_eq!(read.interval, DEFAULT_INTERVAL);
        assert!(!read.propagators.trace_context);
        assert_eq!(read.faults.len(), 9, "one of a variable: {:?}", read.faults);
        assert!(!read.faults.concat().contains("hunter2"));
    }

    #[test]
    fn names_are_read_in_any_case() {
        let read = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x:1"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "GRPC"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "Gzip"),
            ("OTEL_METRICS_EXPORTER", "None"),
            ("OTEL_TRACES_SAMPLER", "Always_Off"),
            ("OTEL_PROPAGATORS", "TraceContext"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
        ]);
        assert!(read.faults.is_empty(), "{:?}", read.faults);
        let traces = read.traces.unwrap();
        assert_eq!((traces.protocol, traces.gzip), (Protocol::Grpc, true));
        assert!(read.metrics.is_none() && matches!(read.sampler, Sampler::AlwaysOff));
        assert!(read.propagators.trace_context && !read.propagators.baggage);
        assert_eq!(read.temporality, Temporality::Delta);
    }

    #[test]
    fn the_resource_names_the_sdk_and_the_operator_may_say_more() {
        let read = read(&[("OTEL_RESOURCE_ATTRIBUTES", "a=b,service.version=9")]);
        let attribute = |name: &'static str| read.resource.get(&name.into()).map(|value| value.to_string());
        assert_eq!(attribute("telemetry.sdk.name").as_deref(), Some("opentelemetry"));
        assert_eq!(attribute("telemetry.sdk.language").as_deref(), Some("rust"));
        assert!(attribute("telemetry.sdk.version").is_some_and(|version| version.starts_with("0.")));
        assert_eq!(attribute("service.version").as_deref(), Some("9"));
        assert_eq!(attribute("a").as_deref(), Some("b"));
    }

    #[test]
    fn the_log_names_a_collector_without_its_credentials() {
        let read = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@x:4317/path")]);
        assert_eq!(read.logs.unwrap().collector(), "x:4317");
    }

    #[test]
    fn samplers_are_those_of_the_specification() {
        let sampler =
            |name, ratio| read(&[("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", ratio)]).sampler;
        assert!(matches!(sampler("always_off", ""), Sampler::AlwaysOff));
        assert!(matches!(sampler("traceidratio", "0.1"), Sampler::TraceIdRatioBased(ratio) if ratio == 0.1));
        assert!(matches!(sampler("traceidratio", "2"), Sampler::TraceIdRatioBased(ratio) if ratio == 1.0));
        assert!(matches!(
            sampler("parentbased_traceidratio", "0.1"),
            Sampler::ParentBased(_)
        ));
    }
}
