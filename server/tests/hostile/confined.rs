//! The program in a memory cgroup, as in a container. If no cgroup can be created, the limit is a setting and the peak of
//! resident memory is compared afterwards.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

/// What the container may use.
pub(crate) const MEMORY_BYTES: u64 = 1 << 30;

/// A server that nobody may take down.
pub(crate) struct Confined {
    child: Child,
    cgroup: Option<Cgroup>,
    pub(crate) address: SocketAddr,
    /// Its log: a pipe that is never read.
    _log: std::process::ChildStderr,
    _folder: TempDir,
}

/// A memory cgroup, removed when it is dropped.
struct Cgroup(PathBuf);

impl Confined {
    /// Starts the program with an embedded backend and its log in a pipe that nobody reads.
    pub(crate) fn serve() -> Confined {
        let folder = tempfile::tempdir().expect("a folder for the test");
        let cgroup = Cgroup::create();
        let mut command = Command::new("sh");
        let script = match &cgroup {
            Some(cgroup) => format!(
                "echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"",
                cgroup.0.display()
            ),
            None => "exec \"$0\" \"$@\"".to_owned(),
        };
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_tollgate")])
            .args(["serve", "--listen", "127.0.0.1:0", "--metrics-listen", "off"])
            .current_dir(folder.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if cgroup.is_none() {
            command.env("TOLLGATE_LIMITS__MEMORY", format!("{}B", MEMORY_BYTES / 4));
        }
        let mut child = command.spawn().expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("text");
        let address = line.trim_end().strip_prefix("listening ").map(str::parse);
        let address = address.unwrap_or_else(|| panic!("it printed {line:?}"));
        Confined {
            address: address.expect("an address"),
            _log: child.stderr.take().expect("a pipe"),
            child,
            cgroup,
            _folder: folder,
        }
    }

    /// The peak of resident memory in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it is running");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .expect("a size");
        kibibytes.trim().parse::<u64>().expect("a number") * 1024
    }

    /// Whether a cgroup enforces the limit.
    pub(crate) fn is_enforced(&self) -> bool {
        self.cgroup.is_some()
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let kill = format!("kill -TERM {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(sent.success(), "{kill}");
        self.child.wait().expect("it was started here")
    }
}

impl Drop for Confined {
    fn drop(&mut self) {
        // it has ended already, unless the test failed
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Cgroup {
    /// A group with the limit, of version 1 or 2; none where this user may not make one.
    fn create() -> Option<Cgroup> {
        let name = format!("tollgate-hostile-{}", std::process::id());
        let candidates = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ];
        candidates.iter().find_map(|(root, limit)| {
            let path = Path::new(root).join(&name);
            fs::create_dir(&path).ok()?;
            let cgroup = Cgroup(path);
            fs::write(cgroup.0.join(limit), MEMORY_BYTES.to_string()).ok()?;
            // swap would only hide what this test looks for
            let _ = fs::write(cgroup.0.join("memory.swap.max"), "0");
            cgroup.0.join("cgroup.procs").exists().then_some(cgroup)
        })
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
