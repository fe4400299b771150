//! What models of one table must agree on about indexes, discriminators and templates.

use super::{NeededTable, read};

/// A model of the table `shared`, with templated keys and these further lines.
fn model(name: &str, options: &str) -> String {
    let prefix = name.to_uppercase();
    format!(
        "---
name: {name}
table: shared
partition_key: pk
sort_key: sk
attributes:
  pk: {{ type: string, template: '{prefix}#{{id}}' }}
  sk: {{ type: string }}
  id: {{ type: string }}
  total: {{ type: number }}
{options}
"
    )
}

fn faults(first: &str, second: &str) -> Vec<String> {
    let source = model("One", first) + &model("Two", second);
    let texts = read(&[("m.yaml", &source)]).map(|_| Vec::new());
    let texts: Vec<String> = texts.unwrap_or_else(|texts| texts);
    texts
        .iter()
        .map(|text| text.split_once(": ").unwrap().1.to_owned())
        .collect()
}

#[test]
fn indexes_of_one_stored_name_are_the_same() {
    let index = |options: &str| format!("indexes: {{ by_x: {{ name: gsi1, {options} }} }}");
    let first = index("partition_key: id, sort_key: total, projection: [note]");
    for (second, expected) in [
        ("partition_key: id, sort_key: total, projection: [note]", None),
        (
            "partition_key: sk, sort_key: total, projection: [note]",
            Some("partition_key"),
        ),
        ("partition_key: id, projection: [note]", Some("sort_key")),
        (
            "partition_key: id, sort_key: total, projection: [other]",
            Some("projection"),
        ),
        ("partition_key: id, sort_key: total", Some("projection")),
        ("local: true, sort_key: total, projection: [note]", Some("local")),
    ] {
        let note = "  note: { type: string }\n  other: { type: string }\n";
        let expected: Vec<String> = expected
            .iter()
            .map(|option| {
                format!(
                    "indexes.by_x.{option}: must be the same as in the index by_x of the model One at m.yaml:13: both \
                     are stored as `gsi1`"
                )
            })
            .collect();
        let found = faults(&format!("{note}{first}"), &format!("{note}{}", index(second)));
        assert_eq!(found, expected, "{second}");
    }
}

#[test]
fn one_model_can_name_an_index_twice() {
    let twice =
        "indexes:\n  by_id: { name: gsi1, partition_key: id }\n  by_key: { name: gsi1, partition_key: id }";
    assert_eq!(faults(twice, ""), [""; 0]);
    let differ = twice.replace(
        "by_key: { name: gsi1, partition_key: id",
        "by_key: { name: gsi1, partition_key: sk",
    );
    assert_eq!(faults(&differ, "").len(), 1);
}

#[test]
fn a_key_has_one_stored_type() {
    let first = "indexes: { by_total: { partition_key: total } }";
    let second =
        "  amount: { type: string, alias: total }\nindexes: { by_amount: { partition_key: amount } }";
    let second = model("Two", second).replace("  total: { type: number }\n", "");
    let found = read(&[("m.yaml", &(model("One", first) + &second))]).unwrap_err();
    assert_eq!(
        found,
        [
            "m.yaml:22: indexes.by_amount: the key `amount` is stored as S, but as N by the model One at m.yaml:11, \
             which uses the same table"
        ]
    );
}

#[test]
fn limits_of_a_table_are_those_of_dynamodb() {
    let globals = |count: usize, from: usize| {
        let lines =
            (from..from + count).map(|number| format!("  global_{number}: {{ partition_key: id }}\n"));
        format!("indexes:\n{}", lines.collect::<String>())
    };
    assert_eq!(faults(&globals(10, 0), &globals(10, 10)), [""; 0]);
    assert_eq!(
        faults(&globals(10, 0), &globals(11, 10)),
        ["indexes.global_20: a table has at most 20 global indexes"]
    );
    let locals = |count: usize| {
        let lines =
            (0..count).map(|number| format!("  local_{number}: {{ local: true, sort_key: total }}\n"));
        format!("indexes:\n{}", lines.collect::<String>())
    };
    assert_eq!(faults(&locals(5), &locals(5)), [""; 0]);
    assert_eq!(
        faults(&locals(6), ""),
        ["indexes.local_5: a table has at most 5 local indexes"]
    );
    let names: Vec<String> = (0..20).map(|number| format!("a{number}")).collect();
    let attributes: String = names
        .iter()
        .map(|name| format!("  {name}: {{ type: string }}\n"))
        .collect();
    let indexes = |count: usize| {
        let list = names.join(", ");
        let lines = (0..count)
            .map(|number| format!("  by_{number}: {{ partition_key: id, projection: [{list}] }}\n"));
        format!("{attributes}indexes:\n{}", lines.collect::<String>())
    };
    assert_eq!(faults(&indexes(5), ""), [""; 0]);
    assert_eq!(
        faults(&indexes(6), ""),
        ["indexes.by_5: the indexes of a table list at most 100 projected attributes"]
    );
}

#[test]
fn a_list_may_name_attributes_of_other_models_of_the_table() {
    let index = "indexes: { by_id: { partition_key: id, projection: [note] } }";
    assert_eq!(faults(index, "  note: { type: string }"), [""; 0]);
    assert_eq!(
        faults(index, ""),
        ["indexes.by_id.projection: `note` is not an attribute of a model of this table"]
    );
}

#[test]
fn ttl_version_and_compression_are_the_same_in_all_models() {
    assert_eq!(
        faults("  x: { type: version }", "  x: { type: number }"),
        ["attributes.x: must have type version, as in the model One at m.yaml:4, which uses the same table"]
    );
    assert_eq!(
        faults("  x: { type: ttl }", "  y: { type: ttl }"),
        ["attributes.y: a table has one ttl attribute, which is `x` in the model One at m.yaml:4"]
    );
    assert_eq!(
        faults("  x: { type: ttl }", "  y: { type: ttl, alias: x }"),
        [""; 0]
    );
    assert_eq!(
        faults("  x: { type: string, compressed: {} }", "  x: { type: string }"),
        ["attributes.x: must be compressed as in the model One at m.yaml:4, which uses the same table"]
    );
    assert_eq!(
        faults("  x: { type: string }", "  x: { type: string, compressed: {} }"),
        [
            "attributes.x: must not be compressed: the model One at m.yaml:4 does not compress it for the same table"
        ]
    );
}

#[test]
fn discriminators_of_a_table_are_in_one_attribute() {
    let first = "discriminator: { attribute: type, value: One }";
    assert_eq!(
        faults(first, "discriminator: { attribute: type, value: Two }"),
        [""; 0]
    );
    assert_eq!(
        faults(first, "discriminator: { attribute: kind, value: Two }"),
        [
            "discriminator.attribute: must be stored as `type`, as in the model One at m.yaml:11, which uses the same \
             table"
        ]
    );
}

#[test]
fn an_index_shows_whose_item_it_is() {
    let options = |name: &str, projection: &str| {
        format!(
            "discriminator: {{ attribute: type, value: {name} }}\nindexes: {{ by_id: {{ partition_key: id, projection: \
             {projection} }} }}"
        )
    };
    // the table's partition key is templated
    assert_eq!(
        faults(&options("One", "keys_only"), &options("Two", "keys_only")),
        [""; 0]
    );
    let untemplated = |name: &str, projection: &str| {
        let prefix = name.to_uppercase();
        model(name, &options(name, projection)).replace(&format!(", template: '{prefix}#{{id}}'"), "")
    };
    let both = |projection: &str| {
        let source = untemplated("One", projection) + &untemplated("Two", projection);
        read(&[("m.yaml", &source)]).map_or_else(|faults| faults.len(), |_| 0)
    };
    assert_eq!((both("all"), both("[total]"), both("keys_only")), (0, 0, 2));
}

#[test]
fn templates_of_two_models_do_not_produce_the_same_keys() {
    let pair = |one: &str, two: &str, options: [&str; 2]| {
        let fixed =
            |text: String| text.replace("sk: { type: string }", "sk: { type: string, template: ITEM }");
        let first = fixed(model("One", options[0])).replace("ONE#{id}", one);
        let second = fixed(model("Two", options[1])).replace("TWO#{id}", two);
        read(&[("m.yaml", &(first + &second))]).map_or_else(|faults| faults, |_| Vec::new())
    };
    let plain = ["", ""];
    assert_eq!(pair("A#{id}", "B#{id}", plain), [""; 0]);
    assert_eq!(pair("A#{id}", "A#{id}#{total}", plain), [""; 0]);
    // two views of the same items
    assert_eq!(pair("A#{id}", "A#{id}", plain), [""; 0]);
    let expected = "m.yaml:15: partition_key: the templates can produce the keys of the model One at m.yaml:4, in the \
                    same table: begin them with different text";
    assert_eq!(pair("A#{id}", "A#{total}", plain), [expected]);
    assert_eq!(pair("A#{id}", "{id}", plain).len(), 0);
    let named = |two: &'static str| {
        let second = match two {
            "One" => "discriminator: { attribute: type, value: One }",
            _ => "discriminator: { attribute: type, value: Two }",
        };
        ["discriminator: { attribute: type, value: One }", second]
    };
    assert_eq!(pair("A#{id}", "A#{id}", named("Two")).len(), 1);
    assert_eq!(pair("A#{id}", "A#{id}", named("One")), [""; 0]);
}

#[test]
fn a_table_that_remembers_request_ids_holds_no_items() {
    let markers = |name: &str| format!("idempotency: {{ table: {name} }}");
    assert!(faults(&markers("request-ids"), &markers("request-ids")).is_empty());
    assert_eq!(
        faults("", &markers("shared")),
        [
            "idempotency.table: must be a table for this purpose alone: the model One at m.yaml:4 has its items \
             there"
        ]
    );
}

#[test]
fn each_table_is_needed_once() {
    let source = model("One", "idempotency: { table: request-ids }")
        + &model("Two", "idempotency: { table: request-ids }")
        + &model("Three", "").replace("shared", "another");
    let models = read(&[("m.yaml", &source)]).unwrap();
    let tables: Vec<_> = models
        .tables()
        .iter()
        .map(|table| match table {
            NeededTable::Items { name, models } => (*name, models.len()),
            NeededTable::Markers { name } => (*name, 0),
        })
        .collect();
    assert_eq!(tables, [("another", 1), ("request-ids", 0), ("shared", 2)]);
}
