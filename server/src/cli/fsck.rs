//! `tollgate fsck DATA`: checks a data folder and, with `--repair`, moves aside what is damaged.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use super::exit;
use crate::embedded::fsck::{Report, check};

/// The arguments of `fsck`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The data folder; it must not be in use
    #[arg(value_name = "DATA")]
    data: PathBuf,
    /// Move damaged files aside, so that `serve` can start; nothing is deleted
    #[arg(long)]
    repair: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Checks the folder: 0 if it is clean, 3 if something was found.
pub(super) fn run(args: &Args) -> ExitCode {
    let report = match check(&args.data, args.repair) {
        Ok(report) => report,
        Err(error) => return exit::failure(&error.to_string()),
    };
    let text = if args.json {
        format!("{}\n", in_json(&report))
    } else {
        in_lines(&report, args.repair)
    };
    if report.found == 0 {
        exit::print(&text)
    } else {
        exit::found(&text)
    }
}

fn in_json(report: &Report) -> serde_json::Value {
    let finding = |finding: &crate::embedded::fsck::Finding| json!({ "path": finding.path, "problem": finding.problem, "repair": finding.repair });
    json!({
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "found": report.found,
        "repaired": report.repaired,
        "checked": report.checked,
        "set_aside": report.set_aside,
    })
}

fn in_lines(report: &Report, repair: bool) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let done = finding.repair.as_ref();
        let done = done.map_or_else(String::new, |done| format!(" ({done})"));
        // writing to a string does not fail
        let _ = writeln!(text, "{}: {}{done}", finding.path, finding.problem);
    }
    let unlisted = report.found - report.findings.len();
    if unlisted > 0 {
        let _ = writeln!(text, "and {unlisted} more");
    }
    let checked: Vec<String> = report
        .checked
        .iter()
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    let _ = writeln!(text, "checked {}", checked.join(", "));
    if report.set_aside > 0 {
        let count = report.set_aside;
        let _ = writeln!(
            text,
            "{count} files in s3/lost were moved aside; remove them when they are no longer needed"
        );
    }
    let _ = match (report.found, repair) {
        (0, _) => writeln!(text, "no problems"),
        (found, true) => writeln!(text, "{found} problems, {} repaired", report.repaired),
        (found, false) => writeln!(
            text,
            "{found} problems: restore from a backup, or let --repair move aside what cannot be used"
        ),
    };
    text
}
