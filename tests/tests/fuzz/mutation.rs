//! Mutations of valid texts and bytes.

use super::input::Input;

/// Characters that parsers treat specially, or that have more than one byte.
const CHARACTERS: [char; 40] = [
    ' ',
    '\n',
    '\t',
    '\r',
    '"',
    '\'',
    '\\',
    '{',
    '}',
    '[',
    ']',
    '(',
    ')',
    ',',
    ':',
    '#',
    '.',
    '=',
    '<',
    '>',
    '+',
    '-',
    '&',
    '*',
    '!',
    '|',
    '%',
    '@',
    '`',
    '~',
    '0',
    '9',
    'a',
    'Z',
    '_',
    '\0',
    'é',
    'İ',
    '\u{2028}',
    '\u{10ffff}',
];

/// Changes a text in up to four places, by words of `dictionary` among others.
pub(crate) fn text(input: &mut Input, mut text: String, dictionary: &[&str]) -> String {
    for _ in 0..=input.below(4) {
        let from = boundary(&text, input.below(text.len() + 1));
        let length = 1 + input.below(8);
        let to = boundary(&text, (from + length).min(text.len())).max(from);
        match input.below(7) {
            0 => text.replace_range(from..to, ""),
            1 => text.insert_str(from, input.pick(dictionary)),
            2 => text.insert(from, input.pick(&CHARACTERS)),
            3 => {
                let copy = text[from..to].to_owned();
                let at = boundary(&text, input.below(text.len() + 1));
                text.insert_str(at, &copy);
            }
            4 => text.replace_range(from..to, input.pick(dictionary)),
            5 => replace_word(input, &mut text, dictionary),
            _ if input.once_in(4) => text.truncate(from),
            _ => text.insert(from, ' '),
        }
    }
    text
}

/// Deletes, repeats, moves or indents some lines.
pub(crate) fn lines(input: &mut Input, text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..=input.below(3) {
        if lines.is_empty() {
            break;
        }
        let at = input.below(lines.len());
        let other = input.below(lines.len());
        match input.below(5) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(other, lines[at].clone()),
            2 => lines.swap(at, other),
            3 => lines[at].insert_str(0, "  "),
            _ => lines[at] = lines[at].trim_start().to_owned(),
        }
    }
    lines.join("\n")
}

/// Changes some bytes.
pub(crate) fn bytes(input: &mut Input, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..=input.below(3) {
        let at = input.below(bytes.len() + 1);
        let random = input.pick(&[0, 1, 2, 4, 0x7f, 0x80, 0xff, b'A', b'=']);
        match (input.below(5), bytes.get_mut(at)) {
            (0, Some(byte)) => *byte ^= 1 << input.below(8),
            (1, Some(byte)) => *byte = random,
            (2, Some(_)) => drop(bytes.remove(at)),
            (3, _) => bytes.truncate(at),
            (_, _) => bytes.insert(at, random),
        }
    }
    bytes
}

/// Random bytes.
pub(crate) fn noise(input: &mut Input, max: usize) -> Vec<u8> {
    (0..input.below(max))
        .map(|_| u8::try_from(input.below(256)).expect("below 256"))
        .collect()
}

fn replace_word(input: &mut Input, text: &mut String, dictionary: &[&str]) {
    let start = boundary(text, input.below(text.len() + 1));
    let is_word = |char: char| char.is_alphanumeric() || char == '_';
    let Some(from) = text[start..].find(is_word).map(|at| start + at) else {
        return;
    };
    let length = text[from..].find(|char| !is_word(char));
    let to = length.map_or(text.len(), |length| from + length);
    text.replace_range(from..to, input.pick(dictionary));
}

/// The greatest boundary of a character that is not above this.
fn boundary(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
