//! Whether two templates can produce the same key: then the keys of two models do not say whose item it is.

use std::collections::HashSet;

use super::template::{PartFormat, Piece, Template};

/// What a template expects next in a key.
#[derive(Clone, Debug)]
enum Token {
    /// This character.
    Character(char),
    /// A part: one or more characters of this class.
    Part(Class),
}

/// The characters of a part.
#[derive(Clone, Debug)]
enum Class {
    Digits,
    /// All but these.
    Except(Vec<char>),
}

/// Whether a key can match both. May be true for templates whose keys never meet, but is never false for templates whose
/// keys can.
pub(super) fn overlap(left: &Template, right: &Template) -> bool {
    let (left, right) = (tokens(left), tokens(right));
    let mut seen = HashSet::new();
    let mut open = vec![(Position::default(), Position::default())];
    while let Some(state) = open.pop() {
        if !seen.insert(state) {
            continue;
        }
        let (one, other) = state;
        if one.is_end(&left) && other.is_end(&right) {
            return true;
        }
        for (one, first) in one.steps(&left) {
            for (other, second) in other.steps(&right) {
                if first.meets(&second) {
                    open.push((one, other));
                }
            }
        }
    }
    false
}

/// A place in the tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Position {
    token: usize,
    /// Whether the part there has a character already.
    is_started: bool,
}

impl Position {
    fn is_end(self, tokens: &[Token]) -> bool {
        let rest = tokens.len().saturating_sub(self.token);
        rest == 0 || (rest == 1 && self.is_started)
    }

    /// The positions after one more character, each with the characters that lead to it.
    fn steps(self, tokens: &[Token]) -> Vec<(Position, Token)> {
        let next = Position {
            token: self.token + 1,
            is_started: false,
        };
        match tokens.get(self.token) {
            None => Vec::new(),
            Some(Token::Character(character)) => vec![(next, Token::Character(*character))],
            Some(Token::Part(class)) => {
                let stays = Position {
                    is_started: true,
                    ..self
                };
                let mut steps = vec![(stays, Token::Part(class.clone()))];
                if self.is_started {
                    steps.extend(next.steps(tokens));
                }
                steps
            }
        }
    }
}

impl Token {
    /// Whether one character can be both.
    fn meets(&self, other: &Token) -> bool {
        match (self, other) {
            (Token::Character(one), Token::Character(other)) => one == other,
            (Token::Character(one), Token::Part(class)) | (Token::Part(class), Token::Character(one)) => {
                class.contains(*one)
            }
            (Token::Part(_), Token::Part(_)) => true,
        }
    }
}

impl Class {
    fn contains(&self, character: char) -> bool {
        match self {
            Class::Digits => character.is_ascii_digit(),
            Class::Except(excluded) => !excluded.contains(&character),
        }
    }
}

fn tokens(template: &Template) -> Vec<Token> {
    let mut delimiter = template.delimiter().chars();
    let excluded: Option<char> = delimiter.next().filter(|_| delimiter.next().is_none());
    let pieces = template.pieces();
    let mut tokens = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Literal(text) => tokens.extend(text.chars().map(Token::Character)),
            Piece::Part(part) => {
                let next = match pieces.get(index + 1) {
                    Some(Piece::Literal(text)) => text.chars().next(),
                    Some(Piece::Part(_)) | None => None,
                };
                let class = match part.format() {
                    PartFormat::Padded(_) | PartFormat::Year => Class::Digits,
                    PartFormat::Plain
                    | PartFormat::Lower
                    | PartFormat::Upper
                    | PartFormat::Day
                    | PartFormat::Month => Class::Except(excluded.into_iter().chain(next).collect()),
                };
                tokens.push(Token::Part(class));
            }
        }
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_literals_parts_and_delimiters() {
        let template = |text: &str| Template::parse(text, "#").unwrap();
        for (left, right, expected) in [
            ("USER#{id}", "USER#{name}", true),
            ("USER#{id}", "ORDER#{id}", false),
            ("USER#{id}", "USER#{id}#ORDER#{number}", false),
            ("USER#{id}", "USER#ME", true),
            ("USER#", "USER#{id}", false),
            ("{a}#x", "{b}#y", false),
            ("{a}#{b}", "{a}", false),
            ("{a}", "A", true),
            ("N#{n:04}", "N#LAST", false),
            ("N#{n:04}", "N#{m}", true),
            ("A{a}", "AB{b}C", true),
        ] {
            assert_eq!(
                overlap(&template(left), &template(right)),
                expected,
                "{left} {right}"
            );
            assert_eq!(
                overlap(&template(right), &template(left)),
                expected,
                "{right} {left}"
            );
        }
    }
}
