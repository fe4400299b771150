//! Every kind of bad input, and of trouble behind the gate, with its code, reason and field; and the server goes on.

mod expressions;
mod fields;
mod keys;
mod limits;
mod names;
mod tokens;
mod trouble;
mod values;
mod wire;

use tollgate_tests::gateway::Gateway;
use tollgate_tests::values::{get, key, save, user};

/// The server goes on as if nothing had been.
async fn goes_on(gateway: &Gateway) {
    gateway.save(save("User", user("AFTER", "1"))).await.ok();
    let found = gateway.get(get("User", key("AFTER", "PROFILE"))).await.ok();
    assert_eq!(found.item, user("AFTER", "1"));
}
