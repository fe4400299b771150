//! Faults of attributes, by theme.

use super::{model_with, read};

/// An attribute `a`, and its faults.
pub(super) type Case = (&'static str, &'static [&'static str]);

const TYPES: &[Case] = &[
    ("{}", &[".type: is required"]),
    ("string", &[": expected a map, found text"]),
    (
        "{ type: strnig }",
        &[
            ".type: must be one of string, number, binary, boolean, list, map, object, string_set, number_set, binary_set, json, datetime, ttl, version (did you mean `string`?)",
        ],
    ),
    (
        "{ type: string, required: yes }",
        &[".required: expected true or false, found text"],
    ),
];

const CHECKS: &[Case] = &[
    (
        "{ type: string, min: 1 }",
        &[".min: applies only to number, not to string"],
    ),
    (
        "{ type: number, pattern: a, max_length: 1, enum: [1] }",
        &[
            ".max_length: applies only to string, binary, list, map, string_set, number_set, binary_set, not to number",
            ".pattern: applies only to string, not to number",
        ],
    ),
    (
        "{ type: boolean, enum: [true] }",
        &[".enum: applies only to string, number, string_set, number_set, not to boolean"],
    ),
    (
        "{ type: number, min: 2, max: 1 }",
        &[".max: must not be less than min"],
    ),
    (
        "{ type: string, min_length: 2, max_length: 1 }",
        &[".max_length: must not be less than min_length"],
    ),
    (
        "{ type: string, max_length: -1 }",
        &[".max_length: expected a non-negative whole number"],
    ),
    (
        "{ type: number, min: 1e126 }",
        &[".min: magnitude outside 1e-130 to 9.9999999999999999999999999999999999999e125"],
    ),
    (
        "{ type: number, enum: [1, x, 1.0] }",
        &[
            ".enum[1]: expected a number, found text",
            ".enum[2]: is a duplicate",
        ],
    ),
    (
        "{ type: string, enum: [] }",
        &[".enum: must list at least one value"],
    ),
    (
        "{ type: string, max_length: 1, enum: [aa] }",
        &[".enum[0]: must have at most 1 characters"],
    ),
    (
        "{ type: string, pattern: '(' }",
        &[".pattern: is not a regular expression: unclosed group"],
    ),
    (
        "{ type: string, pattern: 'a)|(b' }",
        &[".pattern: is not a regular expression: unopened group"],
    ),
    (
        "{ type: string, pattern: '((a{1000}){1000}){1000}' }",
        &[".pattern: is too large when compiled: use fewer repetitions"],
    ),
];

const DEFAULTS: &[Case] = &[
    (
        "{ type: string, default: 5 }",
        &[".default: expected text, found a number (put it in quotes)"],
    ),
    (
        "{ type: string, default: x, enum: [a, b] }",
        &[".default: must be one of a, b"],
    ),
    (
        "{ type: number, default: 123456789012345678901234567890123456789 }",
        &[".default: more than 38 significant digits"],
    ),
    (
        "{ type: binary, default: '*' }",
        &[".default: expected bytes as standard base64"],
    ),
    (
        "{ type: datetime, default: yesterday }",
        &[".default: must be RFC 3339 with an offset, such as 2026-01-31T12:00:00Z"],
    ),
    (
        "{ type: ttl, default: +2w }",
        &[
            ".default: must be seconds since 1970, RFC 3339 such as 2026-01-31T12:00:00Z, or a time span such as +3600s, +90m, +12h or +30d",
        ],
    ),
    (
        "{ type: json, default: '{' }",
        &[".default: expected JSON as text"],
    ),
    (
        "{ type: string_set, default: [] }",
        &[".default: a set must have at least one member"],
    ),
    (
        "{ type: number_set, default: [1, 1.0] }",
        &[".default[1]: is a duplicate"],
    ),
    (
        "{ type: string_set, enum: [a], default: [a, b] }",
        &[".default: must be one of a"],
    ),
    (
        "{ type: map, attributes: { n: { type: number, min: 2 }, s: { type: string, required: true } }, default: { n: 1 } }",
        &[".default: n: must be at least 2", ".default: s: is required"],
    ),
    (
        "{ type: list, items: { type: string, max_length: 1 }, default: [a, bb] }",
        &[".default: [1]: must have at most 1 characters"],
    ),
    (
        "{ type: map, default: { x: { '': 1 } } }",
        &[".default.x.: a name must not be empty"],
    ),
];

const SOURCES: &[Case] = &[
    (
        "{ type: string, default: a, generate: ulid, template: 'A#{b}' }",
        &[
            ".generate: conflicts with `default`",
            ".template: conflicts with `default`",
            ".template: conflicts with `generate`",
        ],
    ),
    (
        "{ type: number, generate: ulid }",
        &[".generate: ulid applies only to string, not to number"],
    ),
    (
        "{ type: datetime, generate: epoch }",
        &[".generate: epoch applies only to number, ttl, not to datetime"],
    ),
    (
        "{ type: string, generate: utcnow }",
        &[
            ".generate: must be one of uuid4, ulid, ksuid, epoch, epoch_ms, iso8601, utc_now, utc_now_on_write",
        ],
    ),
    (
        "{ type: string, delimiter: '|' }",
        &[".delimiter: applies only to an attribute with a `template`"],
    ),
    (
        "{ type: number, template: 'A#{b}' }",
        &[".template: applies only to string, not to number"],
    ),
    (
        "{ type: version, default: 1, required: true }",
        &[
            ".required: does not apply to version: without one, a Save creates the item",
            ".default: does not apply to version: without one, a Save creates the item",
        ],
    ),
    (
        "{ type: string, alias: pk }",
        &[": `alias` must differ from the name and alias of the attribute `pk`"],
    ),
    (
        "{ type: string, alias: '' }",
        &[".alias: an attribute's name must not be empty"],
    ),
];

const STORED_FORMS: &[Case] = &[
    (
        "{ type: string, set_encoding: list, null_sets: repair, hide_expired: true, store: epoch }",
        &[
            ".set_encoding: applies only to string_set, number_set, binary_set, not to string",
            ".null_sets: applies only to string_set, number_set, binary_set, not to string",
            ".hide_expired: applies only to ttl, not to string",
            ".store: applies only to datetime, not to string",
        ],
    ),
    (
        "{ type: string_set, set_encoding: lists, null_sets: keep }",
        &[
            ".set_encoding: must be one of native, list",
            ".null_sets: must be one of repair",
        ],
    ),
    (
        "{ type: map, compressed: {} }",
        &[".compressed: applies only to string, json, object, not to map"],
    ),
    (
        "{ type: string, compressed: { algorithm: lz4, level: 3, threshold: 1.5, min_size: -1 } }",
        &[
            ".compressed.level: lz4 has no levels",
            ".compressed.min_size: expected a non-negative whole number",
            ".compressed.threshold: must be greater than 0 and at most 1",
        ],
    ),
    (
        "{ type: json, compressed: { algorithm: zstd, level: 23 } }",
        &[".compressed.level: must be a whole number from 1 to 22"],
    ),
    (
        "{ type: ttl, encrypted: { key_id: k } }",
        &[".encrypted: does not apply to ttl: DynamoDB reads it"],
    ),
    (
        "{ type: version, encrypted: { key_id: k } }",
        &[".encrypted: does not apply to version: DynamoDB compares it"],
    ),
];

const NESTED: &[Case] = &[
    (
        "{ type: map, attributes: { city: { type: strng }, zip: { type: string, min_length: x } } }",
        &[
            ".attributes.city.type: must be one of string, number, binary, boolean, list, map, object, string_set, number_set, binary_set, json, datetime, ttl, version (did you mean `string`?)",
            ".attributes.zip.min_length: expected a number, found text",
        ],
    ),
    (
        "{ type: list, items: { type: map, attributes: { n: { type: number, max: 1, min: 2 } } } }",
        &[".items.attributes.n.max: must not be less than min"],
    ),
    (
        "{ type: string, attributes: {}, items: { type: string }, unknown_attributes: keep }",
        &[
            ".attributes: applies only to map, not to string",
            ".unknown_attributes: applies only to map, not to string",
            ".items: applies only to list, not to string",
        ],
    ),
    (
        "{ type: map, unknown_attributes: drop }",
        &[".unknown_attributes: applies only to a map with `attributes`"],
    ),
    (
        "{ type: map, attributes: { v: { type: version }, x: { type: ttl }, o: { type: object, s3: { bucket: abc } } } }",
        &[
            ".attributes.v.type: version applies only to attributes of the model, not inside a map or list",
            ".attributes.x.type: ttl applies only to attributes of the model, not inside a map or list",
            ".attributes.o.type: object applies only to attributes of the model, not inside a map or list",
            ".attributes.o.s3: applies only to attributes of the model, not inside a map or list",
        ],
    ),
    (
        "{ type: map, attributes: { s: { type: string, encrypted: { key_id: k }, compressed: {}, hidden: true } } }",
        &[
            ".attributes.s.encrypted: applies only to attributes of the model, not inside a map or list",
            ".attributes.s.compressed: applies only to attributes of the model, not inside a map or list",
            ".attributes.s.hidden: applies only to attributes of the model, not inside a map or list",
        ],
    ),
    (
        "{ type: list, items: { type: string, alias: b, required: true } }",
        &[
            ".items.alias: does not apply to the members of a list",
            ".items.required: does not apply to the members of a list",
        ],
    ),
    (
        "{ type: map, attributes: { b: { type: string, alias: c }, c: { type: string } } }",
        &[".attributes.b: `alias` must differ from the name and alias of the attribute `c`"],
    ),
];

const ENCRYPTION: &[Case] = &[
    (
        "{ type: string, encrypted: {} }",
        &[".encrypted.key_id: is required"],
    ),
    (
        "{ type: string, encrypted: { key_id: '', mode: rw, context: { 'tollgate:x': a, b: 1 } } }",
        &[
            ".encrypted.key_id: must be a KMS key's id, ARN or alias such as `alias/my-app-key`",
            ".encrypted.context.tollgate:x: a context name must not be empty or start with `tollgate:`",
            ".encrypted.context.b: expected text, found a number (put it in quotes)",
            ".encrypted.mode: must be one of read_write, write_only, read_only",
        ],
    ),
    (
        "{ type: map, encrypted: { key_id: k, format: pydynox } }",
        &[".encrypted.format: pydynox applies only to string, not to map"],
    ),
    (
        "{ type: number, encrypted: { key_id: k, accept_formats: [pydynox, pydynox, sealde] } }",
        &[
            ".encrypted.accept_formats[1]: is a duplicate",
            ".encrypted.accept_formats[2]: must be one of sealed, pydynox",
            ".encrypted.accept_formats: pydynox applies only to string, not to number",
        ],
    ),
    (
        "{ type: string, encrypted: { key_id: k, accepts: [k, a b, old, old] } }",
        &[
            ".encrypted.accepts[0]: is already the `key_id`",
            ".encrypted.accepts[1]: must be a KMS key's id, ARN or alias such as `alias/my-app-key`",
            ".encrypted.accepts[3]: is a duplicate",
        ],
    ),
    (
        "{ type: string, encrypted: { key_id: k, accepts: [a,b,c,d,e,f,g,h,i,j,l,m,n,o,p,q,r] } }",
        &[".encrypted.accepts: must have at most 16 keys"],
    ),
    (
        "{ type: string, required: true, default: a, encrypted: { key_id: k, mode: read_only } }",
        &[
            ".default: conflicts with `mode: read_only`: no write can set the attribute",
            ".required: conflicts with `mode: read_only`: no write can set the attribute",
        ],
    ),
];

/// The faults of the attribute `a` on line 6.
fn faults_of(attribute: &str) -> Vec<String> {
    let faults = read(&[("m.yaml", &model_with(&format!("  a: {attribute}")))]).map(|_| Vec::new());
    let texts: Vec<String> = faults.unwrap_or_else(|faults| faults);
    texts
        .iter()
        .map(|text| {
            text.strip_prefix("m.yaml:6: attributes.a")
                .unwrap_or(text)
                .to_owned()
        })
        .collect()
}

pub(super) fn check(cases: &[Case]) {
    for (attribute, expected) in cases {
        assert_eq!(faults_of(attribute), *expected, "{attribute}");
    }
}

#[test]
fn reports_faults_of_types() {
    check(TYPES);
}

#[test]
fn reports_faults_of_checks() {
    check(CHECKS);
}

#[test]
fn reports_faults_of_defaults() {
    check(DEFAULTS);
}

#[test]
fn reports_faults_of_sources() {
    check(SOURCES);
}

#[test]
fn reports_faults_of_stored_forms() {
    check(STORED_FORMS);
}

#[test]
fn reports_faults_of_nested_attributes() {
    check(NESTED);
}

#[test]
fn reports_faults_of_encryption() {
    check(ENCRYPTION);
}

#[test]
fn reports_faults_of_keys() {
    let source = "name: K\ntable: keys\npartition_key: pk\nsort_key: sk\nattributes:\n  \
        pk: { type: boolean }\n  sk: { type: string, default: '', encrypted: { key_id: k } }\ntenant: {}\n";
    assert_eq!(
        read(&[("k.yaml", source)]).unwrap_err(),
        [
            "k.yaml:6: attributes.pk.type: the partition key must be string, number or binary, not boolean",
            "k.yaml:7: attributes.sk.encrypted: the sort key cannot be encrypted",
            "k.yaml:7: attributes.sk.default: the sort key must have 1 to 1024 bytes",
            "k.yaml:8: tenant.prefix: is required",
        ]
    );
    let twice =
        "name: K\ntable: keys\npartition_key: pk\nsort_key: pk\nattributes: { pk: { type: string } }\n";
    assert_eq!(
        read(&[("k.yaml", twice)]).unwrap_err(),
        ["k.yaml:4: sort_key: must differ from the partition key"]
    );
    let near = "name: K\ntable: keys\npartition_key: user_idd\nattributes: { user_id: { type: string } }\n";
    assert_eq!(
        read(&[("k.yaml", near)]).unwrap_err(),
        ["k.yaml:3: partition_key: is not an attribute of this model (did you mean `user_id`?)"]
    );
}
