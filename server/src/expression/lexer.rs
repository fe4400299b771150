//! Splits a text into tokens. Never fails: an unexpected character becomes an `Unknown` token, which ends the text.

use super::ast::Comparator;

/// A token with its column, counted from 1. All text before an `Unknown` is ASCII, so that bytes are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind<'a>,
    pub(super) column: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind<'a> {
    /// A keyword, function or attribute name, depending on its position.
    Word(&'a str),
    /// `#name`.
    NameRef(&'a str),
    /// `:name`.
    ValueRef(&'a str),
    Digits(&'a str),
    Comparator(Comparator),
    Open,
    Close,
    OpenIndex,
    CloseIndex,
    Dot,
    Comma,
    /// Only in updates.
    Plus,
    /// Only in updates.
    Minus,
    /// An unexpected character.
    Unknown,
    End,
}

/// The tokens of a text. The last one is `End`.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut position = 0;
    loop {
        position += blanks(&text[position..]);
        let column = position + 1;
        let (kind, length) = first(&text[position..]);
        tokens.push(Token { kind, column });
        match kind {
            TokenKind::End => return tokens,
            TokenKind::Unknown => {
                tokens.push(Token {
                    kind: TokenKind::End,
                    column,
                });
                return tokens;
            }
            _ => position += length,
        }
    }
}

/// Whether a text is a placeholder with this mark: `#` or `:`, then letters, digits and `_`.
pub(super) fn is_placeholder(text: &str, mark: char) -> bool {
    text.strip_prefix(mark)
        .is_some_and(|name| !name.is_empty() && word_length(name) == name.len())
}

fn blanks(text: &str) -> usize {
    text.bytes()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        .count()
}

/// The first token of a text, and its length in bytes.
fn first(text: &str) -> (TokenKind<'_>, usize) {
    let bytes = text.as_bytes();
    let Some(byte) = bytes.first() else {
        return (TokenKind::End, 0);
    };
    match byte {
        b'(' => (TokenKind::Open, 1),
        b')' => (TokenKind::Close, 1),
        b'[' => (TokenKind::OpenIndex, 1),
        b']' => (TokenKind::CloseIndex, 1),
        b'.' => (TokenKind::Dot, 1),
        b',' => (TokenKind::Comma, 1),
        b'+' => (TokenKind::Plus, 1),
        b'-' => (TokenKind::Minus, 1),
        b'=' | b'<' | b'>' => comparator(bytes),
        b'#' => placeholder(text, TokenKind::NameRef),
        b':' => placeholder(text, TokenKind::ValueRef),
        b'0'..=b'9' => {
            let length = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (TokenKind::Digits(&text[..length]), length)
        }
        b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
            let length = word_length(text);
            (TokenKind::Word(&text[..length]), length)
        }
        _ => (TokenKind::Unknown, 0),
    }
}

fn comparator(bytes: &[u8]) -> (TokenKind<'static>, usize) {
    let (comparator, length) = match bytes {
        [b'<', b'>', ..] => (Comparator::NotEqual, 2),
        [b'<', b'=', ..] => (Comparator::LessOrEqual, 2),
        [b'>', b'=', ..] => (Comparator::GreaterOrEqual, 2),
        [b'<', ..] => (Comparator::Less, 1),
        [b'>', ..] => (Comparator::Greater, 1),
        _ => (Comparator::Equal, 1),
    };
    (TokenKind::Comparator(comparator), length)
}

fn placeholder<'a>(text: &'a str, kind: fn(&'a str) -> TokenKind<'a>) -> (TokenKind<'a>, usize) {
    match 1 + word_length(&text[1..]) {
        1 => (TokenKind::Unknown, 0),
        length => (kind(&text[..length]), length),
    }
}

fn word_length(text: &str) -> usize {
    text.bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(text: &str) -> Vec<TokenKind<'_>> {
        tokens(text).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn reads_every_token() {
        use TokenKind::{
            Close, CloseIndex, Comma, Digits, Dot, End, NameRef, Open, OpenIndex, ValueRef, Word,
        };
        assert_eq!(
            kinds("size(a._b[10].#c_1) , :v2"),
            [
                Word("size"),
                Open,
                Word("a"),
                Dot,
                Word("_b"),
                OpenIndex,
                Digits("10"),
                CloseIndex,
                Dot,
                NameRef("#c_1"),
                Close,
                Comma,
                ValueRef(":v2"),
                End,
            ]
        );
    }

    #[test]
    fn matches_the_longest_comparator() {
        let comparators = ["=", "<>", "<", "<=", ">", ">="];
        let text = comparators.join(" ");
        let names = kinds(&text).into_iter().filter_map(|kind| match kind {
            TokenKind::Comparator(comparator) => Some(comparator.as_str()),
            _ => None,
        });
        assert_eq!(names.collect::<Vec<_>>(), comparators);
    }

    #[test]
    fn counts_columns_from_one() {
        let columns: Vec<usize> = tokens("a  =\n:x").iter().map(|token| token.column).collect();
        assert_eq!(columns, [1, 4, 6, 8]);
    }

    #[test]
    fn stops_at_unexpected_characters() {
        for text in [
            "a 'x' = :y",
            "a é",
            "a #",
            "a : = b",
            "a \"",
            "a \u{a0} b",
            "a *1",
            "a / 1",
        ] {
            assert_eq!(kinds(text)[1..], [TokenKind::Unknown, TokenKind::End], "{text}");
        }
    }

    #[test]
    fn recognizes_placeholders() {
        for good in ["#a", "#0", "#_", "#a_B9"] {
            assert!(is_placeholder(good, '#'), "{good}");
        }
        for bad in ["", "#", "a", ":a", "#a-b", "#a b", "#é", "##a"] {
            assert!(!is_placeholder(bad, '#'), "{bad}");
        }
    }
}
