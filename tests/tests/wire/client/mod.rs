//! The Rust client against the real gateway: builders, versions, incomplete items, batches and transactions.

mod batches;
mod builders;
mod compressed;
mod partial;
mod transactions;
mod versions;

use serde::{Deserialize, Serialize};
use tollgate_client::{Client, Key, Options};
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::wiretap::Wiretap;

/// A model with a version and indexes, one that keeps undeclared attributes, and one whose secret cannot be read.
const MODELS: &str = "
name: Page
table: pages
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  text: { type: string }
  owner: { type: string }
  visits: { type: number }
  created: { type: string, generate: ulid }
  rev: { type: version }
indexes:
  by_owner: { partition_key: owner, sort_key: sk, projection: [text] }
  by_owner_all: { partition_key: owner, sort_key: pk }
---
name: Free
table: frees
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  secret: { type: string, encrypted: { key_id: alias/my-app-key, mode: write_only } }
unknown_attributes: keep
---
name: Once
table: onces
partition_key: pk
attributes:
  pk: { type: string }
  count: { type: number }
idempotency: item
";

/// A `Page`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Page {
    pk: String,
    sk: String,
    text: Option<String>,
    owner: Option<String>,
    visits: Option<u32>,
    created: Option<String>,
    rev: Option<u64>,
}

fn page(sk: &str, text: &str) -> Page {
    Page {
        pk: "A".to_owned(),
        sk: sk.to_owned(),
        text: Some(text.to_owned()),
        owner: Some("Ada".to_owned()),
        visits: None,
        created: None,
        rev: None,
    }
}

fn page_key(sk: &str) -> Key {
    Key::new("pk", "A").and("sk", sk)
}

async fn start(wiretap: Option<Wiretap>) -> (Gateway, Client) {
    let gateway = Gateway::of_models(
        MODELS,
        Setup {
            wiretap,
            ..Setup::default()
        },
    )
    .await;
    let client = Client::from_channel(gateway.channel(), Options::default());
    (gateway, client)
}
