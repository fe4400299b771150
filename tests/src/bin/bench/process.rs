//! The processes that are measured: a gateway as people start it, and what the system reports about a process. What is measured
//! per call runs on the first core alone, and whoever makes the calls on the others: a process that shares its core's
//! caches with its own load is measured together with it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use super::naive;

/// The settings of a gateway on an endpoint that is in the place of AWS.
pub(crate) fn aws_settings(endpoint: &str) -> [(&str, &str); 4] {
    [
        ("TOLLGATE_AWS__ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "bench"),
        ("AWS_SECRET_ACCESS_KEY", "bench"),
        ("AWS_REGION", "us-east-1"),
    ]
}

/// `tollgate serve` on a free port.
pub(crate) struct Gateway {
    process: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From its start to its `listening` line.
    pub(crate) started_in: Duration,
}

/// Which cores a process may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cores {
    First,
    Others,
    All,
}

impl Cores {
    /// As `taskset` reads it.
    fn list(self) -> String {
        let last = core_count() - 1;
        match self {
            Cores::First => "0".to_owned(),
            Cores::Others => format!("1-{last}"),
            Cores::All => format!("0-{last}"),
        }
    }
}

/// Cores of this machine; counted before any process is bound to some.
pub(crate) fn core_count() -> usize {
    static COUNT: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *COUNT
}

/// A command that runs on these cores alone, where there is more than one.
pub(crate) fn on(cores: Cores, program: &Path) -> Command {
    if core_count() == 1 {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.arg("-c").arg(cores.list()).arg(program);
    command
}

/// Binds this process, with every thread that it starts from now on.
pub(crate) fn bind_self(cores: Cores) {
    if core_count() == 1 {
        return;
    }
    let own = std::process::id().to_string();
    let bound = std::process::Command::new("taskset")
        .args(["-a", "-c", "-p", &cores.list(), &own])
        .stdout(Stdio::null())
        .status();
    assert!(
        bound.is_ok_and(|status| status.success()),
        "taskset (util-linux) binds processes to cores"
    );
}

/// Where it keeps its data.
#[derive(Clone, Copy)]
pub(crate) enum Store<'a> {
    Memory,
    Folder(&'a Path),
}

/// The arguments of every gateway.
const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--log", "json"];

impl Gateway {
    /// Starts `program` and waits until it serves. Its log, a line for every call, goes to `/dev/null`.
    pub(crate) async fn start(
        program: &Path,
        cores: Cores,
        store: Store<'_>,
        settings: &[(&str, &str)],
    ) -> Gateway {
        let mut command = on(cores, program);
        command.args(SERVE);
        match store {
            Store::Memory => command.arg("--memory"),
            Store::Folder(folder) => command.arg("--data").arg(folder),
        };
        Gateway::run(program, command, settings).await
    }

    /// Starts `program` like [`Gateway::start`], on a store that speaks AWS's protocols.
    pub(crate) async fn start_on_aws(program: &Path, cores: Cores, settings: &[(&str, &str)]) -> Gateway {
        let mut command = on(cores, program);
        command.args(SERVE).args(["--backend", "aws"]);
        Gateway::run(program, command, settings).await
    }

    /// Starts this program as the service that a user might write instead.
    pub(crate) async fn start_naive(endpoint: &str) -> Gateway {
        let own = std::env::current_exe().expect("a process knows its program");
        let mut command = on(Cores::First, &own);
        command.arg(naive::ROLE).arg(endpoint);
        Gateway::run(&own, command, &[]).await
    }

    async fn run(program: &Path, mut command: Command, settings: &[(&str, &str)]) -> Gateway {
        // no models and no settings but these
        command
            .current_dir(std::env::temp_dir())
            .envs(settings.iter().copied());
        let begun = Instant::now();
        let (process, mut stdout) = spawn(command);
        let mut line = String::new();
        stdout
            .read_line(&mut line)
            .await
            .expect("the gateway says where it listens");
        let started_in = begun.elapsed();
        let address = line
            .trim()
            .strip_prefix("listening ")
            .and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{} said {line:?}", program.display()));
        Gateway {
            process,
            address,
            started_in,
        }
    }

    /// The process's number.
    pub(crate) fn id(&self) -> u32 {
        id(&self.process)
    }

    /// Kills it, as a crash would.
    pub(crate) async fn kill(mut self) {
        self.process
            .kill()
            .await
            .expect("a process that runs can be killed");
    }
}

/// Starts a process that ends with this one, and reads what it prints.
pub(crate) fn spawn(mut command: Command) -> (Child, BufReader<ChildStdout>) {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut process = command.spawn().expect("the program starts");
    let stdout = process.stdout.take().expect("it is piped");
    (process, BufReader::new(stdout))
}

/// A process's number.
pub(crate) fn id(process: &Child) -> u32 {
    process.id().expect("the process runs")
}

/// CPU seconds that a process has used, its own and the kernel's for it. `/proc` counts in hundredths of a second, half a
/// per cent of a turn.
pub(crate) fn cpu_seconds(id: u32) -> f64 {
    let id = Pid::from_raw(i32::try_from(id).expect("a process's number"));
    let clock = clock_getcpuclockid(id).expect("the process runs");
    Duration::from(clock.now().expect("the process runs")).as_secs_f64()
}

/// Memory that a process has in RAM, in MiB.
pub(crate) fn resident_mib(id: u32) -> f64 {
    status_mib(id, "VmRSS:")
}

/// The most memory that a process ever had in RAM, in MiB.
pub(crate) fn peak_mib(id: u32) -> f64 {
    status_mib(id, "VmHWM:")
}

fn status_mib(id: u32, name: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the process runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .expect("proc(5)");
    let kib: f64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number of KiB");
    kib / 1024.0
}
