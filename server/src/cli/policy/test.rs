//! `tollgate policy test FILE`: compares decisions with expected ones.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use super::super::exit;
use super::rows::{self, Row};
use super::target::{Names, action};
use crate::model::Models;
use crate::policy::{Asked, Compiled};
use crate::yaml::{self, Cursor, Report};

/// Tests all rows, and names those that differ by number.
pub(super) fn run(file: &Path, compiled: &Compiled, models: &Models) -> Result<ExitCode, ExitCode> {
    let mut report = Report::new(file.display().to_string());
    let rows = match fs::read(file) {
        Ok(source) => {
            let documents = yaml::documents(&source, &mut report);
            let cursors: Vec<Cursor<'_>> = documents.iter().map(Cursor::document).collect();
            let read = cursors.iter().flat_map(|cursor| rows::read(cursor, &mut report));
            read.collect::<Vec<_>>()
        }
        Err(error) => {
            report.add_at(0, "", format!("cannot be read: {error}"));
            Vec::new()
        }
    };
    let mut differing = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        match decide(row, compiled, models) {
            Ok(is_allowed) if is_allowed == row.is_allowed => {}
            Ok(is_allowed) => differing.push(difference(index + 1, row, is_allowed)),
            Err(text) => report.add_at(row.line, format!("[{index}]"), text),
        }
    }
    let faults = report.into_faults();
    if !faults.is_empty() {
        return Err(exit::faults("rows", &faults));
    }
    if differing.is_empty() {
        let noun = if rows.len() == 1 { "row" } else { "rows" };
        return Ok(exit::print(&format!("{} {noun}, all as expected\n", rows.len())));
    }
    // the exit code is that of the failure
    let _ = exit::print(&differing.concat());
    Ok(exit::failure(&format!(
        "{} of {} rows differ",
        differing.len(),
        rows.len()
    )))
}

fn decide(row: &Row, compiled: &Compiled, models: &Models) -> Result<bool, String> {
    let action = action(&row.action)?;
    let names = Names {
        model: row.model.as_deref(),
        field: row.field.as_deref(),
        session: row.session.as_deref(),
    };
    let target = names.resolve(action, models)?;
    let asked = Asked {
        caller: Some(&row.caller),
        action,
        context: &row.context,
    };
    Ok(compiled.explain(asked, &target.resource()).is_allowed)
}

fn difference(number: usize, row: &Row, is_allowed: bool) -> String {
    let word = |is_allowed| if is_allowed { "allow" } else { "deny" };
    format!(
        "row {number} (line {}): expected {}, is {}\n",
        row.line,
        word(row.is_allowed),
        word(is_allowed)
    )
}
