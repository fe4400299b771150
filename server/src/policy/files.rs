//! Reads the policy files of a folder: those that nobody else may change.

use std::fs;
use std::path::{Path, PathBuf};

use super::source::{Fault, Source, Sources};
use crate::trusted_file::{self, Readers};

/// Policy files in a folder.
const MAX_FILES: usize = 1000;
/// Bytes of one file.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Bytes of all files.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How the names of policy files end.
const EXTENSION: &str = "cedar";

impl Sources {
    /// Reads all `*.cedar` files of a folder, in the order of their names.
    ///
    /// # Errors
    ///
    /// What is wrong with the folder or with each file.
    pub fn read(folder: &Path) -> Result<Sources, Vec<Fault>> {
        let of_folder = |text: String| vec![Fault::of_file(folder.display(), text)];
        let paths = paths(folder).map_err(of_folder)?;
        let (mut sources, mut faults, mut bytes) = (Vec::new(), Vec::new(), 0);
        for path in paths {
            let file = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let content = match trusted_file::read(&path, Readers::Anyone, MAX_FILE_BYTES) {
                Ok(content) => content,
                Err(error) => {
                    faults.push(Fault::of_file(path.display(), error));
                    continue;
                }
            };
            bytes += content.len();
            match String::from_utf8(content.to_vec()) {
                Ok(text) => sources.push(Source { file, text }),
                Err(_) => faults.push(Fault::of_file(path.display(), "is not UTF-8")),
            }
            if bytes > MAX_BYTES {
                return Err(of_folder(format!("has more than {MAX_BYTES} bytes of policies")));
            }
        }
        match faults.is_empty() {
            true => Ok(Sources(sources)),
            false => Err(faults),
        }
    }
}

/// The policy files of a folder, sorted. Links are followed, as volumes of Kubernetes have them.
fn paths(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot be read: {error}"))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| format!("cannot be read: {error}"))?.path();
        let is_hidden = path
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if !is_hidden && path.extension().is_some_and(|extension| extension == EXTENSION) {
            paths.push(path);
        }
        if paths.len() > MAX_FILES {
            return Err(format!("has more than {MAX_FILES} policy files"));
        }
    }
    if paths.is_empty() {
        return Err(format!(
            "has no *.{EXTENSION} file, and without a policy nobody may do anything"
        ));
    }
    paths.sort();
    Ok(paths)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn faults(folder: &Path) -> String {
        let faults = Sources::read(folder).expect_err("it has faults");
        faults.iter().map(|fault| format!("{fault}\n")).collect()
    }

    #[test]
    fn reads_cedar_files_in_the_order_of_their_names() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("b.cedar", "2"),
            ("a.cedar", "1"),
            ("c.txt", "3"),
            (".d.cedar", "4"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let sources = Sources::read(folder.path()).unwrap();
        let texts: Vec<&str> = sources.0.iter().map(|source| source.text.as_str()).collect();
        assert_eq!(texts, ["1", "2"]);
        assert_eq!(sources.0[0].file, "a.cedar");
    }

    #[test]
    fn refuses_what_others_may_change_and_what_is_too_large() {
        let folder = tempfile::tempdir().unwrap();
        assert!(faults(folder.path()).contains("no *.cedar file"));
        assert!(faults(&folder.path().join("none")).contains("cannot be read"));
        let path = folder.path().join("a.cedar");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(faults(folder.path()).contains("a.cedar: may be written by other users"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, [0xff]).unwrap();
        assert!(faults(folder.path()).contains("a.cedar: is not UTF-8"));
        fs::write(&path, vec![b' '; 1024 * 1024 + 1]).unwrap();
        assert!(faults(folder.path()).contains("is larger than 1048576 bytes"));
        for number in 0..5 {
            fs::write(
                folder.path().join(format!("{number}.cedar")),
                vec![b' '; 1024 * 1024],
            )
            .unwrap();
        }
        assert!(faults(folder.path()).contains("more than 4194304 bytes"));
    }
}
