//! The memory of the process: protected, as far as the system permits it, which is reported at the start; and in small pages.

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

/// Asks for memory in small pages from now on. The allocator would use huge ones, of which a process that needs 4 MiB has
/// three times as much resident, and which are cleared as a whole.
#[cfg(target_os = "linux")]
pub fn use_small_pages() {
    // where that is not supported, the process only needs more memory
    let _ = nix::sys::prctl::set_thp_disable(true);
}

/// Huge pages are those of Linux.
#[cfg(not(target_os = "linux"))]
pub fn use_small_pages() {}

#[cfg(target_os = "linux")]
fn disable_dumps() -> bool {
    use nix::sys::prctl;

    prctl::set_dumpable(false).is_ok() && prctl::get_dumpable() == Ok(false)
}

#[cfg(not(target_os = "linux"))]
fn disable_dumps() -> bool {
    false
}
