//! Descriptors of the process: as many as the system allows, and some that connections do not get, so that probes, the
//! stores and files go on when callers hold all the others.

use tokio::net::TcpStream;

/// Connections do not get the last tenth of the descriptors, and no fewer than these.
const LEAST_RESERVE: usize = 16;

/// The descriptors that connections may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptors {
    /// The descriptor limit; none: the system has none, or does not say.
    limit: Option<usize>,
}

impl Descriptors {
    /// The limit as it is.
    pub(crate) fn now() -> Descriptors {
        Descriptors { limit: limit() }
    }

    /// As many connections as were asked for, at most nine tenths of the limit.
    pub(super) fn bound(self, connections: usize) -> usize {
        self.limit
            .map_or(connections, |limit| connections.min(first_of_reserve(limit)))
            .max(1)
    }

    /// Whether a connection has one of the descriptors that are not for connections. The system gives the lowest one
    /// that is free: all below it are taken.
    #[cfg(unix)]
    pub(super) fn is_of_reserve(self, stream: &TcpStream) -> bool {
        use std::os::fd::AsRawFd as _;
        let Some(limit) = self.limit else { return false };
        usize::try_from(stream.as_raw_fd()).is_ok_and(|descriptor| descriptor >= first_of_reserve(limit))
    }

    #[cfg(not(unix))]
    pub(super) fn is_of_reserve(self, _: &TcpStream) -> bool {
        false
    }
}

fn first_of_reserve(limit: usize) -> usize {
    let tenth = limit.div_ceil(10);
    limit - tenth.max(LEAST_RESERVE).min(limit / 2)
}

/// Raises the limit of this process to the most that the system allows without privileges.
///
/// # Errors
/// The system refused; the limit is what it was.
#[cfg(unix)]
pub(crate) fn raise() -> std::io::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    let Some((soft, hard)) = limits() else {
        return Err(std::io::Error::other("the system does not say what it is"));
    };
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(())
}

#[cfg(not(unix))]
pub(crate) fn raise() -> std::io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn limit() -> Option<usize> {
    let (soft, _) = limits()?;
    (soft != nix::sys::resource::RLIM_INFINITY)
        .then(|| usize::try_from(soft).ok())
        .flatten()
}

#[cfg(not(unix))]
fn limit() -> Option<usize> {
    None
}

/// The soft and the hard limit. Sandboxes that forbid the call, such as systemd's, leave the file.
#[cfg(unix)]
fn limits() -> Option<(u64, u64)> {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE)
        .ok()
        .or_else(|| limits_of(&std::fs::read_to_string("/proc/self/limits").ok()?))
}

/// `Max open files            1024                 1048576              files`
#[cfg(unix)]
fn limits_of(file: &str) -> Option<(u64, u64)> {
    let line = file
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    let mut limits = line.split_whitespace().map(|limit| match limit {
        "unlimited" => Some(nix::sys::resource::RLIM_INFINITY),
        _ => limit.parse().ok(),
    });
    Some((limits.next()??, limits.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_get_nine_tenths_at_most() {
        let bound = |limit, connections| Descriptors { limit }.bound(connections);
        assert_eq!(bound(None, 4096), 4096);
        assert_eq!(bound(Some(1_048_576), 4096), 4096);
        assert_eq!(bound(Some(1024), 4096), 921);
        assert_eq!(bound(Some(1024), 100), 100);
        assert_eq!(bound(Some(64), 4096), 48, "and leave a few where there are few");
        assert_eq!(bound(Some(8), 4096), 4);
    }

    #[cfg(unix)]
    #[test]
    fn the_limits_are_also_in_a_file() {
        let file = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max processes             unlimited            unlimited            processes \n\
            Max open files            1024                 unlimited            files     \n";
        assert_eq!(limits_of(file), Some((1024, u64::MAX)));
        assert_eq!(limits_of("Max open files"), None);
        assert_eq!(
            limits_of(&std::fs::read_to_string("/proc/self/limits").unwrap()),
            limits()
        );
    }

    #[tokio::test]
    async fn the_last_descriptors_are_not_for_connections() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let of_reserve = |limit| Descriptors { limit }.is_of_reserve(&stream);
        assert!(!of_reserve(Some(1 << 20)) && !of_reserve(None));
        assert!(of_reserve(Some(1)));
    }
}
