//! How much memory this process may use: the minimum of the machine's memory, the limits of its control groups, and its
//! resource limits. Limits that cannot be read are ignored.

use std::fs;
use std::path::{Path, PathBuf};

/// Used if no limit can be read.
const UNKNOWN_BYTES: usize = 2 << 30;
/// Lower limits are ignored: the program could not run.
const MIN_BYTES: usize = 16 << 20;

/// Maximum bytes of memory that this process may use.
pub(super) fn memory_bytes() -> usize {
    memory_below(Path::new("/"))
}

fn memory_below(root: &Path) -> usize {
    let proc = root.join("proc");
    let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    let groups = read(proc.join("self/cgroup"));
    let limits = read(proc.join("self/limits"));
    let machine = machine_bytes(&read(proc.join("meminfo")));
    let all = machine
        .into_iter()
        .chain(group_limits(&root.join("sys/fs/cgroup"), &groups))
        .chain(resource_limits(&limits));
    all.min().unwrap_or(UNKNOWN_BYTES).max(MIN_BYTES)
}

/// `MemTotal:  8123456 kB`
fn machine_bytes(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// The limits of the control groups of a process and of all their parents: `0::/path` in version 2, `5:memory:/path` in
/// version 1. In a container the path may be one on the host; then the mount itself is the group.
fn group_limits(mount: &Path, groups: &str) -> Vec<usize> {
    let mut limits = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(id), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let (base, file) = match id {
            "0" if controllers.is_empty() => (mount.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                (mount.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let group = base.join(path.trim_start_matches('/'));
        let above = group.ancestors().take_while(|folder| folder.starts_with(&base));
        limits.extend(above.filter_map(|folder| {
            let text = fs::read_to_string(folder.join(file)).ok()?;
            text.trim().parse::<usize>().ok()
        }));
    }
    limits
}

/// `Max address space         1073741824           unlimited            bytes`
fn resource_limits(limits: &str) -> Vec<usize> {
    let names = ["Max address space", "Max data size"];
    let lines = limits.lines();
    lines
        .filter_map(|line| {
            let rest = names.iter().find_map(|name| line.strip_prefix(name))?;
            rest.split_whitespace().next()?.parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:        8000000 kB\nMemFree:         1234 kB\n";

    fn root(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn bytes(files: &[(&str, &str)]) -> usize {
        memory_below(root(files).path())
    }

    #[test]
    fn returns_the_lowest_limit() {
        assert_eq!(bytes(&[]), UNKNOWN_BYTES);
        assert_eq!(bytes(&[("proc/meminfo", MEMINFO)]), 8_000_000 * 1024);
        let limits = "Limit  Soft Limit\nMax address space  1073741824  unlimited  bytes\nMax data size  unlimited  \
                      unlimited  bytes\n";
        let prlimit = [("proc/meminfo", MEMINFO), ("proc/self/limits", limits)];
        assert_eq!(bytes(&prlimit), 1 << 30);
    }

    #[test]
    fn control_groups_limit_their_children() {
        let second = [
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/memory.max", "536870912\n"),
        ];
        assert_eq!(bytes(&second), 512 << 20);
        let contained = [
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "0::/of/the/host\n"),
            ("sys/fs/cgroup/memory.max", "268435456\n"),
        ];
        assert_eq!(bytes(&contained), 256 << 20);
        let first = [
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "4:cpu,cpuacct:/x\n7:memory:/x\n"),
            ("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "134217728\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ];
        assert_eq!(bytes(&first), 128 << 20);
    }
}
