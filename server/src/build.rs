//! What was built: the version, and the commit if the build knew it. Reads nothing at run time.

/// The version of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that it was built from, or `unknown`.
pub const COMMIT: &str = env!("TOLLGATE_COMMIT");
