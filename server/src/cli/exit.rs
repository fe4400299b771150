//! How commands end: what goes to stdout, what to stderr, and the exit code.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// Invalid arguments, settings or models.
const WRONG: u8 = 2;
/// A check found something.
const FOUND: u8 = 3;

/// Prints the output; a closed pipe is not a failure.
pub(super) fn print(text: &str) -> ExitCode {
    let _ = write!(std::io::stdout().lock(), "{text}");
    ExitCode::SUCCESS
}

/// Prints the output; the exit code is 3.
pub(super) fn found(text: &str) -> ExitCode {
    print(text);
    ExitCode::from(FOUND)
}

/// Prints one line per fault; the exit code is 2.
pub(super) fn faults(what: &str, faults: &[impl Display]) -> ExitCode {
    faults_to(&mut std::io::stderr().lock(), what, faults)
}

/// The same, written to `output` at once.
pub(super) fn faults_to(output: &mut dyn Write, what: &str, faults: &[impl Display]) -> ExitCode {
    let noun = if faults.len() == 1 { "fault" } else { "faults" };
    let lines: String = faults.iter().map(|fault| format!("{fault}\n")).collect();
    let text = format!("{lines}tollgate: {} {noun} in the {what}\n", faults.len());
    let _ = output.write_all(text.as_bytes());
    ExitCode::from(WRONG)
}

/// Prints a note about the output on stderr.
pub(super) fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "tollgate: {text}");
}

/// Prints one line on stderr; the exit code is 1.
pub(super) fn failure(text: &str) -> ExitCode {
    failure_to(&mut std::io::stderr().lock(), text)
}

/// The same, written to `output` at once.
pub(super) fn failure_to(output: &mut dyn Write, text: &str) -> ExitCode {
    let _ = output.write_all(format!("tollgate: {text}\n").as_bytes());
    ExitCode::FAILURE
}

/// Like [`failure_to`], for an invalid setting; the exit code is 2.
pub(super) fn wrong_to(output: &mut dyn Write, text: &str) -> ExitCode {
    failure_to(output, text);
    ExitCode::from(WRONG)
}
