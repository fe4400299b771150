//! How commands end: what goes to stdout, what to stderr, and the exit code (`running.md`).

use std::fmt::Display;
use std::io::Write as _;
use std::process::ExitCode;

/// Wrong arguments, settings or models.
const WRONG: u8 = 2;

/// Prints a whole output; a closed pipe is no failure.
pub(super) fn print(text: &str) -> ExitCode {
    let _ = write!(std::io::stdout().lock(), "{text}");
    ExitCode::SUCCESS
}

/// Ends with 2, a line per fault.
pub(super) fn faults(what: &str, faults: &[impl Display]) -> ExitCode {
    let mut stderr = std::io::stderr().lock();
    for fault in faults {
        let _ = writeln!(stderr, "{fault}");
    }
    let noun = if faults.len() == 1 { "fault" } else { "faults" };
    let _ = writeln!(stderr, "tollgate: {} {noun} in the {what}", faults.len());
    ExitCode::from(WRONG)
}

/// Tells beside the output what people should know of it.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "tollgate: {text}");
}

/// Ends with 1 and one line that says what to do.
pub(super) fn failure(text: &str) -> ExitCode {
    note(text);
    ExitCode::FAILURE
}
