//! The engine behind a real SDK client: helpers of the tests.

mod handles;
mod items;
mod pages;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, CreateGlobalSecondaryIndexAction,
    GlobalSecondaryIndexUpdate, KeySchemaElement, KeyType, Projection, ProjectionType, ScalarAttributeType,
};
use aws_smithy_runtime_api::client::auth::AuthSchemeId;

use super::super::connector::http_client;
use super::super::place::{Place, Synchronous};
use super::{DynamoDb, open};

type Item = HashMap<String, AttributeValue>;

fn client(engine: &Arc<DynamoDb>) -> Client {
    let engine: Arc<DynamoDb> = Arc::clone(engine);
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .retry_config(RetryConfig::disabled())
        .http_client(http_client(engine))
        .allow_no_auth()
        .auth_scheme_preference([AuthSchemeId::from("noAuth")])
        .build();
    Client::from_conf(config)
}

fn in_folder(path: &Path) -> Arc<DynamoDb> {
    open(&Place::Folder(path.to_path_buf()), Synchronous::Normal).unwrap()
}

fn in_memory() -> Arc<DynamoDb> {
    open(&Place::Memory, Synchronous::Full).unwrap()
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn item(sort: usize, note: impl Into<String>) -> Item {
    [
        ("pk", text("p")),
        ("sk", text(format!("{sort:04}"))),
        ("note", text(note)),
        ("group", text("g")),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn key(sort: usize) -> Item {
    let mut key = item(sort, "");
    key.retain(|name, _| name == "pk" || name == "sk");
    key
}

fn attribute(name: &str) -> AttributeDefinition {
    let attribute = AttributeDefinition::builder().attribute_name(name);
    attribute.attribute_type(ScalarAttributeType::S).build().unwrap()
}

fn key_element(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder()
        .attribute_name(name)
        .key_type(kind)
        .build()
        .unwrap()
}

async fn create_table(client: &Client, name: &str) {
    client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("pk"))
        .attribute_definitions(attribute("sk"))
        .key_schema(key_element("pk", KeyType::Hash))
        .key_schema(key_element("sk", KeyType::Range))
        .send()
        .await
        .unwrap();
}

async fn add_index(client: &Client) {
    let index = CreateGlobalSecondaryIndexAction::builder()
        .index_name("by-group")
        .key_schema(key_element("group", KeyType::Hash))
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()
        .unwrap();
    client
        .update_table()
        .table_name("things")
        .attribute_definitions(attribute("group"))
        .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().create(index).build())
        .send()
        .await
        .unwrap();
}

async fn put(client: &Client, item: Item) {
    client
        .put_item()
        .table_name("things")
        .set_item(Some(item))
        .send()
        .await
        .unwrap();
}

async fn get(client: &Client, sort: usize) -> Option<Item> {
    client
        .get_item()
        .table_name("things")
        .set_key(Some(key(sort)))
        .send()
        .await
        .unwrap()
        .item
}
