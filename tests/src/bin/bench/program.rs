//! The program that is measured: `tollgate` as it ships, built like this benchmark.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds `tollgate` in this benchmark's own profile, where it is not built already, and says where it lies.
pub(crate) fn build() -> PathBuf {
    let own = std::env::current_exe().expect("a process knows its program");
    let folder = own.parent().expect("a program lies in a folder");
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = folder
        .parent()
        .expect("the profile's folder lies in the target folder");
    // with the packages that this benchmark was built of: its dependencies have the same features, and stay
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--profile", profile, "--bin", "tollgate"])
        .args(["-p", "tollgate", "-p", "tollgate-tests", "--target-dir"])
        .arg(target)
        .current_dir(workspace)
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "tollgate is not built; name a program by --tollgate"
    );
    folder.join("tollgate")
}
