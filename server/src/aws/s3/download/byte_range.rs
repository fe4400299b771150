//! Ranges of bytes in HTTP headers: `range` of requests and `content-range` of responses (RFC 9110, section 14).

use std::ops::Range;

/// The `range` header of a range, which is not empty.
pub(super) fn header(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end.saturating_sub(1))
}

/// The range and the size of the whole in a `content-range` header. `None` if it has another form or is contradictory.
pub(super) fn content_range(header: &str) -> Option<(Range<u64>, u64)> {
    let (range, size) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size) = (number(first)?, number(last)?, number(size)?);
    (first <= last && last < size).then(|| (first..last + 1, size))
}

fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_has_its_last_byte() {
        assert_eq!(header(&(0..1)), "bytes=0-0");
        assert_eq!(header(&(5..1000)), "bytes=5-999");
    }

    #[test]
    fn reads_only_complete_ranges() {
        assert_eq!(content_range("bytes 0-0/1"), Some((0..1, 1)));
        assert_eq!(content_range("bytes 5-999/1000"), Some((5..1000, 1000)));
        for header in [
            "",
            "bytes 0-0",
            "bytes */1000",
            "bytes 0-0/*",
            "bytes 5-4/1000",
            "bytes 0-1000/1000",
            "bytes -5/1000",
            "bytes +0-0/1",
            "bytes 0-18446744073709551615/18446744073709551615",
            "bytes 0-0/18446744073709551616",
            "items 0-0/1",
            "bytes=0-0/1",
        ] {
            assert_eq!(content_range(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(header in ".{0,60}") {
            if let Some((range, size)) = content_range(&header) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }

        #[test]
        fn ranges_are_read_back(start in any::<u64>(), end in any::<u64>(), size in any::<u64>()) {
            let read = content_range(&format!("bytes {start}-{end}/{size}"));
            let is_valid = start <= end && end < size;
            prop_assert_eq!(read, is_valid.then(|| (start..end + 1, size)));
        }
    }
}
