//! Every setting, in the file and in the environment.

use std::collections::BTreeMap;

use super::{Config, Flags, from_variables, load};
use crate::config::setting;
use crate::config::settings::SETTINGS;

/// 32 bytes in base64.
const TOKEN_KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

/// Every setting with a value for the file and the same value for the environment.
// add-a-setting: add its case
const CASES: &[(&str, &str, &str)] = &[
    ("listen", "'[::1]:0'", "[::1]:0"),
    ("insecure", "true", "true"),
    ("tls.certificate", "c.pem", "c.pem"),
    ("tls.key", "k.pem", "k.pem"),
    ("tls.client_ca", "ca.pem", "ca.pem"),
    ("tls.client_certificates", "request", "request"),
    ("auth.certificates", "true", "true"),
    (
        "auth.certificate_callers",
        "{ 'spiffe://x/y': { groups: [g], tenant: t } }",
        r#"{"spiffe://x/y": {"groups": ["g"], "tenant": "t"}}"#,
    ),
    (
        "auth.jwt",
        "[{ issuer: i, audience: a, jwks: k.json, leeway: 5s, algorithms: [ES256], claims: { n: Long } }]",
        r#"[{"issuer": "i", "audience": ["a"], "jwks": "k.json", "leeway": "5s", "algorithms": ["ES256"], "claims": {"n": "Long"}}]"#,
    ),
    ("auth.tokens", "t.yaml", "t.yaml"),
    ("auth.public", "[health, reflection]", "health,reflection"),
    ("models", "m", "m"),
    ("policies", "p", "p"),
    ("audit.file", "a.jsonl", "a.jsonl"),
    ("audit.otlp", "true", "true"),
    ("audit.key", TOKEN_KEY, TOKEN_KEY),
    ("audit.chain", "true", "true"),
    ("audit.on_failure", "continue", "continue"),
    ("backend", "aws", "aws"),
    ("embedded.data", "/d", "/d"),
    ("embedded.memory", "true", "true"),
    ("embedded.synchronous", "normal", "normal"),
    ("embedded.http", "'[::1]:9000'", "[::1]:9000"),
    ("aws.region", "eu-central-1", "eu-central-1"),
    (
        "aws.endpoint_url",
        "http://localhost:4566",
        "http://localhost:4566",
    ),
    ("limits.message_bytes", "4 MiB", "4MiB"),
    ("limits.values", "7", "7"),
    ("limits.in_flight", "3", "3"),
    ("limits.adaptive", "false", "false"),
    ("limits.in_flight_per_connection", "2", "2"),
    (
        "limits.per_caller",
        "{ in_flight: 4, calls_per_second: 2.5 }",
        r#"{"in_flight": 4, "calls_per_second": 2.5}"#,
    ),
    (
        "limits.callers",
        "{ 'job:x': { wcu_per_second: 10 } }",
        r#"{"job:x": {"wcu_per_second": 10}}"#,
    ),
    ("limits.deadline", "5m", "300s"),
    ("limits.deadline_max", "10m", "600s"),
    ("limits.stream_deadline_max", "2h", "7200s"),
    ("limits.receive", "20s", "20s"),
    ("limits.attribute_depth", "4", "4"),
    ("limits.memory", "64 MiB", "64MiB"),
    ("limits.connections", "100", "100"),
    ("limits.connections_per_peer", "10", "10"),
    ("limits.streams_per_connection", "20", "20"),
    ("limits.handshake", "1s", "1000ms"),
    ("limits.idle", "1m", "60s"),
    ("limits.connection_age", "1day", "24h"),
    ("kms.in_flight", "5", "5"),
    ("kms.rate", "5", "5"),
    ("kms.cache", "{ max_uses: 1000 }", "on"),
    ("s3.in_flight", "6", "6"),
    (
        "s3.public_url",
        "https://objects.example.com/",
        "https://objects.example.com",
    ),
    ("sweep.every", "12h", "12h"),
    ("sweep.grace", "2days", "48h"),
    ("sweep.rate", "7", "7"),
    ("sessions.idle", "1day", "24h"),
    ("sessions.max", "7", "7"),
    ("finished_calls", "8", "8"),
    ("token_key", TOKEN_KEY, TOKEN_KEY),
    ("trailers", "[call, orca]", "orca, call"),
    ("prices", "p.yaml", "p.yaml"),
    ("log.format", "json", "json"),
    ("log.level", "debug", "debug"),
    ("log.slow", "1s", "1s"),
    ("metrics.listen", "off", "off"),
    ("metrics.tls", "true", "true"),
    ("telemetry.object_keys", "true", "true"),
    ("shutdown_grace", "0s", "0s"),
];

#[test]
fn every_setting_is_read_from_file_and_environment() {
    let paths: Vec<&str> = SETTINGS.iter().map(|setting| setting.path).collect();
    let tested: Vec<&str> = CASES.iter().map(|(path, ..)| *path).collect();
    assert_eq!(paths, tested, "every setting needs a case");
    for &(path, in_file, in_variable) in CASES {
        let source = match path.split_once('.') {
            Some((section, key)) => format!("{section}:\n  {key}: {in_file}\n"),
            None => format!("{path}: {in_file}\n"),
        };
        let required = required_by(path);
        let one = load(Some(&source), &required, &Flags::default()).unwrap();
        let variable = setting::variable(path);
        let both = [&[(variable.as_str(), in_variable)], required.as_slice()].concat();
        let other = from_variables(&both).unwrap();
        let values = |config: &Config| {
            Config {
                origins: BTreeMap::new(),
                ..config.clone()
            }
            .to_yaml()
        };
        assert_eq!(values(&one), values(&other), "{path}");
        // loaded, because the default of limits.memory depends on the machine
        let without = match path {
            "tls.certificate" | "tls.key" | "auth.certificates" | "audit.file" | "audit.otlp"
            | "audit.key" => from_variables(&[]),
            _ => from_variables(&required),
        };
        assert_ne!(
            values(&one),
            values(&without.unwrap()),
            "{path} changes something"
        );
        assert_eq!(one.token_key, other.token_key);
        assert_eq!(one.audit.key, other.audit.key);
    }
}

/// The variables that a setting requires.
fn required_by(path: &str) -> Vec<(&'static str, &'static str)> {
    let certificate = ("TOLLGATE_TLS__CERTIFICATE", "c.pem");
    let key = ("TOLLGATE_TLS__KEY", "k.pem");
    match path {
        "tls.certificate" => vec![key],
        "tls.key" => vec![certificate],
        "tls.client_ca" | "metrics.tls" => vec![certificate, key],
        "auth.certificates" | "auth.certificate_callers" => vec![
            certificate,
            key,
            ("TOLLGATE_TLS__CLIENT_CA", "ca.pem"),
            ("TOLLGATE_AUTH__CERTIFICATES", "true"),
        ],
        "limits.per_caller" | "limits.callers" => vec![("TOLLGATE_AUTH__TOKENS", "t.yaml")],
        "audit.file" | "audit.otlp" => vec![("TOLLGATE_AUDIT__KEY", TOKEN_KEY)],
        "audit.key" => vec![("TOLLGATE_AUDIT__FILE", "a.jsonl")],
        "audit.chain" => vec![
            ("TOLLGATE_AUDIT__KEY", TOKEN_KEY),
            ("TOLLGATE_AUDIT__FILE", "a.jsonl"),
        ],
        "tls.client_certificates" => vec![certificate, key, ("TOLLGATE_TLS__CLIENT_CA", "ca.pem")],
        _ => Vec::new(),
    }
}
