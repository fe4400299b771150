//! Documents of model files, most of them nearly valid.

use super::input::Input;
use super::tree::Tree;

/// Words and marks of model files.
pub(crate) const WORDS: [&str; 60] = [
    "type: ",
    "string",
    "number",
    "binary",
    "boolean",
    "list",
    "map",
    "object",
    "string_set",
    "number_set",
    "binary_set",
    "json",
    "datetime",
    "ttl",
    "version",
    "required: true",
    "default: ",
    "alias: ",
    "generate: ",
    "template: ",
    "enum: ",
    "pattern: ",
    "min: ",
    "max: ",
    "min_length: ",
    "encrypted: ",
    "compressed: ",
    "s3: ",
    "attributes: ",
    "items: ",
    "null_sets: repair",
    "hide_expired: true",
    "set_encoding: list",
    "store: epoch",
    "discriminator: ",
    "indexes: ",
    "idempotency: item",
    "compat: pydynox",
    "unknown_attributes: keep",
    "projection: ",
    "keys_only",
    "local: true",
    "partition_key: ",
    "sort_key: ",
    "when: ",
    "name: ",
    "ulid",
    "utc_now_on_write",
    "{",
    "}",
    "[",
    "]",
    "- ",
    "---",
    "\"",
    "'",
    "&a ",
    "*a",
    "!!int ",
    "| \n",
];

/// Names of attributes, so few that options meet.
const NAMES: [&str; 10] = [
    "pk",
    "sk",
    "id",
    "a",
    "b",
    "c",
    "status",
    "by_status",
    "day",
    "e.f",
];

const TYPES: [&str; 14] = [
    "string",
    "string",
    "string",
    "number",
    "binary",
    "boolean",
    "list",
    "map",
    "string_set",
    "number_set",
    "json",
    "datetime",
    "ttl",
    "version",
];

const GENERATED: [&str; 6] = [
    "ulid",
    "uuid4",
    "epoch",
    "epoch_ms",
    "utc_now",
    "utc_now_on_write",
];

/// The name and type of an attribute.
type Declared = (&'static str, &'static str);

/// A model.
pub(crate) fn model(input: &mut Input) -> Tree {
    let mut fields = vec![
        (
            "name",
            text(input.pick(&["A", "B", "C", "D", "Order", "A_1", "B.c", "1"])),
        ),
        ("table", text(input.pick(&["shared", "orders", "orders-2", "no"]))),
        ("partition_key", text("pk")),
    ];
    if input.once_in(2) {
        fields.push((
            "sort_key",
            text(input.pick(&["sk", "sk", "sk", "sk", "sk", "sk", "day", "pk"])),
        ));
    }
    let mut declared: Vec<Declared> = vec![("pk", "string"), ("sk", "string")];
    for _ in 0..2 + input.below(6) {
        let name = input.pick(&NAMES);
        if input.once_in(30) || declared.iter().all(|(other, _)| *other != name) {
            declared.push((name, input.pick(&TYPES)));
        }
    }
    if input.once_in(30) {
        declared.swap_remove(0);
    }
    let attributes = declared.iter().map(|(name, kind)| {
        let attribute = match *name {
            "pk" | "sk" => key_attribute(input, &declared),
            _ => attribute(input, kind, &declared, 0),
        };
        (*name, attribute)
    });
    let attributes = attributes.collect();
    fields.push(("attributes", map(attributes)));
    if input.once_in(3) {
        let indexes =
            (0..=input.below(2)).map(|_| (input.pick(&["by_a", "by_status", "gsi1"]), index(input)));
        let indexes = indexes.collect();
        fields.push(("indexes", map(indexes)));
    }
    if input.once_in(4) {
        let names = [
            ("attribute", text(input.pick(&["type", "a", "pk"]))),
            ("value", text("A")),
        ];
        fields.push(("discriminator", map(names.into())));
    }
    if input.once_in(6) {
        fields.push((
            "unknown_attributes",
            text(input.pick(&["keep", "drop", "reject", "no"])),
        ));
    }
    if input.once_in(8) {
        fields.push(("compat", text("pydynox")));
    }
    if input.once_in(8) {
        let table = map(vec![("table", text("request-ids"))]);
        fields.push(("idempotency", if input.once_in(2) { table } else { text("item") }));
    }
    if input.once_in(10) {
        fields.remove(input.below(fields.len()));
    }
    map(fields)
}

fn key_attribute(input: &mut Input, declared: &[Declared]) -> Tree {
    let mut options = vec![(
        "type",
        text(input.pick(&["string", "string", "string", "number", "binary"])),
    )];
    match input.below(4) {
        0 => {
            options = vec![
                ("type", text("string")),
                ("template", Tree::Text(template(input, declared))),
            ];
        }
        1 => options.push(("alias", text(input.pick(&["p", "s", "q", "r", "a"])))),
        2 if input.once_in(3) => options.push(("generate", text("ulid"))),
        _ => {}
    }
    map(options)
}

/// A template of declared attributes, now and then a wrong one.
fn template(input: &mut Input, declared: &[Declared]) -> String {
    if input.once_in(20) {
        return input
            .pick(&["{a}{b}", "{nope}", "{", "}", "{a:39}", "{pk}"])
            .to_owned();
    }
    let mut text = input.pick(&["A#", "B#", "ORDER#", "{{", ""]).to_owned();
    let usable = declared.iter().filter(|(name, _)| !["pk", "sk"].contains(name));
    for (name, kind) in usable {
        let part = match *kind {
            "string" => input.pick(&["", ":lower", ":upper"]),
            "number" => input.pick(&["", ":08"]),
            "boolean" => "",
            "datetime" => input.pick(&["", ":day", ":year"]),
            _ => continue,
        };
        if input.once_in(2) {
            text.push_str(&format!("{{{name}{part}}}#"));
        }
    }
    if text.is_empty() { "X".to_owned() } else { text }
}

fn attribute(input: &mut Input, kind: &str, declared: &[Declared], depth: usize) -> Tree {
    let mut options = vec![("type", text(kind))];
    for _ in 0..input.below(3) {
        options.push(option(input, kind, declared));
    }
    if matches!(kind, "map" | "list") && depth < 3 && input.once_in(2) {
        let inner = input.pick(&TYPES);
        let inner = attribute(input, inner, declared, depth + 1);
        options.push(match kind {
            "map" => ("attributes", map(vec![(input.pick(&NAMES), inner)])),
            _ => ("items", inner),
        });
    }
    if input.once_in(30) {
        options.push((
            input.pick(&["tpye", "tenant", "required", "encrypted"]),
            text("x"),
        ));
    }
    map(options)
}

/// An option, most often one that the type has.
fn option(input: &mut Input, kind: &str, declared: &[Declared]) -> (&'static str, Tree) {
    let kind = if input.once_in(10) {
        input.pick(&TYPES)
    } else {
        kind
    };
    if input.once_in(2) {
        return general_option(input, kind);
    }
    match kind {
        "string" => match input.below(5) {
            0 => ("template", Tree::Text(template(input, declared))),
            1 => (
                "enum",
                Tree::List(vec![text("open"), text(input.pick(&["paid", "open"]))]),
            ),
            2 => ("pattern", text(input.pick(&["[a-z]+", "(", "(?i)x{1,1000}"]))),
            3 => ("max_length", Tree::Plain(input.pick(&["0", "20", "-1", "1.5"]))),
            _ => (
                "compressed",
                map(vec![(
                    "algorithm",
                    text(input.pick(&["zstd", "lz4", "gzip", "no"])),
                )]),
            ),
        },
        "number" => match input.below(3) {
            0 => ("min", Tree::Plain(input.pick(&["0", "-1.5", "1e300"]))),
            1 => ("max", Tree::Plain(input.pick(&["100", "1E2", "0"]))),
            _ => (
                "enum",
                Tree::List(vec![Tree::Plain("1"), Tree::Plain(input.pick(&["1.0", "2"]))]),
            ),
        },
        "string_set" | "number_set" => match input.below(3) {
            0 => ("set_encoding", text(input.pick(&["list", "native"]))),
            1 => ("null_sets", text("repair")),
            _ => ("max_length", Tree::Plain("3")),
        },
        "datetime" => (
            "store",
            text(input.pick(&["epoch", "epoch_ms", "zulu_ms", "pynamodb", "iso8601"])),
        ),
        "ttl" => ("hide_expired", Tree::Plain("true")),
        "json" => (
            "compressed",
            map(vec![(
                "threshold",
                Tree::Plain(input.pick(&["0.5", "1", "0", "2"])),
            )]),
        ),
        _ => (
            "min_length",
            Tree::Plain(input.pick(&["1", "18446744073709551616"])),
        ),
    }
}

/// An option that most types have.
fn general_option(input: &mut Input, kind: &str) -> (&'static str, Tree) {
    match input.below(6) {
        0 => ("required", Tree::Plain(input.pick(&["true", "false"]))),
        1 => ("alias", text(input.pick(&["x", "y", "a", "pk", ""]))),
        2 => ("hidden", Tree::Plain("true")),
        3 => ("encrypted", map(vec![("key_id", text("alias/k"))])),
        4 => ("default", default(input, kind)),
        _ => ("generate", text(input.pick(&GENERATED))),
    }
}

fn default(input: &mut Input, kind: &str) -> Tree {
    if !input.once_in(8) {
        return match kind {
            "number" => Tree::Plain("7"),
            "boolean" => Tree::Plain("false"),
            "list" => Tree::List(vec![Tree::Plain("1"), text("x")]),
            "map" => map(vec![("a", Tree::Plain("1"))]),
            "string_set" => Tree::List(vec![text("x")]),
            "number_set" => Tree::List(vec![Tree::Plain("1"), Tree::Plain("2.0")]),
            "json" => text("{\"a\": 1}"),
            "datetime" | "ttl" => text("2026-01-31T12:00:00Z"),
            "binary" => text("AAAA"),
            _ => text("x"),
        };
    }
    match input.below(6) {
        0 => text(input.pick(&[
            "open",
            "x",
            "",
            "+30d",
            "{\"a\": 1}",
            "2026-01-31T12:00:00Z",
            "AAA=",
        ])),
        1 => Tree::Plain(input.pick(&["1", "-1.50", "true", "null"])),
        2 => Tree::List(vec![Tree::Plain("1"), text("x")]),
        3 => map(vec![("a", Tree::Plain("1"))]),
        4 => Tree::List(Vec::new()),
        _ => map(Vec::new()),
    }
}

fn index(input: &mut Input) -> Tree {
    let mut options = Vec::new();
    if input.once_in(3) {
        options.push(("local", Tree::Plain("true")));
    } else {
        options.push(("partition_key", key_list(input)));
    }
    if input.once_in(2) {
        options.push(("sort_key", key_list(input)));
    }
    match input.below(5) {
        0 => options.push(("projection", text(input.pick(&["all", "keys_only", "some"])))),
        1 => options.push(("projection", Tree::List(vec![text(input.pick(&NAMES))]))),
        2 => options.push(("when", map(vec![("status", Tree::List(vec![text("open")]))]))),
        3 => options.push(("name", text("gsi1"))),
        _ => {}
    }
    map(options)
}

fn key_list(input: &mut Input) -> Tree {
    match input.once_in(4) {
        true => Tree::List((0..input.below(6)).map(|_| text(input.pick(&NAMES))).collect()),
        false => text(input.pick(&NAMES)),
    }
}

fn text(text: &str) -> Tree {
    Tree::Text(text.to_owned())
}

fn map(fields: Vec<(&str, Tree)>) -> Tree {
    Tree::Map(
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}
