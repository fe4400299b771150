//! How large the parts of a multipart upload are, so that S3's largest object fits in 10,000 parts.

use crate::model::limits::{MAX_PARTS, MIN_PART_BYTES};

/// The largest object that is uploaded with one PutObject; also the default size of a part.
pub const PART_BYTES: usize = MIN_PART_BYTES;
/// The parts of [`PART_BYTES`] of a content whose size is not known; later ones grow.
const EQUAL_PARTS: usize = 5_000;
/// How much larger each later part is than the one before it: 5 TiB fit in 10,000 parts.
const GROWTH_BYTES: usize = 512 * 1024;

/// The size of the next part after `parts` parts, of a content with `left_bytes` more bytes, if that is known.
pub(super) fn part_bytes(parts: usize, left_bytes: Option<u64>) -> usize {
    match left_bytes {
        Some(left_bytes) => {
            let left_parts = MAX_PARTS.saturating_sub(parts).max(1) as u64;
            let bytes = left_bytes.div_ceil(left_parts);
            PART_BYTES.max(usize::try_from(bytes).unwrap_or(usize::MAX))
        }
        None => PART_BYTES + GROWTH_BYTES * (parts + 1).saturating_sub(EQUAL_PARTS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::limits::MAX_OBJECT_BYTES;

    /// S3's largest part.
    const MAX_PART_BYTES: usize = 5 * 1024 * 1024 * 1024;

    #[test]
    fn announced_contents_have_equal_parts() {
        assert_eq!(part_bytes(0, Some(6 * 1024 * 1024)), PART_BYTES);
        let most = (PART_BYTES * MAX_PARTS) as u64;
        assert_eq!(part_bytes(0, Some(most)), PART_BYTES);
        assert_eq!(part_bytes(0, Some(most + 1)), PART_BYTES + 1);
    }

    #[test]
    fn the_largest_object_fits_whether_its_size_is_known_or_not() {
        for is_known in [true, false] {
            let (mut left, mut parts) = (MAX_OBJECT_BYTES, 0);
            while left > 0 {
                let bytes = part_bytes(parts, is_known.then_some(left));
                assert!((PART_BYTES..=MAX_PART_BYTES).contains(&bytes), "part {parts}");
                left = left.saturating_sub(bytes as u64);
                parts += 1;
            }
            assert!(parts <= MAX_PARTS, "{parts} parts");
        }
    }

    #[test]
    fn unknown_contents_have_equal_parts_up_to_the_5_000th() {
        assert_eq!(part_bytes(0, None), PART_BYTES);
        assert_eq!(part_bytes(EQUAL_PARTS - 1, None), PART_BYTES);
        assert_eq!(part_bytes(EQUAL_PARTS, None), PART_BYTES + GROWTH_BYTES);
    }
}
