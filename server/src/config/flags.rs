//! The flags of `serve`.

use std::path::PathBuf;

/// The flags of `serve`. They stay text here: what is wrong with them is told together with all other faults.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Address of the listener [default: 127.0.0.1:50051]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Listen beyond loopback although there is neither TLS nor authentication
    #[arg(long)]
    pub insecure: bool,
    /// Folder of the model files [default: ./models, or the example models where there is none]
    #[arg(long, value_name = "DIR")]
    pub models: Option<String>,
    /// Where the data lies: embedded or aws [default: embedded]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<String>,
    /// Data folder of the embedded backend [default: ./tollgate-data]
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Keep nothing: the embedded backend works in memory
    #[arg(long)]
    pub memory: bool,
    /// How log lines look: auto, pretty or json [default: auto]
    #[arg(long, value_name = "FORMAT")]
    pub log: Option<String>,
    /// Address of /metrics, /healthz and /readyz, or off [default: 127.0.0.1:9464]
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics_listen: Option<String>,
    /// Settings file [default: tollgate.yaml, where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Reload the models when their files change, for development; SIGHUP does so at any time
    #[arg(long)]
    pub watch: bool,
    /// Print all settings in effect, secrets redacted, and exit
    #[arg(long)]
    pub print_config: bool,
}
