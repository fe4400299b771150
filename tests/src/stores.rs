//! Direct access to the stores under a gateway, to inspect and to tamper with them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tollgate::aws::Connectors;

use crate::external;

/// A stored item, as DynamoDB has it.
pub type Stored = HashMap<String, AttributeValue>;

/// Raw clients of the engines of a gateway; the wiretap does not see their requests.
#[derive(Clone, Debug)]
pub struct RawStores {
    /// Items.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Data keys.
    pub kms: aws_sdk_kms::Client,
    /// Objects.
    pub s3: aws_sdk_s3::Client,
}

macro_rules! client {
    ($service:ident, $endpoint:literal, $connector:expr $(, $option:ident($value:expr))*) => {
        $service::Client::from_conf(
            $service::config::Builder::new()
                .behavior_version($service::config::BehaviorVersion::latest())
                .region($service::config::Region::from_static("us-east-1"))
                .endpoint_url(external::endpoint($endpoint))
                .http_client(SharedHttpClient::clone($connector))
                .allow_no_auth()
                $(.$option($value))*
                .build(),
        )
    };
}

impl RawStores {
    /// Over these connectors.
    pub fn over(connectors: &Connectors) -> RawStores {
        RawStores {
            dynamodb: client!(aws_sdk_dynamodb, "DYNAMODB", &connectors.dynamodb),
            kms: client!(aws_sdk_kms, "KMS", &connectors.kms),
            s3: client!(aws_sdk_s3, "S3", &connectors.s3, force_path_style(true)),
        }
    }

    /// The item of the example models with this key.
    pub async fn item(&self, table: &str, partition: &str, sort: &str) -> Option<Stored> {
        let read = self.dynamodb.get_item().table_name(table).consistent_read(true);
        let read = read.key("pk", text(partition)).key("sk", text(sort));
        read.send().await.expect("the engine responds").item
    }

    /// Writes an item unchanged.
    pub async fn put(&self, table: &str, item: Stored) {
        let put = self.dynamodb.put_item().table_name(table).set_item(Some(item));
        put.send().await.expect("the engine responds");
    }

    /// A new data key under a KMS key, and its wrapped form. The alias is created if it is missing.
    pub async fn data_key(&self, alias: &str, context: &[(&str, &str)]) -> ([u8; 32], Vec<u8>) {
        if self.kms.describe_key().key_id(alias).send().await.is_err() {
            let key = self.kms.create_key().send().await.expect("the engine responds");
            let id = key.key_metadata.expect("a new key").key_id;
            let alias = self.kms.create_alias().alias_name(alias).target_key_id(id);
            alias.send().await.expect("the engine responds");
        }
        let mut asked = self
            .kms
            .generate_data_key()
            .key_id(alias)
            .key_spec(aws_sdk_kms::types::DataKeySpec::Aes256);
        for (name, value) in context {
            asked = asked.encryption_context(*name, *value);
        }
        let made = asked.send().await.expect("the engine responds");
        let plaintext = made.plaintext.expect("a key").into_inner();
        let wrapped = made.ciphertext_blob.expect("its wrapped form").into_inner();
        (plaintext.try_into().expect("32 bytes"), wrapped)
    }

    /// The keys of all objects of a bucket, in order.
    pub async fn objects(&self, bucket: &str) -> Vec<String> {
        let mut keys = Vec::new();
        let mut pages = self.s3.list_objects_v2().bucket(bucket).into_paginator().send();
        while let Some(page) = pages.next().await {
            let objects = page.expect("the engine responds").contents.unwrap_or_default();
            keys.extend(objects.into_iter().filter_map(|object| object.key));
        }
        keys
    }

    /// The multipart uploads of a bucket that are neither completed nor aborted.
    pub async fn open_uploads(&self, bucket: &str) -> usize {
        let listed = self
            .s3
            .list_multipart_uploads()
            .bucket(bucket)
            .send()
            .await
            .expect("the engine responds");
        listed.uploads().len()
    }

    /// Writes an object unchanged.
    pub async fn put_object(&self, bucket: &str, key: &str, content: Vec<u8>) {
        let put = self.s3.put_object().bucket(bucket).key(key).body(content.into());
        put.send().await.expect("the engine responds");
    }

    /// The metadata of an object; none if there is no such object.
    pub async fn object_metadata(&self, bucket: &str, key: &str) -> Option<HashMap<String, String>> {
        let head = self.s3.head_object().bucket(bucket).key(key).send().await.ok()?;
        Some(head.metadata.unwrap_or_default())
    }

    /// Creates a bucket.
    pub async fn create_bucket(&self, bucket: &str) {
        let created = self.s3.create_bucket().bucket(bucket).send().await;
        created.expect("the engine creates it");
    }

    /// Removes an object.
    pub async fn delete_object(&self, bucket: &str, key: &str) {
        self.s3
            .delete_object()
            .bucket(bucket)
            .key(key)
            .send()
            .await
            .expect("the engine responds");
    }
}

/// A string, as stored.
pub fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}
