//! `tollgate serve`: reads the settings, and runs the gateway until a signal.

use std::io::{self, IsTerminal as _, Write as _, stderr, stdout};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tracing::{dispatcher, error, info, warn};

use super::log_writer::LogWriter;
use super::reload::Triggers;
use super::{exit, log};
use crate::app::{self, App, Summary};
use crate::build::{COMMIT, VERSION};
use crate::config::{Config, Flags, environment};
use crate::telemetry::Telemetry;

/// How long the last lines may take to be written: a log that is not read must not keep the process running.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// The output of the process. Writing to it never blocks.
#[derive(Clone)]
struct Output {
    /// The log, and the error that ends the process.
    stderr: LogWriter,
    /// One line with the address that it listens on.
    stdout: LogWriter,
}

impl Output {
    fn open(dropped: Arc<AtomicU64>) -> io::Result<Output> {
        Ok(Output {
            stderr: LogWriter::new(stderr(), dropped, |lines| warn!(lines, "log lines dropped"))?,
            stdout: LogWriter::new(stdout(), Arc::default(), |_| {})?,
        })
    }

    fn flush(&self) {
        self.stdout.flush_within(FLUSH_TIME);
        self.stderr.flush_within(FLUSH_TIME);
    }
}

/// Runs the service.
pub(super) fn run(flags: &Flags) -> ExitCode {
    app::use_small_pages();
    let config = match Config::load(flags, environment()) {
        Ok(config) => config,
        Err(faults) => return exit::faults("settings", &faults),
    };
    if flags.print_config {
        return exit::print(&config.to_yaml());
    }
    let log_dropped = Arc::new(AtomicU64::new(0));
    let output = match Output::open(Arc::clone(&log_dropped)) {
        Ok(output) => output,
        Err(error) => return exit::failure(&format!("cannot start threads: {error}")),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let code = match runtime {
        Ok(runtime) => runtime.block_on(serve(&config, flags.watch, output.clone(), log_dropped)),
        Err(error) => exit::failure(&format!("cannot start threads: {error}")),
    };
    output.flush();
    code
}

async fn serve(
    config: &Config,
    is_watching: bool,
    mut output: Output,
    log_dropped: Arc<AtomicU64>,
) -> ExitCode {
    let (telemetry, faults) = Telemetry::open(config);
    telemetry.count_log_drops(log_dropped);
    let stderr = output.stderr.clone();
    // if a program that uses this library has installed a subscriber, that one stays
    let _ = dispatcher::set_global_default(log::dispatch(&config.log, &telemetry, move || stderr.clone()));
    log_panics();
    info!(version = VERSION, commit = COMMIT, "starting");
    for fault in faults {
        warn!("{fault}");
    }
    app::raise_descriptor_limit();
    app::protect_memory();
    // before anything is opened, so that a signal during the start is handled too
    let shutdown = match shutdown_signal() {
        Ok(shutdown) => shutdown,
        Err(error) => {
            let text = format!("cannot listen for signals: {error}");
            return exit::failure_to(&mut output.stderr, &text);
        }
    };
    let triggers = match Triggers::listen(is_watching.then_some(config.models.as_path())) {
        Ok(triggers) => triggers,
        Err(error) => {
            let text = format!("cannot listen for signals: {error}");
            return exit::failure_to(&mut output.stderr, &text);
        }
    };
    let app = match App::build_with(config, telemetry.clone(), |connectors| connectors).await {
        Ok(app) => app,
        Err(error) => {
            telemetry.shutdown().await;
            return exit_code(&error, &mut output.stderr);
        }
    };
    let summary = app.summary().clone();
    let reloading = tokio::spawn(triggers.run(app.reloader()));
    let announced_to = output.clone();
    let ended = app
        .serve(shutdown, move |address| announce(address, &summary, announced_to))
        .await;
    reloading.abort();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit_code(&error, &mut output.stderr),
    }
}

fn exit_code(error: &app::Error, stderr: &mut LogWriter) -> ExitCode {
    match error {
        app::Error::Models(faults) => exit::faults_to(stderr, "models", faults),
        app::Error::Policies(faults) => exit::faults_to(stderr, "policies", faults),
        app::Error::Prices(faults) => exit::faults_to(stderr, "price book", faults),
        error if error.is_invalid_setting() => exit::wrong_to(stderr, &error.to_string()),
        #[cfg(feature = "embedded")]
        app::Error::Embedded(_) => exit::failure_to(stderr, &error.to_string()),
        app::Error::NoEngines
        | app::Error::Provision(_)
        | app::Error::Aws(_)
        | app::Error::Serve(_)
        | app::Error::Tls(_)
        | app::Error::Identity(_)
        | app::Error::NoTokenKey { .. }
        | app::Error::NoAuth { .. }
        | app::Error::PoliciesWithoutAuth
        | app::Error::Audit(_)
        | app::Error::AuditOtlp(_)
        | app::Error::Sweep(_)
        | app::Error::Random => exit::failure_to(stderr, &error.to_string()),
    }
}

/// Logs panics instead of printing them to stderr. Only literal messages are included: a formatted message may contain a
/// value.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(tracing::field::display);
        let text = panic.payload().downcast_ref::<&'static str>().copied();
        let thread = std::thread::current();
        error!(location, text, thread = thread.name(), "panic");
    }));
}

/// Prints the line on stdout, and a banner on a terminal.
fn announce(address: SocketAddr, summary: &Summary, mut output: Output) {
    let line = format!("listening {address}\n");
    let _ = output.stdout.write_all(line.as_bytes());
    info!(address = %address, backend = summary.backend, models = summary.models, "serving");
    if stderr().is_terminal() {
        let _ = output.stderr.write_all(banner(address, summary).as_bytes());
    }
}

fn banner(address: SocketAddr, summary: &Summary) -> String {
    format!(
        "\n  tollgate {VERSION} ({COMMIT})\n  backend  {backend}\n  models   {models}\n  try      grpcurl -plaintext {address} list\n\n",
        backend = summary.backend,
        models = summary.models,
    )
}

/// Ends with the first SIGTERM or SIGINT.
#[cfg(unix)]
fn shutdown_signal() -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Ends with the first Ctrl-C.
#[cfg(not(unix))]
fn shutdown_signal() -> std::io::Result<impl Future<Output = ()> + Send> {
    Ok(async {
        // without the handler, Ctrl-C ends the process at once
        let _ = tokio::signal::ctrl_c().await;
    })
}
