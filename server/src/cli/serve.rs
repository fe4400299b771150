//! `tollgate serve`: settings in, the gateway until a signal, an exit code out.

use std::io::{IsTerminal as _, Write as _, stderr, stdout};
use std::net::SocketAddr;
use std::process::ExitCode;

use tracing::{dispatcher, info, warn};

use super::reload::Triggers;
use super::{exit, log};
use crate::app::{self, App, Summary};
use crate::config::{Config, Flags, environment};
use crate::telemetry::Telemetry;

/// Runs the service.
pub(super) fn run(flags: &Flags) -> ExitCode {
    let config = match Config::load(flags, environment()) {
        Ok(config) => config,
        Err(faults) => return exit::faults("settings", &faults),
    };
    if flags.print_config {
        return exit::print(&config.to_yaml());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(serve(&config, flags.watch)),
        Err(error) => exit::failure(&format!("cannot start threads: {error}")),
    }
}

async fn serve(config: &Config, is_watching: bool) -> ExitCode {
    let (telemetry, faults) = Telemetry::open(config);
    // another log, of a program that calls this one as a library, stays
    let _ = dispatcher::set_global_default(log::dispatch(&config.log, &telemetry, stderr));
    for fault in faults {
        warn!("{fault}");
    }
    // before anything is opened: a signal during the start ends it too
    let shutdown = match shutdown_signal() {
        Ok(shutdown) => shutdown,
        Err(error) => return exit::failure(&format!("cannot listen to signals: {error}")),
    };
    let triggers = match Triggers::listen(is_watching.then_some(config.models.as_path())) {
        Ok(triggers) => triggers,
        Err(error) => return exit::failure(&format!("cannot listen to signals: {error}")),
    };
    let app = match App::build_told(config, telemetry.clone(), |connectors| connectors).await {
        Ok(app) => app,
        Err(error) => {
            telemetry.shutdown().await;
            return of_app(&error);
        }
    };
    let summary = app.summary().clone();
    let reloading = tokio::spawn(triggers.run(app.reloader()));
    let ended = app
        .serve(shutdown, move |address| announce(address, &summary))
        .await;
    reloading.abort();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => of_app(&error),
    }
}

fn of_app(error: &app::Error) -> ExitCode {
    match error {
        app::Error::Models(faults) => exit::faults("models", faults),
        app::Error::Prices(faults) => exit::faults("price book", faults),
        _ => exit::failure(&error.to_string()),
    }
}

/// The one line of stdout, and a banner for people on a terminal.
fn announce(address: SocketAddr, summary: &Summary) {
    let mut stdout = stdout().lock();
    // nobody reads it: the service goes on
    let _ = writeln!(stdout, "listening {address}").and_then(|()| stdout.flush());
    info!(address = %address, backend = summary.backend, models = summary.models, "serving");
    if stderr().is_terminal() {
        let _ = write!(stderr().lock(), "{}", banner(address, summary));
    }
}

fn banner(address: SocketAddr, summary: &Summary) -> String {
    format!(
        "\n  tollgate {version}\n  backend  {backend}\n  models   {models}\n  try      grpcurl -plaintext {address} list\n\n",
        version = env!("CARGO_PKG_VERSION"),
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
        // without the handler the process ends at once, as it would have
        let _ = tokio::signal::ctrl_c().await;
    })
}
