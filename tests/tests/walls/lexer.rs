//! Splits Rust source into tokens. Comments are dropped, and a literal is one token that starts with a quote, so that
//! nothing in a comment or a string is taken for code.

/// A word, `::`, one character of punctuation, or a literal (its text is one double quote).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is_word(&self) -> bool {
        self.text
            .starts_with(|letter: char| letter.is_alphanumeric() || letter == '_')
    }
}

pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        rest: source,
        line: 1,
        tokens: Vec::new(),
    };
    while lexer.step() {}
    lexer.tokens
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self) -> bool {
        let Some(letter) = self.rest.chars().next() else {
            return false;
        };
        if letter.is_whitespace() {
            self.skip(letter.len_utf8());
        } else if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.skip(block_comment(self.rest));
        } else if let Some(length) = literal(self.rest) {
            self.push("\"", length);
        } else if letter.is_alphanumeric() || letter == '_' {
            let ends = |letter: char| !letter.is_alphanumeric() && letter != '_';
            let length = self.rest.find(ends).unwrap_or(self.rest.len());
            self.push(&self.rest[..length], length);
        } else if self.rest.starts_with("::") {
            self.push("::", 2);
        } else {
            let length = letter.len_utf8();
            self.push(&self.rest[..length], length);
        }
        true
    }

    fn push(&mut self, text: &str, length: usize) {
        self.tokens.push(Token {
            text: text.to_owned(),
            line: self.line,
        });
        self.skip(length);
    }

    fn skip(&mut self, length: usize) {
        self.line += self.rest[..length].matches('\n').count();
        self.rest = &self.rest[length..];
    }
}

/// The length of the block comment that `text` starts with; block comments nest.
fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of the string or character that `text` starts with, if it starts with one.
fn literal(text: &str) -> Option<usize> {
    let prefixes = ["br", "cr", "r", "b", "c", ""];
    for prefix in prefixes {
        let Some(rest) = text.strip_prefix(prefix) else {
            continue;
        };
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        if prefix.ends_with('r') && rest[hashes..].starts_with('"') {
            let closing = format!("\"{}", "#".repeat(hashes));
            let body = prefix.len() + hashes + 1;
            let length = text[body..].find(&closing).map_or(text.len(), |at| body + at);
            return Some((length + closing.len()).min(text.len()));
        }
        if !prefix.ends_with('r') && rest.starts_with('"') {
            return Some(prefix.len() + quoted(rest, '"'));
        }
        if (prefix.is_empty() || prefix == "b") && is_character(rest) {
            return Some(prefix.len() + quoted(rest, '\''));
        }
    }
    None
}

/// Distinguishes the character `'a'` from the lifetime `'a`.
fn is_character(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next() == Some('\'') && (letters.next() == Some('\\') || letters.next() == Some('\''))
}

/// The length of a quoted text with its quotes; a backslash escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if letter == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[test]
fn comments_and_literals_are_not_code() {
    let source = "a // use x::y\n/* b /* c */ d */ r#\"e \" f\"# \"g \\\" h\" b'\\'' 'i' &'j k::l";
    let found: Vec<_> = tokens(source).into_iter().map(|token| token.text).collect();
    assert_eq!(
        found,
        ["a", "\"", "\"", "\"", "\"", "&", "'", "j", "k", "::", "l"]
    );
}

#[test]
fn lines_are_counted_through_literals_and_comments() {
    let found = tokens("\"a\nb\" /*\n*/ c");
    assert_eq!(found.last().map(|token| token.line), Some(3));
}
