//! `tollgate audit verify FILE…`: finds the first line of a chained audit log that was changed, cut out or inserted.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;

use super::exit;
use crate::audit::{AuditKey, Head, Verified, Verifier};
use crate::config::{environment, parse_audit_key};
use crate::trusted_file::{self, Readers};

/// The variable of the setting `audit.key`.
const VARIABLE: &str = "TOLLGATE_AUDIT__KEY";
/// Larger than any key.
const MAX_KEY_BYTES: u64 = 1024;

/// The arguments of `audit`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find the first line that was changed, cut out or inserted
    Verify(VerifyArgs),
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The files of the log in the order of their lines: those that were rotated first
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// File with the key, as in `audit.key`; without it, the variable TOLLGATE_AUDIT__KEY
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// A line that must be there: its `seq` and `prev`. Without it, lines that were cut off at the end are not noticed
    #[arg(long, value_name = "SEQ:PREV")]
    expect: Option<Head>,
    /// The line before the first one, if older files are not given
    #[arg(long, value_name = "SEQ:PREV")]
    after: Option<Head>,
}

/// Verifies a log: 0 if nothing is wrong, 3 if something was found.
pub(super) fn run(args: &Args) -> ExitCode {
    let Command::Verify(args) = &args.command;
    let key = match key(args.key_file.as_deref()) {
        Ok(key) => key,
        Err(text) => return exit::wrong_to(&mut std::io::stderr().lock(), &text),
    };
    let mut verifier = Verifier::new(&key, args.after.unwrap_or(Head::START), args.expect);
    for path in &args.files {
        let read = File::open(path).and_then(|file| verifier.read(BufReader::new(file)));
        match read {
            Ok(Ok(())) => {}
            Ok(Err(finding)) => {
                let line = finding.line.map_or_else(String::new, |line| format!(":{line}"));
                return exit::found(&format!("{}{line}: {}\n", path.display(), finding.text));
            }
            Err(error) => return exit::failure(&format!("{}: {error}", path.display())),
        }
    }
    match verifier.finish() {
        Ok(verified) => exit::print(&in_lines(&verified)),
        Err(finding) => exit::found(&format!("{}\n", finding.text)),
    }
}

fn key(file: Option<&Path>) -> Result<AuditKey, String> {
    let (place, text) = match file {
        Some(path) => {
            let read = trusted_file::read(path, Readers::OwnerAndGroup, MAX_KEY_BYTES);
            let bytes = read.map_err(|error| format!("{}: {error}", path.display()))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            (path.display().to_string(), text)
        }
        None => {
            let mut variables = environment();
            let found = variables.find(|(name, _)| name == VARIABLE);
            let (_, text) =
                found.ok_or_else(|| format!("--key-file or the variable {VARIABLE} is required"))?;
            (VARIABLE.to_owned(), text)
        }
    };
    let key = parse_audit_key(&text).map_err(|text| format!("{place}: {text}"))?;
    Ok(AuditKey::new(key.bytes()))
}

fn in_lines(verified: &Verified) -> String {
    match verified.first_seq {
        None => "0 lines\n".to_owned(),
        Some(first) => format!(
            "{} lines, seq {first} to {}\nlast line {}\n",
            verified.lines, verified.head.seq, verified.head
        ),
    }
}
