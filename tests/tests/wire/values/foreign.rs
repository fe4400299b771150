//! Items that another program wrote: they come back as stored and can be saved back.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue as Raw;
use tollgate_tests::values::{b, l, n, s};

use super::Things;

fn stored(attributes: &[(&str, Raw)]) -> HashMap<String, Raw> {
    let keys = [("pk", Raw::S("A".into())), ("sk", Raw::S("1".into()))];
    keys.iter()
        .chain(attributes)
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect()
}

#[tokio::test]
async fn numbers_sets_in_lists_and_empty_values_come_back_and_are_saved_back() {
    let things = Things::with(
        "  any: { type: list }\n  name: { type: string }",
        "unknown_attributes: keep",
    )
    .await;
    let digits = "12345678901234567890123456789012345678";
    let any = Raw::L(vec![
        Raw::N("1E+2".into()),
        Raw::N("-0".into()),
        Raw::N(digits.into()),
        Raw::Ss(vec!["a".into()]),
        Raw::S(String::new()),
        Raw::B(Blob::new([])),
    ]);
    things
        .wiretap
        .stores()
        .put(
            "things",
            stored(&[("any", any), ("free", Raw::Null(true)), ("name", Raw::Null(true))]),
        )
        .await;
    let item = things.get().await.item;
    let set = tollgate_proto::v1::StringSet {
        values: vec!["a".into()],
    };
    let set = tollgate_tests::values::AttributeValue {
        kind: Some(tollgate_proto::v1::attribute_value::Kind::Ss(set)),
    };
    assert_eq!(
        item["any"],
        l([n(100), n(0), n(digits), set, s(""), b(Vec::new())])
    );
    assert!(
        item.contains_key("free") && !item.contains_key("name"),
        "NULL of a declared attribute is absent"
    );
    things.save(item.clone()).await;
    assert_eq!(things.get().await.item, item);
}

#[tokio::test]
async fn a_value_of_another_type_comes_back_as_stored() {
    let things = Things::with(
        "  when: { type: datetime }\n  tags: { type: string_set }\n  sizes: { type: number_set }\n  data: { type: json }",
        "",
    )
    .await;
    let numbers = Raw::L(vec![Raw::N("1".into()), Raw::S("2E0".into())]);
    things
        .wiretap
        .stores()
        .put(
            "things",
            stored(&[
                ("when", Raw::S("20260131T1200".into())),
                ("tags", Raw::S("not a set".into())),
                ("sizes", numbers),
                ("data", Raw::S("not json".into())),
            ]),
        )
        .await;
    let item = things.get().await.item;
    assert_eq!(item["when"], s("2026-01-31T12:00:00+00:00"));
    assert_eq!((&item["tags"], &item["data"]), (&s("not a set"), &s("not json")));
    let values = ["1", "2"].map(str::to_owned).into();
    let set = tollgate_proto::v1::attribute_value::Kind::Ns(tollgate_proto::v1::NumberSet { values });
    assert_eq!(item["sizes"].kind, Some(set));
}
