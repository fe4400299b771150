//! The files of this repository, and samples in their place.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::modules::Modules;

pub(crate) fn root() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    workspace.expect("the workspace").to_owned()
}

/// The text of a file, by its path from the root of the repository.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The Rust files under a folder of the repository, by their paths from that folder.
pub(crate) fn files(folder: &str) -> BTreeMap<String, String> {
    let start = root().join(folder);
    let mut found = BTreeMap::new();
    collect(&start, &start, &mut found);
    assert!(!found.is_empty(), "no files in {folder}");
    found
}

fn collect(start: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            if !path.ends_with("target") {
                collect(start, &path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let inside = path.strip_prefix(start).expect("a path below the folder");
            let text = fs::read_to_string(&path).expect("a source file");
            found.insert(inside.to_str().expect("a name in UTF-8").to_owned(), text);
        }
    }
}

/// All sources of the server, tests included.
pub(crate) fn server_files() -> BTreeMap<String, String> {
    files("server/src")
}

/// The modules of the server, read once.
pub(crate) fn server() -> &'static Modules {
    static SERVER: LazyLock<Modules> = LazyLock::new(|| Modules::read(&server_files()));
    assert!(SERVER.by_place.len() > 100, "the modules of the server are found");
    &SERVER
}

/// Modules of a small program.
pub(crate) fn sample(files: &[(&str, &str)]) -> Modules {
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    Modules::read(&files.collect())
}
