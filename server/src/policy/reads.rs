//! Which attributes of the context a policy reads: decisions that read none of them are the same for all requests.

use cedar_policy::Policy;
use serde_json::Value;

/// An attribute of the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    PartitionKey,
    Key,
    Consistent,
    Session,
    Tls,
    Time,
}

/// A set of attributes of the context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reads(u8);

const NAMES: [(&str, Attribute); 6] = [
    ("partition_key", Attribute::PartitionKey),
    ("key", Attribute::Key),
    ("consistent", Attribute::Consistent),
    ("session", Attribute::Session),
    ("tls", Attribute::Tls),
    ("time", Attribute::Time),
];

impl Reads {
    /// All attributes.
    pub(super) const ALL: Reads = Reads(0b11_1111);

    /// Whether the attribute is one of them.
    pub(super) const fn has(self, attribute: Attribute) -> bool {
        self.0 & (1 << attribute as u8) != 0
    }

    /// Those of both.
    pub(super) const fn and(self, other: Reads) -> Reads {
        Reads(self.0 | other.0)
    }

    /// Those that a policy reads; all if that is not certain.
    pub(super) fn of(policy: &Policy) -> Reads {
        policy.to_json().map_or(Reads::ALL, |json| in_json(&json))
    }
}

fn is_context(json: &Value) -> bool {
    json.get("Var").and_then(Value::as_str) == Some("context")
}

/// Those that the JSON form of an expression reads: `{".": {"left": {"Var": "context"}, "attr": "tls"}}`. The whole
/// context, used in any other way, is all of them.
fn in_json(json: &Value) -> Reads {
    match json {
        json if is_context(json) => Reads::ALL,
        Value::Object(members) => members.iter().fold(Reads::default(), |reads, (key, value)| {
            let is_access = matches!(key.as_str(), "." | "has");
            let attribute = (is_access && value.get("left").is_some_and(is_context))
                .then(|| value.get("attr").and_then(first_name))
                .flatten();
            reads.and(match attribute {
                Some(name) => named(name),
                None => in_json(value),
            })
        }),
        Value::Array(values) => values
            .iter()
            .fold(Reads::default(), |reads, value| reads.and(in_json(value))),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Reads::default(),
    }
}

/// The first attribute of an access, which can have several: `context has key.number`.
fn first_name(json: &Value) -> Option<&str> {
    match json {
        Value::Array(names) => names.first()?.as_str(),
        other => other.as_str(),
    }
}

fn named(name: &str) -> Reads {
    let known = NAMES.iter().find(|(known, _)| *known == name);
    known.map_or(Reads::ALL, |(_, attribute)| Reads(1 << *attribute as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(condition: &str) -> Reads {
        let text = format!("permit(principal, action, resource) when {{ {condition} }};");
        Reads::of(&Policy::parse(None, text).unwrap())
    }

    #[test]
    fn finds_what_a_policy_reads() {
        assert_eq!(reads("principal.name == \"a\""), Reads::default());
        assert_eq!(reads("context.tls"), named("tls"));
        assert_eq!(reads("context has key && context.key has number"), named("key"));
        assert!(reads("context has key.number").has(Attribute::Key));
        assert_eq!(
            reads("if context.consistent then false else context[\"time\"] > 3"),
            named("consistent").and(named("time"))
        );
        assert_eq!(
            reads(
                "context has partition_key && context.partition_key like \"a*\" && context.session == \"\""
            ),
            named("partition_key").and(named("session"))
        );
    }

    #[test]
    fn the_whole_context_is_all_of_it() {
        for condition in [
            "context == {}",
            "{ a: context }.a.tls",
            "[context].contains(context)",
        ] {
            assert_eq!(reads(condition), Reads::ALL, "{condition}");
        }
    }
}
