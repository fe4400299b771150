//! Indexes, discriminators and idempotency of one model.

use crate::model::{Idempotency, Index, Model, Projection, Value};

use super::read;

/// A model with keys, attributes of several types, and these further options.
fn source(options: &str) -> String {
    format!(
        "name: Order
table: orders
partition_key: pk
sort_key: sk
attributes:
  pk: {{ type: string, template: 'ORDER#{{id}}' }}
  sk: {{ type: string, default: ORDER }}
  id: {{ type: string }}
  status: {{ type: string, enum: [open, paid, closed] }}
  total: {{ type: number, alias: t }}
  created: {{ type: datetime, store: epoch }}
  by: {{ type: string, template: 'STATUS#{{status}}' }}
  secret: {{ type: string, encrypted: {{ key_id: k }} }}
  text: {{ type: string, compressed: {{}} }}
  rev: {{ type: version }}
  expires: {{ type: ttl }}
{options}
"
    )
}

fn model(options: &str) -> Model {
    let models = read(&[("m.yaml", &source(options))]).unwrap();
    models.get("Order").unwrap().as_ref().clone()
}

fn faults(options: &str) -> Vec<String> {
    let texts = read(&[("m.yaml", &source(options))]).map(|_| Vec::new());
    let texts: Vec<String> = texts.unwrap_or_else(|texts| texts);
    texts
        .iter()
        .map(|text| text.split_once(": ").unwrap().1.to_owned())
        .collect()
}

#[test]
fn reads_global_and_local_indexes() {
    let model = model(
        "indexes:
  by_status:
    name: gsi1
    partition_key: by
    sort_key: [created, total]
    projection: [secret, status]
    when: { status: [open, paid] }
  by_total: { local: true, sort_key: total, projection: keys_only }
  by_id: { partition_key: [id, status] }
",
    );
    let strings = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
    let expected = Index {
        name: "by_status".to_owned(),
        stored_name: "gsi1".to_owned(),
        local: false,
        partition: strings(&["by"]),
        sort: strings(&["created", "total"]),
        projection: Projection::Include(strings(&["secret", "status"])),
        when: [(
            "status".to_owned(),
            ["open", "paid"].map(|text| Value::S(text.to_owned())).to_vec(),
        )]
        .into(),
    };
    let found = model.index("by_status").unwrap();
    assert_eq!(found.key_names().collect::<Vec<_>>(), ["by", "created", "total"]);
    assert_eq!(
        (&found.when, &found.stored_name),
        (&expected.when, &expected.stored_name)
    );
    let local = model.index("by_total").unwrap();
    assert_eq!(
        (local.local, local.partition.as_slice()),
        (true, strings(&["pk"]).as_slice())
    );
    assert_eq!(local.projection, Projection::KeysOnly);
    let both = model.index("by_id").unwrap();
    assert_eq!((both.partition.len(), &both.projection), (2, &Projection::All));
    assert_eq!(both.stored_name, "by_id");
}

#[test]
fn reports_faults_of_index_keys() {
    for (options, expected) in [
        ("{}", &["partition_key: is required"] as &[&str]),
        (
            "{ partition_key: statsu }",
            &["partition_key: is not an attribute of this model (did you mean `status`?)"],
        ),
        (
            "{ partition_key: secret, sort_key: text }",
            &[
                "partition_key: is encrypted: an index key cannot be",
                "sort_key: is compressed: an index key cannot be",
            ],
        ),
        (
            "{ partition_key: rev }",
            &["partition_key: must be string, number, binary, datetime or ttl, not version"],
        ),
        (
            "{ partition_key: [], sort_key: [id, id] }",
            &[
                "partition_key: must have 1 to 4 attributes",
                "has the attribute `id` twice in its keys",
            ],
        ),
        (
            "{ partition_key: { a: b } }",
            &["partition_key: expected a name or a list of names, found a map"],
        ),
        ("{ local: true }", &["sort_key: is required"]),
        (
            "{ local: true, partition_key: id, sort_key: [total, created] }",
            &[
                "partition_key: must be the table's partition key, or left out: the index is local",
                "sort_key: a local index has one sort key attribute",
            ],
        ),
    ] {
        let expected: Vec<String> = expected
            .iter()
            .map(|text| match text.starts_with("has ") {
                true => format!("indexes.by_x: {text}"),
                false => format!("indexes.by_x.{text}"),
            })
            .collect();
        assert_eq!(
            faults(&format!("indexes: {{ by_x: {options} }}")),
            expected,
            "{options}"
        );
    }
    assert_eq!(
        faults("indexes: { by_x: { local: true, sort_key: sk } }"),
        ["indexes.by_x.sort_key: must differ from the table's sort key"]
    );
    assert_eq!(
        faults("indexes: { 'a b': { partition_key: id } }"),
        ["indexes.a b: must be 3 to 255 characters of A-Z, a-z, 0-9, `_`, `.` and `-`"]
    );
}

#[test]
fn reports_faults_of_projections_and_conditions() {
    for (options, expected) in [
        (
            "projection: some",
            &["projection: must be all, keys_only or a list of attributes"] as &[&str],
        ),
        (
            "projection: []",
            &["projection: must list 1 to 20 attributes, or be keys_only"],
        ),
        (
            "projection: [total, total, pk]",
            &[
                "projection[1]: is a duplicate",
                "projection[2]: is a key, which every index contains",
            ],
        ),
        (
            "projection: [totl]",
            &["projection: `totl` is not an attribute of a model of this table"],
        ),
        (
            "when: { secret: [a], statuss: [b], status: [opne] }",
            &[
                "when.secret: must be a string, number or boolean, neither encrypted nor compressed nor in S3",
                "when.statuss: is not an attribute of this model (did you mean `status`?)",
                "when.status[0]: must be one of open, paid, closed",
            ],
        ),
    ] {
        let expected: Vec<String> = expected
            .iter()
            .map(|text| format!("indexes.by_x.{text}"))
            .collect();
        assert_eq!(
            faults(&format!(
                "indexes: {{ by_x: {{ partition_key: by, {options} }} }}"
            )),
            expected,
            "{options}"
        );
    }
    let plain = source("indexes: { by_x: { partition_key: id, when: { status: [open] } } }")
        .replace(", template: 'ORDER#{id}'", "");
    let faults = read(&[("m.yaml", &plain)]).unwrap_err();
    assert_eq!(
        faults,
        ["m.yaml:17: indexes.by_x.when: applies only to an index whose keys have a `template`"]
    );
}

#[test]
fn a_discriminator_is_an_implied_attribute_with_one_value() {
    let implied = model("discriminator: { attribute: type, value: Order }");
    let attribute = implied.attribute("type").unwrap();
    let value = Value::S("Order".to_owned());
    assert_eq!(attribute.default.as_ref(), Some(&value));
    assert_eq!(attribute.checks.violations(&value), [""; 0]);
    assert_eq!(
        attribute.checks.violations(&Value::S("Other".to_owned())),
        ["must be one of Order"]
    );
    let models = read(&[(
        "m.yaml",
        &source("  type: { type: string, alias: _t }\ndiscriminator: { attribute: type, value: Order }"),
    )])
    .unwrap();
    assert_eq!(models.get("Order").unwrap().stored_name("type"), "_t");
    for (options, expected) in [
        ("{ attribute: type }", "discriminator.value: is required"),
        (
            "{ attribute: pk, value: a }",
            "discriminator: the attribute `pk` must not be a key of the table",
        ),
        (
            "{ attribute: created, value: a }",
            "discriminator: the attribute `created` must be an attribute of type string",
        ),
        (
            "{ attribute: secret, value: a }",
            "discriminator: the attribute `secret` must be neither encrypted nor compressed nor in S3",
        ),
        (
            "{ attribute: status, value: open }",
            "discriminator: the attribute `status` must have no `default`, `generate`, `template` or `enum`: its \
             value is that of the discriminator",
        ),
        (
            "{ attribute: t, value: a }",
            "discriminator: `t` is the alias of another attribute",
        ),
    ] {
        assert_eq!(
            faults(&format!("discriminator: {options}")),
            [expected],
            "{options}"
        );
    }
}

#[test]
fn reads_idempotency() {
    assert_eq!(model("idempotency: item").idempotency, Some(Idempotency::Item));
    let table = Idempotency::Table("requests".to_owned());
    assert_eq!(model("idempotency: { table: requests }").idempotency, Some(table));
    assert_eq!(
        faults("idempotency: items"),
        ["idempotency: must be `item` or `{ table: NAME }`"]
    );
    assert_eq!(faults("idempotency: {}"), ["idempotency.table: is required"]);
    let generated =
        source("idempotency: item").replace("id: { type: string }", "id: { type: string, generate: ulid }");
    assert_eq!(
        read(&[("m.yaml", &generated)]).unwrap_err(),
        ["m.yaml:17: idempotency: `item` requires keys that the caller gives: `pk` has a generated part"]
    );
}

#[test]
fn a_model_has_one_version_and_one_ttl() {
    let faults = faults("  again: { type: version }\n  other: { type: ttl }");
    assert_eq!(
        faults,
        [
            "attributes.again: a model has one version attribute, which is `rev`",
            "attributes.other: a model has one ttl attribute, which is `expires`",
        ]
    );
}

#[test]
fn numbers_without_padding_in_sort_keys_are_warned_about() {
    let options = "  line: { type: string, template: 'LINE#{total}' }
  padded: { type: string, template: 'LINE#{total:08}' }
indexes: { by_line: { partition_key: id, sort_key: line }, by_padded: { partition_key: line, sort_key: padded } }";
    let models = read(&[("m.yaml", &source(options))]).unwrap();
    assert_eq!(
        models.warnings(),
        [
            "Order: attributes.line.template: `{total}` is a number that sorts as text: write `{total:08}` to pad it with \
          zeros"
        ]
    );
}

#[test]
fn an_index_of_keys_shows_which_items_have_expired() {
    let hiding = |index: &str| {
        source(&format!("indexes:\n  by_status: {index}\n")).replace(
            "expires: { type: ttl }",
            "expires: { type: ttl, hide_expired: true }",
        )
    };
    let lacking = read(&[(
        "m.yaml",
        &hiding("{ partition_key: status, projection: keys_only }"),
    )]);
    assert_eq!(
        lacking.unwrap_err(),
        [
            "m.yaml:18: indexes.by_status.projection: lacks `expires`, by which expired items are hidden: use \
             `projection: [expires]`"
        ]
    );
    for index in [
        "{ partition_key: status, sort_key: expires, projection: keys_only }",
        "{ partition_key: status, projection: [expires] }",
        "{ partition_key: status, projection: [total] }",
    ] {
        assert!(read(&[("m.yaml", &hiding(index))]).is_ok(), "{index}");
    }
}
