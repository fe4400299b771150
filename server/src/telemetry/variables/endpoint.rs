//! The endpoint of a signal: where its data is exported to, and how.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use percent_encoding::percent_decode_str;

use super::reader::Reader;

/// The port on which collectors accept gRPC.
const GRPC_PORT: u16 = 4317;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where and how one signal is exported.
#[derive(Clone, PartialEq, Eq)]
pub(in super::super) struct Export {
    pub(in super::super) signal: &'static str,
    pub(in super::super) protocol: Protocol,
    /// The URL; for HTTP it includes the path.
    pub(in super::super) endpoint: String,
    /// Names are in lower case; values may be secret.
    pub(in super::super) headers: Vec<(String, String)>,
    pub(in super::super) timeout: Duration,
    /// Whether requests are compressed with gzip.
    pub(in super::super) gzip: bool,
    /// A PEM file of authorities to trust instead of those of the system.
    pub(in super::super) certificate: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Protocol {
    Grpc,
    Http,
}

/// Reads the variables of a signal. Returns `None` if it is not exported.
pub(super) fn export(reader: &mut Reader<'_>, signal: &'static str, disabled: bool) -> Option<Export> {
    let (name, endpoint) = reader.of_signal(signal, "ENDPOINT")?;
    if disabled || !is_otlp(reader, signal) {
        return None;
    }
    let uri = endpoint.parse::<Uri>().ok();
    let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some());
    let Some(uri) = uri else {
        reader.fault(
            &name,
            "must be a URL such as `http://localhost:4317`; nothing is exported",
        );
        return None;
    };
    let protocol = protocol(reader, signal, &uri);
    let is_base = name == "OTEL_EXPORTER_OTLP_ENDPOINT";
    let endpoint = match protocol {
        Protocol::Http if is_base => format!("{}/v1/{signal}", endpoint.trim_end_matches('/')),
        Protocol::Http | Protocol::Grpc => endpoint,
    };
    Some(Export {
        signal,
        protocol,
        endpoint,
        headers: headers(reader, signal),
        timeout: timeout(reader, signal),
        gzip: gzip(reader, signal),
        certificate: reader
            .of_signal(signal, "CERTIFICATE")
            .map(|(_, path)| PathBuf::from(path)),
    })
}

/// Whether OTLP is among the exporters of a signal; `prometheus` is the side port, which has its own setting.
fn is_otlp(reader: &mut Reader<'_>, signal: &str) -> bool {
    let name = format!("OTEL_{}_EXPORTER", signal.to_uppercase());
    let Some(chosen) = reader.choice(&name) else {
        return true;
    };
    let chosen: Vec<&str> = chosen.split(',').map(str::trim).collect();
    if let Some(unknown) = chosen
        .iter()
        .find(|name| !matches!(**name, "otlp" | "none" | "prometheus"))
    {
        reader.fault(
            &name,
            &format!("unknown exporter {unknown:?}; must be otlp or none"),
        );
    }
    chosen.contains(&"otlp")
}

fn protocol(reader: &mut Reader<'_>, signal: &str, uri: &Uri) -> Protocol {
    let by_port = match uri.port_u16() {
        Some(GRPC_PORT) => Protocol::Grpc,
        _ => Protocol::Http,
    };
    let Some((name, protocol)) = reader.of_signal(signal, "PROTOCOL") else {
        return by_port;
    };
    match protocol.to_ascii_lowercase().as_str() {
        "grpc" => Protocol::Grpc,
        "http/protobuf" => Protocol::Http,
        _ => {
            reader.fault(&name, "must be grpc or http/protobuf");
            by_port
        }
    }
}

/// Parses `name=value,…`, with percent-encoded values.
fn headers(reader: &mut Reader<'_>, signal: &str) -> Vec<(String, String)> {
    let Some((name, text)) = reader.of_signal(signal, "HEADERS") else {
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
            // without the text, which may be secret
            None => reader.fault(
                &name,
                "expected name=value pairs, separated by commas and percent-encoded",
            ),
        }
    }
    headers
}

fn timeout(reader: &mut Reader<'_>, signal: &str) -> Duration {
    match reader.of_signal(signal, "TIMEOUT") {
        Some((name, _)) => reader.millis(&name, DEFAULT_TIMEOUT),
        None => DEFAULT_TIMEOUT,
    }
}

fn gzip(reader: &mut Reader<'_>, signal: &str) -> bool {
    let Some((name, compression)) = reader.of_signal(signal, "COMPRESSION") else {
        return false;
    };
    match compression.to_ascii_lowercase().as_str() {
        "gzip" => true,
        "none" => false,
        _ => {
            reader.fault(&name, "must be gzip or none");
            false
        }
    }
}

impl Export {
    /// Host and port of the endpoint, for the log, without credentials in the URL.
    pub(in super::super) fn collector(&self) -> String {
        let uri = self.endpoint.parse::<Uri>().ok();
        let authority = uri.as_ref().and_then(|uri| uri.authority());
        let authority = authority.map_or("", |authority| authority.as_str());
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        host.to_owned()
    }
}

impl fmt::Debug for Export {
    /// Omits the headers, whose values may be secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Export")
            .field("signal", &self.signal)
            .field("protocol", &self.protocol)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}
