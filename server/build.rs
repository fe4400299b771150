//! Says which commit a release is built from: `TOLLGATE_COMMIT` if it is set, else what git says of this checkout, else
//! `unknown`. Debug builds ask git nothing, or each commit would rebuild everything.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo passes variables to build scripts"
)]

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const VARIABLE: &str = "TOLLGATE_COMMIT";
const UNKNOWN: &str = "unknown";
/// More than any hash has.
const MAX_COMMIT_BYTES: usize = 64;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={VARIABLE}");
    let given = env::var(VARIABLE).ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(|| is_release().then(of_checkout).flatten());
    let commit = commit.unwrap_or_else(|| UNKNOWN.to_owned());
    assert!(
        is_name(&commit),
        "{VARIABLE} must be 1 to {MAX_COMMIT_BYTES} of A-Za-z0-9._-"
    );
    println!("cargo::rustc-env={VARIABLE}={commit}");
}

fn is_release() -> bool {
    env::var("PROFILE").is_ok_and(|profile| profile == "release")
}

/// The commit of the checkout that this file is part of; a tarball unpacked inside another repository is not.
fn of_checkout() -> Option<String> {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?);
    let root = package.parent()?.canonicalize().ok()?;
    let top = git(&root, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != root {
        return None;
    }
    // written with every commit and checkout
    let log = git(&root, &["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={}", root.join(log).display());
    git(&root, &["rev-parse", "HEAD"]).filter(|commit| is_name(commit))
}

/// What git says; nothing if there is no git, or no repository.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn is_name(commit: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=MAX_COMMIT_BYTES).contains(&commit.len()) && commit.bytes().all(allowed)
}
