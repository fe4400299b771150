//! Lists: order, prefixes, delimiters, pages.

use aws_sdk_s3::types::EncodingType;

use super::*;

const KEYS: [&str; 9] = ["a", "a/", "a/1", "a/2/x", "a/2/y", "a0", "b/1", "b/2", "é"];

async fn filled() -> (TempDir, [Client; 2]) {
    let (folder, clients) = both().await;
    for client in &clients {
        for key in KEYS {
            put(client, key, key.as_bytes()).await;
        }
    }
    (folder, clients)
}

#[tokio::test]
async fn pages_contain_all_keys_in_order() {
    let (_folder, clients) = filled().await;
    for client in clients {
        for page_size in [1, 2, 4, 1000] {
            let mut pages = client
                .list_objects_v2()
                .bucket(BUCKET)
                .into_paginator()
                .page_size(page_size)
                .send();
            let mut keys = Vec::new();
            while let Some(page) = pages.next().await {
                let page = page.unwrap();
                assert!(page.contents().len() <= page_size as usize);
                assert_eq!(page.key_count(), Some(page.contents().len() as i32));
                keys.extend(
                    page.contents()
                        .iter()
                        .map(|object| object.key().unwrap().to_owned()),
                );
            }
            assert_eq!(keys, KEYS, "{page_size}");
        }
        let page = client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
        let object = &page.contents()[2];
        assert_eq!((object.size(), object.key()), (Some(3), Some("a/1")));
        assert_eq!(
            client
                .list_objects_v2()
                .bucket(BUCKET)
                .max_keys(0)
                .send()
                .await
                .unwrap()
                .is_truncated(),
            Some(false)
        );
        let wrong = client
            .list_objects_v2()
            .bucket(BUCKET)
            .continuation_token("?")
            .send()
            .await;
        assert_eq!(refusal(wrong), ("InvalidArgument".into(), 400));
    }
}

#[tokio::test]
async fn a_delimiter_groups_keys() {
    let (_folder, clients) = filled().await;
    for client in clients {
        for page_size in [1, 2, 1000] {
            let list = client.list_objects_v2().bucket(BUCKET).delimiter("/");
            let mut pages = list.into_paginator().page_size(page_size).send();
            let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
            while let Some(page) = pages.next().await {
                let page = page.unwrap();
                keys.extend(
                    page.contents()
                        .iter()
                        .map(|object| object.key().unwrap().to_owned()),
                );
                prefixes.extend(
                    page.common_prefixes()
                        .iter()
                        .map(|prefix| prefix.prefix().unwrap().to_owned()),
                );
            }
            assert_eq!(keys, ["a", "a0", "é"]);
            assert_eq!(prefixes, ["a/", "b/"]);
        }
        let page = client
            .list_objects_v2()
            .bucket(BUCKET)
            .delimiter("/")
            .prefix("a/")
            .send()
            .await
            .unwrap();
        let keys: Vec<_> = page.contents().iter().filter_map(|object| object.key()).collect();
        assert_eq!(keys, ["a/", "a/1"]);
        assert_eq!(page.common_prefixes()[0].prefix(), Some("a/2/"));
        let page = client
            .list_objects_v2()
            .bucket(BUCKET)
            .start_after("a/2/x")
            .send()
            .await
            .unwrap();
        assert_eq!(page.contents()[0].key(), Some("a/2/y"));
    }
}

#[tokio::test]
async fn encodes_names_for_urls() {
    let (_folder, clients) = filled().await;
    for client in clients {
        let page = client
            .list_objects_v2()
            .bucket(BUCKET)
            .start_after("b/1")
            .encoding_type(EncodingType::Url)
            .send()
            .await
            .unwrap();
        let keys: Vec<_> = page.contents().iter().filter_map(|object| object.key()).collect();
        assert_eq!(keys, ["b/2", "%C3%A9"]);
    }
}
