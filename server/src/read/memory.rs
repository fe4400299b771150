//! The memory of pages and inline content, reserved from the call's hold before anything is fetched.

use super::error::Error;
use crate::call::Call;
use crate::capacity::Reservation;
use crate::model::limits::PAGE_MESSAGE_BYTES;

/// Content is in memory as fetched, and once more when it is encoded.
const CONTENT_COPIES: usize = 2;
/// A page is in memory as the store sent it, decoded, opened and encoded.
pub(super) const PAGE_COPIES: usize = 4;
/// Bytes of items and inline content that are opened for one message; a single larger item is exempt.
pub(super) const MESSAGE_BYTES: u64 = PAGE_MESSAGE_BYTES as u64;
/// The memory of one message's content.
pub(super) const CONTENT_BYTES: usize = MESSAGE_BYTES as usize * CONTENT_COPIES;

/// The memory of a page.
#[derive(Debug, Default)]
pub struct PageMemory {
    /// For its items.
    page: Reservation,
    /// For the content of their objects, one message at a time.
    content: Reservation,
}

impl PageMemory {
    /// Keeps of `reserved` what a page of this size needs.
    pub(super) fn for_page(mut reserved: Reservation, stored_bytes: usize, inline_bytes: u64) -> PageMemory {
        let inline_bytes = inline_bytes.min(MESSAGE_BYTES) as usize;
        let rest_bytes = reserved
            .bytes()
            .saturating_sub(stored_bytes.saturating_mul(PAGE_COPIES));
        let mut content = reserved.split(rest_bytes);
        content.shrink(inline_bytes * CONTENT_COPIES);
        PageMemory {
            page: reserved,
            content,
        }
    }

    /// Waits for the memory of content that exceeds what is reserved.
    pub(super) async fn make_room(&mut self, call: &Call, inline_bytes: u64) -> Result<(), Error> {
        if inline_bytes > self.content.bytes() as u64 {
            // released first: no call waits for its own bytes
            self.content = Reservation::default();
            self.content = reserve_content(call, inline_bytes, self.page.bytes()).await?;
        }
        Ok(())
    }

    /// Splits off what an oversized message needed beyond a usual one.
    pub(super) fn split_surplus(&mut self) -> PageMemory {
        let surplus = self.content.bytes().saturating_sub(CONTENT_BYTES);
        PageMemory {
            page: Reservation::default(),
            content: self.content.split(surplus),
        }
    }
}

/// Waits for the memory of content, as fetched and as encoded in the response. The call already holds `reserved` bytes.
pub(super) async fn reserve_content(
    call: &Call,
    content_bytes: u64,
    reserved: usize,
) -> Result<Reservation, Error> {
    let Some(hold) = call.hold() else {
        return Ok(Reservation::default());
    };
    let bytes = usize::try_from(content_bytes).unwrap_or(usize::MAX);
    let estimate = bytes.saturating_mul(CONTENT_COPIES);
    Ok(hold.reserve_estimate_beside(reserved, bytes, estimate).await?)
}

/// Waits for the estimated memory of a page.
pub(super) async fn reserve_page(call: &Call, bytes: usize) -> Result<Reservation, Error> {
    match call.hold() {
        Some(hold) if bytes > 0 => Ok(hold.reserve_estimate(0, bytes).await?),
        Some(_) | None => Ok(Reservation::default()),
    }
}

/// The estimated memory of a page if it is free now.
pub(super) fn try_reserve_page(call: &Call, bytes: usize) -> Option<Reservation> {
    match call.hold() {
        Some(hold) if bytes > 0 => hold.try_reserve_estimate(bytes),
        Some(_) | None => Some(Reservation::default()),
    }
}
