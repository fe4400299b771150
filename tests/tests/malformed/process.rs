//! The program as a process: what it holds, and the signals that it gets.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::timeout;

use super::log::Log;

/// The variable by which this program is `tollgate` instead.
pub(crate) const ROLE: &str = "MALFORMED_RUNS_TOLLGATE";
/// How long the program may take to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A serving process; killed on drop.
pub(crate) struct Process {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its log.
    pub(crate) log: Log,
}

/// `tollgate` in this folder, with only these variables.
pub(crate) fn command(folder: &Path, variables: &[(&str, String)]) -> Command {
    let own = std::env::current_exe().expect("a process knows its program");
    let mut command = Command::new(own);
    command
        .current_dir(folder)
        .env_clear()
        .env(ROLE, "1")
        .stdin(Stdio::null());
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    command
}

impl Process {
    /// Serves on a free port.
    pub(crate) fn serve(folder: &Path, variables: &[(&str, String)]) -> Process {
        let mut child = command(folder, variables)
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = Log::read(child.stderr.take().expect("a pipe"));
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("text");
        let address = line
            .trim_end()
            .strip_prefix("listening ")
            .and_then(|text| text.parse().ok());
        let address = address.unwrap_or_else(|| panic!("it printed {line:?}: {:?}", log.last(20)));
        Process { child, address, log }
    }

    /// Whether it lives.
    pub(crate) fn is_alive(&self) -> bool {
        // a process that ended is there as a zombie until somebody waits for it
        self.status("State:").is_some_and(|state| !state.starts_with('Z'))
    }

    /// Bytes of memory that are resident.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let line = self.status("VmRSS:").expect("it lives");
        let kibibytes = line.trim_end_matches("kB").trim();
        kibibytes.parse::<u64>().expect("a number") * 1024
    }

    /// Open descriptors; none if this user may not look at those of a process that allows no dump.
    pub(crate) fn descriptors(&self) -> Option<usize> {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        folder.ok().map(Iterator::count)
    }

    fn status(&self, field: &str) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        Some(line.trim().to_owned())
    }

    /// Has it read its files again.
    pub(crate) fn hang_up(&self) {
        self.signal("HUP");
    }

    /// Asks it to end, and waits until it does.
    pub(crate) async fn terminate(mut self) -> Result<ExitStatus, String> {
        self.signal("TERM");
        let id = self.child.id();
        let waiting = tokio::task::spawn_blocking(move || self.child.wait());
        match timeout(PATIENCE, waiting).await {
            Ok(ended) => Ok(ended.expect("no panic").expect("it was started here")),
            Err(_) => {
                signal(id, "KILL");
                Err("it does not end".to_owned())
            }
        }
    }

    fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }
}

fn signal(process: u32, name: &str) {
    let kill = format!("kill -{name} {process}");
    let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
    assert!(sent.success(), "{kill}");
}

impl Drop for Process {
    fn drop(&mut self) {
        // it has ended already, unless a case failed
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
