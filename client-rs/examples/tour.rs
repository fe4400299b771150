//! The tour of `docs/tour.md` in Rust. Start `tollgate serve` first.

#![allow(clippy::print_stdout)] // an example talks to people

use serde::{Deserialize, Serialize};
use tollgate_client::{Client, Key};

#[derive(Serialize, Deserialize)]
struct User {
    pk: String,
    sk: String,
    name: String,
    ssn: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), tollgate_client::Error> {
    let client = Client::connect("http://127.0.0.1:50051").await?;
    let job = client.session("rust-tour");

    let ada = User {
        pk: "USER#1".into(),
        sk: "PROFILE".into(),
        name: "Ada".into(),
        ssn: Some("123-45-6789".into()),
    };
    job.save("User", &ada).await?;

    let key = Key::new("pk", "USER#1").and("sk", "PROFILE");
    let read = job.get::<User>("User", key).await?;
    println!("{} for {} KMS call", read.value.name, read.metrics.kms_calls);

    let missing = job
        .get::<User>("User", Key::new("pk", "USER#0").and("sk", "PROFILE"))
        .await;
    if let Err(error) = missing {
        println!("{error}");
    }
    println!("{} calls in this session", job.total().await?.call_count);
    Ok(())
}
