//! The programs that are measured: `tollgate` as it ships, without telemetry, and counting its allocations, built like
//! this benchmark.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds `tollgate` in this benchmark's own profile, where it is not built already, and says where it lies.
pub(crate) fn build() -> PathBuf {
    run_cargo("tollgate", &[]);
    folder().join("tollgate")
}

/// The same without telemetry. To be built before the other: Cargo puts both in the same place, so this one is copied.
pub(crate) fn build_bare() -> PathBuf {
    run_cargo(
        "tollgate",
        &["--no-default-features", "--features", "tollgate/embedded"],
    );
    let bare = folder().join("tollgate-without-telemetry");
    std::fs::copy(folder().join("tollgate"), &bare).expect("a program can be copied");
    bare
}

/// The program that counts its allocations.
pub(crate) fn build_counting() -> PathBuf {
    run_cargo("allocations", &[]);
    folder().join("allocations")
}

/// The folder of this benchmark's profile.
fn folder() -> PathBuf {
    let own = std::env::current_exe().expect("a process knows its program");
    own.parent().expect("a program lies in a folder").to_owned()
}

/// With the packages that this benchmark was built of: the dependencies have the same features, and stay.
fn run_cargo(program: &str, features: &[&str]) {
    let folder = folder();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let target = folder
        .parent()
        .expect("the profile's folder lies in the target folder");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--profile", profile, "--bin", program])
        .args(["-p", "tollgate", "-p", "tollgate-tests", "--target-dir"])
        .arg(target)
        .args(features)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "tollgate is not built; name a program by --tollgate and --bare"
    );
}
