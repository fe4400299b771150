//! Comparisons of a template's parts, as one range of the key that is built from them. Texts are compared as the store
//! compares keys: a part together with the character that follows it. The bounds never leave the keys that begin with the
//! parts before it.
//!
//! A bound ends with U+10FFFF in place of any text. Unicode reserves it as a noncharacter: no text has it.

use super::check::Checker;
use super::key_range::KeyRange;
use super::key_terms::{Term, Test};
use crate::model::limits::MAX_SORT_KEY_BYTES;
use crate::model::{Leading, Part, Piece, Template, TemplateError, Value};

/// A text that is greater than any other.
const LAST: char = char::MAX;

/// The beginning of a key, as far as terms give its parts one value each. `None` if a value has a fault.
pub(super) fn leading<'m, 'a>(
    template: &'m Template,
    terms: &[Term<'a>],
    checker: &mut Checker<'a>,
) -> Option<Leading<'m>> {
    let value = |name: &str| {
        let term = terms.iter().find(|term| term.name == name)?;
        term.equal_value()
    };
    match template.leading(value) {
        Ok(leading) => Some(leading),
        Err(TemplateError::Missing { .. }) => None,
        Err(TemplateError::Invalid { attribute, problem }) => {
            let term = terms.iter().find(|term| term.name == attribute)?;
            checker.push(
                checker
                    .definitions()
                    .value_fault(term.values.first()?.placeholder, problem),
            );
            None
        }
    }
}

/// The range of the keys that begin with `prefix` and whose next part, the first of `rest`, is compared by a term.
/// `None` if a value has a fault.
pub(super) fn range<'a>(
    prefix: &str,
    term: &Term<'a>,
    rest: &[Piece],
    checker: &mut Checker<'a>,
) -> Option<KeyRange> {
    let Some(Piece::Part(part)) = rest.first().filter(|_| term.is_valid) else {
        return None;
    };
    let mut texts = Vec::new();
    for value in &term.values {
        let text = text(prefix, part, &value.value);
        match text {
            Ok(text) => texts.push(text),
            Err(problem) => checker.push(checker.definitions().value_fault(value.placeholder, problem)),
        }
    }
    let mut texts = texts.into_iter();
    let first = texts.next()?;
    let range = match term.test {
        // the parts that equal a value are in the prefix
        Test::Equal => return None,
        Test::Less => PartRange::Less(first),
        Test::LessOrEqual => PartRange::LessOrEqual(first),
        Test::Greater => PartRange::Greater(first),
        Test::GreaterOrEqual => PartRange::GreaterOrEqual(first),
        Test::Between => PartRange::Between(first, texts.next()?),
        Test::BeginsWith => PartRange::BeginsWith(first),
    };
    let next = rest.get(1).and_then(|piece| match piece {
        Piece::Literal(literal) => literal.chars().next(),
        Piece::Part(_) => None,
    });
    Some(key_range(prefix, range, next))
}

fn text(prefix: &str, part: &Part, value: &Value) -> Result<String, String> {
    let text = part.text(value)?;
    match prefix.len() + text.len() + 2 * LAST.len_utf8() <= MAX_SORT_KEY_BYTES {
        true => Ok(text),
        false => Err(format!("makes the key longer than {MAX_SORT_KEY_BYTES} bytes")),
    }
}

/// What a part is compared with, as its text in the key.
enum PartRange {
    Less(String),
    LessOrEqual(String),
    Greater(String),
    GreaterOrEqual(String),
    Between(String, String),
    BeginsWith(String),
}

/// The keys that begin with `prefix` and whose next part is in a range. `next` is the character after the part, unless it
/// is last.
fn key_range(prefix: &str, range: PartRange, next: Option<char>) -> KeyRange {
    // the least and the greatest key with this part
    let least = |part: &str| {
        let mut key = format!("{prefix}{part}");
        key.extend(next);
        key
    };
    let greatest = |part: &str| {
        let mut key = least(part);
        key.extend(next.map(|_| LAST));
        key
    };
    let first = || match prefix {
        "" => "\0".to_owned(),
        prefix => prefix.to_owned(),
    };
    let last = || format!("{prefix}{LAST}");
    let (low, high) = match range {
        PartRange::BeginsWith(part) => {
            return KeyRange::BeginsWith(Value::S(format!("{prefix}{part}")));
        }
        PartRange::Less(part) => (first(), last_before(least(&part))),
        PartRange::LessOrEqual(part) => (first(), greatest(&part)),
        PartRange::Greater(part) => {
            let key = least(&part);
            let low = match next {
                Some(_) => first_after(key),
                // the next text after `a` is `a` with the least character
                None => key + "\0",
            };
            (low, last())
        }
        PartRange::GreaterOrEqual(part) => (least(&part), last()),
        PartRange::Between(low, high) => (least(&low), greatest(&high)),
    };
    // DynamoDB refuses bounds in the wrong order
    let high = if high < low { low.clone() } else { high };
    KeyRange::Between(Value::S(low), Value::S(high))
}

/// The least text that is greater than all that begin with `text`.
fn first_after(mut text: String) -> String {
    while let Some(last) = text.pop() {
        let next = match last {
            '\u{D7FF}' => Some('\u{E000}'),
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            text.push(next);
            return text;
        }
    }
    LAST.to_string()
}

/// The greatest text that is less than `text`.
fn last_before(mut text: String) -> String {
    match text.pop() {
        Some('\0') | None => {}
        Some('\u{E000}') => text.extend(['\u{D7FF}', LAST]),
        Some(last) => text.extend(char::from_u32(u32::from(last) - 1).into_iter().chain([LAST])),
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether a key is in a range.
    fn contains(range: &KeyRange, key: &str) -> bool {
        match range {
            KeyRange::Between(Value::S(low), Value::S(high)) => low.as_str() <= key && key <= high.as_str(),
            KeyRange::BeginsWith(Value::S(prefix)) => key.starts_with(prefix.as_str()),
            _ => panic!("another range"),
        }
    }

    fn part() -> impl Strategy<Value = String> {
        "[\\x00a-c\\u{D7FF}\\u{E000} é$]{1,3}"
    }

    proptest! {
        /// Keys `O#{part}#rest` and `O#{part}`, and keys beside them.
        #[test]
        fn a_range_has_the_keys_that_compare_so_and_no_others(
            part in part(), low in part(), high in part(), rest in "[a-c#]{0,2}", has_next in any::<bool>(), others in "[A-Z#$a]{0,3}",
        ) {
            let next = has_next.then_some('#');
            let of = |part: &str| format!("{part}{}", if has_next { "#" } else { "" });
            let key = format!("O#{}{}", of(&part), if has_next { rest.as_str() } else { "" });
            let other = format!("O{others}");
            // compared together with the character that follows
            let (one, two, three) = (of(&part), of(&low), of(&high));
            for (range, expected) in [
                (PartRange::Less(low.clone()), one < two),
                (PartRange::LessOrEqual(low.clone()), one <= two),
                (PartRange::Greater(low.clone()), one > two),
                (PartRange::GreaterOrEqual(low.clone()), one >= two),
                (PartRange::BeginsWith(low.clone()), key[2..].starts_with(&low)),
            ] {
                let range = key_range("O#", range, next);
                prop_assert_eq!(contains(&range, &key), expected, "{:?} of {:?}", range, key);
                prop_assert!(other.starts_with("O#") || !contains(&range, &other), "{:?} of {:?}", range, other);
            }
            if two <= three {
                let range = key_range("O#", PartRange::Between(low, high), next);
                prop_assert_eq!(contains(&range, &key), two <= one && one <= three, "{:?} of {:?}", range, key);
            }
        }
    }
}
