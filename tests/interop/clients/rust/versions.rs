//! Versions in Rust: cargo run -p tollgate-client --example versions -- ADDRESS
//!
//! The server needs the model `Page` of docs/clients/rust.md.

#![allow(clippy::print_stdout, reason = "examples print their results")]

use serde::{Deserialize, Serialize};
use tollgate_client::{Client, Error, Key, Refusal};

#[derive(Serialize, Deserialize)]
struct Page {
    pk: String,
    text: String,
    /// `None` until it is saved.
    rev: Option<u64>,
}

/// Reads a page, changes it and saves it, again if another caller was faster.
async fn append(client: &Client, pk: &str, text: &str) -> Result<u64, Error> {
    loop {
        let mut page: Page = client.get("Page", Key::new("pk", pk)).await?.value;
        page.text.push_str(text);
        match client.save_mut("Page", &mut page).await {
            Ok(_) => return Ok(page.rev.unwrap_or_default()),
            Err(error) => match error.refusal() {
                Some(Refusal::VersionMismatch { current }) => println!("version {current} is newer"),
                _ => return Err(error),
            },
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:50051".to_owned());
    let client = Client::connect(format!("http://{address}")).await?;
    let mut page = Page {
        pk: "PAGE#1".to_owned(),
        text: "Draft".to_owned(),
        rev: None,
    };
    client.save_mut("Page", &mut page).await?;
    println!("created version {:?}", page.rev);
    println!("appended: version {}", append(&client, &page.pk, ", once").await?);

    // the page in hand is version 1: it cannot overwrite version 2
    match client.save_mut("Page", &mut page).await {
        Err(error) => println!("{error}"),
        Ok(_) => println!("saved version {:?}", page.rev),
    }
    Ok(())
}
