//! Protects the memory of the process, as far as the system permits it, and reports that at the start.

use tracing::{info, warn};

use crate::crypto::{self, Protection};

/// Leaves this process out of core dumps, and reports whether data keys are in locked memory.
pub fn protect_memory() {
    let process_undumpable = disable_dumps();
    let Protection { locked, undumpable } = crypto::protection();
    if locked && undumpable && process_undumpable {
        info!("data keys are in locked memory, and core dumps are disabled");
    } else {
        warn!(
            keys_locked = locked,
            keys_undumpable = undumpable,
            process_undumpable,
            "data keys in memory are not fully protected: raise RLIMIT_MEMLOCK, or disable swap and core dumps"
        );
    }
}

#[cfg(target_os = "linux")]
fn disable_dumps() -> bool {
    use nix::sys::prctl;

    prctl::set_dumpable(false).is_ok() && prctl::get_dumpable() == Ok(false)
}

#[cfg(not(target_os = "linux"))]
fn disable_dumps() -> bool {
    false
}
