//! Compares the models being served with those of a reload, and decides which changes require a restart. Pure: loads and
//! replaces nothing.

use std::fmt;
use std::sync::Arc;

use super::attribute::Attribute;
use super::checks::Checks;
use super::models::Models;
use super::number::Number;
use super::schema::Model;
use super::value::Value;

/// What a reload would change.
#[derive(Debug, Default)]
pub struct Changes {
    /// Models that are not served yet.
    pub added: Vec<Arc<Model>>,
    /// Changes that are safe while calls are in flight, including added models.
    pub safe: Vec<Change>,
    /// Changes that require a restart, because stored items, tables or keys depend on them.
    pub refused: Vec<Change>,
}

/// One difference. Its text says which option changed and what to do. It never contains a value of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The model's name.
    pub model: String,
    /// The attribute or option, and how it changed.
    pub text: String,
}

impl Changes {
    /// Compares the models being served with others.
    pub fn between(served: &Models, read: &Models) -> Changes {
        let mut changes = Changes::default();
        for old in served.iter() {
            let mut comparison = Comparison::new(&old.name, &mut changes);
            match read.get(&old.name) {
                Some(new) => comparison.model(old, new),
                None => {
                    comparison
                        .refuse("the model was removed, but callers may still use it: restart to apply");
                }
            }
        }
        for new in read.iter().filter(|new| served.get(&new.name).is_none()) {
            let text = format!("the model was added, on the table {}", new.table);
            Comparison::new(&new.name, &mut changes).accept(text);
            changes.added.push(Arc::clone(new));
        }
        changes
    }
}

impl fmt::Display for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.model, self.text)
    }
}

/// One model being compared.
struct Comparison<'a> {
    name: &'a str,
    changes: &'a mut Changes,
}

impl<'a> Comparison<'a> {
    fn new(name: &'a str, changes: &'a mut Changes) -> Comparison<'a> {
        Comparison { name, changes }
    }

    fn accept(&mut self, text: impl Into<String>) {
        let change = Change {
            model: self.name.to_owned(),
            text: text.into(),
        };
        self.changes.safe.push(change);
    }

    fn refuse(&mut self, text: impl Into<String>) {
        let change = Change {
            model: self.name.to_owned(),
            text: text.into(),
        };
        self.changes.refused.push(change);
    }

    /// Lists every field, so that adding one requires deciding whether a reload may change it.
    fn model(&mut self, old: &Model, new: &Model) {
        let Model {
            name: _,
            table,
            partition_key,
            sort_key,
            attributes,
            unknown_attributes,
            // derived from the other models of the table
            sealed_by_others: _,
        } = old;
        if *table != new.table {
            let text = format!("`table` changed from {table} to {}: restart to apply", new.table);
            self.refuse(text);
        }
        for (option, before, after) in [
            ("partition_key", Some(partition_key), Some(&new.partition_key)),
            ("sort_key", sort_key.as_ref(), new.sort_key.as_ref()),
        ] {
            if before != after {
                let (before, after) = (shown(before), shown(after));
                self.refuse(format!(
                    "`{option}` changed from {before} to {after}: items are stored by it; restart to apply"
                ));
            }
        }
        if *unknown_attributes != new.unknown_attributes {
            let (before, after) = (unknown_attributes.as_str(), new.unknown_attributes.as_str());
            self.accept(format!("`unknown_attributes` changed from {before} to {after}"));
        }
        for attribute in attributes {
            match new.attribute(&attribute.name) {
                Some(other) => self.attribute(attribute, other, old.is_key(&attribute.name)),
                None => self.refuse(format!(
                    "attribute `{}` was removed: stored items may have it; restart to apply",
                    attribute.name
                )),
            }
        }
        for attribute in &new.attributes {
            if old.attribute(&attribute.name).is_none() {
                self.added(attribute);
            }
        }
    }

    fn added(&mut self, attribute: &Attribute) {
        let name = &attribute.name;
        let needs = match (&attribute.encrypted, &attribute.s3) {
            (Some(_), _) => "it is encrypted",
            (None, Some(_)) => "it is kept in S3",
            (None, None) => return self.accept(format!("attribute `{name}` was added")),
        };
        self.refuse(format!(
            "attribute `{name}` was added, but {needs}: stored items may have another value for it; \
             restart to apply"
        ));
    }

    fn attribute(&mut self, old: &Attribute, new: &Attribute, is_key: bool) {
        // add-a-model-option: decide whether a reload may change it
        let Attribute {
            name,
            kind,
            required,
            default,
            checks,
            encrypted,
            s3,
        } = old;
        if *kind != new.kind {
            let (before, after) = (kind.as_str(), new.kind.as_str());
            self.refuse(format!(
                "attribute `{name}`: `type` changed from {before} to {after}: items are stored with it; \
                 restart to apply"
            ));
            return;
        }
        if *encrypted != new.encrypted {
            self.refuse(format!(
                "attribute `{name}`: `encrypted` changed: stored values depend on it; restart to apply"
            ));
        }
        if *s3 != new.s3 {
            self.refuse(format!(
                "attribute `{name}`: `s3` changed: stored objects depend on it; restart to apply"
            ));
        }
        match *default != new.default {
            true if is_key => self.refuse(format!(
                "attribute `{name}`: `default` of a key changed: items are found by it; restart to apply"
            )),
            true => self.option(name, "default", "changed"),
            false => {}
        }
        if *required != new.required {
            self.option(name, "required", &from_to(required, new.required));
        }
        self.checks(name, checks, &new.checks);
    }

    fn checks(&mut self, name: &str, old: &Checks, new: &Checks) {
        let Checks {
            min,
            max,
            min_length,
            max_length,
            pattern: _,
            one_of,
        } = old;
        for (option, before, after) in [("min", min, &new.min), ("max", max, &new.max)] {
            if before != after {
                let text = |number: &Option<Number>| number.as_ref().map(|number| number.as_str().to_owned());
                self.option(name, option, &from_to(shown(text(before)), shown(text(after))));
            }
        }
        for (option, before, after) in [
            ("min_length", min_length, new.min_length),
            ("max_length", max_length, new.max_length),
        ] {
            if *before != after {
                self.option(name, option, &from_to(shown(*before), shown(after)));
            }
        }
        if old.pattern_text() != new.pattern_text() {
            self.option(name, "pattern", "changed");
        }
        if !same_members(one_of, &new.one_of) {
            self.option(name, "enum", "changed");
        }
    }

    fn option(&mut self, name: &str, option: &str, how: &str) {
        self.accept(format!("attribute `{name}`: `{option}` {how}"));
    }
}

fn from_to(before: impl fmt::Display, after: impl fmt::Display) -> String {
    format!("changed from {before} to {after}")
}

fn shown(value: Option<impl fmt::Display>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

/// Compares two enums regardless of order.
fn same_members(left: &[Value], right: &[Value]) -> bool {
    left.len() == right.len() && left.iter().all(|value| right.contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "
name: User
table: users
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string, default: PROFILE }
  age: { type: number, min: 0, max: 150 }
  state: { type: string, enum: [open, paid] }
  ssn: { type: string, encrypted: { key_id: alias/k } }
  photo: { type: object, s3: { bucket: my-bucket, prefix: a/ } }
";

    fn models(source: &str) -> Models {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), source).unwrap();
        Models::read(folder.path()).unwrap()
    }

    fn changes(edits: &[(&str, &str)]) -> Changes {
        let mut source = BASE.to_owned();
        for (from, to) in edits {
            assert!(source.contains(from), "{from}");
            source = source.replace(from, to);
        }
        Changes::between(&models(BASE), &models(&source))
    }

    fn texts(changes: &[Change]) -> Vec<&str> {
        changes.iter().map(|change| change.text.as_str()).collect()
    }

    #[test]
    fn a_different_order_is_not_a_change() {
        let moved = changes(&[
            ("  age: { type: number, min: 0, max: 150 }\n", ""),
            ("  pk:", "  age: { max: 150, min: 0, type: number }\n  pk:"),
            ("[open, paid]", "[paid, open]"),
        ]);
        assert!(moved.safe.is_empty() && moved.refused.is_empty(), "{moved:?}");
    }

    #[test]
    fn new_attributes_and_checks_are_safe() {
        let changed = changes(&[
            ("max: 150", "max: 200, required: true"),
            (
                "[open, paid]",
                "[open, paid, closed], default: open, max_length: 9, pattern: '[a-z]+'",
            ),
            ("  ssn:", "  nick: { type: string }\n  ssn:"),
        ]);
        assert!(changed.refused.is_empty(), "{changed:?}");
        assert_eq!(
            texts(&changed.safe),
            [
                "attribute `age`: `required` changed from false to true",
                "attribute `age`: `max` changed from 150 to 200",
                "attribute `state`: `default` changed",
                "attribute `state`: `max_length` changed from none to 9",
                "attribute `state`: `pattern` changed",
                "attribute `state`: `enum` changed",
                "attribute `nick` was added",
            ]
        );
        let loosened = changes(&[("partition_key: pk", "unknown_attributes: keep\npartition_key: pk")]);
        assert_eq!(
            texts(&loosened.safe),
            ["`unknown_attributes` changed from reject to keep"]
        );
    }

    #[test]
    fn changes_that_affect_stored_items_require_a_restart() {
        for (from, to, what) in [
            ("table: users", "table: people", "`table`"),
            ("partition_key: pk", "partition_key: state", "`partition_key`"),
            ("sort_key: sk\n", "", "`sort_key`"),
            (
                "age: { type: number, min: 0, max: 150 }",
                "age: { type: string }",
                "`type`",
            ),
            ("alias/k", "alias/other", "`encrypted`"),
            ("alias/k", "alias/k, mode: write_only", "`encrypted`"),
            (", encrypted: { key_id: alias/k }", "", "`encrypted`"),
            ("prefix: a/", "prefix: b/", "`s3`"),
            ("my-bucket", "other-bucket", "`s3`"),
            ("default: PROFILE", "default: OTHER", "`default`"),
            (
                "  state: { type: string, enum: [open, paid] }\n",
                "",
                "`state` was removed",
            ),
            ("name: User", "name: Person", "the model was removed"),
            (
                "  pk:",
                "  tax: { type: string, encrypted: { key_id: alias/k } }\n  pk:",
                "`tax` was added",
            ),
            (
                "  pk:",
                "  scan: { type: object, s3: { bucket: my-bucket } }\n  pk:",
                "`scan` was added",
            ),
        ] {
            let changed = changes(&[(from, to)]);
            assert!(
                texts(&changed.refused)
                    .iter()
                    .any(|text| text.contains(what) && text.contains("restart")),
                "{to}: {changed:?}"
            );
        }
    }

    #[test]
    fn lists_added_models() {
        let two = format!("{BASE}---\n{}", BASE.replace("User", "Person"));
        let changed = Changes::between(&models(BASE), &models(&two));
        assert_eq!(changed.added.len(), 1);
        assert_eq!(
            changed.safe[0].to_string(),
            "Person: the model was added, on the table users"
        );
    }
}
