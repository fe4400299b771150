//! What is read here is what the SDK reads, for any response.

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::model::Value;

/// Responds to every request with the same body.
#[derive(Clone, Debug)]
struct Respond(String);

impl HttpConnector for Respond {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        let body = SdkBody::from(self.0.clone());
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), body)))
    }
}

/// The item of a GetItem with this body, as the SDK reads it.
async fn by_sdk(body: &str) -> Option<Option<Item>> {
    let connector = SharedHttpConnector::new(Respond(body.to_owned()));
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("eu-central-1"))
        .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
        .http_client(http_client_fn(move |_, _| connector.clone()));
    let client = aws_sdk_dynamodb::Client::from_conf(config.build());
    let got = client.get_item().table_name("users").send().await;
    got.ok().map(|got| GotItem::from(got).into_item())
}

fn here(body: &str) -> Option<Option<Item>> {
    let got: Option<GotItem> = serde_json::from_str(body).ok();
    got.map(GotItem::into_item)
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z\"\\\\\n\u{e9}\u{1F600}]{0,6}", any::<String>()]
}

fn any_number() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        "-?[0-9]{1,3}(\\.[0-9]{1,3})?(E-?[0-9]{1,2})?",
        any_text(),
    ]
}

/// Values as DynamoDB returns them, and now and then others.
fn any_value() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        any_text().prop_map(|text| json!({ "S": text })),
        any_number().prop_map(|number| json!({ "N": number })),
        any::<bool>().prop_map(|flag| json!({ "BOOL": flag })),
        any::<bool>().prop_map(|flag| json!({ "NULL": flag })),
        "[A-Za-z0-9+/]{0,8}={0,2}".prop_map(|text| json!({ "B": text })),
        prop::collection::vec(any_text(), 0..3).prop_map(|texts| json!({ "SS": texts })),
        prop::collection::vec(any_number(), 0..3).prop_map(|numbers| json!({ "NS": numbers })),
        prop::collection::vec("[A-Za-z0-9+/]{4}", 0..3).prop_map(|members| json!({ "BS": members })),
        Just(json!({ "S": null })),
        Just(json!({ "X": 1 })),
        Just(json!({ "S": "a", "N": "1" })),
        Just(json!({})),
        Just(json!(null)),
        Just(json!({ "S": 1 })),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|values| json!({ "L": values })),
            prop::collection::hash_map(any_text(), inner, 0..4).prop_map(|fields| json!({ "M": fields })),
        ]
    })
}

proptest! {
    #[test]
    fn an_item_is_read_as_the_sdk_reads_it(
        item in prop::collection::hash_map(any_text(), any_value(), 0..5),
    ) {
        let body = json!({ "Item": item, "ConsumedCapacity": { "TableName": "users", "CapacityUnits": 0.5 } });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        if let Some(read) = here(&body.to_string()) {
            let by_sdk = runtime.block_on(by_sdk(&body.to_string()));
            prop_assert_eq!(Some(read), by_sdk);
        }
    }
}

#[test]
fn every_type_is_read() {
    let body = json!({ "Item": {
        "s": { "S": "é\n" }, "n": { "N": "1.50" }, "b": { "B": "AAEC" }, "t": { "BOOL": true },
        "u": { "NULL": true }, "l": { "L": [{ "S": "a" }, { "L": [] }] }, "m": { "M": { "x": { "N": "7" } } },
        "ss": { "SS": ["b", "a"] }, "ns": { "NS": ["1", "2"] }, "bs": { "BS": ["AA=="] },
    } });
    let item = here(&body.to_string()).unwrap().unwrap();
    assert_eq!(item["s"], Value::S("é\n".to_owned()));
    assert_eq!(item["n"], Value::N("1.5".parse().unwrap()));
    assert_eq!(item["b"], Value::B(vec![0, 1, 2].into()));
    assert_eq!(item["u"], Value::Null);
    assert_eq!(item["bs"], Value::BS([vec![0].into()].into()));
    assert_eq!(item.len(), 10);
}

#[test]
fn a_body_without_anything_is_an_item_that_does_not_exist() {
    assert_eq!(here("{}"), Some(None));
    assert_eq!(here(r#"{"Unknown":[1,{"a":null}]}"#), Some(None));
    for body in ["", "null", "[]", r#"{"Item":[]}"#, r#"{"Item":{"a":{"S":"b"}}"#] {
        assert_eq!(here(body), None, "{body}");
    }
}

#[test]
fn pages_and_batches_have_their_parts() {
    let page: ReadPage = serde_json::from_value(json!({
        "Items": [{ "a": { "S": "1" } }, { "a": { "S": "2" }, "b": { "N": "3" } }],
        "Count": 2, "ScannedCount": 5, "LastEvaluatedKey": { "a": { "S": "2" } },
        "ConsumedCapacity": { "CapacityUnits": 1.5 },
    }))
    .unwrap();
    assert_eq!((page.count, page.scanned_count, page.units()), (2, 5, 1.5));
    let (items, last_key) = page.into_parts();
    assert_eq!(items.iter().map(Item::len).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(last_key.unwrap().len(), 1);
    let got: GotItems = serde_json::from_value(json!({
        "Responses": { "users": [{ "a": { "S": "1" } }] },
        "UnprocessedKeys": { "users": { "Keys": [{ "a": { "S": "2" } }], "ConsistentRead": true } },
        "ConsumedCapacity": [{ "CapacityUnits": 1.0 }, { "CapacityUnits": 0.5 }],
    }))
    .unwrap();
    assert_eq!(got.units(), 1.5);
    let (items, unprocessed) = got.into_parts();
    assert_eq!((items[0].1.len(), unprocessed[0].1.len()), (1, 1));
}
