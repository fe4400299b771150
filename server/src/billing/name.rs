//! Names of sessions and ids of calls, as callers choose them.

/// The most bytes of a session's name or a request id.
pub const MAX_NAME_BYTES: usize = 128;

/// Whether a session or a call can have this name: 1 to 128 of `A-Za-z0-9._:-`.
pub fn is_valid_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=MAX_NAME_BYTES).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_plain() {
        for good in ["a", "job-7", "A.b_c:d-9", &"x".repeat(128)] {
            assert!(is_valid_name(good), "{good}");
        }
        for bad in ["", " ", "a b", "ä", "a/b", "a\n", &"x".repeat(129)] {
            assert!(!is_valid_name(bad), "{bad}");
        }
    }
}
