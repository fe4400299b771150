//! Every kind of invalid input and of failure of the stores, with its code, reason and field. The server continues.

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

/// Asserts that the server still works.
async fn goes_on(gateway: &Gateway) {
    gateway.save(save("User", user("AFTER", "1"))).await.ok();
    let found = gateway.get(get("User", key("AFTER", "PROFILE"))).await.ok();
    assert_eq!(found.item, user("AFTER", "1"));
}
