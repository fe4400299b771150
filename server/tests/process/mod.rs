//! The program `tollgate` as a child process, in its own folder and environment.

#![allow(dead_code, reason = "each test program uses its part")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};

use tempfile::TempDir;
use tonic::transport::Channel;

/// A serving process; killed on drop.
pub(crate) struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

/// The exit code and output of an ended process.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; -1 if a signal ended it.
    pub(crate) code: i32,
    /// What it printed, without the line that a `Process` read already.
    pub(crate) stdout: String,
    /// Its stderr; empty for a `Process`, whose log goes to that of the test.
    pub(crate) stderr: String,
}

/// An empty folder.
pub(crate) fn free_folder() -> TempDir {
    tempfile::tempdir().expect("a folder for the test")
}

/// A command in a folder, without the environment of the test.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command.env_clear();
    command
}

/// Runs a command to its end with this standard input.
pub(crate) fn fed(folder: &Path, arguments: &[&str], input: &str) -> Ended {
    let mut child = command(folder, arguments)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    // the program may close it early
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().expect("it was started here");
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// Runs a command to its end.
pub(crate) fn ended(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = command(folder, arguments);
    let output = command
        .envs(variables.iter().copied())
        .output()
        .expect("the program starts");
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// Runs `tollgate serve`, which must not start.
pub(crate) fn refused(folder: &Path) -> Ended {
    let mut command = command(folder, &["serve", "--listen", "127.0.0.1:0", "--log", "json"]);
    let mut child = command
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    let stdout = child.stdout.as_mut().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("text");
    if !line.is_empty() {
        child.kill().expect("it was started here");
    }
    let output = child.wait_with_output().expect("it was started here");
    assert_eq!(line, "", "it serves");
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::new(),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

impl Process {
    /// `tollgate serve` on a free port with these arguments, once it listens.
    pub(crate) fn serve(folder: &Path, arguments: &[&str]) -> Process {
        // the log is of no interest, and a pipe that nobody reads would stop the process
        Process::serve_logged(folder, arguments, &[], Stdio::null())
    }

    /// Like [`Process::serve`], but with environment variables and a destination of the log.
    pub(crate) fn serve_logged(
        folder: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
        log: impl Into<Stdio>,
    ) -> Process {
        let all = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        Process::started(command(folder, &all), variables, log)
    }

    /// `tollgate serve` with only these arguments.
    pub(crate) fn serve_with(folder: &Path, arguments: &[&str]) -> Process {
        Process::started(
            command(folder, &[&["serve"], arguments].concat()),
            &[],
            Stdio::null(),
        )
    }

    /// Like [`Process::serve`], but with a limit on descriptors.
    pub(crate) fn serve_with_descriptors(
        folder: &Path,
        descriptors: usize,
        arguments: &[&str],
        log: impl Into<Stdio>,
    ) -> Process {
        let mut command = Command::new("sh");
        let limited = format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"");
        command
            .args(["-c", &limited, env!("CARGO_BIN_EXE_tollgate")])
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .env_clear()
            .env("PATH", "/usr/bin:/bin");
        Process::started(command, &[], log)
    }

    /// Like [`Process::serve_logged`], but without a log, and with a soft limit on the size of files: so many blocks of 512
    /// bytes.
    pub(crate) fn serve_with_file_size(
        folder: &Path,
        blocks: usize,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Process {
        let mut command = Command::new("sh");
        let limited = format!("trap '' XFSZ; ulimit -S -f {blocks} && exec \"$0\" \"$@\"");
        command
            .args(["-c", &limited, env!("CARGO_BIN_EXE_tollgate")])
            .args(["serve", "--listen", "127.0.0.1:0"])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .env_clear()
            .env("PATH", "/usr/bin:/bin");
        Process::started(command, variables, Stdio::null())
    }

    /// `tollgate serve` without a umask.
    pub(crate) fn serve_without_umask(folder: &Path) -> Process {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "umask 000; exec \"$0\" serve --listen 127.0.0.1:0"])
            .arg(env!("CARGO_BIN_EXE_tollgate"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .env_clear();
        Process::started(shell, &[], Stdio::null())
    }

    /// `tollgate serve`, without waiting until it listens.
    pub(crate) fn start_unready(folder: &Path) -> Process {
        let mut command = command(folder, &["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.stderr(Stdio::null()).spawn().expect("the program starts");
        Process {
            stdout: BufReader::new(child.stdout.take().expect("a pipe")),
            child,
            address: String::new(),
        }
    }

    fn started(mut command: Command, variables: &[(&str, &str)], log: impl Into<Stdio>) -> Process {
        let mut child = command
            .envs(variables.iter().copied())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("text");
        let address = line
            .strip_prefix("listening ")
            .unwrap_or_else(|| panic!("it says {line:?}"));
        let address = address.trim_end().to_owned();
        assert!(!address.ends_with(":0"), "{address}");
        Process {
            child,
            stdout,
            address,
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The pipe of its log, if any.
    pub(crate) fn take_log(&mut self) -> BufReader<ChildStderr> {
        BufReader::new(self.child.stderr.take().expect("a pipe"))
    }

    /// A new connection.
    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).expect("an address");
        endpoint.connect().await.expect("it listens")
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let sent = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(sent.success(), "{kill}");
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn terminate(self) -> Ended {
        self.signal("TERM");
        self.ended()
    }

    /// Waits for the end.
    pub(crate) fn ended(mut self) -> Ended {
        let mut stdout = String::new();
        self.stdout.read_to_string(&mut stdout).expect("text");
        let status = self.child.wait().expect("it was started here");
        Ended {
            code: status.code().unwrap_or(-1),
            stdout,
            stderr: String::new(),
        }
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it was started here");
        self.child.wait().expect("it was started here");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // it has ended already, in most tests
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// Asserts that stderr has exactly one line that is not JSON, which contains this.
    pub(crate) fn says_in_one_line(&self, what: &str) {
        let said: Vec<_> = self
            .stderr
            .lines()
            .filter(|line| !line.starts_with('{'))
            .collect();
        assert!(said.len() == 1 && said[0].contains(what), "{self:?}");
    }
}
