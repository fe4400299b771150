//! Messages that cost the most memory for their size.

use tonic::Code;

const MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// The default of `limits.values`, minus the few values of the message around them.
const ALLOWED_VALUES: usize = 99_990;
/// Entries that fill a message.
const TOO_MANY: usize = 400_000;

pub(crate) const SAVE: &str = "/tollgate.v1.DataService/Save";
const GET: &str = "/tollgate.v1.DataService/Get";
const QUERY: &str = "/tollgate.v1.DataService/Query";

/// A method and a message for it.
pub(crate) struct Hostile {
    pub(crate) what: &'static str,
    pub(crate) method: &'static str,
    pub(crate) message: Vec<u8>,
    pub(crate) code: Code,
}

/// A length-delimited field: tag, length, content.
fn field(number: usize, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + 8);
    for mut part in [number << 3 | 2, content.len()] {
        while part > 0x7f {
            bytes.push(part as u8 | 0x80);
            part >>= 7;
        }
        bytes.push(part as u8);
    }
    bytes.extend_from_slice(content);
    bytes
}

/// An entry of a map field.
fn entry(number: usize, name: &str, value: &[u8]) -> Vec<u8> {
    field(number, &[field(1, name.as_bytes()), field(2, value)].concat())
}

/// A part repeated `count` times, or as often as fits into a message.
fn many(part: &[u8], count: Option<usize>) -> Vec<u8> {
    part.repeat(count.unwrap_or((MESSAGE_BYTES - 64) / part.len()))
}

/// A message padded to full size with an unknown field.
fn filled(parts: &[&[u8]]) -> Vec<u8> {
    let mut message = parts.concat();
    if let Some(rest) = (MESSAGE_BYTES - 16).checked_sub(message.len()) {
        message.extend(field(999, &vec![b'x'; rest]));
    }
    message
}

/// A Save with `validate_only` and a list of these values.
fn list(values: &[u8]) -> Vec<u8> {
    let list = field(6, values);
    filled(&[
        &field(1, b"SecureUser"),
        &entry(2, "address", &list),
        &[0x30, 0x01],
    ])
}

/// Encoded entries with distinct names, for fields that are maps or sets.
struct Entries {
    attributes: Vec<u8>,
    values: Vec<u8>,
    names: Vec<u8>,
    map: Vec<u8>,
    set: Vec<u8>,
}

impl Entries {
    fn new(count: usize) -> Entries {
        let each = |entry: &dyn Fn(usize) -> Vec<u8>| (0..count).flat_map(entry).collect();
        Entries {
            attributes: each(&|number| entry(2, &format!("{number:x}"), &[])),
            values: each(&|number| entry(2, &format!(":{number:x}"), &[0x28, 0x00])),
            names: each(&|number| entry(3, &format!("#{number:x}"), b"n")),
            map: each(&|number| entry(1, &format!("{number:x}"), &[0x28, 0x00])),
            set: each(&|number| field(1, format!("{number:x}").as_bytes())),
        }
    }
}

type Message = (&'static str, &'static str, Vec<u8>);

/// Messages with `count` values, or as many as fit.
fn messages(count: Option<usize>) -> [Message; 13] {
    let user = field(1, b"User");
    let entries = Entries::new(count.unwrap_or(TOO_MANY));
    let map_item = entry(2, "address", &field(7, &entries.map));
    let set_item = entry(2, "address", &field(8, &entries.set));
    [
        ("empty values", SAVE, list(&many(&field(1, &[]), count))),
        ("nulls", SAVE, list(&many(&field(1, &[0x28, 0x00]), count))),
        ("empty texts", SAVE, list(&many(&field(1, &field(1, &[])), count))),
        (
            "bad numbers",
            SAVE,
            list(&many(&field(1, &field(2, b"x")), count)),
        ),
        ("empty lists", SAVE, list(&many(&field(1, &field(6, &[])), count))),
        (
            "empty objects",
            SAVE,
            list(&many(&field(1, &field(11, &[])), count.map(|count| count / 4))),
        ),
        (
            "attributes",
            SAVE,
            filled(&[&user, &entries.attributes, &[0x30, 0x01]]),
        ),
        (
            "fields of a map",
            SAVE,
            filled(&[&field(1, b"SecureUser"), &map_item, &[0x30, 0x01]]),
        ),
        (
            "members of a set",
            SAVE,
            filled(&[&field(1, b"SecureUser"), &set_item, &[0x30, 0x01]]),
        ),
        (
            "include_objects",
            GET,
            filled(&[&user, &many(&field(5, &[]), count)]),
        ),
        ("fields", GET, filled(&[&user, &many(&field(3, b"name"), count)])),
        (
            "values",
            QUERY,
            filled(&[&user, &field(4, &[field(1, b"a"), entries.values].concat())]),
        ),
        (
            "names",
            QUERY,
            filled(&[&user, &field(4, &[field(1, b"a"), entries.names].concat())]),
        ),
    ]
}

type LongMessage = (&'static str, &'static str, Vec<u8>, Code);

/// Messages with one field that is almost as long as the message, and the code of the response.
fn long_messages() -> [LongMessage; 9] {
    let long = vec![0x01; MESSAGE_BYTES - 1024];
    let user = field(1, b"User");
    [
        ("a long model", SAVE, field(1, &long), Code::NotFound),
        (
            "a long attribute",
            SAVE,
            [user.clone(), field(2, &field(1, &long))].concat(),
            Code::InvalidArgument,
        ),
        (
            "a long request id",
            SAVE,
            [user.clone(), field(5, &long)].concat(),
            Code::InvalidArgument,
        ),
        (
            "a long field",
            GET,
            [user.clone(), field(3, &long)].concat(),
            Code::InvalidArgument,
        ),
        (
            "a long object",
            GET,
            [user.clone(), field(5, &long)].concat(),
            Code::InvalidArgument,
        ),
        (
            "a long index",
            QUERY,
            [user.clone(), field(2, &long)].concat(),
            Code::NotFound,
        ),
        (
            "a long token",
            QUERY,
            [user.clone(), field(8, &long)].concat(),
            Code::InvalidArgument,
        ),
        (
            "a long expression",
            QUERY,
            [user.clone(), field(4, &field(1, &long))].concat(),
            Code::InvalidArgument,
        ),
        (
            "a long number",
            SAVE,
            [user, entry(2, "age", &field(2, &long))].concat(),
            Code::InvalidArgument,
        ),
    ]
}

/// Like [`long_messages`], for the other services.
fn long_messages_of_other_services() -> [LongMessage; 4] {
    let long = vec![0x01; MESSAGE_BYTES - 1024];
    [
        (
            "a long session",
            "/tollgate.v1.MetricsService/GetTotalMetrics",
            field(1, &long),
            Code::NotFound,
        ),
        (
            "a long name",
            "/tollgate.v1.SchemaService/GetModel",
            field(1, &long),
            Code::NotFound,
        ),
        (
            "a long service",
            "/grpc.health.v1.Health/Check",
            field(1, &long),
            Code::NotFound,
        ),
        (
            "a long symbol",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            field(4, &long),
            Code::Ok,
        ),
    ]
}

/// Messages far beyond the limit of values, messages just within it, and long fields.
pub(crate) fn hostile() -> Vec<Hostile> {
    let mut all = Vec::new();
    for (count, what) in [(None, "too many"), (Some(ALLOWED_VALUES), "as many as allowed")] {
        all.extend(messages(count).map(|(kind, method, message)| Hostile {
            what: Box::leak(format!("{what} {kind}").into_boxed_str()),
            method,
            message,
            code: Code::InvalidArgument,
        }));
    }
    let long = long_messages().into_iter();
    let long = long.chain(long_messages_of_other_services());
    all.extend(long.map(|(what, method, message, code)| Hostile {
        what,
        method,
        message,
        code,
    }));
    all
}

/// A small Save of an invalid item.
pub(crate) fn small() -> Hostile {
    Hostile {
        what: "a small item",
        method: SAVE,
        message: [field(1, b"User"), entry(2, "age", &field(2, b"x"))].concat(),
        code: Code::InvalidArgument,
    }
}
