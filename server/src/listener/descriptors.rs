//! File descriptors of the process. Raises the limit to what the system allows, and reserves some that connections do not
//! get, so that probes, the stores and files keep working when callers hold all the others.

use tokio::net::TcpStream;

/// Connections do not get the last tenth of the descriptors; at least this many are reserved.
const MIN_RESERVE: usize = 16;

/// The descriptors available to connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptors {
    /// The descriptor limit; `None` if the system has none or does not report it.
    limit: Option<usize>,
}

impl Descriptors {
    /// Reads the current limit.
    pub(crate) fn current() -> Descriptors {
        Descriptors { limit: limit() }
    }

    /// The requested number of connections, reduced to nine tenths of the limit.
    pub(super) fn bound(self, connections: usize) -> usize {
        self.limit
            .map_or(connections, |limit| connections.min(first_reserved(limit)))
            .max(1)
    }

    /// Whether a connection got one of the reserved descriptors. The system assigns the lowest free one, so all below it
    /// are in use.
    #[cfg(unix)]
    pub(super) fn is_reserved(self, stream: &TcpStream) -> bool {
        use std::os::fd::AsRawFd as _;
        let Some(limit) = self.limit else { return false };
        usize::try_from(stream.as_raw_fd()).is_ok_and(|descriptor| descriptor >= first_reserved(limit))
    }

    #[cfg(not(unix))]
    pub(super) fn is_reserved(self, _: &TcpStream) -> bool {
        false
    }
}

fn first_reserved(limit: usize) -> usize {
    let tenth = limit.div_ceil(10);
    limit - tenth.max(MIN_RESERVE).min(limit / 2)
}

/// Raises the limit of this process as far as the system allows without privileges.
///
/// # Errors
///
/// The system refused; the limit is unchanged.
#[cfg(unix)]
pub(crate) fn raise() -> std::io::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    let Some((soft, hard)) = limits() else {
        return Err(std::io::Error::other("the system does not report it"));
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

/// The soft and the hard limit. Sandboxes that forbid the call, such as systemd's, still allow reading the file.
#[cfg(unix)]
fn limits() -> Option<(u64, u64)> {
    use nix::sys::resource::{Resource, getrlimit};
    getrlimit(Resource::RLIMIT_NOFILE)
        .ok()
        .or_else(|| parse_limits(&std::fs::read_to_string("/proc/self/limits").ok()?))
}

/// `Max open files            1024                 1048576              files`
#[cfg(unix)]
fn parse_limits(file: &str) -> Option<(u64, u64)> {
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
    fn connections_get_at_most_nine_tenths() {
        let bound = |limit, connections| Descriptors { limit }.bound(connections);
        assert_eq!(bound(None, 4096), 4096);
        assert_eq!(bound(Some(1_048_576), 4096), 4096);
        assert_eq!(bound(Some(1024), 4096), 921);
        assert_eq!(bound(Some(1024), 100), 100);
        assert_eq!(
            bound(Some(64), 4096),
            48,
            "a small limit keeps the minimum reserve"
        );
        assert_eq!(bound(Some(8), 4096), 4);
    }

    #[cfg(unix)]
    #[test]
    fn reads_the_limits_from_proc() {
        let file = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max processes             unlimited            unlimited            processes \n\
            Max open files            1024                 unlimited            files     \n";
        assert_eq!(parse_limits(file), Some((1024, u64::MAX)));
        assert_eq!(parse_limits("Max open files"), None);
        assert_eq!(
            parse_limits(&std::fs::read_to_string("/proc/self/limits").unwrap()),
            limits()
        );
    }

    #[tokio::test]
    async fn the_last_descriptors_are_reserved() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let is_reserved = |limit| Descriptors { limit }.is_reserved(&stream);
        assert!(!is_reserved(Some(1 << 20)) && !is_reserved(None));
        assert!(is_reserved(Some(1)));
    }
}
