//! Leaves of an item what a projection selects, as DynamoDB does.

use super::field_path::Part;
use crate::model::{Item, Value};

/// The paths of a projection that lead into attributes, by attribute.
pub(super) type Nested = [(String, Vec<Part<'static>>)];

/// Leaves of the attributes that paths lead into the members at these paths.
pub(super) fn narrow(item: &mut Item, nested: &Nested) {
    for (index, (name, _)) in nested.iter().enumerate() {
        if nested[..index].iter().any(|(earlier, _)| earlier == name) {
            continue;
        }
        let Some(value) = item.remove(name) else { continue };
        let paths = nested.iter().filter(|(other, _)| other == name);
        let paths: Vec<&[Part<'_>]> = paths.map(|(_, steps)| steps.as_slice()).collect();
        if let Some(value) = narrowed(value, &paths) {
            item.insert(name.clone(), value);
        }
    }
}

/// What paths select of a value, if there is anything. The members of a list keep their order, without gaps.
fn narrowed(value: Value, paths: &[&[Part<'_>]]) -> Option<Value> {
    if paths.iter().any(|path| path.is_empty()) {
        return Some(value);
    }
    let below = |is_first: &dyn Fn(&Part<'_>) -> bool| -> Vec<&[Part<'_>]> {
        let firsts = paths.iter().filter_map(|path| path.split_first());
        firsts
            .filter(|(first, _)| is_first(first))
            .map(|(_, rest)| rest)
            .collect()
    };
    match value {
        Value::M(fields) => {
            let selected = fields.into_iter().filter_map(|(name, value)| {
                let rest = below(&|part| matches!(part, Part::Name(first) if *first == name));
                let value = (!rest.is_empty()).then(|| narrowed(value, &rest))?;
                Some((name, value?))
            });
            Some(Value::M(selected.collect()))
                .filter(|value| !matches!(value, Value::M(fields) if fields.is_empty()))
        }
        Value::L(members) => {
            let members = members.into_iter().enumerate();
            let selected: Vec<Value> = members
                .filter_map(|(index, value)| {
                    let rest = below(&|part| matches!(part, Part::Index(first) if *first as usize == index));
                    (!rest.is_empty()).then(|| narrowed(value, &rest))?
                })
                .collect();
            (!selected.is_empty()).then_some(Value::L(selected))
        }
        Value::S(_)
        | Value::N(_)
        | Value::B(_)
        | Value::Bool(_)
        | Value::Null
        | Value::SS(_)
        | Value::NS(_)
        | Value::BS(_)
        | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::super::tests::{map, text};
    use super::*;

    fn named(name: &'static str) -> Part<'static> {
        Part::Name(Cow::Borrowed(name))
    }

    #[test]
    fn leaves_the_members_at_the_paths() {
        let list = Value::L(vec![
            text("a"),
            map(&[("x", text("1")), ("y", text("2"))]),
            text("c"),
        ]);
        let mut item = Item::from([
            ("plain".to_owned(), text("p")),
            ("list".to_owned(), list),
            (
                "map".to_owned(),
                map(&[("in", map(&[("z", text("3"))])), ("out", text("4"))]),
            ),
        ]);
        let nested = [
            ("list".to_owned(), vec![Part::Index(2)]),
            ("list".to_owned(), vec![Part::Index(1), named("y")]),
            ("list".to_owned(), vec![Part::Index(9)]),
            ("map".to_owned(), vec![named("in"), named("z")]),
            ("plain".to_owned(), vec![named("x")]),
            ("none".to_owned(), vec![named("x")]),
        ];
        narrow(&mut item, &nested);
        let expected = Item::from([
            (
                "list".to_owned(),
                Value::L(vec![map(&[("y", text("2"))]), text("c")]),
            ),
            ("map".to_owned(), map(&[("in", map(&[("z", text("3"))]))])),
        ]);
        assert_eq!(item, expected);
    }
}
