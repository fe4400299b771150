//! The default of every setting.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::audit_log::Audit;
use super::auth::Auth;
use super::tree::{
    Aws, Backend, CallerLimits, Config, Embedded, Kms, Limits, Log, LogFormat, LogLevel, Metrics, S3,
    Sessions, Sweep, Synchronous, Telemetry, Tls, Trailer,
};

impl Default for Config {
    fn default() -> Config {
        Config {
            listen: "127.0.0.1:50051".to_owned(),
            insecure: false,
            tls: Tls::default(),
            auth: Auth::default(),
            models: PathBuf::from("./models"),
            models_set: false,
            policies: None,
            audit: Audit::default(),
            backend: Backend::Embedded,
            embedded: Embedded {
                data: PathBuf::from("./tollgate-data"),
                memory: false,
                synchronous: Synchronous::Full,
                http: None,
            },
            aws: Aws::default(),
            limits: limits(),
            kms: Kms {
                in_flight: 64,
                rate: 0,
                cache: None,
            },
            s3: S3 {
                in_flight: 8,
                public_url: None,
            },
            sweep: Sweep {
                every: None,
                grace: Duration::from_secs(24 * 60 * 60),
                rate: 100,
            },
            sessions: Sessions {
                idle: Duration::from_secs(60 * 60),
                max: 100_000,
            },
            finished_calls: 10_000,
            token_key: None,
            trailers: BTreeSet::from([
                Trailer::Call,
                Trailer::Session,
                Trailer::Orca,
                Trailer::ServerTiming,
            ]),
            prices: None,
            log: Log {
                format: LogFormat::Auto,
                level: LogLevel::Info,
                slow: Duration::from_millis(100),
            },
            metrics: Metrics {
                listen: Some("127.0.0.1:9464".to_owned()),
                listen_set: false,
                tls: false,
            },
            telemetry: Telemetry::default(),
            shutdown_grace: Duration::from_secs(30),
            // add-a-setting: add its default here or in its section
            origins: BTreeMap::new(),
        }
    }
}

fn limits() -> Limits {
    Limits {
        message_bytes: 32 * 1024 * 1024,
        values: 100_000,
        in_flight: 1024,
        adaptive: true,
        in_flight_per_connection: None,
        per_caller: CallerLimits::default(),
        callers: BTreeMap::new(),
        deadline: Duration::from_secs(30),
        deadline_max: Duration::from_secs(5 * 60),
        stream_deadline_max: Duration::from_secs(60 * 60),
        receive: Duration::from_secs(10),
        attribute_depth: 32,
        connections: 4096,
        connections_per_peer: 1024,
        streams_per_connection: 256,
        handshake: Duration::from_secs(10),
        idle: Duration::from_secs(10 * 60),
        connection_age: Duration::from_secs(60 * 60),
        memory: None,
    }
}
