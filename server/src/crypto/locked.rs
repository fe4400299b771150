//! Memory for data keys: pages that are locked (never swapped out) and left out of core dumps, with a slot of 32 bytes for
//! each key. Slots are zeroised when they are freed. If the system locks no more pages (`RLIMIT_MEMLOCK`), further keys are
//! on the heap, zeroised all the same.

use std::sync::{Arc, LazyLock};

use memmap2::MmapMut;
use parking_lot::{Mutex, RwLock};
use zeroize::{Zeroize as _, Zeroizing};

/// Bytes of an AES-256 key.
pub(super) const KEY_BYTES: usize = 32;
/// Bytes of a mapping: a page on most systems; others round up.
const MAP_BYTES: usize = 4096;
/// Keys of one mapping: a bit of a number for each.
const SLOTS: usize = MAP_BYTES / KEY_BYTES;

/// The mappings of this process.
static POOL: LazyLock<Pool> = LazyLock::new(Pool::default);

/// The bytes of a key, in locked memory if the system permits it.
pub(super) struct LockedKey(Place);

enum Place {
    Locked { page: Arc<Page>, slot: usize },
    Heap(Box<Zeroizing<[u8; KEY_BYTES]>>),
}

/// Whether keys are in locked memory, as far as it was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Whether the first page could be locked.
    pub locked: bool,
    /// Whether it is left out of core dumps.
    pub undumpable: bool,
}

#[derive(Default)]
struct Pool {
    /// Mappings are kept: their number is that of the most keys at one time.
    pages: Mutex<Vec<Arc<Page>>>,
}

struct Page {
    map: RwLock<MmapMut>,
    /// The bits of the slots in use.
    used: Mutex<u128>,
    protection: Protection,
}

impl LockedKey {
    /// A copy of these bytes.
    pub(super) fn new(bytes: &[u8; KEY_BYTES]) -> LockedKey {
        LockedKey(match POOL.take() {
            Some((page, slot)) => {
                page.map.write()[range(slot)].copy_from_slice(bytes);
                Place::Locked { page, slot }
            }
            None => Place::Heap(Box::new(Zeroizing::new(*bytes))),
        })
    }

    /// Passes the bytes on without a copy.
    pub(super) fn with<T>(&self, uses: impl FnOnce(&[u8; KEY_BYTES]) -> T) -> T {
        match &self.0 {
            Place::Locked { page, slot } => {
                let map = page.map.read();
                let (bytes, _) = map[range(*slot)].as_chunks();
                uses(&bytes[0])
            }
            Place::Heap(bytes) => uses(bytes),
        }
    }
}

impl Drop for LockedKey {
    fn drop(&mut self) {
        if let Place::Locked { page, slot } = &self.0 {
            page.map.write()[range(*slot)].zeroize();
            *page.used.lock() &= !(1 << slot);
        }
    }
}

/// Maps the first page, and reports whether the system protects it.
pub fn protection() -> Protection {
    let mut pages = POOL.pages.lock();
    if pages.is_empty() {
        pages.extend(Page::map());
    }
    pages.first().map_or(
        Protection {
            locked: false,
            undumpable: false,
        },
        |page| page.protection,
    )
}

impl Pool {
    /// A free slot of a locked page; `None` if the system locks no more.
    fn take(&self) -> Option<(Arc<Page>, usize)> {
        let mut pages = self.pages.lock();
        // the last page is the one that was mapped when all others were full
        let free = pages
            .iter()
            .rev()
            .find_map(|page| Some((Arc::clone(page), page.take()?)));
        if free.is_some() {
            return free;
        }
        let page = Page::map()?;
        let slot = page.take()?;
        pages.push(Arc::clone(&page));
        Some((page, slot))
    }
}

impl Page {
    /// A new page; `None` if it cannot be locked.
    fn map() -> Option<Arc<Page>> {
        let map = MmapMut::map_anon(MAP_BYTES).ok()?;
        map.lock().ok()?;
        let undumpable = leave_out_of_dumps(&map);
        Some(Arc::new(Page {
            map: RwLock::new(map),
            used: Mutex::new(0),
            protection: Protection {
                locked: true,
                undumpable,
            },
        }))
    }

    fn take(&self) -> Option<usize> {
        let mut used = self.used.lock();
        let slot = used.trailing_ones() as usize;
        if slot >= SLOTS {
            return None;
        }
        *used |= 1 << slot;
        Some(slot)
    }
}

#[cfg(target_os = "linux")]
fn leave_out_of_dumps(map: &MmapMut) -> bool {
    map.advise(memmap2::Advice::DontDump).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn leave_out_of_dumps(_: &MmapMut) -> bool {
    false
}

fn range(slot: usize) -> std::ops::Range<usize> {
    slot * KEY_BYTES..(slot + 1) * KEY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_separate_reused_and_zeroised() {
        let keys: Vec<LockedKey> = (0..=u8::MAX)
            .map(|byte| LockedKey::new(&[byte; KEY_BYTES]))
            .collect();
        for (byte, key) in (0..=u8::MAX).zip(&keys) {
            assert!(key.with(|bytes| *bytes == [byte; KEY_BYTES]));
        }
        let places: Vec<(Arc<Page>, usize)> = keys
            .iter()
            .filter_map(|key| match &key.0 {
                Place::Locked { page, slot } => Some((Arc::clone(page), *slot)),
                Place::Heap(_) => None,
            })
            .collect();
        drop(keys);
        for (page, slot) in places {
            // other tests take slots too, but not while this is locked
            let used = page.used.lock();
            let is_free = *used & (1 << slot) == 0;
            assert!(!is_free || page.map.read()[range(slot)].iter().all(|byte| *byte == 0));
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn pages_are_locked_and_left_out_of_dumps() {
        let protection = protection();
        if !protection.locked {
            // the system locks no memory of this user: nothing to see
            return;
        }
        let key = LockedKey::new(&[0xA7; KEY_BYTES]);
        let Place::Locked { page, .. } = &key.0 else {
            return;
        };
        let start = page.map.read().as_ptr() as usize;
        let smaps = std::fs::read_to_string("/proc/self/smaps").expect("the process may read itself");
        let mut lines = smaps.lines();
        let of_page = |line: &&str| {
            let range = line.split(' ').next().and_then(|range| range.split_once('-'));
            let bound = |text: &str| usize::from_str_radix(text, 16).ok();
            range.is_some_and(|(from, to)| {
                bound(from).is_some_and(|from| from <= start) && bound(to).is_some_and(|to| start < to)
            })
        };
        lines.by_ref().find(of_page).expect("the page is mapped");
        let flags = lines
            .find(|line| line.starts_with("VmFlags"))
            .expect("Linux lists them");
        for flag in ["lo", "dd"] {
            assert!(flags.split(' ').any(|given| given == flag), "{flag} in {flags}");
        }
    }
}
