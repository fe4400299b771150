//! Reads the model files of a folder together. Reports all faults of all files, including conflicts between models.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::declared::Parsed;
use super::models::Models;
use super::parse;
use super::shared_tables;
use super::tables;
use crate::yaml::{self, Cursor, Fault as ModelFault, Report};

/// Maximum number of model files in a folder.
const MAX_FILES: usize = 10_000;

/// The example models, from `models/` in the repository.
const EXAMPLES: [(&str, &str); 3] = [
    (
        "models/document.yaml",
        include_str!("../../../models/document.yaml"),
    ),
    (
        "models/secure_user.yaml",
        include_str!("../../../models/secure_user.yaml"),
    ),
    ("models/user.yaml", include_str!("../../../models/user.yaml")),
];

/// The models read so far.
#[derive(Default)]
struct Collected {
    reports: Vec<Report>,
    /// The models, each with the index of the report of its file.
    parsed: Vec<(usize, Parsed)>,
}

impl Models {
    /// Reads all `*.yaml` and `*.yml` files of a folder, in the order of their names. A file may contain several models.
    ///
    /// # Errors
    ///
    /// All faults of all files, in the order of files and lines, or that the folder is missing or has no model.
    pub fn read(folder: &Path) -> Result<Models, Vec<ModelFault>> {
        let mut collected = Collected::default();
        let files = model_files(folder).map_err(|text| vec![folder_fault(folder, text)])?;
        for file in files {
            let report = Report::new(file.display().to_string());
            match read_bounded(&file) {
                Ok(source) => collected.add(report, &source),
                Err(error) => collected.unreadable(report, &error),
            }
        }
        collected.finish()
    }

    /// Reads the models of one file. `file` is the name that faults show.
    ///
    /// # Errors
    ///
    /// All faults, in the order of lines, or that the file has no model.
    pub fn parse(file: &str, source: &[u8]) -> Result<Models, Vec<ModelFault>> {
        let mut collected = Collected::default();
        collected.add(Report::new(file), source);
        collected.finish()
    }

    /// The three built-in example models. They are served if no folder is named and the default one does not exist.
    pub fn examples() -> Models {
        let mut collected = Collected::default();
        for (file, source) in EXAMPLES {
            collected.add(Report::new(file), source.as_bytes());
        }
        collected
            .finish()
            .expect("the example models have no faults, as a test checks")
    }
}

impl Collected {
    fn add(&mut self, mut report: Report, source: &[u8]) {
        let nodes = yaml::documents(source, &mut report);
        let cursors = nodes.iter().map(Cursor::document);
        let filled: Vec<Cursor<'_>> = cursors.filter(|cursor| !cursor.is_nothing()).collect();
        if filled.is_empty() && report.count() == 0 {
            report.add_at(0, "", "has no model");
        }
        let index = self.reports.len();
        for cursor in &filled {
            let parsed = parse::read(cursor, &mut report);
            self.parsed.extend(parsed.map(|parsed| (index, parsed)));
        }
        self.reports.push(report);
    }

    fn unreadable(&mut self, mut report: Report, error: &std::io::Error) {
        report.add_at(0, "", format!("cannot be read: {error}"));
        self.reports.push(report);
    }

    fn finish(mut self) -> Result<Models, Vec<ModelFault>> {
        self.check_names();
        tables::check(&self.parsed, &mut self.reports);
        shared_tables::check(&self.parsed, &mut self.reports);
        let faults: Vec<ModelFault> = self.reports.into_iter().flat_map(Report::into_faults).collect();
        if faults.is_empty() {
            Ok(Models::new(
                self.parsed.into_iter().filter_map(|(_, parsed)| parsed.model),
            ))
        } else {
            Err(faults)
        }
    }

    /// Reports duplicate names of models.
    fn check_names(&mut self) {
        let mut first: HashMap<&str, String> = HashMap::new();
        for (index, parsed) in &self.parsed {
            let Some((name, line)) = &parsed.name else {
                continue;
            };
            if let Some(place) = first.get(name.as_str()) {
                let text = format!("duplicate model name, first used at {place}");
                self.reports[*index].add_at(*line, "name", text);
            } else {
                first.insert(name, format!("{}:{line}", self.reports[*index].file()));
            }
        }
    }
}

fn folder_fault(folder: &Path, text: String) -> ModelFault {
    ModelFault {
        file: folder.display().to_string(),
        line: 0,
        path: String::new(),
        text,
    }
}

/// The model files of a folder, in the order of their names. Hidden files are ignored.
///
/// # Errors
///
/// Why there are none, in one line.
pub fn model_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let hint = "put model files there, or name another folder";
    let entries = fs::read_dir(folder).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => format!("no such folder; {hint}"),
        std::io::ErrorKind::NotADirectory => format!("not a folder; {hint}"),
        _ => format!("cannot be read: {error}"),
    })?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("cannot be read: {error}"))?.path();
        if is_model_file(&path) {
            files.push(path);
        }
    }
    files.sort();
    match files.len() {
        0 => Err(format!("no model file (*.yaml, *.yml) in this folder; {hint}")),
        count if count > MAX_FILES => Err(format!("more than {MAX_FILES} model files")),
        _ => Ok(files),
    }
}

fn is_model_file(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let named = path
        .extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml");
    named && !hidden && !path.is_dir()
}

/// Reads a file, but at most one byte more than a model file may have.
fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut source = Vec::new();
    File::open(path)?
        .take(yaml::MAX_FILE_BYTES as u64 + 1)
        .read_to_end(&mut source)?;
    Ok(source)
}
