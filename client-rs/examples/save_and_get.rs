//! Saves a user with an encrypted field, reads it back, and prints both bills. Start `tollgate serve` first.

#![allow(clippy::print_stdout, reason = "examples print their results")]

use serde::{Deserialize, Serialize};
use tollgate_client::{Client, Key, SaveOptions, attr};

#[derive(Debug, Serialize, Deserialize)]
struct User {
    pk: String,
    sk: String,
    name: String,
    age: Option<u32>,
    ssn: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), tollgate_client::Error> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "http://127.0.0.1:50051".to_owned());
    let client = Client::connect(address).await?;

    let ada = User {
        pk: "USER#1".into(),
        sk: "PROFILE".into(),
        name: "Ada".into(),
        age: Some(36),
        ssn: Some("123-45-6789".into()),
    };
    let saved = client.save("User", &ada).await?;
    println!("saved\n{}\n", saved.metrics);

    let key = Key::new("pk", "USER#1").and("sk", "PROFILE");
    let read = client.get::<User>("User", key.clone()).await?;
    println!("read {:?}\n{}\n", read.value.name, read.metrics);

    let only_once = SaveOptions {
        condition: attr("pk").not_exists(),
        ..SaveOptions::default()
    };
    match client.save_with("User", &ada, only_once).await {
        Ok(_) => println!("saved again"),
        Err(error) => println!("{error}, for {} write units", error.metrics().wcu),
    }

    client.delete("User", key).await?;
    Ok(())
}
