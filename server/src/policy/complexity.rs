//! Bounds on the form of policies, before they are parsed: what is nested deeply would need a deep stack.

use super::source::{Fault, Source};

/// Brackets inside brackets.
const MAX_DEPTH: usize = 48;
/// Operators of one policy: a chain of them nests as deeply as it is long.
const MAX_OPERATORS: usize = 200;

/// Checks the text of a file. Strings and comments are skipped.
pub(super) fn check(source: &Source) -> Result<(), Fault> {
    let bytes = source.text.as_bytes();
    let (mut position, mut depth, mut operators) = (0, 0_usize, 0);
    while let Some(byte) = bytes.get(position) {
        let rest = &bytes[position..];
        let length = match byte {
            b'"' => string_length(rest),
            b'/' if rest.starts_with(b"//") => line_length(rest),
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => {
                let length = word_length(rest);
                operators += usize::from(is_operator(&rest[..length]));
                length
            }
            b'&' | b'|' | b'=' | b'!' | b'<' | b'>' if matches!(rest.get(1), Some(b'&' | b'|' | b'=')) => 2,
            _ => 1,
        };
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            b'&' | b'|' | b'=' | b'<' | b'>' | b'+' | b'-' | b'*' | b'!' | b'.' => operators += 1,
            b';' => (depth, operators) = (0, 0),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(source.fault(position, format_args!("is nested more than {MAX_DEPTH} deep")));
        }
        if operators > MAX_OPERATORS {
            let text = format!("a policy has more than {MAX_OPERATORS} operators: split it, or use a set");
            return Err(source.fault(position, text));
        }
        position += length;
    }
    Ok(())
}

fn is_operator(word: &[u8]) -> bool {
    matches!(word, b"if" | b"then" | b"else" | b"in" | b"has" | b"like" | b"is")
}

fn word_length(bytes: &[u8]) -> usize {
    let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
    bytes.iter().take_while(is_word).count()
}

fn line_length(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| **byte != b'\n').count()
}

/// The length of a string with its quotes; all that follows if it does not end.
fn string_length(bytes: &[u8]) -> usize {
    let mut position = 1;
    while let Some(byte) = bytes.get(position) {
        match byte {
            b'"' => return position + 1,
            b'\\' => position += 2,
            _ => position += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_accepted(text: &str) -> bool {
        let source = Source {
            file: String::new(),
            text: text.to_owned(),
        };
        check(&source).is_ok()
    }

    #[test]
    fn bounds_nesting_and_chains() {
        assert!(is_accepted(&"(".repeat(48)));
        assert!(!is_accepted(&"(".repeat(49)));
        assert!(is_accepted(&"a && b\n;".repeat(1000)));
        assert!(is_accepted(&"a && ".repeat(200)) && !is_accepted(&"a && ".repeat(201)));
        assert!(!is_accepted(&"a in ".repeat(201)));
        assert!(!is_accepted(&"if a then b else ".repeat(67)));
        assert!(!is_accepted(&"1+".repeat(201)) && !is_accepted(&"!".repeat(201)));
    }

    #[test]
    fn skips_strings_and_comments() {
        assert!(is_accepted(&format!("\"{}\\\"((\"", "((".repeat(100))));
        assert!(is_accepted(&format!("//{}\n", "((".repeat(100))));
        assert!(is_accepted("\"not closed \\"));
        assert!(!is_accepted(&format!("\"a\\\\\"{}", "(".repeat(49))));
    }
}
