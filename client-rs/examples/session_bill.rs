//! Bills several calls to one session and reads the session's totals. Start `tollgate serve` first.

#![allow(clippy::print_stdout, reason = "examples print their results")]

use futures::future::try_join_all;
use tollgate_client::{Client, Item, Key};

#[tokio::main]
async fn main() -> Result<(), tollgate_client::Error> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "http://127.0.0.1:50051".to_owned());
    let billing = Client::connect(address).await?.session("billing-run-7");

    let invoices: Vec<Item> = (0..10)
        .map(|number| {
            let sk = format!("INVOICE#{number}");
            [
                ("pk", "CUSTOMER#1".into()),
                ("sk", sk.into()),
                ("ssn", "123-45-6789".into()),
            ]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
        })
        .collect();
    try_join_all(invoices.iter().map(|invoice| billing.save("User", invoice))).await?;
    let read = billing
        .get::<Item>("User", Key::new("pk", "CUSTOMER#1").and("sk", "INVOICE#0"))
        .await?;
    println!("{}\n", read.metrics);

    let total = billing.reset().await?;
    println!(
        "{}: {} calls, {} KMS calls, {} write units",
        billing.name(),
        total.call_count,
        total.kms_calls,
        total.total_wcu
    );
    Ok(())
}
