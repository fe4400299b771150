//! The flags of `serve`.

use std::path::PathBuf;

/// The flags of `serve`. Their values are parsed later, so that their faults are reported together with all others.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Address of the listener [default: 127.0.0.1:50051]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Allow listening beyond loopback without TLS and authentication
    #[arg(long)]
    pub insecure: bool,
    /// Folder with the model files [default: ./models, or the example models if it does not exist]
    #[arg(long, value_name = "DIR")]
    pub models: Option<String>,
    /// Where to store the data: embedded or aws [default: embedded]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<String>,
    /// Data folder of the embedded backend [default: ./tollgate-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Keep all data of the embedded backend in memory
    #[arg(long)]
    pub memory: bool,
    /// Format of log lines: auto, pretty or json [default: auto]
    #[arg(long, value_name = "FORMAT")]
    pub log: Option<String>,
    /// Address of /metrics, /healthz and /readyz, or off [default: 127.0.0.1:9464]
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics_listen: Option<String>,
    /// Settings file [default: tollgate.yaml, if it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Reload the models when their files change (for development); SIGHUP reloads them at any time
    #[arg(long)]
    pub watch: bool,
    /// Print all effective settings, with secrets redacted, and exit
    #[arg(long)]
    pub print_config: bool,
}
