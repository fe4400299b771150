//! Compressed messages of the Rust client.

use futures::StreamExt as _;
use tollgate_client::{Client, Compression, Key, Options, Query};

use super::{Page, page, page_key, start};

#[tokio::test]
async fn calls_and_streams_work_with_compressed_messages() {
    let (gateway, plain) = start(None).await;
    let text = "tollgate ".repeat(20_000);
    for (compression, sk) in [(Compression::Gzip, "gzip"), (Compression::Zstd, "zstd")] {
        let options = Options::default().compress(compression);
        let client = Client::from_channel(gateway.channel(), options);
        client.save("Page", &page(sk, &text)).await.unwrap();
        let read: Page = client.get("Page", page_key(sk)).await.unwrap().value;
        assert_eq!(read.text.as_deref(), Some(text.as_str()));
        assert_eq!(plain.get::<Page>("Page", page_key(sk)).await.unwrap().value, read);
        let items: Vec<_> = client
            .query::<Page>(Query::new("Page", Key::new("pk", "A")))
            .collect()
            .await;
        assert!(items.iter().any(|item| item.as_ref().unwrap() == &read));
    }
    gateway.stop().await;
}
