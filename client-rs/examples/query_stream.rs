//! Saves a partition of users and streams a part of it back, page by page. Start `tollgate serve` first.

#![allow(clippy::print_stdout, reason = "examples print their results")]

use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tollgate_client::{Client, Key, Query, attr};

#[derive(Serialize, Deserialize)]
struct User {
    pk: String,
    sk: String,
    name: String,
    age: u32,
}

#[tokio::main]
async fn main() -> Result<(), tollgate_client::Error> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "http://127.0.0.1:50051".to_owned());
    let client = Client::connect(address).await?;
    for number in 0..25 {
        let sk = format!("MEMBER#{number:02}");
        let user = User {
            pk: "TEAM#1".into(),
            sk,
            name: format!("Member {number}"),
            age: number,
        };
        client.save("User", &user).await?;
    }

    let mut adults = client.query::<User>(Query {
        filter: attr("age").ge(18),
        page_size: 10,
        ..Query::new("User", Key::new("pk", "TEAM#1"))
    });
    while let Some(user) = adults.next().await {
        match user {
            Ok(user) => println!("{} is {}", user.name, user.age),
            // one item that does not open spoils only itself
            Err(error) if error.is_of_item() => println!("{:?}: {error}", error.key()),
            Err(error) => return Err(error),
        }
    }
    println!("\n{}", adults.metrics());
    Ok(())
}
