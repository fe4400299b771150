//! The content of every object: derived from the write that sets it, so that whoever reads it knows what it must be.

use bytes::Bytes;

/// An object attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Slot {
    Content,
    Cover,
}

/// An object that a write sets. Its number is that of the write, and unique in the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Written {
    pub(crate) write: u32,
    pub(crate) slot: Slot,
    pub(crate) bytes: u32,
}

impl Slot {
    pub(crate) const ALL: [Slot; 2] = [Slot::Content, Slot::Cover];

    /// The attribute's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Slot::Content => "content",
            Slot::Cover => "cover",
        }
    }
}

impl Written {
    /// The name of the object, which says all about it.
    pub(crate) fn name(&self) -> String {
        format!("w{}.{}.{}", self.write, self.slot.name(), self.bytes)
    }

    /// The object with this name.
    pub(crate) fn from_name(name: &str) -> Option<Written> {
        let mut parts = name.strip_prefix('w')?.split('.');
        let write = parts.next()?.parse().ok()?;
        let slot_name = parts.next()?;
        let slot = Slot::ALL.into_iter().find(|slot| slot.name() == slot_name)?;
        let bytes = parts.next()?.parse().ok()?;
        Some(Written { write, slot, bytes })
    }

    /// Its content: no two parts of it, and no two objects, are alike.
    pub(crate) fn content(&self) -> Bytes {
        let first = u64::from(self.write) * 2 + u64::from(self.slot == Slot::Cover);
        let mut state = first.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let words = (self.bytes as usize).div_ceil(8);
        let mut content = Vec::with_capacity(words * 8);
        for _ in 0..words {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            content.extend_from_slice(&state.to_be_bytes());
        }
        content.truncate(self.bytes as usize);
        content.into()
    }
}
