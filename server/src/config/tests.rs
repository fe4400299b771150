//! Loading settings from all layers, their faults, and printing them.

mod auth;
mod caller_limits;
mod every;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use proptest::prelude::*;

use super::settings::SETTINGS;
use super::*;

const NO_FILE: &str = "/nowhere/tollgate.yaml";

fn load(file: Option<&str>, variables: &[(&str, &str)], flags: &Flags) -> Result<Config, Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tollgate.yaml");
    if let Some(source) = file {
        fs::write(&path, source).unwrap();
    }
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let prefix = format!("{}/", folder.path().display());
    Config::load_with_default_file(&path, flags, variables).map_err(|faults| {
        faults
            .iter()
            .map(|fault| fault.to_string().replace(&prefix, ""))
            .collect()
    })
}

fn from_file(source: &str) -> Result<Config, Vec<String>> {
    load(Some(source), &[], &Flags::default())
}

fn from_variables(variables: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    load(None, variables, &Flags::default())
}

#[test]
fn the_defaults_are_as_documented() {
    let config = load(None, &[("PATH", "/bin"), ("AWS_REGION", "x")], &Flags::default()).unwrap();
    assert_eq!(config.listen, "127.0.0.1:50051");
    assert_eq!(
        (config.models.to_str(), config.models_set),
        (Some("./models"), false)
    );
    assert_eq!(config.backend, Backend::Embedded);
    assert_eq!(config.embedded.data.to_str(), Some("./tollgate-data"));
    assert_eq!(config.embedded.synchronous, Synchronous::Full);
    assert!(!config.embedded.memory && config.token_key.is_none() && config.prices.is_none());
    assert_eq!(config.limits.message_bytes, 33_554_432);
    assert_eq!(config.limits.values, 100_000);
    assert_eq!(
        (config.limits.in_flight, config.limits.attribute_depth),
        (1024, 32)
    );
    assert_eq!(config.limits.deadline, Duration::from_secs(30));
    assert_eq!(
        (config.limits.connections, config.limits.connections_per_peer),
        (4096, 1024)
    );
    assert_eq!(config.limits.streams_per_connection, 256);
    assert_eq!(
        [
            config.limits.handshake,
            config.limits.idle,
            config.limits.connection_age
        ],
        [10, 600, 3600].map(Duration::from_secs)
    );
    assert_eq!((config.kms.in_flight, config.s3.in_flight), (64, 8));
    assert_eq!(
        (config.sessions.idle, config.sessions.max),
        (Duration::from_secs(3600), 100_000)
    );
    assert_eq!(config.finished_calls, 10_000);
    assert_eq!(config.trailers.len(), 4);
    assert_eq!(
        (config.log.format, config.log.slow),
        (LogFormat::Auto, Duration::from_millis(100))
    );
    assert_eq!(config.shutdown_grace, Duration::from_secs(30));
}

#[test]
fn later_layers_override_earlier_ones() {
    let file = "listen: 0.0.0.0:1\nmodels: from-file\nlimits: { in_flight: 1, deadline: 1s }\nbackend: aws\n";
    let variables = [
        ("TOLLGATE_LISTEN", "0.0.0.0:2"),
        ("TOLLGATE_LIMITS__IN_FLIGHT", "2"),
        ("TOLLGATE_BACKEND", "aws"),
    ];
    let flags = Flags {
        listen: Some("0.0.0.0:3".into()),
        backend: Some("embedded".into()),
        ..Flags::default()
    };
    let config = load(Some(file), &variables, &flags).unwrap();
    assert_eq!(config.listen, "0.0.0.0:3");
    assert_eq!(
        (config.limits.in_flight, config.limits.deadline),
        (2, Duration::from_secs(1))
    );
    assert_eq!(config.backend, Backend::Embedded);
    assert_eq!(
        (config.models.to_str(), config.models_set),
        (Some("from-file"), true)
    );
}

#[test]
fn settings_of_tls_require_each_other() {
    for (file, expected) in [
        (
            "tls: { certificate: c }",
            "tollgate.yaml:1: tls.certificate: requires tls.key, which is not set",
        ),
        (
            "tls: { key: k }",
            "tollgate.yaml:1: tls.key: requires tls.certificate, which is not set",
        ),
        (
            "\ntls:\n  client_ca: a",
            "tollgate.yaml:3: tls.client_ca: requires tls.certificate, which is not set",
        ),
        (
            "tls: { certificate: c, key: k, client_certificates: require }",
            "tollgate.yaml:1: tls.client_certificates: requires tls.client_ca, which is not set",
        ),
        (
            "metrics: { tls: true }",
            "tollgate.yaml:1: metrics.tls: requires tls.certificate, which is not set",
        ),
    ] {
        assert_eq!(from_file(file).unwrap_err(), [expected]);
    }
    let variable = [("TOLLGATE_TLS__KEY", "k")];
    let expected = "TOLLGATE_TLS__KEY: requires tls.certificate, which is not set";
    assert_eq!(from_variables(&variable).unwrap_err(), [expected]);
}

#[test]
fn flags_set_their_settings() {
    let flags = Flags {
        models: Some("m".into()),
        data: Some("d".into()),
        memory: true,
        log: Some("pretty".into()),
        ..Flags::default()
    };
    let config = load(None, &[("TOLLGATE_EMBEDDED__MEMORY", "false")], &flags).unwrap();
    assert_eq!((config.models.to_str(), config.models_set), (Some("m"), true));
    assert_eq!(config.embedded.data.to_str(), Some("d"));
    assert!(config.embedded.memory);
    assert_eq!(config.log.format, LogFormat::Pretty);
}

#[test]
fn reports_the_faults_of_all_layers_with_their_origins() {
    let file = "listne: 1\nlimits:\n  in_flight: 0\n  message_bytes: lots\nkms: { cache: { max_age: 5h, max_use: 1 } }\nlog: pretty\n\
        trailers: [call, all]\nembedded:\n  memory: yes\nbackend:\n";
    let variables = [
        ("TOLLGATE_LIMITS__IN_FLITE", "1"),
        ("TOLLGATE_KMS__CACHE__MAX_AGE", "1"),
        ("TOLLGATE_TOKEN_KEY", "c2VjcmV0"),
        ("TOLLGATE_LOG__SLOW", "5"),
    ];
    let flags = Flags {
        listen: Some(":50051".into()),
        backend: Some("gcp".into()),
        ..Flags::default()
    };
    assert_eq!(
        load(Some(file), &variables, &flags).unwrap_err(),
        [
            "tollgate.yaml:1: listne: no such setting (did you mean `listen`?)",
            "tollgate.yaml:6: log: expected a map, found text",
            "tollgate.yaml:10: backend: expected a value, found nothing",
            "TOLLGATE_LIMITS__IN_FLITE: no such setting (did you mean `TOLLGATE_LIMITS__IN_FLIGHT`?)",
            "tollgate.yaml:3: limits.in_flight: must be a whole number from 1 to 1000000",
            "tollgate.yaml:4: limits.message_bytes: must be a size from 1 KiB to 1 GiB, such as `32 MiB`",
            "tollgate.yaml:5: kms.cache: max_use: no such key; the keys are max_age, max_uses, max_bytes, max_entries",
            "tollgate.yaml:7: trailers: must be one of call, session, orca, server_timing",
            "tollgate.yaml:9: embedded.memory: must be true or false",
            "TOLLGATE_KMS__CACHE__MAX_AGE: max_age: must be a duration from 1s to 1day, such as `30s` or `5m`",
            "TOLLGATE_LOG__SLOW: must be a duration from 0s to 1h, such as `30s` or `5m`",
            "TOLLGATE_TOKEN_KEY: must be 32 bytes as standard base64",
            "--listen: must be HOST:PORT, such as `127.0.0.1:50051`",
            "--backend: must be one of embedded, aws",
        ]
    );
}

#[test]
fn refuses_values_out_of_bounds() {
    let cases = [
        (
            "TOLLGATE_LISTEN",
            &[" ", "localhost", "a b:1", "::1:50051", "h:65536", "h:", "[x]:1"][..],
        ),
        (
            "TOLLGATE_LIMITS__MESSAGE_BYTES",
            &["0", "1023", "2 GiB", "-1", "1e3", "99999999999999999999 GiB"],
        ),
        ("TOLLGATE_LIMITS__ATTRIBUTE_DEPTH", &["0", "33"]),
        (
            "TOLLGATE_LIMITS__DEADLINE",
            &["0s", "2h", "x", "99999999999999999999s"],
        ),
        ("TOLLGATE_KMS__IN_FLIGHT", &["0", "1025", "1.5"]),
        ("TOLLGATE_KMS__CACHE", &["yes", "max_age", " "]),
        ("TOLLGATE_FINISHED_CALLS", &["0"]),
        ("TOLLGATE_MODELS", &[" "]),
        ("TOLLGATE_EMBEDDED__MEMORY", &["1", "yes", "TRUE"]),
        (
            "TOLLGATE_AWS__ENDPOINT_URL",
            &["localhost:1", "ftp://x", "http://user:secret@x", "http://x/?q=1"],
        ),
        ("TOLLGATE_EMBEDDED__HTTP", &[" ", "on", "9000"]),
        (
            "TOLLGATE_S3__PUBLIC_URL",
            &[
                "localhost:1",
                "https://x/objects",
                "https://user@x",
                "https://x/?q=1",
            ],
        ),
        ("TOLLGATE_LOG__LEVEL", &["loud"]),
        ("TOLLGATE_METRICS__LISTEN", &[" ", "on", "9464"]),
    ];
    for (name, values) in cases {
        for value in values {
            assert!(from_variables(&[(name, value)]).is_err(), "{name}={value}");
        }
    }
    assert!(from_variables(&[("TOLLGATE_LISTEN", "localhost:0"), ("TOLLGATE_TRAILERS", "none")]).is_ok());
}

#[test]
fn a_named_file_must_exist_and_the_default_one_need_not() {
    let flags = Flags {
        config: Some(NO_FILE.into()),
        ..Flags::default()
    };
    let faults = Config::load(&flags, std::iter::empty()).unwrap_err();
    assert!(
        faults[0]
            .to_string()
            .starts_with("/nowhere/tollgate.yaml: cannot be read: "),
        "{faults:?}"
    );
    assert!(
        Config::load_with_default_file(Path::new(NO_FILE), &Flags::default(), std::iter::empty()).is_ok()
    );
    assert!(from_file("").is_ok() && from_file("# nothing\n").is_ok());
    assert_eq!(
        from_file("{}\n---\n{}\n").unwrap_err(),
        ["tollgate.yaml:3: a settings file must be one document"]
    );
    assert_eq!(
        from_file("[]").unwrap_err(),
        ["tollgate.yaml:1: expected a map, found a list"]
    );
}

#[test]
fn ignores_the_variables_of_kubernetes_services() {
    let variables = [
        ("TOLLGATE_SERVICE_HOST", "10.0.0.1"),
        ("TOLLGATE_SERVICE_PORT", "50051"),
        ("TOLLGATE_SERVICE_PORT_GRPC", "50051"),
        ("TOLLGATE_PORT", "tcp://10.0.0.1:50051"),
        ("TOLLGATE_PORT_50051_TCP_ADDR", "10.0.0.1"),
    ];
    assert!(from_variables(&variables).is_ok());
    assert_eq!(
        from_variables(&[("TOLLGATE_PORT", "50052")]).unwrap_err(),
        ["TOLLGATE_PORT: no such setting"]
    );
}

#[test]
fn never_prints_secrets() {
    let secret = base64::engine::general_purpose::STANDARD.encode([0x5a; 32]);
    let config = from_variables(&[("TOLLGATE_TOKEN_KEY", &secret)]).unwrap();
    let printed = format!("{}{config:?}", config.to_yaml());
    assert!(printed.contains("[redacted]") && !printed.contains(&secret) && !printed.contains("90, 90"));
    let faults = from_variables(&[("TOLLGATE_TOKEN_KEY", "hunter2")]).unwrap_err();
    assert!(!faults.concat().contains("hunter2"));
}

#[test]
fn passes_on_and_never_prints_opentelemetry_variables() {
    let variables = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2"),
        ("OTEL_SERVICE_NAME", " "),
        ("OTEL_UNHEARD_OF", "1"),
    ];
    let config = from_variables(&variables).unwrap();
    let otel = &config.telemetry.variables;
    assert_eq!(
        otel.get("OTEL_EXPORTER_OTLP_HEADERS"),
        Some("authorization=hunter2")
    );
    assert_eq!(
        otel.get("OTEL_SERVICE_NAME"),
        None,
        "an empty variable is not set"
    );
    let printed = format!("{}{config:?}", config.to_yaml());
    assert!(!printed.contains("hunter2") && printed.contains("OTEL_EXPORTER_OTLP_HEADERS"));
}

#[test]
fn the_metrics_port_is_enabled_by_default() {
    let default = from_variables(&[]).unwrap().metrics;
    assert_eq!(
        (default.listen.as_deref(), default.listen_set),
        (Some("127.0.0.1:9464"), false)
    );
    let flags = Flags {
        metrics_listen: Some("0.0.0.0:1".into()),
        ..Flags::default()
    };
    let set = load(Some("metrics: { listen: off }"), &[], &flags)
        .unwrap()
        .metrics;
    assert_eq!((set.listen.as_deref(), set.listen_set), (Some("0.0.0.0:1"), true));
    let off = from_file("metrics: { listen: off }").unwrap().metrics;
    assert_eq!((off.listen, off.listen_set), (None, true));
}

#[test]
fn printed_settings_can_be_loaded() {
    let file = "listen: '[::1]:0'\nmodels: 'a b: #c'\nembedded: { data: 'null' }\nlimits: { deadline: 90s }\ntrailers: []\n";
    let config = load(Some(file), &[("TOLLGATE_LOG__FORMAT", "json")], &Flags::default()).unwrap();
    let printed = config.to_yaml();
    assert!(
        printed.contains("  format: json  # TOLLGATE_LOG__FORMAT\n"),
        "{printed}"
    );
    assert!(
        printed.contains("listen: \"[::1]:0\"  # ") && printed.contains("tollgate.yaml:1\n"),
        "{printed}"
    );
    let again = from_file(&printed).unwrap();
    let values = |config: &Config| {
        Config {
            origins: BTreeMap::new(),
            ..config.clone()
        }
        .to_yaml()
    };
    assert_eq!(values(&again), values(&config));
    assert_eq!(
        (again.models, again.embedded.data),
        (config.models, config.embedded.data)
    );
    assert!(from_file(&Config::default().to_yaml()).is_ok());
}

proptest! {
    #[test]
    fn any_file_is_accepted_or_refused(source in "[a-z_.:\\-\\[\\]{}\"#0-9 \n]{0,120}") {
        let _ = from_file(&source);
    }

    #[test]
    fn any_variable_is_accepted_or_refused(index in 0..SETTINGS.len(), value in ".{0,40}") {
        let _ = from_variables(&[(&SETTINGS[index].variable(), &value)]);
    }
}
