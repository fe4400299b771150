//! Templates: every text is accepted or refused, and a key that a template builds is taken apart into its parts.

use std::collections::HashMap;

use tollgate::model::{Part, PartFormat, Piece, Template, Value};

use super::Outcome;
use super::input::Input;
use super::{mutation, values};

const DICTIONARY: [&str; 16] = [
    "{", "}", "{{", "}}", ":", ":08", ":00", ":039", ":lower", ":upper", ":day", ":year", "#", "{a}",
    "{b:04}", "",
];

const PARTS: [&str; 12] = [
    "{a}",
    "{b}",
    "{c}",
    "{a:lower}",
    "{a:upper}",
    "{b:08}",
    "{n:01}",
    "{n:038}",
    "{d:day}",
    "{d:month}",
    "{d:year}",
    "{d}",
];

const LITERALS: [&str; 12] = [
    "", "A#", "#", "ORDER#", "-", "{{", "}}", "\u{130}", "a", "0", ":", "##",
];

/// Parses a template, builds keys and takes them apart.
pub(crate) fn templates(input: &mut Input) -> Outcome {
    let text = text(input);
    let delimiter = input.pick(&["#", "#", "#", "/", "##", "a", "\u{130}", "", "0123456789abcdefg"]);
    input.note(|| format!("{text:?}, delimiter {delimiter:?}"));
    let Ok(template) = Template::parse(&text, delimiter) else {
        return Outcome::Refused;
    };
    assert_eq!(
        Template::parse(template.as_str(), delimiter).as_ref(),
        Ok(&template),
        "of the same text"
    );
    assert_eq!(template.is_constant(), template.parts().next().is_none());
    let given = given(input, &template);
    input.note(|| {
        let mut given: Vec<_> = given
            .iter()
            .map(|(name, value)| format!("{name}: {}", values::shown(value)))
            .collect();
        given.sort_unstable();
        given.join(", ")
    });
    build(&template, &given);
    take_apart(input, &template, &given)
}

fn text(input: &mut Input) -> String {
    let mut text = input.pick(&LITERALS).to_owned();
    for _ in 0..input.below(5) {
        text.push_str(input.pick(&PARTS));
        text.push_str(input.pick(&LITERALS));
    }
    match input.once_in(4) {
        true => mutation::text(input, text, &DICTIONARY),
        false => text,
    }
}

/// Values of the parts, most of them of their types.
fn given(input: &mut Input, template: &Template) -> HashMap<String, Value> {
    let mut given = HashMap::new();
    for part in template.parts() {
        if input.once_in(20) {
            continue;
        }
        let value = match part.format() {
            _ if input.once_in(20) => values::any(input, 0),
            PartFormat::Padded(_) => Value::N(values::number(input)),
            PartFormat::Day | PartFormat::Month | PartFormat::Year => Value::S(
                input
                    .pick(&["2026-01-31T12:00:00+00:00", "0001-01-01T", "2026-1-31", "2026"])
                    .to_owned(),
            ),
            PartFormat::Plain | PartFormat::Lower | PartFormat::Upper => Value::S(
                input
                    .pick(&["x", "Ada", "\u{df}\u{130}", "0", "a-b", "a#b", "{}", "\u{10ffff}"])
                    .to_owned(),
            ),
        };
        given.insert(part.attribute().to_owned(), value);
    }
    given
}

/// A key begins with what is known of it, and its parts are those that it was built from.
fn build(template: &Template, given: &HashMap<String, Value>) {
    let Ok(key) = template.build(|name| given.get(name)) else {
        return;
    };
    assert!(key.starts_with(template.literal_prefix()), "{key:?}");
    let names: Vec<&str> = template.parts().map(Part::attribute).collect();
    for name in &names {
        let leading = template.leading(|part| given.get(part).filter(|_| part != *name));
        let leading = leading.expect("fewer values are as valid");
        assert!(
            key.starts_with(&leading.text),
            "{key:?} does not begin with {:?}",
            leading.text
        );
        assert!(
            matches!(leading.rest.first(), Some(Piece::Part(_))),
            "something is missing"
        );
    }
    let parts = template.take_apart(&key);
    let parts = parts.unwrap_or_else(|| panic!("{key:?} is not taken apart"));
    for (name, value) in &parts {
        let expected = &given[name];
        assert!(value == expected, "{key:?}: {name} is {}", values::shown(value));
    }
    let is_whole = |part: &Part| matches!(part.format(), PartFormat::Plain | PartFormat::Padded(_));
    for part in template.parts().filter(|part| is_whole(part)) {
        assert!(
            parts.iter().any(|(name, _)| name == part.attribute()),
            "{key:?}: no {}",
            part.attribute()
        );
    }
}

/// A key that is taken apart into all its parts is built of them again.
fn take_apart(input: &mut Input, template: &Template, given: &HashMap<String, Value>) -> Outcome {
    let built = template.build(|name| given.get(name)).unwrap_or_default();
    let key = match input.once_in(2) {
        true => built,
        false => mutation::text(input, built, &["#", "A#", "0", "00000001", "2026-01-31", "x"]),
    };
    input.note(|| format!("key {key:?}"));
    let Some(parts) = template.take_apart(&key) else {
        return Outcome::Refused;
    };
    let parts: HashMap<String, Value> = parts.into_iter().collect();
    let is_whole = template.parts().all(|part| {
        let is_whole = matches!(part.format(), PartFormat::Plain | PartFormat::Padded(_));
        is_whole && parts.contains_key(part.attribute())
    });
    if is_whole {
        let again = template.build(|name| parts.get(name));
        assert_eq!(again.as_ref(), Ok(&key), "built of its parts");
    }
    Outcome::Accepted
}
