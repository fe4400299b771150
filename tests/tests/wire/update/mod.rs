//! Update: every form on every kind of attribute, what it returns and costs, and how it fails.

mod aliases;
mod faults;
mod forms;
mod index_keys;
mod objects;
mod refusals;
mod sets;

use tollgate_proto::v1;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::values::{Item, get, key};
use tollgate_tests::wiretap::Wiretap;

/// A model with a bounded, a required and an encrypted attribute, and a default.
const ACCOUNT: &str = "
name: Account
table: accounts
partition_key: pk
sort_key: sk
attributes:
  pk: { type: string }
  sk: { type: string }
  balance: { type: number, min: 0, max: 100 }
  tags: { type: list, max_length: 3 }
  state: { type: string, enum: [open, closed], default: open }
  owner: { type: string, required: true }
  note: { type: string }
  address: { type: map }
  active: { type: boolean }
  raw: { type: binary }
  pin: { type: string, encrypted: { key_id: alias/my-app-key } }
  sealed_by_another: { type: string, encrypted: { key_id: alias/my-app-key, mode: read_only } }
unknown_attributes: keep
";

async fn gateway_of(wiretap: &Wiretap, models: &str) -> Gateway {
    Gateway::of_models(models, Setup::tapped(wiretap)).await
}

async fn accounts() -> Gateway {
    gateway_of(&Wiretap::counting(), ACCOUNT).await
}

async fn read(gateway: &Gateway) -> Item {
    gateway.get(get("Account", key("A", "1"))).await.ok().item
}

fn returning(request: v1::UpdateRequest, values: v1::ReturnValues) -> v1::UpdateRequest {
    v1::UpdateRequest {
        return_values: values.into(),
        ..request
    }
}
